//! A file of lines that only grows: whole lines or nothing.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use mfactor::{Error, Result, files};

/// An open log, mended.
pub(super) struct LogFile {
    file: File,
    path: PathBuf,
}

impl LogFile {
    /// Opens the log for appending, makes it if there is none, and cuts off a torn last line, which is what
    /// a crash in the middle of a write leaves.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(Error::io("open", path))?;
        let bytes = files::read(path)?;
        let whole = whole_lines(&bytes).len() as u64;
        if whole < bytes.len() as u64 {
            file.set_len(whole).and_then(|()| file.sync_all()).map_err(Error::io("mend", path))?;
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends whole lines and waits until they are on the disk. If that fails (a full disk), the file ends
    /// where it ended before.
    pub fn append(&mut self, lines: &str) -> Result<()> {
        let before = self.file.metadata().map_err(Error::io("append to", &self.path))?.len();
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            // Should this fail too, the torn line is mended when the log is opened again.
            let _ = self.file.set_len(before).and_then(|()| self.file.sync_data());
            Error::io("append to", &self.path)(error)
        })
    }
}

/// The lines of a log with their numbers from 1, without a torn last one; for readers beside the writer.
pub(super) fn read_lines(path: &Path) -> Result<Vec<(usize, String)>> {
    let bytes = files::read(path)?;
    let lines = whole_lines(&bytes).split_inclusive(|byte| *byte == b'\n').zip(1..);
    let text = |(line, number): (&[u8], usize)| match std::str::from_utf8(line) {
        Ok(text) => Ok((number, text.trim_end().to_owned())),
        Err(_) => Err(Error::input(format!("{}:{number}", path.display()), "the line is not UTF-8 text")),
    };
    lines.map(text).collect()
}

/// Everything up to the last newline.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_not_read_and_is_cut_off_on_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(read_lines(&path).unwrap(), [(1, "one".to_owned()), (2, "two".to_owned())]);
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthr", "a reader changes nothing");
        LogFile::open(&path).unwrap().append("three\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_log_that_was_torn_in_its_first_line_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "\0\0\0").unwrap();
        LogFile::open(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn bytes_that_are_not_text_are_named_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, b"one\n\xff\xfe\nthree\n").unwrap();
        let text = read_lines(&path).unwrap_err().to_string();
        assert!(text.contains("log:2"), "{text}");
    }
}
