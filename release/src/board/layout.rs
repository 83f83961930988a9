//! The folder on the board: where things lie, how `current` changes, and how it all reaches the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{CURRENT, INCOMING, LOCK, PREVIOUS, RELEASES, TRUSTED_KEY, is_id};
pub use mfactor::files::sync_folder;
use mfactor::{Error, Result};

use crate::board::ownership::{own_folder, own_subfolder};

/// What a folder that is being removed is called, before its own name.
const TRASH: &str = ".trash-";

/// The folder that holds everything of ours on this board.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The folder at `root`; what is missing of it is made. What stands in the place of a folder for unfinished things is
    /// put aside, under its name and `.aside`.
    ///
    /// # Errors
    /// [`Error::Board`] for a folder that another user may write, see [`own_folder`], and for releases that lie behind a
    /// link.
    pub fn open(root: &Path) -> Result<Self> {
        let layout = Self { root: own_folder(root)? };
        own_subfolder(&layout.releases())?;
        for folder in [layout.incoming(), layout.stagings(), layout.records()] {
            if own_subfolder(&folder).is_err() {
                let aside = folder.with_extension("aside");
                fs::rename(&folder, &aside).map_err(Error::io("rename", &folder))?;
                own_subfolder(&folder)?;
            }
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

    /// The highest sequence number that this board took, and for which target.
    pub fn taken(&self) -> PathBuf {
        self.root.join("taken.json")
    }

    /// Ids of all releases, by the time of their manifest, the newest first; one without a manifest is the oldest. What
    /// is no folder and has the name of a release is among them: a damaged one.
    ///
    /// # Errors
    /// If the folder of releases cannot be read.
    pub fn ids(&self) -> Result<Vec<String>> {
        let mut found = vec![];
        for path in entries(&self.releases())? {
            let name = name_of(&path);
            if is_id(&name) {
                let manifest = fs::symlink_metadata(path.join(crate::MANIFEST));
                found.push((manifest.and_then(|facts| facts.modified()).ok(), name));
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

    /// Whether something is in the place of `current` or `previous` that leads to no release.
    pub fn leads_nowhere(&self, link: &str) -> bool {
        fs::symlink_metadata(self.root.join(link)).is_ok() && self.target(link).is_none()
    }

    fn target(&self, link: &str) -> Option<String> {
        let is_folder =
            |id: &String| fs::symlink_metadata(self.release(id)).is_ok_and(|facts| facts.is_dir());
        self.linked(link).filter(is_folder)
    }

    /// The release that a link leads to, whether that is there or not.
    pub fn linked(&self, link: &str) -> Option<String> {
        let target = fs::read_link(self.root.join(link)).ok()?;
        let id = target.strip_prefix(RELEASES).ok()?.to_str()?.to_owned();
        is_id(&id).then_some(id)
    }

    /// Makes a symlink lead to a release by one rename, and syncs it. `None` removes it.
    ///
    /// # Errors
    /// If the system refuses. A folder or file in the place of the link is put aside first.
    pub fn point(&self, link: &str, id: Option<&str>) -> Result<()> {
        let path = self.root.join(link);
        if fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_dir()) {
            fs::rename(&path, path.with_extension("aside")).map_err(Error::io("rename", &path))?;
        }
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

/// The name of an entry, as far as it is text.
pub fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a name is nobody's business here: what begins with a dot was put there by a system (`.DS_Store`, `._x`,
/// `.nfs…`).
pub fn is_hidden(path: &Path) -> bool {
    name_of(path).starts_with('.')
}

/// Removes a folder that others might still look into: it vanishes whole, then is emptied. What cannot be emptied now
/// (a network share keeps what is still open) goes with the next [`tidy`].
pub fn remove_folder(layout: &Layout, folder: &Path) -> Result<()> {
    let trash = layout.stagings().join(format!("{TRASH}{}", name_of(folder)));
    let _ = remove_all(&trash);
    fs::rename(folder, &trash).map_err(Error::io("remove", folder))?;
    if let Some(parent) = folder.parent() {
        sync_folder(parent)?;
    }
    let _ = remove_all(&trash);
    Ok(())
}

/// Removes a file, a link, or a folder with all that is in it.
pub fn remove_all(path: &Path) -> Result<()> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir());
    let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    remove_if_there(removed).map_err(Error::io("remove", path))
}

/// Collects what an agent that was killed left half-made: nobody but the holder of the lock makes any of it.
pub fn tidy(layout: &Layout) {
    let is_left = |name: &str| {
        name.starts_with(TRASH)
            || name.starts_with(".mfactor-") && name.ends_with(".tmp")
            || name.ends_with(".new")
    };
    for folder in [layout.root().to_owned(), layout.stagings(), layout.incoming()] {
        for path in entries(&folder).unwrap_or_default() {
            if is_hidden(&path) && is_left(&name_of(&path)) {
                // Whatever it is, it is in nobody's way.
                let _ = remove_all(&path);
            }
        }
    }
}

/// Makes of a refusal to remove what is not there a success.
pub fn remove_if_there(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
