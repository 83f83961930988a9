//! What a study reads, and how it is told from anything else: a data set, a file.

use std::path::{Path, PathBuf};

use mfactor::dataset::DataSet;
use mfactor::{Error, Result, SearchSpace, files};
use serde::{Deserialize, Serialize};

/// A file, and what identifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    /// The file.
    pub file: PathBuf,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
}

impl FileSource {
    /// A file as it is now.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read.
    pub fn open(file: &Path) -> Result<Self> {
        let sha256 = files::sha256(&files::read(file)?);
        Ok(Self { file: std::fs::canonicalize(file).map_err(Error::io("find", file))?, sha256 })
    }
}

/// The text of a file, which is refused if it is another than the study began with. It is read once: what was looked at is
/// what is used.
pub(super) fn unchanged_text(file: &Path, sha256: &str) -> Result<String> {
    let text = files::read_text(file)?;
    if files::sha256(text.as_bytes()) == *sha256 {
        return Ok(text);
    }
    Err(Error::file(file, "has changed since the study began; restore it, or start a new study"))
}

/// A data set, and what identifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Name from the data set's manifest.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// [`DataSet::fingerprint`]: two folders with one fingerprint hold one data set.
    pub fingerprint: String,
}

impl DataSource {
    /// Opens a data-set folder, checks that it fits the space, and reads all of it for its fingerprint.
    pub fn open(folder: &Path, space: &SearchSpace) -> Result<Self> {
        let data = DataSet::open(folder)?;
        data.check_fits(space)?;
        let folder = std::fs::canonicalize(data.folder()).map_err(Error::io("find", data.folder()))?;
        Ok(Self { name: data.manifest().name.clone(), folder, fingerprint: data.fingerprint()? })
    }

    /// Refuses a folder whose records are not those that the study began with.
    pub(super) fn check(&self, space: &SearchSpace) -> Result<()> {
        if Self::open(&self.folder, space)?.fingerprint == self.fingerprint {
            return Ok(());
        }
        let problem = "the data set has changed since the study began; restore it, or start a new study";
        Err(Error::file(&self.folder, problem))
    }
}
