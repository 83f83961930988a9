//! The lock on a study folder: one writer at a time. The system drops it when its holder ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use mfactor::{Error, Result};

use crate::journal::timestamp;

/// Name of the lock file. It stays when the lock is gone; what it says then is of no account.
const LOCK_FILE: &str = "study.lock";

/// Holds the lock until it is dropped.
pub(crate) struct StudyLock {
    _file: File,
}

impl StudyLock {
    /// Takes the lock on `folder`. If another process holds it, the error names that process.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK_FILE);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(folder, &path)),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        let holder = format!("process {}, since {}", std::process::id(), timestamp(SystemTime::now()));
        let written = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
        written.map_err(Error::io("write", &path))?;
        Ok(Self { _file: file })
    }
}

fn in_use(folder: &Path, lock: &Path) -> Error {
    let holder = std::fs::read_to_string(lock).unwrap_or_default();
    let holder = if holder.is_empty() { "another process" } else { &holder };
    let problem = format!("the study is in use by {holder}; wait until it ends, or stop it");
    Error::file(folder, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_refused_by_name_and_the_lock_goes_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let lock = StudyLock::take(folder.path()).unwrap();
        let error = StudyLock::take(folder.path()).err().expect("it is taken");
        let holder = format!("process {}", std::process::id());
        assert!(error.to_string().contains(&holder), "{error}");
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        drop(lock);
        StudyLock::take(folder.path()).unwrap();
    }
}
