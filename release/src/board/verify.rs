//! Whether a release on the disk is what its manifest says, and its manifest what its name says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{MANIFEST, Manifest, ReleaseFile, id};
use mfactor::{Error, Result, files};

use crate::board::layout::Layout;
use crate::board::{board, trust};

/// Reads the whole release from the disk: manifest against its id, signature against the pinned key, every file
/// against the manifest.
///
/// # Errors
/// [`Error::Board`] or [`Error::Io`] naming the first file that is not right.
pub fn release(layout: &Layout, wanted: &str) -> Result<Manifest> {
    let folder = layout.release(wanted);
    let (manifest, bytes) = manifest(layout, wanted)?;
    trust::check_pinned(layout, &bytes, &trust::read_signature(&folder)?)?;
    manifest.files.iter().try_for_each(|entry| file(&folder, entry))?;
    Ok(manifest)
}

/// The manifest of a release, if it is the one that the release is named after.
pub fn manifest(layout: &Layout, wanted: &str) -> Result<(Manifest, Vec<u8>)> {
    let path = layout.release(wanted).join(MANIFEST);
    let bytes = files::read(&path)?;
    let found = id(&bytes);
    if found != wanted {
        return Err(board(path.display(), format!("was changed: its SHA-256 is {found}")));
    }
    let manifest = Manifest::parse(&bytes, path.display())?;
    Ok((manifest, bytes))
}

/// One file of a release: a plain file of the right size, mode and contents, read from the disk.
pub fn file(folder: &Path, entry: &ReleaseFile) -> Result<()> {
    let path = folder.join(&entry.name);
    let facts = fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
    let refuse = |problem: String| Err(board(path.display(), problem));
    if !facts.is_file() {
        return refuse("is no plain file".to_owned());
    }
    if facts.len() != entry.bytes {
        return refuse(format!("has {} bytes, its manifest says {}", facts.len(), entry.bytes));
    }
    let mode = facts.permissions().mode() & 0o7777;
    if mode != entry.mode {
        return refuse(format!("has mode {mode:o}, its manifest says {:o}", entry.mode));
    }
    contents(&path, &entry.sha256)
}

/// Compares contents, past the page cache where the system allows that.
pub fn contents(path: &Path, sha256: &str) -> Result<()> {
    let file = fs::File::open(path).map_err(Error::io("read", path))?;
    // What the card holds counts, not what the memory remembers of it.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let found = files::sha256_of(file).map_err(Error::io("read", path))?;
    if found == sha256 {
        return Ok(());
    }
    Err(board(path.display(), format!("was changed: its SHA-256 is {found}, its manifest says {sha256}")))
}
