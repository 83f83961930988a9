//! Writing files so that a reader, or a crash, never meets half of one.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Writes `bytes` to `path` through a temporary file in the same folder, fsync and rename. Missing
/// parent folders are made.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let mut file = tempfile::Builder::new()
        .prefix(".mfactor-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(Error::io("write", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    make_readable(file.as_file()).map_err(Error::io("write", path))?;
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    file.persist(path).map_err(|error| Error::io("write", path)(error.error))?;
    // The rename itself is durable only once the folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("write", folder))
}

/// Temporary files are private by default; what is kept should be readable as any other file.
#[cfg(unix)]
fn make_readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &File) -> std::io::Result<()> {
    Ok(())
}

/// Writes `value` as indented JSON with [`write()`].
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Defect(format!("{} cannot be written as JSON: {error}", path.display())))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Most bytes of a file that is read without another limit: the largest thing there is, weights and test records,
/// is far smaller.
pub const LARGEST_FILE: u64 = 1 << 30;
/// Most bytes of a configuration, an inventory, a key, a record: what people and programs write by the page.
pub const LARGEST_TEXT: u64 = 64 << 20;

/// Opens a regular file for reading. Neither a FIFO nor a device makes it wait.
///
/// # Errors
/// [`Error::Input`] for what is no regular file, [`Error::Io`] if it cannot be opened.
pub fn open(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(
        rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| Error::io("read", path)(error.into()))?,
    );
    let facts = file.metadata().map_err(Error::io("read", path))?;
    if facts.is_dir() {
        return Err(Error::file(path, "is a folder, not a file"));
    }
    if !facts.is_file() {
        return Err(Error::file(path, "is not a regular file (a pipe, a socket or a device)"));
    }
    Ok(file)
}

/// Reads a whole regular file of at most [`LARGEST_FILE`] bytes.
///
/// # Errors
/// As [`read_at_most`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, LARGEST_FILE)
}

/// Reads a whole regular file of at most [`LARGEST_TEXT`] bytes as UTF-8.
///
/// # Errors
/// As [`read_at_most`], and [`Error::Input`] for what is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read_at_most(path, LARGEST_TEXT)?;
    String::from_utf8(bytes).map_err(|_| Error::file(path, "is not UTF-8 text"))
}

/// Reads a whole regular file of at most `most` bytes. Neither a huge file nor an endless one takes memory.
///
/// # Errors
/// [`Error::Input`] for a larger file and for what is no regular file, [`Error::Io`] if it cannot be read.
pub fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let size = file.metadata().map_err(Error::io("read", path))?.len();
    let refuse = |bytes: u64| Error::file(path, format!("has {bytes} bytes; at most {most} are read"));
    if size > most {
        return Err(refuse(size));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // Files of /proc have no size, and others may grow while they are read.
    file.take(most + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > most { Err(refuse(bytes.len() as u64)) } else { Ok(bytes) }
}

/// Reads a JSON file; an error names the file, line and column.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read_at_most(path, LARGEST_TEXT)?).map_err(|error| Error::file(path, error))
}

/// Lower-case hexadecimal SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same of everything that a reader gives.
pub fn sha256_of(mut reader: impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file.txt");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_refused_write_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), b"").unwrap();
        let error = write(&folder.path().join("file/below"), b"x").unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }

    #[test]
    fn a_file_that_is_too_large_or_endless_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read_at_most(&path, 1 << 20).unwrap_err().to_string().contains("at most 1048576"));
        assert!(
            read_at_most(Path::new("/dev/zero"), 10)
                .unwrap_err()
                .to_string()
                .contains("is not a regular file")
        );
        fs::write(&path, b"whole").unwrap();
        assert_eq!(read_at_most(&path, 5).unwrap(), b"whole");
        assert!(read_at_most(&path, 4).is_err());
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(read(&pipe).unwrap_err().to_string().contains("is not a regular file"));
        assert!(read(folder.path()).unwrap_err().to_string().contains("is a folder"));
        assert!(
            !read_text(Path::new("/proc/self/status")).unwrap().is_empty(),
            "a file that says its size is 0"
        );
    }

    #[test]
    fn sha256_of_abc() {
        assert_eq!(sha256_of(&b"abc"[..]).unwrap(), sha256(b"abc"));
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
