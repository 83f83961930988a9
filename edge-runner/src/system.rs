//! The one seam to what the operating system says of itself: `/proc`, `/sys` and commands such as `vcgencmd`.
//!
//! A recorded tree of a real board stands in for the live one in tests: files under their own paths, and what a
//! command printed in `commands/<program> <arguments>`.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mfactor::process::{self, Trouble};
use mfactor::{files, text};

/// `/proc/cpuinfo` of a machine with hundreds of cores has less.
const LARGEST_FILE: u64 = 4 << 20;
/// `vcgencmd` answers in some 10 ms; one that waits for a firmware that is gone never does.
const LONGEST_COMMAND: Duration = Duration::from_secs(2);
const LONGEST_ANSWER: usize = 64 << 10;
/// Longest name that a machine may have in a record.
pub(crate) const LONGEST_NAME: usize = 200;

/// Files and commands of one machine.
#[derive(Debug, Clone)]
pub struct SystemTree {
    root: PathBuf,
    is_live: bool,
    /// Programs that did not answer: they are not asked again.
    silent: Arc<Mutex<BTreeSet<String>>>,
}

impl SystemTree {
    /// The machine that this program runs on.
    pub fn live() -> Self {
        Self { root: PathBuf::from("/"), is_live: true, silent: Arc::default() }
    }

    /// A recorded machine.
    pub fn recorded(root: &Path) -> Self {
        Self { root: root.to_owned(), is_live: false, silent: Arc::default() }
    }

    /// A file's text without surrounding white space and NULs (device-tree strings end in one); `None` if it
    /// cannot be read, is no regular file, or has no end. `path` is absolute on the machine.
    pub fn read(&self, path: &str) -> Option<String> {
        let bytes = files::read_at_most(&self.root.join(path.trim_start_matches('/')), LARGEST_FILE).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }

    /// The same for a name that goes into records: short, and fit to be shown.
    pub fn read_name(&self, path: &str) -> Option<String> {
        self.read(path).map(|name| text::quoted(&name, LONGEST_NAME))
    }

    /// Writes to a file that is there; whether that was allowed.
    pub fn write(&self, path: &str, text: &str) -> bool {
        let mut options = OpenOptions::new();
        // A pipe that nobody reads is not waited for.
        options.write(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open(self.root.join(path.trim_start_matches('/')));
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

    /// Files that match a pattern such as `/sys/class/thermal/thermal_zone*/temp`, sorted: one `*` in a name stands for
    /// anything.
    pub fn matching(&self, pattern: &str) -> Vec<String> {
        let names = pattern.split('/').filter(|name| !name.is_empty() && *name != "..");
        names.fold(vec![String::new()], |folders, name| match name.split_once('*') {
            None => folders.into_iter().map(|folder| format!("{folder}/{name}")).collect(),
            Some((prefix, suffix)) => {
                let entries = folders.iter().flat_map(|folder| self.list(folder, prefix));
                entries.filter(|path| path.ends_with(suffix)).collect()
            }
        })
    }

    /// What a command prints; `None` if it is not there, fails, or does not answer soon. One that did not is not asked
    /// again.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Option<String> {
        if !self.is_live {
            return self.read(&format!("commands/{program} {}", arguments.join(" ")));
        }
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if silent.contains(program) {
            return None;
        }
        match process::run(Command::new(program).args(arguments), LONGEST_COMMAND, LONGEST_ANSWER) {
            Ok(ended) if ended.status.success() => {
                Some(String::from_utf8_lossy(&ended.stdout).trim().to_owned())
            }
            Err(Trouble::Late(_) | Trouble::Endless(_)) => {
                silent.insert(program.to_owned());
                None
            }
            _ => None,
        }
    }
}
