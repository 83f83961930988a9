//! The one seam to what the operating system says of itself: `/proc`, `/sys` and commands such as `vcgencmd`.
//!
//! A recorded tree of a real board stands in for the live one in tests: files under their own paths, and what a
//! command printed in `commands/<program> <arguments>`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files and commands of one machine.
#[derive(Debug, Clone)]
pub struct SystemTree {
    root: PathBuf,
    is_live: bool,
}

impl SystemTree {
    /// The machine that this program runs on.
    pub fn live() -> Self {
        Self { root: PathBuf::from("/"), is_live: true }
    }

    /// A recorded machine.
    pub fn recorded(root: &Path) -> Self {
        Self { root: root.to_owned(), is_live: false }
    }

    /// A file's text without surrounding white space and NULs (device-tree strings end in one); `None` if it
    /// cannot be read. `path` is absolute on the machine.
    pub fn read(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.root.join(path.trim_start_matches('/'))).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }

    /// Writes to a file that is there; whether that was allowed.
    pub fn write(&self, path: &str, text: &str) -> bool {
        let file = std::fs::OpenOptions::new().write(true).open(self.root.join(path.trim_start_matches('/')));
        file.is_ok_and(|mut file| file.write_all(text.as_bytes()).is_ok())
    }

    /// A file that holds one number.
    pub fn read_number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.read(path)?.parse().ok()
    }

    /// Paths of the entries of a folder that begin with `prefix`, sorted.
    pub fn list(&self, folder: &str, prefix: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.root.join(folder.trim_start_matches('/'))) else {
            return vec![];
        };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut paths: Vec<String> =
            names.filter(|name| name.starts_with(prefix)).map(|name| format!("{folder}/{name}")).collect();
        paths.sort_unstable();
        paths
    }

    /// What a command prints; `None` if it is not there or fails.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Option<String> {
        if !self.is_live {
            return self.read(&format!("commands/{program} {}", arguments.join(" ")));
        }
        let output = Command::new(program).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
