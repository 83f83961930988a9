//! Opening what lies below our folder: no link is followed on the way, and nothing but a plain file is taken. The
//! descriptor that was checked is what is read, copied and run afterwards, never the name again.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use mfactor::{Error, Result};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::board::{board, ownership};

const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);
/// Mode of a file that is made.
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// Opens a plain file of this user for reading, below `root`, which was checked.
///
/// # Errors
/// [`Error::Io`] if it is not there, or a link is on the way; [`Error::Board`] if it is no plain file, or another user's.
pub fn open(root: &Path, path: &Path) -> Result<File> {
    opened(root, path, READ | OFlags::CLOEXEC)
}

/// The same for a program that this one starts, which is to inherit it: see [`descriptor`].
///
/// # Errors
/// As [`open`].
pub fn open_to_inherit(root: &Path, path: &Path) -> Result<File> {
    opened(root, path, READ)
}

/// Opens a plain file for reading and writing, and makes it if it is missing.
///
/// # Errors
/// As [`open`].
pub fn open_to_write(root: &Path, path: &Path) -> Result<File> {
    let file = opened(root, path, OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | OFlags::CLOEXEC)?;
    match file.metadata().map_err(Error::io("read", path))?.nlink() {
        0 | 1 => Ok(file),
        _ => {
            Err(board(path.display(), "has another name (a hard link), under which it may be something else"))
        }
    }
}

/// Reads a plain file of at most `most` bytes.
///
/// # Errors
/// As [`open`], and [`Error::Board`] for a larger one.
pub fn read(root: &Path, path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let file = open(root, path)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    match bytes.len() > most {
        true => Err(board(path.display(), format!("has more than {most} bytes"))),
        false => Ok(bytes),
    }
}

/// Reads a plain file of at most `most` bytes of text.
///
/// # Errors
/// As [`read`], and [`Error::Board`] for what is no text.
pub fn read_text(root: &Path, path: &Path, most: usize) -> Result<String> {
    String::from_utf8(read(root, path, most)?).map_err(|_| board(path.display(), "is no text"))
}

/// The path under which this process, and a child that inherits the file, finds what was opened, wherever its name leads
/// by then.
pub fn descriptor(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn opened(root: &Path, path: &Path, flags: OFlags) -> Result<File> {
    let file = File::from(walk(root, path, flags).map_err(|error| refusal(path, error))?);
    let facts = file.metadata().map_err(Error::io("read", path))?;
    if !facts.is_file() {
        return Err(board(path.display(), "is no plain file"));
    }
    if !ownership::is_own(&facts) {
        return Err(board(path.display(), "belongs to another user"));
    }
    Ok(file)
}

/// Folder by folder, which also Linux before 5.6 can (it has no openat2).
fn walk(root: &Path, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let below = path.strip_prefix(root).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let folder = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let mut at = openat(CWD, root, folder, Mode::empty())?;
    let mut names = below.components().peekable();
    while let Some(component) = names.next() {
        let Component::Normal(name) = component else { return Err(io::ErrorKind::InvalidInput.into()) };
        if names.peek().is_none() {
            return Ok(openat(at.as_fd(), name, flags | OFlags::NOFOLLOW, FILE_MODE)?);
        }
        at = openat(at.as_fd(), name, folder, Mode::empty())?;
    }
    Err(io::ErrorKind::InvalidInput.into())
}

fn refusal(path: &Path, error: io::Error) -> Error {
    match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => board(path.display(), "is a link; nothing is read or written through links"),
        Some(Errno::NOTDIR) => board(path.display(), "lies below a link or a file, not a folder"),
        _ => Error::io("open", path)(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn plain_files_are_opened_and_links_pipes_and_folders_are_not() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        fs::create_dir(root.join("in")).unwrap();
        fs::write(root.join("in/file"), "abc").unwrap();
        assert_eq!(read(root, &root.join("in/file"), 3).unwrap(), b"abc");
        assert!(read(root, &root.join("in/file"), 2).is_err());
        symlink("in", root.join("folder-link")).unwrap();
        symlink("in/file", root.join("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
        for wrong in ["link", "folder-link/file", "pipe", "in", "missing", "in/../in/file", ""] {
            let path = PathBuf::from(format!("{}/{wrong}", root.display()));
            assert!(open(root, &path).is_err(), "{wrong}");
        }
        assert!(open_to_write(root, &root.join("link")).is_err());
        assert!(open(root, Path::new("/etc/passwd")).is_err(), "not below the folder");
        assert_eq!(fs::read(root.join("in/file")).unwrap(), b"abc");
    }

    #[test]
    fn a_descriptor_leads_to_what_was_opened() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "checked").unwrap();
        let file = open_to_inherit(place.path(), &path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another").unwrap();
        let said = std::process::Command::new("cat").arg(descriptor(&file)).output().unwrap();
        assert_eq!(said.stdout, b"checked");
    }
}
