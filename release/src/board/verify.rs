//! Whether a release on the disk is what its manifest says, and its manifest what its name says.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::manifest::LARGEST_MANIFEST;
use crate::{MANIFEST, Manifest, RUNNER, ReleaseFile, SIGNATURE, id, is_id};
use mfactor::{Error, Result, files, text};

use crate::board::layout::Layout;
use crate::board::{beneath, board, trust};

/// More than any signature of minisign has, with its comments.
pub const LARGEST_SIGNATURE: usize = 16 << 10;

/// A release, all of whose bytes were read and are right. Its runner and its models stay open: what was compared is what
/// runs, whatever becomes of their names.
#[derive(Debug)]
pub struct Verified {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its runner.
    pub runner: File,
    /// Its models, in the order of the manifest.
    pub models: Vec<File>,
    /// The library of an engine, where it has one.
    pub library: Option<File>,
}

/// Reads the whole release from the disk: manifest against its id, signature against the pinned key, every file
/// against the manifest.
///
/// # Errors
/// [`Error::Board`] or [`Error::Io`] naming the first file that is not right.
pub fn release(layout: &Layout, wanted: &str) -> Result<Verified> {
    let (manifest, bytes) = manifest(layout, wanted)?;
    trust::check_pinned(layout, &bytes, &signature(layout, wanted)?)?;
    opened(layout, wanted, manifest)
}

/// Reads the whole release and takes no notice of its signature: it may be whole on a board that has lost its pin.
///
/// # Errors
/// As [`release`].
pub fn contents_of(layout: &Layout, wanted: &str) -> Result<Verified> {
    let (manifest, _) = manifest(layout, wanted)?;
    opened(layout, wanted, manifest)
}

fn opened(layout: &Layout, wanted: &str, manifest: Manifest) -> Result<Verified> {
    let folder = layout.release(wanted);
    let (mut runner, mut models, mut library) = (None, vec![], None);
    for entry in &manifest.files {
        let opened = file(layout, &folder, entry).map_err(missing)?;
        if entry.name == RUNNER {
            runner = Some(opened);
        } else if let Some(place) = manifest.models.iter().position(|model| model.file == entry.name) {
            models.push((place, opened));
        } else if manifest.library() == Some(entry) {
            library = Some(opened);
        }
    }
    models.sort_by_key(|(place, _)| *place);
    let models: Vec<File> = models.into_iter().map(|(_, file)| file).collect();
    match runner {
        Some(runner) if models.len() == manifest.models.len() => {
            Ok(Verified { manifest, runner, models, library })
        }
        _ => Err(board(wanted, "lists a model twice, or no runner")),
    }
}

/// The signature beside a manifest, whoever's it is.
///
/// # Errors
/// If it is missing, or is no text.
pub fn signature(layout: &Layout, wanted: &str) -> Result<String> {
    let path = layout.release(wanted).join(SIGNATURE);
    beneath::read_text(layout.root(), &path, LARGEST_SIGNATURE).map_err(missing)
}

/// The manifest of a release, if it is the one that the release is named after.
///
/// # Errors
/// [`Error::Board`] for what has not the name of a release, or is damaged.
pub fn manifest(layout: &Layout, wanted: &str) -> Result<(Manifest, Vec<u8>)> {
    if !is_id(wanted) {
        return Err(board(text::quoted(wanted, 80), "is not the name of a release"));
    }
    let path = layout.release(wanted).join(MANIFEST);
    let bytes = beneath::read(layout.root(), &path, LARGEST_MANIFEST).map_err(missing)?;
    let found = id(&bytes);
    if found != wanted {
        return Err(board(path.display(), format!("was changed: its SHA-256 is {found}")));
    }
    let manifest = Manifest::parse(&bytes, path.display())?;
    Ok((manifest, bytes))
}

/// One file of a release: a plain file of the right size, mode and contents, read from the disk. A child inherits it.
///
/// # Errors
/// [`Error::Board`] or [`Error::Io`] if it is not right.
pub fn file(layout: &Layout, folder: &Path, entry: &ReleaseFile) -> Result<File> {
    let path = folder.join(&entry.name);
    let file = beneath::open_to_inherit(layout.root(), &path)?;
    let facts = file.metadata().map_err(Error::io("read", &path))?;
    let refuse = |problem: String| Err(board(path.display(), problem));
    if facts.len() != entry.bytes {
        return refuse(format!("has {} bytes, its manifest says {}", facts.len(), entry.bytes));
    }
    let mode = facts.permissions().mode() & 0o7777;
    if mode != entry.mode {
        return refuse(format!("has mode {mode:o}, its manifest says {:o}", entry.mode));
    }
    compare(&file, &path, &entry.sha256)?;
    Ok(file)
}

/// Test records of this hash. A child inherits them.
///
/// # Errors
/// As [`file()`].
pub fn records(layout: &Layout, sha256: &str) -> Result<File> {
    let path = layout.records().join(sha256);
    let file = beneath::open_to_inherit(layout.root(), &path)?;
    compare(&file, &path, sha256)?;
    Ok(file)
}

/// Compares contents, past the page cache where the system allows that. `path` names the file in errors.
///
/// # Errors
/// [`Error::Board`] if they are others.
pub fn compare(file: &File, path: &Path, sha256: &str) -> Result<()> {
    // What the card holds counts, not what the memory remembers of it.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    let found = files::sha256_of(file).map_err(Error::io("read", path))?;
    if found == sha256 {
        return Ok(());
    }
    Err(board(path.display(), format!("was changed: its SHA-256 is {found}, its manifest says {sha256}")))
}

/// A file of a release that is gone, as a sentence.
fn missing(error: Error) -> Error {
    match error {
        Error::Io { path, source, .. } if source.kind() == ErrorKind::NotFound => {
            board(path.display(), "is missing")
        }
        other => other,
    }
}
