//! Files and folders in the making: temporary ones beside their place, which are found again should their writer be killed.
//!
//! A writer holds a lock on its draft, which the system gives up with it: what is not locked was left.

use std::fs::{self, File, TryLockError};
use std::io::Result;
use std::path::Path;

use tempfile::{Builder, NamedTempFile, TempDir};

/// How the name of a draft begins and ends.
const NAME: (&str, &str) = (".mfactor-", ".tmp");

/// A temporary file in `folder`. Dropped, it is removed; should this process be killed, [`collect`] finds it.
///
/// # Errors
/// If the system refuses one.
pub fn file(folder: &Path) -> Result<NamedTempFile> {
    loop {
        let file = named().tempfile_in(folder)?;
        if is_held(file.as_file(), file.path()) {
            return Ok(file);
        }
    }
}

/// A temporary folder.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
    /// Holds the lock.
    _opened: File,
}

/// A temporary folder in `above`, likewise.
///
/// # Errors
/// If the system refuses one.
pub fn folder(above: &Path) -> Result<Folder> {
    loop {
        let folder = named().tempdir_in(above)?;
        let opened = File::open(folder.path())?;
        if is_held(&opened, folder.path()) {
            return Ok(Folder { folder, _opened: opened });
        }
    }
}

impl Folder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder where it is: it has got another name.
    pub fn keep(self) {
        let _ = self.folder.keep();
    }
}

fn named() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(NAME.0).suffix(NAME.1);
    builder
}

/// Takes the lock; whether the draft is ours. Who collects has the lock before it removes a draft: one that is locked and
/// still there is safe.
fn is_held(draft: &File, path: &Path) -> bool {
    let is_taken = matches!(draft.try_lock(), Err(TryLockError::WouldBlock));
    !is_taken && path.exists()
}

/// Removes the drafts in `folder` whose writers were killed. What cannot be removed stays.
pub fn collect(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with(NAME.0) && name.ends_with(NAME.1)) {
            continue;
        }
        // The entry's own kind: nothing is removed through a link.
        let Ok(kind) = entry.file_type() else { continue };
        let opened = if kind.is_dir() {
            File::open(entry.path()).ok()
        } else {
            crate::files::open(&entry.path()).ok()
        };
        if opened.is_some_and(|draft| draft.try_lock().is_ok()) {
            let _ =
                if kind.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_writer_left_is_collected_and_what_another_writes_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path(".mfactor-0aZ.tmp"), b"half").unwrap();
        fs::create_dir_all(path(".mfactor-1bY.tmp/deep/er")).unwrap();
        fs::write(path(".mfactor-1bY.tmp/deep/file"), b"half").unwrap();
        fs::write(path(".mfactor.toml"), b"not ours").unwrap();
        let (file, folder) = (file(place.path()).unwrap(), folder(place.path()).unwrap());
        fs::write(folder.path().join("file"), b"more").unwrap();
        crate::files::write(&path("file.txt"), b"one").unwrap();
        let names = || {
            let mut names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().path()).collect();
            names.sort();
            names
        };
        let mut expected =
            vec![path(".mfactor.toml"), path("file.txt"), file.path().to_owned(), folder.path().to_owned()];
        expected.sort();
        assert_eq!(names(), expected);
        drop((file, folder));
        assert_eq!(names(), [path(".mfactor.toml"), path("file.txt")]);
    }

    #[test]
    fn a_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("file"), b"theirs").unwrap();
        std::os::unix::fs::symlink(&target, place.path().join(".mfactor-link.tmp")).unwrap();
        collect(place.path());
        assert_eq!(fs::read(target.join("file")).unwrap(), b"theirs");
    }

    #[test]
    fn a_folder_that_got_its_name_stays() {
        let place = tempfile::tempdir().unwrap();
        let draft = folder(place.path()).unwrap();
        fs::rename(draft.path(), place.path().join("whole")).unwrap();
        draft.keep();
        collect(place.path());
        assert!(place.path().join("whole").is_dir());
    }
}
