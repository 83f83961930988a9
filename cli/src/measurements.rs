//! Reading what was measured of a study, for a command that works with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mfactor::{Error, Limits, Measurement, Result, SearchSpace, files, text};
use report::Filed;

use crate::commands::{measurements_folder, models_folder};

/// All records of a study, place by place; and of each that cannot be read or is of another model, which and why. `limits`
/// apply to all of them.
///
/// # Errors
/// Where a folder cannot be read.
pub fn read(study: &Path, space: &SearchSpace, limits: Limits) -> Result<(Vec<Filed>, Vec<String>)> {
    let (mut measurements, mut unreadable) = (vec![], vec![]);
    let mut models = Models { folder: models_folder(study), digests: BTreeMap::new() };
    let folders = files::entries(&measurements_folder(study))?;
    for folder in folders.into_iter().filter(|entry| entry.is_dir()) {
        let place = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let records = files::entries(&folder)?;
        for path in records.iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
            match record(path, space).and_then(|record| models.check(path, record)) {
                Ok(measurement) => measurements.push(Filed { place: place.clone(), limits, measurement }),
                Err(error) => unreadable.push(error.to_string()),
            }
        }
    }
    Ok((measurements, unreadable))
}

/// The models of a study as they are now, as far as they were looked at.
struct Models {
    folder: PathBuf,
    /// SHA-256 of each file; `None` of one that is not there, or no longer.
    digests: BTreeMap<String, Option<String>>,
}

impl Models {
    /// Refuses a record of a file that has another content today: it was exported again since.
    fn check(&mut self, path: &Path, record: Measurement) -> Result<Measurement> {
        let model = &record.model;
        let read = |name: &String| {
            // A record is what somebody else wrote: what it names is looked for in this folder alone.
            let is_name = Path::new(name).file_name().is_some_and(|last| last == name.as_str());
            let bytes = is_name.then(|| files::read(&self.folder.join(name)).ok()).flatten();
            bytes.map(|bytes| files::sha256(&bytes))
        };
        let digest = self.digests.entry(model.file.clone()).or_insert_with_key(read);
        match digest {
            Some(digest) if *digest != model.sha256 => {
                let name = text::name(&model.file);
                Err(Error::file(path, format!("measured another file than {name} is now; measure it again")))
            }
            _ => Ok(record),
        }
    }
}

/// A record that has its place in a comparison.
fn record(path: &Path, space: &SearchSpace) -> Result<Measurement> {
    let measurement = Measurement::read(path)?;
    report::check_measurement(&measurement, space)
        .map_err(|error| Error::file(path, format!("is of another study: {error}")))?;
    Ok(measurement)
}
