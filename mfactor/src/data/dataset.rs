//! Data sets: folders of image records in CIFAR-10's binary layout, and their split.
//!
//! A record is one label byte and then the planes of the image, row by row, a byte a value. A folder with a
//! `dataset.toml` says itself what is in it; a folder without one must hold CIFAR-10's own six files.

use std::path::{Component, Path, PathBuf};

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::magic::{self, Kind};
use crate::space::{ImageShape, SearchSpace};
use crate::{files, text};

/// Version of the manifest's form.
pub const SCHEMA: u32 = 1;
/// Largest file of records that is read, in bytes: 5 times all of CIFAR-10.
pub const LARGEST_FILE: u64 = 1 << 30;
/// Name of the manifest in a data-set folder.
pub const MANIFEST_FILE: &str = "dataset.toml";
/// Folder into which CIFAR-10's archive unpacks.
pub const CIFAR10_FOLDER: &str = "cifar-10-batches-bin";

/// Which records are held out for validation depends on this alone, never on a study's seed: accuracies of
/// two studies are comparable, and export finds the images that the trainer held out.
const SPLIT_SEED: u64 = 10;

/// What a data set says about itself: the contents of `dataset.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this form.
    pub schema: u32,
    /// Name, for records.
    pub name: String,
    /// Class names in the order of the labels.
    pub classes: Vec<String>,
    /// Number of training records that are held out for validation.
    pub validation: usize,
    /// Shape of an image.
    pub image: ImageShape,
    /// Files with training records.
    pub train: Vec<RecordFile>,
    /// Files with test records.
    pub test: Vec<RecordFile>,
}

/// One file of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordFile {
    /// File name in the folder.
    pub file: String,
    /// Number of records in it.
    pub records: usize,
}

impl Manifest {
    /// CIFAR-10 in its binary layout: five files of 10,000 training records and one of 10,000 test records.
    pub fn cifar10() -> Self {
        let names = "airplane automobile bird cat deer dog frog horse ship truck";
        let file = |file: String| RecordFile { file, records: 10_000 };
        Self {
            schema: SCHEMA,
            name: "cifar10".to_owned(),
            classes: names.split(' ').map(str::to_owned).collect(),
            validation: 5_000,
            image: ImageShape { channels: 3, height: 32, width: 32 },
            train: (1..=5).map(|number| file(format!("data_batch_{number}.bin"))).collect(),
            test: vec![file("test_batch.bin".to_owned())],
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let manifest: Self = files::read_toml(path)?;
        let refuse = |problem: String| Err(Error::file(path, problem));
        if manifest.schema != SCHEMA {
            return refuse(format!("schema is {}; this version reads {SCHEMA}", manifest.schema));
        }
        if !(2..=256).contains(&manifest.classes.len()) {
            return refuse(format!("classes lists {}; it must list 2 to 256 names", manifest.classes.len()));
        }
        let ImageShape { channels, height, width } = manifest.image;
        if !(1..=4).contains(&channels) || !(1..=512).contains(&height) || !(1..=512).contains(&width) {
            return refuse(format!("image is {channels}×{height}×{width}; 1 to 4 channels, sides up to 512"));
        }
        for record_file in manifest.train.iter().chain(&manifest.test) {
            let mut parts = Path::new(&record_file.file).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                let name = text::name(&record_file.file);
                return refuse(format!("{name} is not the name of a file in this folder"));
            }
            let most = LARGEST_FILE / (1 + manifest.image.bytes() as u64);
            if record_file.records == 0 || record_file.records as u64 > most {
                let (name, records) = (text::name(&record_file.file), record_file.records);
                return refuse(format!("{name} has {records} records; it must have from 1 to {most}"));
            }
        }
        if manifest.train.is_empty() || manifest.test.is_empty() {
            return refuse("names no file to train on, or none to test on".to_owned());
        }
        let train: usize = manifest.train.iter().map(|file| file.records).sum();
        if manifest.validation == 0 || manifest.validation >= train {
            let (validation, most) = (manifest.validation, train - 1);
            return refuse(format!("validation is {validation}; it must be from 1 to {most}"));
        }
        Ok(manifest)
    }
}

/// A data-set folder whose files are there and have the right sizes.
#[derive(Debug, Clone)]
pub struct DataSet {
    folder: PathBuf,
    manifest: Manifest,
}

/// Which training records train and which validate; both ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Record numbers to train on.
    pub train: Vec<usize>,
    /// Record numbers to validate on.
    pub validation: Vec<usize>,
}

impl DataSet {
    /// Opens a folder; one that holds `cifar-10-batches-bin` is as good as that folder itself.
    pub fn open(folder: &Path) -> Result<Self> {
        let inner = folder.join(CIFAR10_FOLDER);
        let folder = if inner.is_dir() { inner } else { folder.to_owned() };
        let path = folder.join(MANIFEST_FILE);
        let manifest = if path.symlink_metadata().is_ok() {
            Manifest::read(&path)?
        } else if folder.is_dir() {
            Manifest::cifar10()
        } else {
            return Err(Error::file(&folder, "there is no such folder; `mfactor data fetch NAME` makes one"));
        };
        let set = Self { folder, manifest };
        set.manifest.train.iter().chain(&set.manifest.test).try_for_each(|file| set.check_size(file))?;
        Ok(set)
    }

    fn check_size(&self, file: &RecordFile) -> Result<()> {
        let path = self.folder.join(&file.file);
        let expected = file.records as u64 * (1 + self.manifest.image.bytes() as u64);
        let opened = files::open(&path)?;
        let bytes = opened.metadata().map_err(Error::io("read", &path))?.len();
        if bytes == expected {
            return Ok(());
        }
        if let Some(words) = mistaken(&files::head(opened, &path)?) {
            return Err(Error::file(&path, words));
        }
        Err(Error::file(&path, format!("has {bytes} bytes; {} records make {expected}", file.records)))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the data set says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Refuses a data set whose images or classes are not those of `space`.
    pub fn check_fits(&self, space: &SearchSpace) -> Result<()> {
        let (image, classes) = (self.manifest.image, self.manifest.classes.len());
        if image == space.image() && classes == space.classes() {
            return Ok(());
        }
        let shape = |s: ImageShape| format!("{}×{}×{}", s.channels, s.height, s.width);
        Err(Error::file(
            &self.folder,
            format!(
                "has {} images of {classes} classes; space {} needs {} and {}",
                shape(image),
                space.name(),
                shape(space.image()),
                space.classes()
            ),
        ))
    }

    /// All training records, those held out for validation included.
    pub fn train(&self) -> Result<Records> {
        self.read(&self.manifest.train)
    }

    /// All test records.
    pub fn test(&self) -> Result<Records> {
        self.read(&self.manifest.test)
    }

    /// Paths of the files with test records.
    pub fn test_files(&self) -> Vec<PathBuf> {
        self.manifest.test.iter().map(|file| self.folder.join(&file.file)).collect()
    }

    fn read(&self, files: &[RecordFile]) -> Result<Records> {
        let mut records = Records::empty(self.manifest.image);
        for file in files {
            let path = self.folder.join(&file.file);
            records.append(&files::read(&path)?, self.manifest.classes.len(), &path)?;
        }
        Ok(records)
    }

    /// The split of the training records, the same in every program and for every seed.
    pub fn split(&self) -> Split {
        let records: usize = self.manifest.train.iter().map(|file| file.records).sum();
        let mut order: Vec<usize> = (0..records).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(SPLIT_SEED));
        let mut validation = order.split_off(records - self.manifest.validation);
        order.sort_unstable();
        validation.sort_unstable();
        Split { train: order, validation }
    }

    /// SHA-256 over all records, training files first: two folders with one fingerprint hold one data set. Every
    /// record is checked on the way.
    pub fn fingerprint(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for file in self.manifest.train.iter().chain(&self.manifest.test) {
            let path = self.folder.join(&file.file);
            let bytes = files::read(&path)?;
            check_records(&bytes, self.manifest.image, self.manifest.classes.len(), &path)?;
            hash.update(bytes);
        }
        Ok(crate::files::hex(&hash.finalize()))
    }
}

/// Records in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    image: ImageShape,
    labels: Vec<u8>,
    pixels: Vec<u8>,
}

/// Mean and standard deviation of each channel, of pixel values divided by 255.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub deviation: Vec<f32>,
}

impl Records {
    fn empty(image: ImageShape) -> Self {
        Self { image, labels: vec![], pixels: vec![] }
    }

    /// Reads a file of records, of at most [`LARGEST_FILE`] bytes; how many there are follows from its size.
    pub fn read_file(path: &Path, image: ImageShape, classes: usize) -> Result<Self> {
        let mut records = Self::empty(image);
        records.append(&files::read_at_most(path, LARGEST_FILE)?, classes, path)?;
        Ok(records)
    }

    fn append(&mut self, bytes: &[u8], classes: usize, path: &Path) -> Result<()> {
        check_records(bytes, self.image, classes, path)?;
        for record in bytes.chunks_exact(1 + self.image.bytes()) {
            self.labels.push(record[0]);
            self.pixels.extend_from_slice(&record[1..]);
        }
        Ok(())
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Shape of an image.
    pub fn image_shape(&self) -> ImageShape {
        self.image
    }

    /// Labels of all records.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Pixels of all records: records × channels × rows × columns.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Pixels of one record: channels × rows × columns.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn image(&self, record: usize) -> &[u8] {
        let bytes = self.image.bytes();
        &self.pixels[record * bytes..][..bytes]
    }

    /// Mean and deviation of each channel over the records with the numbers `of`. A channel that never
    /// changes has deviation 1, so that dividing by it is harmless.
    pub fn normalization(&self, of: &[usize]) -> Normalization {
        let plane = self.image.height * self.image.width;
        let count = (of.len() * plane) as f64;
        let (mut mean, mut deviation) = (vec![], vec![]);
        for channel in 0..self.image.channels {
            let (mut sum, mut squares) = (0u64, 0u64);
            for record in of {
                for value in &self.image(*record)[channel * plane..][..plane] {
                    sum += u64::from(*value);
                    squares += u64::from(*value) * u64::from(*value);
                }
            }
            let average = sum as f64 / count;
            let variance = (squares as f64 / count - average * average).max(0.0);
            mean.push((average / 255.0) as f32);
            deviation.push(if variance > 0.0 { (variance.sqrt() / 255.0) as f32 } else { 1.0 });
        }
        Normalization { mean, deviation }
    }
}

/// What a file is that is not records. Pixels may begin like anything, so only what is told surely is said.
pub fn mistaken(bytes: &[u8]) -> Option<&'static str> {
    magic::recognise(bytes).filter(|kind| *kind != Kind::Zeros).map(Kind::words)
}

/// Refuses bytes that are not whole records, and labels of no class.
fn check_records(bytes: &[u8], image: ImageShape, classes: usize, path: &Path) -> Result<()> {
    let size = 1 + image.bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
        if let Some(words) = mistaken(bytes) {
            return Err(Error::file(path, words));
        }
        let problem =
            format!("has {} bytes, which is not a whole number of {size}-byte records", bytes.len());
        return Err(Error::file(path, problem));
    }
    let labels = bytes.iter().step_by(size).enumerate();
    match labels.into_iter().find(|(_, label)| usize::from(**label) >= classes) {
        None => Ok(()),
        Some((number, label)) => {
            let problem = format!("record {number} has label {label}; there are {classes} classes");
            Err(Error::file(path, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data set of 2×2 grey images: 10 to train and validate, 3 to test.
    fn small(folder: &Path) -> Manifest {
        let manifest = Manifest {
            schema: SCHEMA,
            name: "small".to_owned(),
            classes: vec!["dark".to_owned(), "light".to_owned()],
            validation: 4,
            image: ImageShape { channels: 1, height: 2, width: 2 },
            train: vec![RecordFile { file: "train.bin".to_owned(), records: 10 }],
            test: vec![RecordFile { file: "test.bin".to_owned(), records: 3 }],
        };
        std::fs::write(folder.join(MANIFEST_FILE), toml::to_string(&manifest).unwrap()).unwrap();
        let record = |number: u8| [number % 2, number, number, number, 255 - number];
        std::fs::write(folder.join("train.bin"), (0..10).flat_map(record).collect::<Vec<u8>>()).unwrap();
        std::fs::write(folder.join("test.bin"), (0..3).flat_map(record).collect::<Vec<u8>>()).unwrap();
        manifest
    }

    #[test]
    fn records_are_read_and_split() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = small(folder.path());
        let set = DataSet::open(folder.path()).unwrap();
        assert_eq!(set.manifest(), &manifest);
        let train = set.train().unwrap();
        assert_eq!((train.len(), train.labels()[3], train.image(3)), (10, 1, &[3, 3, 3, 252][..]));
        let split = set.split();
        assert_eq!((split.train.len(), split.validation.len()), (6, 4));
        let mut all = [split.train.clone(), split.validation.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        assert_eq!(split, set.split());
    }

    #[test]
    fn normalization_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let train = DataSet::open(folder.path()).unwrap().train().unwrap();
        let got = train.normalization(&[0, 2]);
        // Values 0, 0, 0, 255, 2, 2, 2, 253.
        let mean = 514.0 / 8.0;
        let variance = (255.0f64.powi(2) + 253.0f64.powi(2) + 12.0) / 8.0 - mean * mean;
        assert!((f64::from(got.mean[0]) - mean / 255.0).abs() < 1e-6);
        assert!((f64::from(got.deviation[0]) - variance.sqrt() / 255.0).abs() < 1e-6);
    }

    #[test]
    fn a_short_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        std::fs::write(folder.path().join("train.bin"), [0; 49]).unwrap();
        let error = DataSet::open(folder.path()).unwrap_err();
        assert_eq!(error.exit_code(), crate::exit::INPUT);
        assert!(error.to_string().contains("train.bin: has 49 bytes; 10 records make 50"), "{error}");
    }

    #[test]
    fn a_wrong_label_is_refused_by_record() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let mut bytes = std::fs::read(folder.path().join("test.bin")).unwrap();
        bytes[5] = 7;
        std::fs::write(folder.path().join("test.bin"), bytes).unwrap();
        let error = DataSet::open(folder.path()).unwrap().test().unwrap_err();
        assert!(error.to_string().contains("test.bin: record 1 has label 7"), "{error}");
    }

    #[test]
    fn a_malformed_manifest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let path = folder.path().join(MANIFEST_FILE);
        let good = std::fs::read_to_string(&path).unwrap();
        for (from, to, expected) in [
            ("schema = 1", "schema = 2", "schema is 2"),
            ("validation = 4", "validation = 10", "validation is 10"),
            ("file = \"train.bin\"", "file = \"../train.bin\"", "../train.bin"),
            ("name =", "nam =", "nam"),
        ] {
            std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
            let error = DataSet::open(folder.path()).unwrap_err().to_string();
            assert!(error.contains(MANIFEST_FILE) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_empty_folder_lacks_cifar_10_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = DataSet::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("data_batch_1.bin"), "{error}");
        let error = DataSet::open(&folder.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("mfactor data fetch"), "{error}");
    }
}
