//! Reading what was measured of a study, for a command that works with it.

use std::path::Path;

use mfactor::{Error, Limits, Measurement, Result, SearchSpace, files};
use report::Filed;

use crate::commands::measurements_folder;

/// All records of a study, place by place; and of each that cannot be read, which and why. `limits` apply to all of them.
///
/// # Errors
/// Where a folder cannot be read.
pub fn read(study: &Path, space: &SearchSpace, limits: Limits) -> Result<(Vec<Filed>, Vec<String>)> {
    let (mut measurements, mut unreadable) = (vec![], vec![]);
    let folders = files::entries(&measurements_folder(study))?;
    for folder in folders.into_iter().filter(|entry| entry.is_dir()) {
        let place = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let records = files::entries(&folder)?;
        for path in records.iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
            match record(path, space) {
                Ok(measurement) => measurements.push(Filed { place: place.clone(), limits, measurement }),
                Err(error) => unreadable.push(error.to_string()),
            }
        }
    }
    Ok((measurements, unreadable))
}

/// A record that has its place in a comparison.
fn record(path: &Path, space: &SearchSpace) -> Result<Measurement> {
    let measurement = Measurement::read(path)?;
    report::check_measurement(&measurement, space)
        .map_err(|error| Error::file(path, format!("is of another study: {error}")))?;
    Ok(measurement)
}
