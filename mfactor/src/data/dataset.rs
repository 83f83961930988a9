//! Data sets: folders of image records in CIFAR-10's binary layout, and their split.
//!
//! A record is one label byte and then the planes of the image, row by row, a byte a value. A folder with a
//! `dataset.toml` says itself what is in it; a folder without one must hold CIFAR-10's own six files.

use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

pub use super::manifest::{HeldOut, LARGEST_FILE, Manifest, RecordFile, SCHEMA, SCHEMA_HELD_OUT};
use super::records::check_records;
pub use super::records::{Normalization, Records, mistaken};
use crate::error::{Error, Result};
use crate::files;
use crate::space::{ImageShape, SearchSpace};

/// Name of the manifest in a data-set folder.
pub const MANIFEST_FILE: &str = "dataset.toml";
/// Folder into which CIFAR-10's archive unpacks.
pub const CIFAR10_FOLDER: &str = "cifar-10-batches-bin";

/// Which records are held out for validation depends on this alone, never on a study's seed: accuracies of
/// two studies are comparable, and export finds the images that the trainer held out.
const SPLIT_SEED: u64 = 10;
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
        if self.manifest.held_out == HeldOut::Drawn {
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(SPLIT_SEED));
        }
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
            held_out: HeldOut::Drawn,
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
    fn the_last_records_validate_where_the_set_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest { schema: SCHEMA_HELD_OUT, held_out: HeldOut::Last, ..small(folder.path()) };
        std::fs::write(folder.path().join(MANIFEST_FILE), toml::to_string(&manifest).unwrap()).unwrap();
        let split = DataSet::open(folder.path()).unwrap().split();
        assert_eq!((split.train, split.validation), ((0..6).collect(), (6..10).collect()));
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
            ("schema = 1", "schema = 3", "schema is 3"),
            ("validation = 4", "validation = 4\nheld_out = \"last\"", "of schema 2"),
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
