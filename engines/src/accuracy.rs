//! Accuracy over labelled records, one image at a time: the very path whose time is measured. (With larger batches
//! engines choose other kernels.)

use std::path::{Path, PathBuf};

use mfactor::dataset::{self, DataSet, Records};
use mfactor::measurement::MeasuredAccuracy;
use mfactor::space::ImageShape;
use mfactor::{Error, Result, files};

use crate::engine::Session;
use crate::model_file::ModelFile;

/// Records between two reports of progress.
const REPORT_EVERY: usize = 250;

/// Classifies all records; `on_progress` is told how many are done, of how many.
///
/// # Errors
/// If the session fails.
pub fn measure(
    session: &mut dyn Session,
    records: &[Records],
    on_progress: &mut dyn FnMut(usize, usize),
) -> Result<MeasuredAccuracy> {
    let images: usize = records.iter().map(Records::len).sum();
    let (mut done, mut correct) = (0, 0);
    for file in records {
        for (number, label) in file.labels().iter().enumerate() {
            let answer = answer(&session.run(file.image(number))?);
            correct += u64::from(answer == Some(usize::from(*label)));
            done += 1;
            if done % REPORT_EVERY == 0 || done == images {
                on_progress(done, images);
            }
        }
    }
    let accuracy = if images == 0 { 0.0 } else { correct as f64 / images as f64 };
    Ok(MeasuredAccuracy { images: images as u64, correct, accuracy })
}

/// Position of the largest logit, the first among equals. `None` if any is not a number: such a network has no
/// answer.
pub fn answer(logits: &[f32]) -> Option<usize> {
    if logits.iter().any(|logit| logit.is_nan()) {
        return None;
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter().position(|logit| *logit == largest)
}

/// Files of records from what a user names: record files, and data-set folders, which stand for their test files.
/// All are there and have whole records of the model's size.
///
/// # Errors
/// [`Error::Input`] naming the file or folder that does not fit the model.
pub fn record_files(named: &[PathBuf], model: &ModelFile) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    for path in named {
        if path.is_dir() {
            let set = DataSet::open(path)?;
            set.check_fits(&model.metadata.space)?;
            found.extend(set.test_files());
        } else {
            check_size(path, model.signature().image)?;
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn check_size(path: &Path, image: ImageShape) -> Result<()> {
    let file = files::open(path)?;
    let bytes = file.metadata().map_err(Error::io("read", path))?.len();
    let size = 1 + image.bytes() as u64;
    if bytes > 0 && bytes.is_multiple_of(size) {
        return Ok(());
    }
    if let Some(words) = dataset::mistaken(&files::head(file, path)?) {
        return Err(Error::file(path, words));
    }
    Err(Error::file(path, format!("has {bytes} bytes, which is not a whole number of {size}-byte records")))
}

/// Reads files of records for a model.
///
/// # Errors
/// As [`Records::read_file`].
pub fn read(files: &[PathBuf], model: &ModelFile) -> Result<Vec<Records>> {
    let signature = model.signature();
    files.iter().map(|file| Records::read_file(file, signature.image, signature.classes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers the first pixel as a class.
    struct FirstPixel;

    impl Session for FirstPixel {
        fn run(&mut self, image: &[u8]) -> Result<Vec<f32>> {
            Ok((0..4).map(|class| f32::from(u8::from(class == image[0]))).collect())
        }
    }

    #[test]
    fn right_answers_are_counted_over_all_files() {
        let folder = tempfile::tempdir().unwrap();
        let image = ImageShape { channels: 1, height: 1, width: 2 };
        let read = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            Records::read_file(&folder.path().join(name), image, 4).unwrap()
        };
        let records = [read("a", &[1, 1, 0, 2, 3, 0]), read("b", &[3, 3, 9])];
        let mut reports = vec![];
        let accuracy = measure(&mut FirstPixel, &records, &mut |done, of| reports.push((done, of))).unwrap();
        assert_eq!(accuracy, MeasuredAccuracy { images: 3, correct: 2, accuracy: 2.0 / 3.0 });
        assert_eq!(reports, [(3, 3)]);
    }

    #[test]
    fn an_answer_is_the_first_of_the_largest() {
        assert_eq!(answer(&[0.0, 2.0, 2.0]), Some(1));
        assert_eq!(answer(&[f32::NEG_INFINITY; 2]), Some(0));
        assert_eq!(answer(&[0.0, f32::NAN]), None);
        assert_eq!(answer(&[]), None);
    }
}
