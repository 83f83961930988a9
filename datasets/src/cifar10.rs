//! `cifar10`: the 60,000 images of Krizhevsky (2009) in their binary version, downloaded from the publisher or a
//! mirror and checked before anything is unpacked.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;
use md5::{Digest, Md5};
use mfactor::dataset::{CIFAR10_FOLDER, DataSet, Manifest, RecordFile};
use mfactor::{Error, Result, files};
use tempfile::NamedTempFile;

use crate::{FetchOptions, Named, Progress};

/// The set, as others know it.
pub const SET: Named = Named { name: "cifar10", is_embedded: false, fetch };

const URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/// Published beside the archive on <https://www.cs.toronto.edu/~kriz/cifar.html>.
const MD5: &str = "c32a1d4ab5d03f1284b67883e8d87530";
/// How long a server may take to answer, and then to deliver everything.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(3 * 3600);
/// Most bytes that are taken from a server; the published archive has 170 million.
const LARGEST_ARCHIVE: u64 = 256 << 20;
const REPORT_EVERY: u64 = 1 << 20;
/// A label and three planes of 32×32 bytes.
const RECORD_BYTES: usize = 1 + 3 * 32 * 32;

/// Downloads, checks and unpacks the set into `folder`, unless it is there.
fn fetch(folder: &Path, options: &FetchOptions, on_progress: &mut dyn FnMut(Progress)) -> Result<DataSet> {
    if let Ok(set) = DataSet::open(folder) {
        return Ok(set);
    }
    mfactor::files::check_room(folder, LARGEST_ARCHIVE + RECORD_BYTES as u64 * 60_000)?;
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let url = options.url.as_deref().unwrap_or(URL);
    files::collect(folder);
    let mut archive = files::draft(folder).map_err(Error::io("write", folder))?;
    let md5 = download(url, &mut archive, on_progress)?;
    let expected = options.md5.as_deref().unwrap_or(MD5);
    if !md5.eq_ignore_ascii_case(expected) {
        let bytes = archive.as_file().metadata().map_err(Error::io("read", archive.path()))?.len();
        let problem =
            format!("has {bytes} bytes with MD5 {md5}; it must have MD5 {expected}, so it was thrown away");
        return Err(Error::input(url, problem));
    }
    archive.rewind().map_err(Error::io("read", archive.path()))?;
    unpack(url, archive.as_file(), folder, on_progress)?;
    DataSet::open(folder)
}

/// Downloads into `archive` and returns the MD5 sum of what came.
fn download(url: &str, archive: &mut NamedTempFile, on_progress: &mut dyn FnMut(Progress)) -> Result<String> {
    let failed = |problem: String| Error::Board { subject: url.to_owned(), problem };
    let agent = ureq::Agent::config_builder()
        .timeout_connect(Some(ANSWER_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_recv_body(Some(BODY_TIMEOUT))
        .build()
        .new_agent();
    let mut response = agent.get(url).call().map_err(|error| failed(error.to_string()))?;
    let total = response.body().content_length();
    let mut body = response.body_mut().as_reader();
    let (mut hash, mut bytes, mut reported) = (Md5::new(), 0u64, 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = body.read(&mut buffer).map_err(|error| {
            let of = total.map_or_else(String::new, |total| format!(" of {total}"));
            failed(format!("stopped after {bytes}{of} bytes: {error}"))
        })?;
        if length == 0 {
            break;
        }
        if bytes + length as u64 > LARGEST_ARCHIVE {
            return Err(Error::input(
                url,
                format!("sends more than {LARGEST_ARCHIVE} bytes; it is not the archive"),
            ));
        }
        archive.write_all(&buffer[..length]).map_err(Error::io("write", archive.path()))?;
        hash.update(&buffer[..length]);
        bytes += length as u64;
        if bytes - reported >= REPORT_EVERY {
            reported = bytes;
            on_progress(Progress::Downloading { bytes, total });
        }
    }
    on_progress(Progress::Downloading { bytes, total });
    Ok(mfactor::files::hex(&hash.finalize()))
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
