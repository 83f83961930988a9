//! A store in a folder that machines share.

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mfactor::{Error, Result, files};

use super::{DRAFT, Kept, Place};

/// The folder.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A folder that is there, by its path from the root.
    pub fn open(url: &str, path: &str) -> Result<Self> {
        let refused = |problem: &str| Error::input(format!("store {url:?}"), problem);
        let folder = PathBuf::from(path);
        if !folder.is_absolute() {
            return Err(refused("must name a folder from the root, as in file:///shared/mfactor"));
        }
        if !folder.is_dir() {
            return Err(refused("is not there; is the shared folder mounted? To make it, use mkdir"));
        }
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let draft = tempfile::Builder::new()
            .prefix(DRAFT)
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(&self.0);
        let mut draft = draft.map_err(Error::io("write to", &self.0))?;
        draft.write_all(bytes).map_err(Error::io("write", &path))?;
        draft.as_file().sync_all().map_err(Error::io("write", &path))?;
        draft.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
        files::sync_folder(&self.0)
    }

    /// What is to be done about a disk that is full.
    fn with_advice(&self, error: Error) -> Error {
        match error {
            Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull => Error::Board {
                subject: self.to_string(),
                problem: "its disk is full; make room there, nothing was written".to_owned(),
            },
            error => error,
        }
    }

    fn kept(entry: &fs::DirEntry) -> Option<Kept> {
        let facts = entry.metadata().ok()?;
        let age = facts.modified().ok()?.elapsed().unwrap_or_default();
        Some(Kept { name: entry.file_name().to_str()?.to_owned(), bytes: facts.len(), age })
    }
}

impl Place for Folder {
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        files::read(&self.path(name))
    }

    fn has(&self, name: &str) -> Result<bool> {
        Ok(self.path(name).exists())
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        if self.has(name)? {
            return Ok(false);
        }
        self.replace(name, bytes).map(|()| true)
    }

    /// Drafts of other machines are left alone, for nobody can see here whether they live.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write(name, bytes).map_err(|error| self.with_advice(error))
    }

    fn names(&self) -> Result<Vec<Kept>> {
        let entries = fs::read_dir(&self.0).map_err(Error::io("read", &self.0))?;
        Ok(entries.flatten().filter_map(|entry| Self::kept(&entry)).collect())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path: &Path = &self.path(name);
        fs::remove_file(path).map_err(Error::io("remove", path))
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store {}", self.0.display())
    }
}
