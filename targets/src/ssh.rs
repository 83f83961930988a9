//! The system's ssh: the user's keys, agent, aliases and known hosts apply, and its messages are passed on.
//!
//! One master connection a board; every command is a session of it. The `ssh` program is started directly: the
//! `openssh` crate does the same with ten more crates and an async runtime, and would hide the pipes that an upload
//! needs.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use mfactor::{Error, Result};
use tempfile::TempDir;

use crate::host::Host;

/// The line by which the master says that it is connected; whatever a login prints before it is passed over.
const CONNECTED: &str = "mfactor-connected";
/// Exit code of ssh itself, when not the command failed but the connection.
const CONNECTION_FAILED: i32 = 255;

/// How to connect.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// A configuration file in place of the user's own.
    config: Option<PathBuf>,
    /// Never ask on the terminal: for several boards at once.
    batch: bool,
    sockets: Arc<Sockets>,
}

impl SshOptions {
    /// With `config` in place of the user's own configuration, and never asking on the terminal if `batch`, which is
    /// for several boards at once.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no place for sockets.
    pub fn new(config: Option<PathBuf>, batch: bool) -> Result<Self> {
        Ok(Self { config, batch, sockets: Arc::new(Sockets::new()?) })
    }

    /// The folder that is left behind if this program is ended while it holds connections.
    pub fn sockets(&self) -> &Path {
        self.sockets.folder.path()
    }
}

/// Where ssh's master connections listen.
#[derive(Debug)]
struct Sockets {
    folder: TempDir,
    used: AtomicU32,
}

impl Sockets {
    /// A socket's path has about 100 bytes; the user's own folder for temporary files may be longer.
    fn new() -> Result<Self> {
        let usual = std::env::temp_dir();
        let place = if usual.as_os_str().len() < 60 { usual } else { PathBuf::from("/tmp") };
        let folder = tempfile::Builder::new().prefix("mfactor-").tempdir_in(&place);
        let folder = folder.map_err(Error::io("create a folder in", &place))?;
        Ok(Self { folder, used: AtomicU32::new(0) })
    }

    fn next(&self) -> PathBuf {
        self.folder.path().join(self.used.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

/// A connection to one board, closed when it is dropped.
#[derive(Debug)]
pub struct Connection {
    host: Host,
    options: SshOptions,
    socket: PathBuf,
    master: Child,
    complaints: Complaints,
    /// While this is open the master's remote command runs; it ends with this process, however that ends.
    _leash: ChildStdin,
}

impl Connection {
    /// Connects. ssh asks on the terminal what it has to ask.
    ///
    /// # Errors
    /// [`Error::Missing`] without ssh; [`Error::Board`] with ssh's own last words.
    pub fn open(host: &Host, options: &SshOptions) -> Result<Self> {
        let socket = options.sockets.next();
        let mut command = ssh(options, &socket);
        command.args(["-M", "-o", "ControlPersist=no", "-o", "ConnectTimeout=15"]);
        // A board that vanished is noticed after 20 s.
        command.args(["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4"]);
        command.args(["--", host.as_str(), &format!("echo {CONNECTED}; exec cat >/dev/null")]);
        let mut master = spawn(&mut command)?;
        let (Some(leash), Some(stdout), Some(stderr)) =
            (master.stdin.take(), master.stdout.take(), master.stderr.take())
        else {
            return Err(Error::Defect("ssh has no pipes".to_owned()));
        };
        let mut complaints = Complaints::collect(stderr);
        let lines = BufReader::new(stdout).split(b'\n').map_while(std::result::Result::ok);
        if !lines.into_iter().any(|line| line.trim_ascii_end() == CONNECTED.as_bytes()) {
            drop(leash);
            let _ = master.wait();
            return Err(failed(host, complaints.last_words()));
        }
        let (host, options) = (host.clone(), options.clone());
        Ok(Self { host, options, socket, master, complaints, _leash: leash })
    }

    /// The board.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// A command that runs `script` on the board in a POSIX shell with `arguments` as `$1`, `$2`, …; all pipes are
    /// asked for.
    pub fn command(&self, script: &str, arguments: &[&str]) -> Command {
        let mut line = format!("exec sh -c {} sh", quote(script));
        for argument in arguments {
            line.push(' ');
            line.push_str(&quote(argument));
        }
        let mut command = ssh(&self.options, &self.socket);
        command.args(["-o", "ControlMaster=no", "-o", "BatchMode=yes", "--", self.host.as_str()]).arg(line);
        command
    }

    /// Runs a script to its end and returns what it printed.
    ///
    /// # Errors
    /// [`Error::Board`] if it fails; the problem is what it said.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let mut child = spawn(&mut self.command(script, arguments))?;
        drop(child.stdin.take());
        let outcome = self.finish(child)?;
        match outcome.code {
            Some(0) => Ok(outcome.stdout),
            _ => Err(self.error(outcome.complaint)),
        }
    }

    /// Waits for a command of [`Connection::command`] that was started with [`spawn`].
    pub(crate) fn finish(&self, mut child: Child) -> Result<Outcome> {
        let complaints = child.stderr.take().map(Complaints::collect);
        let mut stdout = vec![];
        if let Some(mut pipe) = child.stdout.take() {
            pipe.read_to_end(&mut stdout).map_err(Error::io("read from", Path::new("ssh")))?;
        }
        let status = child.wait().map_err(Error::io("wait for", Path::new("ssh")))?;
        let complaint = complaints.map(|mut complaints| complaints.last_words()).unwrap_or_default();
        if status.code() == Some(CONNECTION_FAILED) {
            return Err(self.error(self.lost(complaint)));
        }
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        Ok(Outcome { code: status.code(), stdout, complaint })
    }

    /// What is known of a connection that broke.
    pub(crate) fn lost(&self, complaint: String) -> String {
        match (complaint.is_empty(), self.complaints.so_far()) {
            (false, _) => complaint,
            (true, said) if !said.is_empty() => said,
            (true, _) => "the connection was lost".to_owned(),
        }
    }

    /// An error of this board.
    pub(crate) fn error(&self, problem: impl Into<String>) -> Error {
        failed(&self.host, problem.into())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// The last line it wrote to stderr.
    pub(crate) complaint: String,
}

fn failed(host: &Host, problem: String) -> Error {
    let problem = if problem.is_empty() { "ssh ended without a word".to_owned() } else { problem };
    Error::Board { subject: host.to_string(), problem }
}

fn ssh(options: &SshOptions, socket: &Path) -> Command {
    let mut command = Command::new("ssh");
    if let Some(config) = &options.config {
        command.arg("-F").arg(config);
    }
    if options.batch {
        command.args(["-o", "BatchMode=yes"]);
    }
    command.arg("-T").arg("-S").arg(socket);
    command.args(["-o", "RemoteCommand=none", "-o", "RequestTTY=no", "-o", "ClearAllForwardings=yes"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a command of ours; only ssh itself can be missing.
pub(crate) fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::missing("ssh is not on PATH", "sudo apt-get install openssh-client")
        }
        _ => Error::io("start", Path::new("ssh"))(error),
    })
}

/// A text as one word for every POSIX shell: in single quotes, where nothing has a meaning but a single quote.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a program says on stderr, read as it comes so that it never has to wait.
#[derive(Debug)]
pub(crate) struct Complaints {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Complaints {
    pub(crate) fn collect(stderr: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(vec![]));
        let collected = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(std::result::Result::ok) {
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if let (false, Ok(mut lines)) = (line.is_empty(), collected.lock()) {
                    lines.push(line);
                }
            }
        });
        Self { lines, reader: Some(reader) }
    }

    /// All that was said until the program closed its stderr, the last few lines of it.
    pub(crate) fn last_words(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.so_far()
    }

    fn so_far(&self) -> String {
        let Ok(lines) = self.lines.lock() else { return String::new() };
        // ssh's warning of a changed host key has more lines, and all of them matter.
        lines[lines.len().saturating_sub(16)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_one_word_to_a_shell() {
        for text in ["", "a b", "it's", "$(reboot)", "`id`", "a\nb", "\\", "'; rm -rf ~; '", "*"] {
            let output =
                Command::new("sh").arg("-c").arg(format!("printf %s {}", quote(text))).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
