//! Where ssh's master connections listen: a folder for this run, which is gone when the run is, however it ended.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use mfactor::{Error, Result};
use tempfile::TempDir;

/// Removes the folder `$1` when its input ends: with the program that holds the other end.
const JANITOR: &str = r#"cat >/dev/null; sleep 1; rm -rf -- "$1""#;
/// A socket's path has about 100 bytes, and ssh needs some of them.
const LONGEST_PLACE: usize = 60;

/// The folder of this run.
#[derive(Debug)]
pub(super) struct Sockets {
    folder: TempDir,
    used: AtomicU32,
    janitor: Option<(Child, ChildStdin)>,
}

impl Sockets {
    pub(super) fn new() -> Result<Self> {
        let usual = std::env::temp_dir();
        let is_short = usual.as_os_str().len() < LONGEST_PLACE;
        let place = if is_short { usual } else { PathBuf::from("/tmp") };
        let folder = tempfile::Builder::new().prefix("mfactor-").tempdir_in(&place);
        let folder = folder.map_err(Error::io("create a folder in", &place))?;
        // Without a janitor only a run that is killed leaves its folder behind.
        let janitor = janitor(folder.path()).ok();
        Ok(Self { folder, used: AtomicU32::new(0), janitor })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn next(&self) -> PathBuf {
        self.folder.path().join(self.used.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if let Some((mut janitor, input)) = self.janitor.take() {
            // It would wait a second for masters that end; here they have.
            let _ = janitor.kill();
            let _ = janitor.wait();
            drop(input);
        }
    }
}

/// In a process group of its own, which no key on the terminal reaches.
fn janitor(folder: &Path) -> io::Result<(Child, ChildStdin)> {
    let mut command = Command::new("sh");
    command.args(["-c", JANITOR, "sh"]).arg(folder).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, input))
}
