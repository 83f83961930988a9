//! The folder on the board: where things lie, how `current` changes, and how it all reaches the disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::{CURRENT, INCOMING, LOCK, PREVIOUS, RELEASES, TRUSTED_KEY, is_id};
use mfactor::{Error, Result};

/// The folder that holds everything of ours on this board.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The folder at `root`; what is missing of it is made.
    pub fn open(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).map_err(Error::io("create", root))?;
        let layout = Self { root: root.canonicalize().map_err(Error::io("read", root))? };
        for folder in [RELEASES, INCOMING, "staging", "records"] {
            let path = layout.root.join(folder);
            fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        }
        Ok(layout)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the releases.
    pub fn releases(&self) -> PathBuf {
        self.root.join(RELEASES)
    }

    /// Folder of one release.
    pub fn release(&self, id: &str) -> PathBuf {
        self.releases().join(id)
    }

    /// Folder of unfinished uploads.
    pub fn stagings(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Folder of the unfinished upload of one release.
    pub fn staging(&self, id: &str) -> PathBuf {
        self.stagings().join(id)
    }

    /// Folder of test records.
    pub fn records(&self) -> PathBuf {
        self.root.join("records")
    }

    /// Folder of what arrived before an agent ran.
    pub fn incoming(&self) -> PathBuf {
        self.root.join(INCOMING)
    }

    /// The pinned key.
    pub fn trusted_key(&self) -> PathBuf {
        self.root.join(TRUSTED_KEY)
    }

    /// The file that is locked.
    pub fn lock(&self) -> PathBuf {
        self.root.join(LOCK)
    }

    /// The note that a release was switched to and not confirmed.
    pub fn unconfirmed(&self) -> PathBuf {
        self.root.join("unconfirmed.json")
    }

    /// Ids of all releases, by the time of their manifest, the newest first.
    pub fn ids(&self) -> Result<Vec<String>> {
        let mut found = vec![];
        for path in entries(&self.releases())? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is_id(&name) && path.is_dir() {
                let time = fs::metadata(path.join(crate::MANIFEST)).and_then(|facts| facts.modified());
                found.push((time.ok(), name));
            }
        }
        found.sort_by(|one, other| other.cmp(one));
        Ok(found.into_iter().map(|(_, name)| name).collect())
    }

    /// Id of the active release; `None` before the first, or where the symlink leads nowhere.
    pub fn current(&self) -> Option<String> {
        self.target(CURRENT)
    }

    /// Id of the release before it.
    pub fn previous(&self) -> Option<String> {
        self.target(PREVIOUS)
    }

    fn target(&self, link: &str) -> Option<String> {
        let target = fs::read_link(self.root.join(link)).ok()?;
        let id = target.strip_prefix(RELEASES).ok()?.to_str()?.to_owned();
        (is_id(&id) && self.release(&id).is_dir()).then_some(id)
    }

    /// Makes a symlink lead to a release by one rename, and syncs it. `None` removes it.
    pub fn point(&self, link: &str, id: Option<&str>) -> Result<()> {
        let path = self.root.join(link);
        match id {
            None => remove_if_there(fs::remove_file(&path)).map_err(Error::io("remove", &path))?,
            Some(id) => {
                let new = self.root.join(format!(".{link}.new"));
                remove_if_there(fs::remove_file(&new)).map_err(Error::io("remove", &new))?;
                std::os::unix::fs::symlink(Path::new(RELEASES).join(id), &new)
                    .map_err(Error::io("create", &new))?;
                fs::rename(&new, &path).map_err(Error::io("write", &path))?;
            }
        }
        sync_folder(&self.root)
    }

    /// Free space for this user in the file system, in bytes.
    pub fn free_bytes(&self) -> Result<u64> {
        let facts = rustix::fs::statvfs(&self.root)
            .map_err(|error| Error::io("read the free space of", &self.root)(error.into()))?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}

/// What is in a folder, sorted.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = fs::read_dir(folder).map_err(Error::io("read", folder))?;
    let mut paths = vec![];
    for entry in listing {
        paths.push(entry.map_err(Error::io("read", folder))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// A name in a folder is on the disk only once the folder is.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
}

/// Removes a folder that others might still look into: it vanishes whole, then is emptied.
pub fn remove_folder(layout: &Layout, folder: &Path) -> Result<()> {
    let trash = layout.stagings().join(".trash");
    remove_if_there(fs::remove_dir_all(&trash)).map_err(Error::io("remove", &trash))?;
    fs::rename(folder, &trash).map_err(Error::io("remove", folder))?;
    if let Some(parent) = folder.parent() {
        sync_folder(parent)?;
    }
    fs::remove_dir_all(&trash).map_err(Error::io("remove", &trash))
}

/// Makes of a refusal to remove what is not there a success.
pub fn remove_if_there(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
