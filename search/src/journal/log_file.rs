//! A file of lines that only grows, and that others append to as well: whole lines or nothing, and never over
//! what somebody else wrote.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use mfactor::{Error, Result, files};

/// How much of what was read last is looked at again: if it is another, the file is not the one that was read.
const MEMORY: usize = 256;

/// An open log, and how far it was read.
pub(super) struct LogFile {
    file: File,
    path: PathBuf,
    end: u64,
    /// The last bytes before `end`.
    tail: Vec<u8>,
}

/// What a log ends in after its last whole line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// A line that lacks nothing but its end.
    Whole,
    /// A piece of one line of ours: what a crash in the middle of a write leaves.
    Piece,
    /// Anything else.
    Foreign,
}

impl LogFile {
    /// Opens a log for appending and makes it if there is none. Nothing is read yet.
    pub fn open(path: &Path) -> Result<Self> {
        let open = OpenOptions::new().read(true).append(true).create(true).open(path);
        Ok(Self { file: open.map_err(Error::io("open", path))?, path: path.to_owned(), end: 0, tail: vec![] })
    }

    /// Mends what stands after the last whole line, which `judge` names: a whole line gets its end, a piece of ours is
    /// cut off, and anything else is moved into a file beside the log, which is returned. The caller holds all locks.
    pub fn mend(&mut self, judge: impl FnOnce(&[u8]) -> Rest) -> Result<Option<PathBuf>> {
        let bytes = files::read(&self.path)?;
        let whole = whole_lines(&bytes).len();
        let rest = &bytes[whole..];
        if rest.is_empty() {
            return Ok(None);
        }
        let mend = Error::io("mend", &self.path);
        let cut = |file: &File| file.set_len(whole as u64).and_then(|()| file.sync_all());
        match judge(rest) {
            Rest::Whole => {
                (&self.file).write_all(b"\n").and_then(|()| self.file.sync_all()).map_err(mend)?;
                Ok(None)
            }
            Rest::Piece => cut(&self.file).map(|()| None).map_err(mend),
            Rest::Foreign => {
                let aside = self.aside();
                files::write(&aside, rest)?;
                cut(&self.file).map(|()| Some(aside)).map_err(mend)
            }
        }
    }

    /// A name beside the log that is free.
    fn aside(&self) -> PathBuf {
        let named = |number: u32| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(if number == 1 { ".broken".to_owned() } else { format!(".broken.{number}") });
            PathBuf::from(name)
        };
        (1..).map(named).find(|path| !path.exists()).expect("some name is free")
    }

    /// The whole lines that were appended since the last call, by whomever. The caller holds Optuna's lock, so nobody
    /// is in the middle of one.
    ///
    /// # Errors
    /// If this is no longer the file that was read before.
    pub fn news(&mut self) -> Result<Vec<u8>> {
        let refuse = |problem: &str| Err(Error::file(&self.path, problem));
        let read = |error| Error::io("read", &self.path)(error);
        let data = self.file.metadata().map_err(read)?;
        let is_same =
            std::fs::metadata(&self.path).is_ok_and(|at| (at.dev(), at.ino()) == (data.dev(), data.ino()));
        if !is_same {
            return refuse("another program has moved or replaced it; put it back, then go on with --resume");
        }
        let begin = self.end - self.tail.len() as u64;
        if data.len() > files::LARGEST_FILE {
            return refuse("is larger than any journal; another program writes to it without end");
        }
        let mut bytes = vec![0; data.len().saturating_sub(begin) as usize];
        self.file.read_exact_at(&mut bytes, begin).map_err(read)?;
        if !bytes.starts_with(&self.tail) {
            return refuse(
                "another program has changed what was written; put it back as it was, then go on with --resume",
            );
        }
        let news = bytes.split_off(self.tail.len());
        if whole_lines(&news).len() < news.len() {
            return refuse(
                "another program has left half a line at its end; end it, then go on with --resume",
            );
        }
        self.advance(&news);
        Ok(news)
    }

    /// Appends whole lines and waits until they are on the disk. If that fails (a full disk), the file ends where it
    /// ended before. The caller holds Optuna's lock and has read all news.
    pub fn append(&mut self, lines: &str) -> Result<()> {
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            // Should this fail too, the torn line is mended when the log is opened again.
            let _ = self.file.set_len(self.end).and_then(|()| self.file.sync_data());
            Error::io("append to", &self.path)(error)
        })?;
        self.advance(lines.as_bytes());
        Ok(())
    }

    fn advance(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(MEMORY)..]);
        self.tail.drain(..self.tail.len().saturating_sub(MEMORY));
    }
}

/// Everything up to the last newline.
pub(super) fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> (tempfile::TempDir, PathBuf, LogFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, text).unwrap();
        let log = LogFile::open(&path).unwrap();
        (folder, path, log)
    }

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn what_stands_after_the_last_line_is_ended_cut_off_or_kept_aside() {
        for (rest, mended, aside) in [
            (Rest::Whole, "one\ntwo\n", None),
            (Rest::Piece, "one\n", None),
            (Rest::Foreign, "one\n", Some("two")),
        ] {
            let (_folder, path, mut log) = log("one\ntwo");
            let kept = log.mend(|bytes| {
                assert_eq!(bytes, b"two");
                rest
            });
            assert_eq!(kept.unwrap().map(|path| text(&path)).as_deref(), aside);
            assert_eq!(text(&path), mended);
            assert_eq!(log.news().unwrap(), mended.as_bytes());
        }
        let (folder, _, mut log) = log("\0\0\0");
        std::fs::write(folder.path().join("log.broken"), "older").unwrap();
        let kept = log.mend(|_| Rest::Foreign).unwrap().unwrap();
        assert_eq!(
            (kept.file_name().unwrap().to_str(), text(&kept).as_str()),
            (Some("log.broken.2"), "\0\0\0")
        );
    }

    #[test]
    fn what_others_append_is_read_once_and_never_written_over() {
        let (_folder, path, mut log) = log("one\n");
        assert_eq!(log.news().unwrap(), b"one\n");
        log.append("two\n").unwrap();
        std::fs::write(&path, text(&path) + &"three\n".repeat(100)).unwrap();
        assert_eq!(log.news().unwrap(), "three\n".repeat(100).as_bytes());
        assert_eq!(log.news().unwrap(), b"");
        log.append("four\n").unwrap();
        assert!(text(&path).starts_with("one\ntwo\nthree\n") && text(&path).ends_with("three\nfour\n"));
    }

    #[test]
    fn a_log_that_is_no_longer_the_same_is_refused() {
        let (folder, path, mut log) = log("one\ntwo\n");
        log.news().unwrap();
        for (text, problem) in
            [("one\n", "changed"), ("one\ntwx\nthree\n", "changed"), ("one\ntwo\nthr", "half a line")]
        {
            std::fs::write(&path, text).unwrap();
            let error = log.news().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
        std::fs::write(folder.path().join("other"), "one\ntwo\n").unwrap();
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        assert!(log.news().unwrap_err().to_string().contains("replaced"));
    }
}
