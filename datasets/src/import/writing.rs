//! The files of an imported set: records in a drawn order, the manifest, the list of pictures, the contact sheet.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use mfactor::dataset::{HeldOut, MANIFEST_FILE, Manifest, RecordFile, SCHEMA_HELD_OUT};
use mfactor::space::ImageShape;
use mfactor::{Error, Result, files};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::decoding::{STAGING_FILE, Staged};
use super::listing::Listing;
use super::sheet::{self, IMAGES};
use super::{ClassCount, ImportOptions, PICTURES_FILE, Part, SHEET_FILE};
use crate::Progress;

/// Bytes of one file of records at most, so that whoever reads a file holds no more.
const FILE_BYTES: usize = 256 << 20;
/// Stream of the generator that orders records; labels have those below.
const ORDER_STREAM: u64 = 256;

/// Writes everything into `folder`, removes the staging file, and counts.
///
/// # Errors
/// [`Error::Io`] where that fails.
pub(super) fn write(
    listing: &Listing,
    staged: &Staged,
    parts: &[Part],
    image: ImageShape,
    options: &ImportOptions,
    folder: &Path,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Vec<ClassCount>> {
    let [train, validation, test] = Part::ALL.map(|part| ordered(parts, part, options.seed));
    on_progress(Progress::Writing { records: parts.len() });
    let learned = [train.as_slice(), &validation].concat();
    let writer = Writer { listing, staged, image, folder };
    let manifest = Manifest {
        schema: SCHEMA_HELD_OUT,
        name: options.name.clone(),
        classes: listing.classes.clone(),
        validation: validation.len(),
        held_out: HeldOut::Last,
        image,
        train: writer.records("train", &learned)?,
        test: writer.records("test", &test)?,
    };
    writer.sheet(&train)?;
    writer.list(&learned, train.len(), &test)?;
    let text = toml::to_string(&manifest)
        .map_err(|error| Error::Defect(format!("the manifest cannot be written: {error}")))?;
    let words = format!(
        "# Made of pictures by mfactor {}: of each {}. Seed of the split: {}.\n{text}",
        mfactor::version(),
        pictures::FIT,
        options.seed
    );
    files::write(&folder.join(MANIFEST_FILE), words.as_bytes())?;
    let staging = folder.join(STAGING_FILE);
    fs::remove_file(&staging).map_err(Error::io("remove", &staging))?;
    Ok(counts(listing, staged, parts))
}

/// The pictures of a part in a drawn order.
fn ordered(parts: &[Part], part: Part, seed: u64) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..parts.len()).filter(|number| parts[*number] == part).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(ORDER_STREAM + part as u64);
    numbers.shuffle(&mut rng);
    numbers
}

fn counts(listing: &Listing, staged: &Staged, parts: &[Part]) -> Vec<ClassCount> {
    let mut counts: Vec<ClassCount> = listing
        .classes
        .iter()
        .map(|class| ClassCount { class: class.clone(), train: 0, validation: 0, test: 0 })
        .collect();
    for (picture, part) in staged.pictures.iter().zip(parts) {
        let count = &mut counts[usize::from(listing.pictures[picture.listed].label)];
        match part {
            Part::Train => count.train += 1,
            Part::Validation => count.validation += 1,
            Part::Test => count.test += 1,
        }
    }
    counts
}

struct Writer<'a> {
    listing: &'a Listing,
    staged: &'a Staged,
    image: ImageShape,
    folder: &'a Path,
}

impl Writer<'_> {
    fn label(&self, number: usize) -> u8 {
        self.listing.pictures[self.staged.pictures[number].listed].label
    }

    /// Files of the records of these pictures, in their order.
    fn records(&self, name: &str, numbers: &[usize]) -> Result<Vec<RecordFile>> {
        let most = (FILE_BYTES / (1 + self.image.bytes())).max(1);
        let mut written = vec![];
        for (file, numbers) in numbers.chunks(most).enumerate() {
            let file = format!("{name}-{}.bin", file + 1);
            let path = self.folder.join(&file);
            let mut to = BufWriter::new(File::create_new(&path).map_err(Error::io("write", &path))?);
            for number in numbers {
                let record = [vec![self.label(*number)], self.staged.pixels(*number, self.folder)?].concat();
                to.write_all(&record).map_err(Error::io("write", &path))?;
            }
            let file_written =
                to.into_inner().map_err(|error| Error::io("write", &path)(error.into_error()))?;
            file_written.sync_all().map_err(Error::io("write", &path))?;
            written.push(RecordFile { file, records: numbers.len() });
        }
        Ok(written)
    }

    fn sheet(&self, train: &[usize]) -> Result<()> {
        let mut classes: Vec<(String, Vec<Vec<u8>>)> =
            self.listing.classes.iter().map(|class| (class.clone(), vec![])).collect();
        for number in train {
            let (_, images) = &mut classes[usize::from(self.label(*number))];
            if images.len() < IMAGES {
                images.push(self.staged.pixels(*number, self.folder)?);
            }
        }
        sheet::write(&classes, self.image, &self.folder.join(SHEET_FILE))
    }

    /// Which picture became which record.
    fn list(&self, learned: &[usize], train: usize, test: &[usize]) -> Result<()> {
        let path = self.folder.join(PICTURES_FILE);
        let failed = |error: csv::Error| Error::io("write", &path)(std::io::Error::other(error));
        let mut table = csv::Writer::from_path(&path).map_err(failed)?;
        table.write_record(["file", "class", "part", "record"]).map_err(failed)?;
        let mut row = |number: usize, part: Part, record: usize| {
            let listed = &self.listing.pictures[self.staged.pictures[number].listed];
            let class = &self.listing.classes[usize::from(listed.label)];
            table.write_record([&listed.name, class, part.name(), &record.to_string()]).map_err(failed)
        };
        for (record, number) in learned.iter().enumerate() {
            row(*number, if record < train { Part::Train } else { Part::Validation }, record)?;
        }
        for (record, number) in test.iter().enumerate() {
            row(*number, Part::Test, record)?;
        }
        table.flush().map_err(Error::io("write", &path))
    }
}
