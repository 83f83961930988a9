//! A folder in the making: it appears under its name whole, by one rename, or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use mfactor::{Error, Result, drafts, files};

/// A temporary folder, on the same file system as the place that it is for. Dropped, it is removed.
#[derive(Debug)]
pub struct Draft {
    folder: drafts::Folder,
    place: PathBuf,
}

impl Draft {
    /// A draft of a folder at `place`, where nothing is yet, or an empty folder. What a killed import left beside it is
    /// removed.
    ///
    /// # Errors
    /// [`Error::Input`] where something is there, [`Error::Io`] where nothing can be written.
    pub fn new(place: &Path) -> Result<Self> {
        if fs::symlink_metadata(place).is_ok() {
            let is_empty = fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
            if !is_empty {
                let problem = "is there already and not an empty folder; name another place, or remove it";
                return Err(Error::file(place, problem));
            }
        }
        let above = existing(place);
        drafts::collect(&above);
        let folder = drafts::folder(&above).map_err(Error::io("write", &above))?;
        Ok(Self { folder, place: place.to_owned() })
    }

    /// The temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Refuses a place inside `source`, where it would be taken for a class the next time.
    pub(super) fn check_outside(&self, source: &Path) -> Result<()> {
        let real = |path: &Path| path.canonicalize().map_err(Error::io("read", path));
        let (source, above) = (real(source)?, real(&existing(&self.place))?);
        if source.is_dir() && above.starts_with(&source) {
            return Err(Error::file(&self.place, "lies in the folder of the pictures; name a place outside"));
        }
        Ok(())
    }

    /// Gives the folder its name.
    pub(super) fn publish(self) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let Self { folder, place } = self;
        if let Some(parent) = place.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            files::make_folder(parent)?;
        }
        // Temporary folders are private; what is kept should be readable as any other.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
            .map_err(Error::io("write", folder.path()))?;
        files::sync_folder(folder.path())?;
        fs::rename(folder.path(), &place).map_err(Error::io("write", &place))?;
        folder.keep();
        Ok(place)
    }
}

/// The nearest folder above `place` that is there.
fn existing(place: &Path) -> PathBuf {
    let above = place.ancestors().skip(1).find(|above| above.is_dir());
    above.map_or_else(|| PathBuf::from("."), Path::to_owned)
}
