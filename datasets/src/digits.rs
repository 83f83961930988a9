//! `digits`: the 1,797 handwritten digits of 8×8 pixels of the UCI machine learning repository ("Optical
//! Recognition of Handwritten Digits", Alpaydin and Kaynak 1998), enlarged to 32×32 and three equal channels.
//!
//! The originals are embedded: `digits/optdigits.tes.gz` of this crate, whose licence and origin stand beside it.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use mfactor::dataset::{DataSet, HeldOut, MANIFEST_FILE, Manifest, RecordFile, SCHEMA};
use mfactor::space::ImageShape;
use mfactor::{Error, Result, files};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{FetchOptions, Named, Progress};

/// The set, as others know it.
pub const SET: Named = Named {
    name: "digits",
    is_embedded: true,
    fetch: |folder, _: &FetchOptions, _: &mut dyn FnMut(Progress)| fetch(folder),
};

/// A line a digit: the values of its pixels, row by row, and what it is; commas between.
const ORIGINALS: &[u8] = include_bytes!("../digits/optdigits.tes.gz");
/// Side of an original image.
const SIDE: usize = 8;
/// Largest value of an original pixel.
const FULL: f32 = 16.0;
const ENLARGED: usize = 32;
const CHANNELS: usize = 3;
const TEST_RECORDS: usize = 300;
const VALIDATION_RECORDS: usize = 300;
/// The originals are ordered by writer; shuffled, every part has digits of all of them.
const ORDER_SEED: u64 = 8;

/// Writes the set into `folder`, unless it is there.
fn fetch(folder: &Path) -> Result<DataSet> {
    let originals = originals()?;
    let records = originals.len();
    let manifest = manifest(records - TEST_RECORDS);
    if let Ok(set) = DataSet::open(folder)
        && *set.manifest() == manifest
    {
        return Ok(set);
    }
    files::check_room(folder, (records * (1 + CHANNELS * ENLARGED * ENLARGED)) as u64)?;
    let mut order: Vec<usize> = (0..records).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(ORDER_SEED));
    let (train, test) = order.split_at(records - TEST_RECORDS);
    for (file, numbers) in [(&manifest.train[0], train), (&manifest.test[0], test)] {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| record(&originals[*number])).collect();
        files::write(&folder.join(&file.file), &bytes)?;
    }
    let text = toml::to_string(&manifest)
        .map_err(|error| Error::Defect(format!("the manifest of the digits cannot be written: {error}")))?;
    // Last, so that an interrupted fetch is seen as one and made again.
    files::write(&folder.join(MANIFEST_FILE), text.as_bytes())?;
    DataSet::open(folder)
}

fn manifest(train_records: usize) -> Manifest {
    let file = |file: &str, records| RecordFile { file: file.to_owned(), records };
    Manifest {
        schema: SCHEMA,
        name: SET.name.to_owned(),
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        validation: VALIDATION_RECORDS,
        held_out: HeldOut::Drawn,
        image: ImageShape { channels: CHANNELS, height: ENLARGED, width: ENLARGED },
        train: vec![file("train.bin", train_records)],
        test: vec![file("test.bin", TEST_RECORDS)],
    }
}

/// One original.
struct Original {
    pixels: [f32; SIDE * SIDE],
    label: u8,
}

fn originals() -> Result<Vec<Original>> {
    let mut text = String::new();
    GzDecoder::new(ORIGINALS)
        .read_to_string(&mut text)
        .map_err(|error| Error::Defect(format!("the embedded digits cannot be unpacked: {error}")))?;
    let numbered = text.lines().zip(1..);
    let parsed = numbered.map(|(line, number)| {
        original(line)
            .ok_or_else(|| Error::Defect(format!("line {number} of the embedded digits is no digit")))
    });
    parsed.collect()
}

fn original(line: &str) -> Option<Original> {
    let (pixels, label) = line.rsplit_once(',')?;
    let values: Vec<f32> = pixels.split(',').map(|value| value.parse().ok()).collect::<Option<_>>()?;
    Some(Original { pixels: values.try_into().ok()?, label: label.parse().ok()? })
}

/// Label byte and three equal planes.
fn record(original: &Original) -> Vec<u8> {
    let plane: Vec<u8> = (0..ENLARGED * ENLARGED)
        .map(|position| {
            let value = enlarged(&original.pixels, position / ENLARGED, position % ENLARGED);
            (value / FULL * 255.0).round() as u8
        })
        .collect();
    let mut record = vec![original.label];
    (0..CHANNELS).for_each(|_| record.extend_from_slice(&plane));
    record
}

/// Value of an enlarged pixel: bilinear between the centres of the four original pixels around it; beyond the
/// outermost centres the border pixel holds.
fn enlarged(image: &[f32], row: usize, column: usize) -> f32 {
    let (top, bottom, down) = neighbours(row);
    let (left, right, across) = neighbours(column);
    let mix = |from: f32, to: f32, fraction: f32| from + (to - from) * fraction;
    let line = |row: usize| mix(image[row * SIDE + left], image[row * SIDE + right], across);
    mix(line(top), line(bottom), down)
}

/// The original positions on both sides of an enlarged one, and how far it lies from the first to the second.
fn neighbours(position: usize) -> (usize, usize, f32) {
    let scale = SIDE as f32 / ENLARGED as f32;
    let original = ((position as f32 + 0.5) * scale - 0.5).clamp(0.0, (SIDE - 1) as f32);
    let first = original.floor() as usize;
    (first, (first + 1).min(SIDE - 1), original - original.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_has_its_parts_and_all_classes_in_each() {
        let folder = tempfile::tempdir().unwrap();
        let set = fetch(folder.path()).unwrap();
        let (train, test) = (set.train().unwrap(), set.test().unwrap());
        assert_eq!((train.len(), test.len(), set.split().validation.len()), (1_497, 300, 300));
        for labels in [train.labels(), test.labels()] {
            for digit in 0..10 {
                let share =
                    labels.iter().filter(|label| **label == digit).count() as f64 / labels.len() as f64;
                assert!((0.05..0.15).contains(&share), "{digit}: {share}");
            }
        }
        set.check_fits(&mfactor::SearchSpace::paper()).unwrap();
    }

    /// Studies of every version were trained on these bytes, and their numbers can be compared for that reason alone.
    #[test]
    fn the_bytes_are_those_of_every_version() {
        let folder = tempfile::tempdir().unwrap();
        let fingerprint = fetch(folder.path()).unwrap().fingerprint().unwrap();
        assert_eq!(fingerprint, "e05bf63bdd57f349ada315a5e3fd7317ac540b065a2dd4cf559025dcf00b6f8a");
    }

    #[test]
    fn the_same_bytes_every_time_and_mended_where_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let first = fetch(folder.path()).unwrap().fingerprint().unwrap();
        std::fs::remove_file(folder.path().join(MANIFEST_FILE)).unwrap();
        std::fs::write(folder.path().join("train.bin"), b"short").unwrap();
        assert_eq!(fetch(folder.path()).unwrap().fingerprint().unwrap(), first);
    }

    #[test]
    fn enlarging_is_bilinear() {
        let mut image = [0.0; SIDE * SIDE];
        image[0] = 16.0;
        assert_eq!(enlarged(&image, 0, 0), 16.0, "the corner keeps its value");
        assert_eq!(enlarged(&image, 31, 31), 0.0);
        // Enlarged centres 2 and 5 lie 1/8 and 7/8 of the way from original centre 0 to 1.
        assert_eq!(enlarged(&image, 0, 2), 16.0 * 7.0 / 8.0);
        assert_eq!(enlarged(&image, 5, 0), 16.0 / 8.0);
        assert_eq!(enlarged(&image, 2, 2), 16.0 * 49.0 / 64.0);
        assert_eq!(record(&Original { pixels: image, label: 7 })[..3], [7, 255, 255]);
    }
}
