//! One flash at a time: flock(2) on a file, which the kernel releases with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::LockOwner;
use mfactor::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::board::layout::Layout;

/// The lock, as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock for `owner`, or tells who has it. The file holds owner, process and start, a line each: that is
/// also what the host's shell commands write before an agent runs.
pub fn take(layout: &Layout, owner: &str) -> Result<Result<Lock, LockOwner>> {
    let path = layout.lock();
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // Unreadable or half-written, it is still locked.
            let _ = file.take(1024).read_to_string(&mut text);
            return Ok(Err(LockOwner::parse(&text, now())));
        }
        Err(error) => return Err(Error::io("lock", &path)(error.into())),
    }
    let owner = owner.replace(char::is_control, " ");
    let text = format!("{owner}\n{}\n{}\n", std::process::id(), now());
    let write = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    // Where the disk is full, the lock still holds; only its owner's name is lost.
    drop(write);
    Ok(Ok(Lock { _file: file }))
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
        take(&layout, "bob").unwrap().unwrap();
    }
}
