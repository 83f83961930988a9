//! What a data set holds, after every record was read.

use std::path::PathBuf;

use mfactor::Result;
use mfactor::dataset::DataSet;
use mfactor::space::ImageShape;
use serde::Serialize;

use crate::places::resolve;

/// A data set in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Name.
    pub name: String,
    /// Folder that holds its files.
    pub folder: PathBuf,
    /// Shape of an image.
    pub image: ImageShape,
    /// Class names in the order of the labels.
    pub classes: Vec<String>,
    /// Records to train on.
    pub train: usize,
    /// Records held out of the training records for validation.
    pub validation: usize,
    /// Test records.
    pub test: usize,
    /// SHA-256 over all records, in hexadecimal.
    pub fingerprint: String,
}

/// Reads every record of a data set, given as in [`resolve`], and sums it up.
///
/// # Errors
/// As [`resolve`], and [`mfactor::Error::Input`] naming file and record for a record that is not valid.
pub fn check(data: &str) -> Result<Summary> {
    let set = DataSet::open(&resolve(data)?)?;
    let split = set.split();
    set.train()?;
    let test = set.test()?.len();
    let manifest = set.manifest();
    Ok(Summary {
        name: manifest.name.clone(),
        folder: set.folder().to_owned(),
        image: manifest.image,
        classes: manifest.classes.clone(),
        train: split.train.len(),
        validation: split.validation.len(),
        test,
        fingerprint: set.fingerprint()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_set_is_summed_up_and_a_wrong_label_found() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        crate::fetch("digits", folder.path(), &crate::FetchOptions::default(), &mut |_| ()).unwrap();
        let summary = check(name).unwrap();
        assert_eq!((summary.train, summary.validation, summary.test), (1_197, 300, 300));
        assert_eq!((summary.classes.len(), summary.fingerprint.len()), (10, 64));
        let path = folder.path().join("test.bin");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3073] = 10;
        std::fs::write(&path, bytes).unwrap();
        let error = check(name).unwrap_err();
        assert!(error.to_string().contains("test.bin: record 1 has label 10"), "{error}");
    }
}
