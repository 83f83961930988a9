//! `cifar10`: the 60,000 images of Krizhevsky (2009) in their binary version, downloaded from the publisher or a
//! mirror and checked before anything is unpacked.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use md5::Md5;
use mfactor::dataset::{CIFAR10_FOLDER, DataSet, Manifest, RecordFile};
use mfactor::{Error, Result};

use crate::download::{Expected, download};
use crate::{FetchOptions, Named, Progress};

/// The set, as others know it.
pub const SET: Named = Named { name: "cifar10", is_embedded: false, fetch };

const URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/// Published beside the archive on <https://www.cs.toronto.edu/~kriz/cifar.html>.
const MD5: &str = "c32a1d4ab5d03f1284b67883e8d87530";
/// Most bytes that are taken from a server; the published archive has 170 million.
const LARGEST_ARCHIVE: u64 = 256 << 20;
/// A label and three planes of 32×32 bytes.
const RECORD_BYTES: usize = 1 + 3 * 32 * 32;

/// Downloads, checks and unpacks the set into `folder`, unless it is there.
fn fetch(folder: &Path, options: &FetchOptions, on_progress: &mut dyn FnMut(Progress)) -> Result<DataSet> {
    if let Ok(set) = DataSet::open(folder) {
        return Ok(set);
    }
    mfactor::files::check_room(folder, LARGEST_ARCHIVE + RECORD_BYTES as u64 * 60_000)?;
    let url = options.url.as_deref().unwrap_or(URL);
    let sum = options.md5.as_deref().unwrap_or(MD5);
    let expected = Expected { largest: LARGEST_ARCHIVE, sum_name: "MD5", sum };
    let archive = download::<Md5>(url, &expected, folder, on_progress)?;
    unpack(url, archive.as_file(), folder, on_progress)?;
    DataSet::open(folder)
}

fn files() -> impl Iterator<Item = RecordFile> {
    let manifest = Manifest::cifar10();
    manifest.train.into_iter().chain(manifest.test)
}

/// Unpacks the set's files, and only those, each to a name of our own making: whatever paths an archive holds,
/// nothing is written outside `folder`. All are read, 184 MB, before the first is written.
fn unpack(url: &str, archive: &File, folder: &Path, on_progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let refuse = |problem: String| Error::input(url, problem);
    let damaged = |error: io::Error| refuse(format!("cannot be unpacked: {error}"));
    let mut unpacked: Vec<(String, Vec<u8>)> = vec![];
    let mut missing: Vec<RecordFile> = files().collect();
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let wanted = |file: &RecordFile| path == Path::new(CIFAR10_FOLDER).join(&file.file);
        let is_file = entry.header().entry_type().is_file();
        let Some(position) = missing.iter().position(wanted).filter(|_| is_file) else { continue };
        let RecordFile { file, records } = missing.remove(position);
        on_progress(Progress::Unpacking { file: file.clone() });
        let expected = records * RECORD_BYTES;
        let mut bytes = Vec::with_capacity(expected);
        entry.take(expected as u64 + 1).read_to_end(&mut bytes).map_err(damaged)?;
        if bytes.len() != expected {
            return Err(refuse(format!(
                "{file} in it is not {expected} bytes long, which {records} records make"
            )));
        }
        unpacked.push((file, bytes));
    }
    if let Some(file) = missing.first() {
        return Err(refuse(format!("lacks {CIFAR10_FOLDER}/{}", file.file)));
    }
    let target = folder.join(CIFAR10_FOLDER);
    unpacked.iter().try_for_each(|(file, bytes)| mfactor::files::write(&target.join(file), bytes))
}
