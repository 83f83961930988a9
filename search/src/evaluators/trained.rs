//! The files that a training leaves: whether they are there and whole.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use mfactor::protocol::{CHECK_FILE, CONFUSION_FILE, Evaluation, Job, WEIGHTS_FILE};
use mfactor::{AccuracyKind, Confusion, Error, Result, files};
use serde::Deserialize;
use serde_json::Value;

/// Files that a training leaves, the last of them not every one.
pub const TRAINED_FILES: [&str; 3] = [WEIGHTS_FILE, CHECK_FILE, CONFUSION_FILE];

/// How far an accuracy may be from that of the counts: what its digits lose as text, and in one other order of adding.
const ROUNDING: f64 = 1e-6;

/// Bytes before the header of a safetensors file: its length.
const PREFIX: usize = 8;

/// A tensor, as the header says.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    data_offsets: [usize; 2],
}

/// Removes what an earlier attempt left in `folder`, so that nobody takes it for the next one's.
pub(super) fn clear(folder: &Path) -> Result<()> {
    for name in TRAINED_FILES {
        remove(&folder.join(name))?;
    }
    Ok(())
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("replace", path)(error)),
        _ => Ok(()),
    }
}

/// The files of [`TRAINED_FILES`] that are in `folder`.
pub(super) fn present(folder: &Path) -> impl Iterator<Item = &'static str> {
    TRAINED_FILES.into_iter().filter(|name| *name != CONFUSION_FILE || folder.join(name).exists())
}

/// Checks what the training of a job left. The error says what is wrong with which file.
///
/// A trainer may keep its weights in a form of its own, and then it is for an export to refuse them. A safetensors file
/// must be whole, and its numbers finite; the confusion must be of the space's classes and have the accuracy that was said.
pub(super) fn check(job: &Job, evaluation: &Evaluation) -> Result<(), String> {
    for name in [WEIGHTS_FILE, CHECK_FILE] {
        let bytes = files::read(&job.output.join(name)).map_err(|error| error.to_string())?;
        check_bytes(&bytes).map_err(|problem| format!("{name} {problem}"))?;
    }
    let confusion = job.output.join(CONFUSION_FILE);
    if job.accuracy.is_plain() && !confusion.exists() {
        return Ok(());
    }
    let confusion = Confusion::read(&confusion).map_err(|error| error.to_string())?;
    check_confusion(&confusion, job.accuracy, job.space.classes(), evaluation.accuracy)
        .map_err(|problem| format!("{CONFUSION_FILE} {problem}"))
}

fn check_confusion(
    confusion: &Confusion,
    kind: AccuracyKind,
    classes: usize,
    said: f64,
) -> Result<(), String> {
    let (own, accuracy) = (confusion.classes().len(), confusion.of(kind));
    if own != classes {
        return Err(format!("has {own} classes, and the space {classes}"));
    }
    if (accuracy - said).abs() > ROUNDING {
        return Err(format!("has {} {accuracy:.6}, and {said:.6} was reported", kind.label()));
    }
    Ok(())
}

fn check_bytes(bytes: &[u8]) -> Result<(), String> {
    let cut_off = || format!("is cut off after {} bytes", bytes.len());
    let (prefix, rest) = bytes.split_first_chunk::<PREFIX>().ok_or_else(cut_off)?;
    match rest.first() {
        None => return Err(cut_off()),
        Some(b'{') => {}
        Some(_) => return Ok(()),
    }
    let length = usize::try_from(u64::from_le_bytes(*prefix)).map_err(|_| cut_off())?;
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    let header: serde_json::Map<String, Value> =
        serde_json::from_slice(header).map_err(|error| format!("has a damaged header: {error}"))?;
    for (tensor, entry) in header.iter().filter(|(tensor, _)| *tensor != "__metadata__") {
        let entry = Entry::deserialize(entry).map_err(|error| format!("has a damaged header: {error}"))?;
        let [begin, end] = entry.data_offsets;
        let values = data.get(begin..end).ok_or_else(cut_off)?;
        if entry.dtype == "F32" && !are_finite(values) {
            return Err(format!("has values in {tensor:?} that are not finite numbers"));
        }
    }
    Ok(())
}

fn are_finite(values: &[u8]) -> bool {
    values.as_chunks().0.iter().all(|value| f32::from_le_bytes(*value).is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One tensor with these values.
    fn file(values: &[f32]) -> Vec<u8> {
        let header = format!(
            r#"{{"w":{{"dtype":"F32","shape":[{0}],"data_offsets":[0,{1}]}}}}"#,
            values.len(),
            4 * values.len()
        );
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }

    #[test]
    fn whole_files_of_finite_numbers_are_good() {
        check_bytes(&file(&[1.0, -2.5])).unwrap();
        check_bytes(b"a form that this program does not know").unwrap();
    }

    #[test]
    fn whatever_is_cut_off_is_refused() {
        let whole = file(&[1.0, -2.5]);
        for length in 0..whole.len() {
            assert!(check_bytes(&whole[..length]).unwrap_err().contains("cut off"), "{length}");
        }
    }

    #[test]
    fn a_confusion_has_the_accuracy_that_was_said() {
        let names = ["a", "b"].map(str::to_owned).to_vec();
        let confusion = Confusion::new(names, vec![vec![8, 0], vec![1, 1]], "test").unwrap();
        let check = |kind, classes, said| check_confusion(&confusion, kind, classes, said);
        check(AccuracyKind::Plain, 2, 0.9).unwrap();
        check(AccuracyKind::Balanced, 2, 0.75).unwrap();
        let problem = check(AccuracyKind::Balanced, 2, 0.9).unwrap_err();
        assert_eq!(problem, "has balanced accuracy 0.750000, and 0.900000 was reported");
        assert!(check(AccuracyKind::Plain, 3, 0.9).unwrap_err().contains("2 classes, and the space 3"));
    }

    #[test]
    fn other_damage_is_named() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let problem = check_bytes(&file(&[0.0, value])).unwrap_err();
            assert!(problem.contains("\"w\"") && problem.contains("not finite"), "{problem}");
        }
        let mut garbled = file(&[1.0]);
        garbled[PREFIX + 1] = b'{';
        assert!(check_bytes(&garbled).unwrap_err().contains("damaged header"));
    }
}
