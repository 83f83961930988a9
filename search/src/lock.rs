//! The lock on a study folder: one search at a time. The system drops it when its holder ends, however it ends.
//!
//! What is locked is the journal itself: a lock on a file beside it is gone with that file. The file beside it says who
//! holds the lock, and keeps out the first versions, which lock that one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mfactor::{Error, Result, files};

use crate::journal::timestamp;

/// Name of the file that names the holder. It stays when the lock is gone; what it says then is of no account.
pub(crate) const LOCK_FILE: &str = "study.lock";

/// Holds the lock until it is dropped.
pub(crate) struct StudyLock {
    _files: [File; 2],
}

impl StudyLock {
    /// Takes the lock on the study in `folder` with this journal, which is made if there is none. If another process
    /// holds it, the error names that process.
    pub fn take(folder: &Path, journal: &str) -> Result<Self> {
        let path = folder.join(LOCK_FILE);
        let holder = || files::read_at_most(&path, 1000).unwrap_or_default();
        let holder = String::from_utf8_lossy(&holder()).into_owned();
        let mut note = lock(folder, &path, &holder)?;
        let journal = lock(folder, &folder.join(journal), &holder)?;
        let holder = format!("process {}, since {}", std::process::id(), timestamp(SystemTime::now()));
        let written = note.set_len(0).and_then(|()| note.write_all(holder.as_bytes()));
        written.map_err(Error::io("write", &path))?;
        Ok(Self { _files: [note, journal] })
    }
}

fn lock(folder: &Path, path: &PathBuf, holder: &str) -> Result<File> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = open.map_err(Error::io("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let holder = if holder.is_empty() { "another process" } else { holder };
            let problem = format!("the study is in use by {holder}; wait until it ends, or stop it");
            Err(Error::file(folder, mfactor::text::visible(&problem)))
        }
        Err(TryLockError::Error(error)) => Err(unlockable(folder, path, error)),
    }
}

/// That a file cannot be locked, and what to do where none can be.
fn unlockable(folder: &Path, path: &Path, error: std::io::Error) -> Error {
    if !has_no_locks(&error) {
        return Error::io("lock", path)(error);
    }
    let problem = "lies on a file system without locks (some network shares), where two searches could write into one \
                   study unnoticed; choose a folder on a disk of this machine";
    Error::file(folder, problem)
}

/// Whether this is what a file system says that has no locks.
pub(crate) fn has_no_locks(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let errors = [Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOLCK].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|error| errors.contains(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: &str = "journal.log";

    #[test]
    fn a_second_writer_is_refused_by_name_and_the_lock_goes_with_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let lock = StudyLock::take(folder.path(), JOURNAL).unwrap();
        let error = StudyLock::take(folder.path(), JOURNAL).err().expect("it is taken");
        let holder = format!("process {}", std::process::id());
        assert!(error.to_string().contains(&holder), "{error}");
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        drop(lock);
        StudyLock::take(folder.path(), JOURNAL).unwrap();
    }

    #[test]
    fn a_file_system_without_locks_is_named_as_such() {
        let problem = |number: i32| {
            let error = std::io::Error::from_raw_os_error(number);
            unlockable(Path::new("study"), Path::new("study/study.lock"), error).to_string()
        };
        for number in
            [rustix::io::Errno::NOLCK, rustix::io::Errno::OPNOTSUPP].map(|error| error.raw_os_error())
        {
            assert!(problem(number).contains("choose a folder on a disk"), "{number}");
        }
        assert!(problem(rustix::io::Errno::IO.raw_os_error()).contains("cannot lock study/study.lock"));
    }

    #[test]
    fn removing_the_file_that_names_the_holder_does_not_let_a_second_one_in() {
        let folder = tempfile::tempdir().unwrap();
        let _lock = StudyLock::take(folder.path(), JOURNAL).unwrap();
        std::fs::remove_file(folder.path().join(LOCK_FILE)).unwrap();
        for _ in 0..2 {
            let error = StudyLock::take(folder.path(), JOURNAL).err().expect("it is taken");
            assert!(error.to_string().contains("in use by another process"), "{error}");
        }
    }
}
