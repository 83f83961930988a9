//! Receiving one file: it goes on where an earlier upload broke off, and gets its name once every byte of it was read
//! back from the disk.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::ReleaseFile;
use mfactor::{Error, Result};

use crate::board::layout::{Layout, remove_all, sync_folder};
use crate::board::{beneath, board, verify};

/// Slowest upload that is waited for, bytes a second: slower than any wireless network that ssh works over.
const SLOWEST: u64 = 10_000;
/// How long an upload may take in any case.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of an upload.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// It is on the disk, and right.
    Stored,
    /// It arrived whole and is something else; it was dropped.
    Damaged(String),
}

/// The unfinished form of a file.
pub(super) fn part(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// How much of a file an earlier upload left. More than there should be is nothing.
pub(super) fn begun(path: &Path, bytes: u64) -> Result<u64> {
    let part = part(path);
    match fs::symlink_metadata(&part) {
        Ok(facts) if facts.is_file() && facts.nlink() == 1 && facts.len() <= bytes => Ok(facts.len()),
        Ok(_) => remove_all(&part).map(|()| 0),
        Err(_) => Ok(0),
    }
}

/// What stands in the place of a file and could not be replaced by one.
pub(super) fn remove_unless_file(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(facts) if !facts.is_file() => remove_all(path),
        _ => Ok(()),
    }
}

/// Copies rather than links: two releases that shared a file would share its damage.
pub(super) fn copy(layout: &Layout, source: &Path, path: &Path, file: &ReleaseFile) -> Result<()> {
    let mut input = beneath::open(layout.root(), source)?;
    match receive(layout, path, file, 0, &mut input)? {
        Received::Stored => Ok(()),
        Received::Damaged(problem) => Err(board(source.display(), problem)),
    }
}

pub(super) fn receive(
    layout: &Layout,
    path: &Path,
    file: &ReleaseFile,
    offset: u64,
    input: &mut dyn Read,
) -> Result<Received> {
    let part = part(path);
    let write = |error| Error::io("write", &part)(error);
    remove_unless_file(&part)?;
    let mut output = beneath::open_to_write(layout.root(), &part)?;
    if output.metadata().map_err(write)?.len() < offset || offset > file.bytes {
        return Err(board(part.display(), format!("cannot go on from byte {offset}")));
    }
    output.set_len(offset).and_then(|()| output.seek(SeekFrom::Start(offset))).map_err(write)?;
    let outcome = copy_exactly(input, &mut output, file.bytes - offset);
    // Also of what broke off: the next upload goes on from what is really there.
    output.sync_all().map_err(write)?;
    outcome.map_err(write)?;
    output.rewind().map_err(write)?;
    if let Err(error) = verify::compare(&output, &part, &file.sha256) {
        fs::remove_file(&part).map_err(Error::io("remove", &part))?;
        return Ok(Received::Damaged(error.to_string()));
    }
    set_mode(&output, &part, file.mode)?;
    output.sync_all().map_err(write)?;
    fs::rename(&part, path).map_err(Error::io("write", path))?;
    path.parent().map_or(Ok(()), sync_folder)?;
    Ok(Received::Stored)
}

fn set_mode(file: &File, path: &Path, mode: u32) -> Result<()> {
    let set = file.set_permissions(Permissions::from_mode(mode)).and_then(|()| file.metadata());
    match set.map(|facts| facts.permissions().mode() & 0o7777) {
        Ok(found) if found == mode => Ok(()),
        _ => Err(board(
            path.display(),
            "lies on a file system that keeps no permissions (FAT does not); choose a folder on another one with \
             --folder",
        )),
    }
}

fn copy_exactly(input: &mut dyn Read, output: &mut File, bytes: u64) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut left = bytes;
    let until = Instant::now() + PATIENCE + Duration::from_secs(bytes / SLOWEST);
    while left > 0 {
        if Instant::now() > until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the upload is too slow"));
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match input.read(&mut buffer[..most])? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload broke off")),
            count => {
                output.write_all(&buffer[..count])?;
                left -= count as u64;
            }
        }
    }
    Ok(())
}
