//! The lock that Optuna's processes take for every line they append: a file beside the journal.
//!
//! Optuna's default, `JournalFileSymlinkLock`, makes a symbolic link; `JournalFileOpenLock` makes a file of the same name
//! (`optuna/storages/journal/_file.py`, releases 4 and 5). Whoever finds it there waits. One that stays while the journal
//! does not change was left by a process that died, and is taken away after a time of grace.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use mfactor::{Error, Result};

/// How long a lock stays without a sign of life: Optuna's default.
const GRACE: Duration = Duration::from_secs(30);
/// How long this program waits at all. Lines are appended in milliseconds.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longest pause between two tries.
const POLL: Duration = Duration::from_millis(50);

/// Holds the lock until it is dropped.
pub(super) struct OptunaLock {
    path: PathBuf,
}

impl OptunaLock {
    /// Takes the lock of a journal.
    ///
    /// # Errors
    /// [`Error::Input`] if others hold it, one after the other, for a minute and a half.
    pub fn take(journal: &Path) -> Result<Self> {
        Self::take_within(journal, GRACE, PATIENCE)
    }

    fn take_within(journal: &Path, grace: Duration, patience: Duration) -> Result<Self> {
        let path = path(journal);
        let begin = Instant::now();
        let mut pause = Duration::from_millis(1);
        // The last sign of life, and when it was seen first.
        let mut seen: Option<(SystemTime, Instant)> = None;
        loop {
            match make(journal, &path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("lock", &path)(error)),
            }
            match (sign_of_life(&path), seen) {
                (None, _) => {}
                (Some(sign), Some((last, since))) if sign == last => {
                    if since.elapsed() >= grace {
                        remove(&path)?;
                        seen = None;
                    }
                }
                (Some(sign), _) => seen = Some((sign, Instant::now())),
            }
            if begin.elapsed() >= patience {
                let problem = "another program (Optuna, or its dashboard) does not give up this lock on the journal; \
                               end that program, then go on with --resume";
                return Err(Error::file(&path, problem));
            }
            sleep(pause);
            pause = (pause * 2).min(POLL);
        }
    }
}

impl Drop for OptunaLock {
    fn drop(&mut self) {
        // One that is gone was taken for dead by somebody who did not see this process for too long.
        if is_ours(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a lock that a killed search left, so that nobody has to wait for it. The caller is the only search on this
/// journal.
pub(super) fn collect(journal: &Path) -> Result<()> {
    let path = path(journal);
    if is_ours(&path) { remove(&path) } else { Ok(()) }
}

fn path(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Where the link points: to the journal, so that others see by its time whether its holder is alive, and in a way in
/// which nobody writes a path, so that it can be told from Optuna's.
fn target(journal: &Path) -> PathBuf {
    let mut target = std::ffi::OsString::from(".//");
    target.push(journal.file_name().unwrap_or_default());
    target.into()
}

/// What stands in the lock where a file system has no links.
const MARK: &[u8] = b"mfactor\n";

fn make(journal: &Path, path: &Path) -> std::io::Result<()> {
    match symlink(target(journal), path) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            let mut file = fs::File::create_new(path)?;
            std::io::Write::write_all(&mut file, MARK)
        }
        made => made,
    }
}

fn is_ours(path: &Path) -> bool {
    match fs::read_link(path) {
        Ok(target) => target.as_os_str().as_encoded_bytes().starts_with(b".//"),
        Err(_) => mfactor::files::read_at_most(path, MARK.len() as u64).is_ok_and(|bytes| bytes == MARK),
    }
}

/// When the journal changed last, or else when the lock was made: Optuna's links may point nowhere, for they hold the
/// path as it was given.
fn sign_of_life(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).or_else(|_| fs::symlink_metadata(path)).and_then(|data| data.modified()).ok()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(60);
    const LONG: Duration = Duration::from_secs(60);

    fn journal() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.log");
        fs::write(&journal, "").unwrap();
        (folder, journal)
    }

    #[test]
    fn it_is_there_while_it_is_held_and_points_to_the_journal() {
        let (_folder, journal) = journal();
        let lock = OptunaLock::take(&journal).unwrap();
        assert_eq!(fs::canonicalize(path(&journal)).unwrap(), fs::canonicalize(&journal).unwrap());
        assert!(symlink("journal.log", path(&journal)).is_err(), "Optuna's own way to take it");
        drop(lock);
        assert!(fs::symlink_metadata(path(&journal)).is_err());
    }

    #[test]
    fn one_whose_holder_died_is_taken_away_whichever_kind_it_is() {
        let (_folder, journal) = journal();
        fs::write(path(&journal), "").unwrap();
        drop(OptunaLock::take_within(&journal, SHORT, LONG).unwrap());
        symlink("nowhere/journal.log", path(&journal)).unwrap();
        drop(OptunaLock::take_within(&journal, SHORT, LONG).unwrap());
    }

    #[test]
    fn one_that_is_not_given_up_ends_the_wait_with_a_sentence() {
        let (_folder, journal) = journal();
        fs::write(path(&journal), "").unwrap();
        let error = OptunaLock::take_within(&journal, LONG, SHORT).err().expect("it is held");
        assert!(error.to_string().contains("journal.log.lock: another program"), "{error}");
        assert!(path(&journal).exists());
    }

    #[test]
    fn one_of_a_killed_search_is_collected_and_one_of_optuna_is_not() {
        let (_folder, journal) = journal();
        std::mem::forget(OptunaLock::take(&journal).unwrap());
        collect(&journal).unwrap();
        assert!(fs::symlink_metadata(path(&journal)).is_err());
        symlink("journal.log", path(&journal)).unwrap();
        collect(&journal).unwrap();
        assert!(fs::symlink_metadata(path(&journal)).is_ok());
        fs::remove_file(path(&journal)).unwrap();
        fs::write(path(&journal), MARK).unwrap();
        collect(&journal).unwrap();
        assert!(!path(&journal).exists());
    }
}
