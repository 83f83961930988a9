//! What a data set says about itself: `dataset.toml`.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::space::ImageShape;
use crate::{files, text};

/// Version of the manifest's form in which validation records are drawn.
pub const SCHEMA: u32 = 1;
/// Version of the form that says by `held_out` which records validate.
pub const SCHEMA_HELD_OUT: u32 = 2;
/// Largest file of records that is read, in bytes: 5 times all of CIFAR-10.
pub const LARGEST_FILE: u64 = 1 << 30;

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
    /// Which of them are; another than the default needs [`SCHEMA_HELD_OUT`].
    #[serde(default, skip_serializing_if = "HeldOut::is_default")]
    pub held_out: HeldOut,
    /// Shape of an image.
    pub image: ImageShape,
    /// Files with training records.
    pub train: Vec<RecordFile>,
    /// Files with test records.
    pub test: Vec<RecordFile>,
}

/// Which training records are held out for validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// Drawn among all by record number, the same in every study.
    #[default]
    Drawn,
    /// The last ones: who wrote the set chose them.
    Last,
}

impl HeldOut {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
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
            held_out: HeldOut::Drawn,
            image: ImageShape { channels: 3, height: 32, width: 32 },
            train: (1..=5).map(|number| file(format!("data_batch_{number}.bin"))).collect(),
            test: vec![file("test_batch.bin".to_owned())],
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let manifest: Self = files::read_toml(path)?;
        let refuse = |problem: String| Err(Error::file(path, problem));
        if ![SCHEMA, SCHEMA_HELD_OUT].contains(&manifest.schema) {
            return refuse(format!("schema is {}; this version reads 1 and 2", manifest.schema));
        }
        if manifest.schema == SCHEMA && manifest.held_out != HeldOut::Drawn {
            return refuse("held_out stands there; that is of schema 2".to_owned());
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
