//! One flash at a time: flock(2) on a file, which the kernel releases with the process, however it ends.

use std::fs::{File, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::LockOwner;
use mfactor::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::board::layout::Layout;
use crate::board::{beneath, board};

/// More of an owner's name is cut off.
const LONGEST_OWNER: usize = 200;

/// The lock, as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock for `owner`, or tells who has it. The file holds owner, process and start, a line each: that is
/// also what the host's shell commands write before an agent runs.
///
/// # Errors
/// [`Error::Board`] for a link or another user's file in its place, and for a file system that has no locks.
pub fn take(layout: &Layout, owner: &str) -> Result<Result<Lock, LockOwner>> {
    let path = layout.lock();
    let mut file = beneath::open_to_write(layout.root(), &path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = vec![];
            // Unreadable or half-written, it is still locked.
            let _ = file.take(1024).read_to_end(&mut text);
            return Ok(Err(LockOwner::parse(&String::from_utf8_lossy(&text), now())));
        }
        Err(error) => return Err(refused(layout, error)),
    }
    // Who may read a file may also lock it, and would keep every flash out.
    let _ = file.set_permissions(Permissions::from_mode(0o600));
    let owner: String = owner.replace(char::is_control, " ").chars().take(LONGEST_OWNER).collect();
    let text = format!("{owner}\n{}\n{}\n", std::process::id(), now());
    let write = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    // Where the disk is full, the lock still holds; only its owner's name is lost.
    drop(write);
    Ok(Ok(Lock { _file: file }))
}

/// Without a lock two flashes would write over each other: there is no going on.
fn refused(layout: &Layout, error: Errno) -> Error {
    match error {
        Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS | Errno::INVAL => board(
            layout.root().display(),
            format!(
                "lies on a file system that has no locks ({}), so two flashes could not keep out of each other's way; \
                 choose a folder on a disk of the board's own with --folder, or mount this one with locks (NFS: with \
                 lockd, or local_lock=flock)",
                std::io::Error::from(error)
            ),
        ),
        error => Error::io("lock", &layout.lock())(error.into()),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_has_it_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::open(folder.path()).unwrap();
        let first = take(&layout, "ada@desk\n").unwrap().unwrap();
        let owner = take(&layout, "bob").unwrap().unwrap_err();
        assert_eq!((owner.owner.as_str(), owner.process), ("ada@desk ", std::process::id()));
        drop(first);
        take(&layout, &"bob".repeat(1000)).unwrap().unwrap();
        assert!(std::fs::metadata(layout.lock()).unwrap().len() < 300);
    }

    #[test]
    fn a_link_in_the_place_of_the_lock_is_not_followed_and_nobody_else_can_hold_it() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::open(folder.path()).unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, layout.lock()).unwrap();
        let error = take(&layout, "ada").unwrap_err().to_string();
        assert!(error.contains("lock: is a link"), "{error}");
        assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
        std::fs::remove_file(layout.lock()).unwrap();
        let _lock = take(&layout, "ada").unwrap().unwrap();
        assert_eq!(std::fs::metadata(layout.lock()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_system_without_locks_is_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::open(folder.path()).unwrap();
        for error in [Errno::NOLCK, Errno::NOTSUP, Errno::NOSYS] {
            let text = refused(&layout, error).to_string();
            assert!(text.contains("has no locks") && text.contains("--folder"), "{text}");
        }
        assert!(!refused(&layout, Errno::IO).to_string().contains("has no locks"));
    }
}
