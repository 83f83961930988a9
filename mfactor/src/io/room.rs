//! Whether a file can be written somewhere, asked before hours of work.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes that are really written to see whether a disk takes them.
const MOST_TRIED: u64 = 256 << 10;

pub(super) const A_FOLDER_IS_WANTED: &str = "is a file; a folder is wanted there";

/// Whether nothing is there, be it for a file that stands above it.
fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// Sees to it, before hours of work, that `bytes` can be written to a file in `folder`. Leaves nothing there, and does not
/// make the folder.
///
/// # Errors
/// If it, or what stands in its place or above it, is no folder, may not be written, or has not enough space.
pub fn check_room(folder: &Path, bytes: u64) -> Result<()> {
    let mut place = folder;
    let place = loop {
        match fs::metadata(if place.as_os_str().is_empty() { Path::new(".") } else { place }) {
            Ok(facts) if facts.is_dir() => break place,
            Ok(_) => return Err(Error::file(place, A_FOLDER_IS_WANTED)),
            Err(error) if is_missing(&error) => match place.parent() {
                // A dangling link would be in the way of the folder.
                Some(above) if fs::symlink_metadata(place).is_err() => place = above,
                _ => return Err(Error::io("write", place)(error)),
            },
            Err(error) => return Err(Error::io("write", place)(error)),
        }
    };
    let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
    let mut trial = tempfile::Builder::new()
        .prefix(".mfactor-")
        .suffix(".tmp")
        .tempfile_in(place)
        .map_err(|error| Error::io("write", folder)(error))?;
    let full = || Error::io("write", folder)(std::io::ErrorKind::StorageFull.into());
    // File systems that do not tell their size tell 0.
    let told = rustix::fs::statvfs(place).ok().filter(|told| told.f_blocks > 0);
    if told.is_some_and(|told| told.f_bavail.saturating_mul(told.f_frsize) < bytes) {
        return Err(full());
    }
    let block = vec![0xa5; bytes.min(MOST_TRIED) as usize];
    trial.write_all(&block).map_err(Error::io("write", folder))?;
    trial.as_file().sync_all().map_err(Error::io("write", folder))
}

/// Sees to it that a file can be written at `path`, of `bytes` bytes: as [`check_room`], and what is there already is a
/// file.
///
/// # Errors
/// As [`check_room`], and for a folder at `path`.
pub fn check_target(path: &Path, bytes: u64) -> Result<()> {
    if fs::metadata(path).is_ok_and(|facts| !facts.is_file()) {
        return Err(Error::file(path, "is in the way: a file is to be written there; move it away"));
    }
    check_room(path.parent().unwrap_or(Path::new("")), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_looked_for_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        check_room(&folder.path().join("new/and/deep"), 100_000).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let file = folder.path().join("file");
        fs::write(&file, b"x").unwrap();
        for wrong in [file.clone(), file.join("below")] {
            let error = check_room(&wrong, 1).unwrap_err();
            assert_eq!(error.exit_code(), crate::exit::INPUT, "{error}");
            assert!(error.to_string().contains("file"), "{error}");
        }
        check_target(&file, 1).unwrap();
        assert!(check_target(folder.path(), 1).unwrap_err().to_string().contains("is in the way"));
        check_room(Path::new(""), 1).unwrap();
        if Path::new("/dev/full").exists() {
            assert!(check_target(Path::new("/dev/full"), 1).is_err(), "a device is no file");
        }
    }
}
