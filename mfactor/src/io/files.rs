//! Files: written so that a reader, or a crash, never meets half of one; read within limits; and which of those in a
//! folder are ours.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::drafts;
use crate::error::{Error, Result};
use crate::io::room::A_FOLDER_IS_WANTED;
use crate::magic::{self, Kind};

pub use crate::io::room::{check_room, check_target};

/// Writes `bytes` to `path` through a temporary file in the same folder, fsync and rename. Missing
/// parent folders are made.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_folder(folder)?;
    drafts::collect(folder);
    let mut file = drafts::file(folder).map_err(Error::io("write", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    make_readable(file.as_file()).map_err(Error::io("write", path))?;
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    file.persist(path).map_err(|error| Error::io("write", path)(error.error))?;
    sync_folder(folder)
}

/// Brings the names in a folder to the disk: a rename is durable only once its folder is. A file system that cannot
/// sync a folder (FAT and network shares among them) is asked to bring everything there, and believed if it cannot do
/// that either: there is no more that a program could do.
///
/// # Errors
/// If the folder cannot be opened, or the disk refuses.
pub fn sync_folder(folder: &Path) -> Result<()> {
    let opened = File::open(folder).map_err(Error::io("sync", folder))?;
    match rustix::fs::fsync(&opened) {
        Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS | Errno::BADF | Errno::ROFS) => {
            let _ = rustix::fs::syncfs(&opened);
            Ok(())
        }
        synced => synced.map_err(|error| Error::io("sync", folder)(error.into())),
    }
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
/// As [`read_at_most`], and [`Error::Input`] for what is not UTF-8, or plainly another file (a web page, say).
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read_at_most(path, LARGEST_TEXT)?;
    match magic::recognise(&bytes) {
        None | Some(Kind::Text | Kind::Json | Kind::Empty | Kind::Program) => {}
        Some(other) => return Err(Error::file(path, other.words())),
    }
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

/// The first bytes of an open file, enough for [`magic::recognise`].
pub fn head(file: File, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    file.take(magic::HEAD as u64).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// Reads a JSON file; an error names the file, line and column.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = read_at_most(path, LARGEST_TEXT)?;
    serde_json::from_slice(&bytes).map_err(|error| match magic::mistaken(&bytes, Kind::Json) {
        Some(words) => Error::file(path, words),
        None => Error::file(path, error),
    })
}

/// Reads a TOML file of at most [`LARGEST_TEXT`] bytes; an error names the file, line and column.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = read_text(path)?;
    toml::from_str(&text).map_err(|error| Error::toml(path.display(), &text, &error))
}

/// What is in a folder, in the order of names, without what [`is_foreign`]; nothing where there is no folder.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(Error::io("read", folder)(error)),
    };
    let mut paths = vec![];
    for entry in found {
        let entry = entry.map_err(Error::io("read", folder))?;
        if !is_foreign(&entry.file_name().to_string_lossy()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a name is one that desktops, editors and file servers leave in anybody's folder, or a temporary file of a
/// run that was killed: never a file of ours.
pub fn is_foreign(name: &str) -> bool {
    const ENDINGS: [&str; 10] =
        ["~", ".swp", ".swo", ".swx", ".bak", ".orig", ".tmp", ".part", ".crdownload", ".partial"];
    const NAMES: [&str; 7] =
        ["desktop.ini", "thumbs.db", "ehthumbs.db", "__macosx", "@eadir", "$recycle.bin", "icon\r"];
    let lower = name.to_lowercase();
    name.starts_with('.')
        || (name.starts_with('#') && name.ends_with('#'))
        || NAMES.contains(&lower.as_str())
        || ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// Makes a folder, and those above it, where there is none.
///
/// # Errors
/// [`Error::Input`] where a file stands in its place, [`Error::Io`] if it cannot be made.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::file(folder, A_FOLDER_IS_WANTED),
        _ => Error::io("create", folder)(error),
    })
}

/// Lower-case hexadecimal SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    Ok(hex(&hasher.finalize()))
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
    fn what_desktops_and_killed_runs_leave_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = [
            "._a.onnx",
            ".DS_Store",
            "desktop.ini",
            "Thumbs.db",
            "a.onnx~",
            ".a.onnx.swp",
            "a.onnx.bak",
            "#a.onnx#",
            ".mfactor-x.tmp",
            "a.json.partial",
            "__MACOSX",
            "a.onnx.part",
        ];
        for name in foreign.iter().chain(&["b.onnx", "a.json"]) {
            fs::write(folder.path().join(name), b"x").unwrap();
        }
        let names: Vec<_> =
            entries(folder.path()).unwrap().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.json", "b.onnx"]);
        assert!(entries(&folder.path().join("none")).unwrap().is_empty());
        assert!(entries(&folder.path().join("a.json")).is_err());
    }

    #[test]
    fn another_file_in_the_place_of_a_text_is_named_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let problem = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let json = read_json::<serde_json::Value>(&path).unwrap_err().to_string();
            (json, read_toml::<toml::Table>(&path).map(|_| ()).map_err(|error| error.to_string()))
        };
        let (json, toml) = problem(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
        assert!(json.contains("git lfs pull") && toml.unwrap_err().contains("git lfs pull"));
        let (json, toml) = problem(b"\x1f\x8b\x08\x00\xff");
        assert!(json.contains("gunzip") && toml.unwrap_err().contains("gunzip"));
        let (json, toml) = problem(b"");
        assert!(json.contains("is empty") && toml.is_ok(), "an empty text is TOML");
        let (_, toml) = problem(b"a = 1\nb = \n");
        let toml = toml.unwrap_err();
        assert!(toml.contains("f: line 2, column ") && !toml.contains('\n'), "{toml}");
    }

    #[test]
    fn sha256_of_abc() {
        assert_eq!(sha256_of(&b"abc"[..]).unwrap(), sha256(b"abc"));
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
