//! The system's ssh: the user's keys, agent, aliases and known hosts apply, and its messages are passed on.
//!
//! One master connection a board; every command is a session of it. The `ssh` program is started directly: the
//! `openssh` crate does the same with ten more crates and an async runtime, and would hide the pipes that an upload
//! needs.
//!
//! | module | holds |
//! |---|---|
//! | `script` | a script as a line for every login shell, and the mark around what it prints |
//! | `session` | one command's pipes, read within limits |
//! | `sockets` | where the master connections listen |

pub(crate) mod script;
pub(crate) mod session;
mod sockets;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mfactor::{Error, Result, files, text};

use crate::host::Host;
use script::Line;
use session::{Broken, Session};
use sockets::Sockets;

/// Exit code of ssh itself, when not the command failed but the connection.
const CONNECTION_FAILED: i32 = 255;
/// How long a login may take where nobody can be asked anything.
const LOGIN: Duration = Duration::from_secs(45);
/// The same where somebody may be typing: OpenSSH's server gives up after 120 s.
const TYPED_LOGIN: Duration = Duration::from_secs(150);
/// How long a login shell takes at most before it runs a command.
const SHELL: Duration = Duration::from_secs(45);

/// Most bytes of a configuration.
const LARGEST_CONFIG: u64 = 1 << 20;

/// Who did not do what, for [`unheard`].
const LOGGING_IN: (&str, &str) = ("its login", "ran what was asked");
const AT_WORK: (&str, &str) = ("a command there", "was done");

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
    /// [`Error::Input`] if `config` is no file that can be read: ssh would wait for a FIFO, and read a device for ever.
    /// [`Error::Io`] if there is no place for sockets.
    pub fn new(config: Option<PathBuf>, batch: bool) -> Result<Self> {
        if let Some(path) = &config {
            files::read_at_most(path, LARGEST_CONFIG)?;
        }
        Ok(Self { config, batch, sockets: Arc::new(Sockets::new()?) })
    }

    /// The folder that has to be removed if this program ends itself while it holds connections.
    pub fn sockets(&self) -> &Path {
        self.sockets.folder()
    }

    /// How long a login may take.
    fn patience(&self) -> Duration {
        let is_asked = !self.batch && std::fs::File::open("/dev/tty").is_ok();
        if is_asked { TYPED_LOGIN } else { LOGIN }
    }
}

/// What a command may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Time.
    pub(crate) longest: Duration,
    /// Bytes of its answer.
    pub(crate) most: usize,
}

impl Limits {
    /// For a question that is answered at once, in a few lines.
    pub(crate) const SMALL: Self = Self { longest: Duration::from_secs(45), most: 1 << 20 };
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    /// The last lines it wrote to stderr; not waited for where it succeeded.
    pub(crate) complaint: String,
}

/// A connection to one board, closed when it is dropped.
pub struct Connection {
    host: Host,
    options: SshOptions,
    socket: PathBuf,
    /// While its input is open the master's remote command runs; it ends with this process, however that ends.
    master: Session,
}

impl Connection {
    /// Connects. ssh asks on the terminal what it has to ask.
    ///
    /// # Errors
    /// [`Error::Missing`] without ssh; [`Error::Board`] with ssh's own last words.
    pub fn open(host: &Host, options: &SshOptions) -> Result<Self> {
        let socket = options.sockets.next();
        let line = Line::open("exec cat >/dev/null", &[]);
        let mut command = ssh(options, &socket);
        command.args(["-M", "-o", "ControlPersist=no", "-o", "ConnectTimeout=15"]);
        // A board that vanished is noticed after 20 s.
        command.args(["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4"]);
        command.args(["--", host.as_str(), &line.text]);
        let mut master = Session::start(&mut command)?;
        match master.await_mark(&line.mark, options.patience()) {
            Ok(()) => Ok(Self { host: host.clone(), options: options.clone(), socket, master }),
            Err(broken) => Err(failed(host, unheard(&mut master, &broken, LOGGING_IN))),
        }
    }

    /// The board.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Runs a script to its end, with `arguments` as `$1`, `$2`, …
    ///
    /// # Errors
    /// [`Error::Board`] if it fails; the problem is what it said.
    pub(crate) fn run(&self, script: &str, arguments: &[&str], limits: Limits) -> Result<String> {
        let outcome = self.converse(script, arguments, limits, &mut |_| Ok(()))?;
        match (outcome.code, outcome.complaint) {
            (0, _) => Ok(outcome.stdout),
            (code, complaint) if complaint.is_empty() => {
                Err(self.error(format!("a command ended with {code} there and does not say why")))
            }
            (_, complaint) => Err(self.error(complaint)),
        }
    }

    /// Runs a script to its end while `feed` writes to its input.
    ///
    /// # Errors
    /// [`Error::Board`] if it cannot be run; how it ended is the outcome.
    pub(crate) fn converse(
        &self,
        script: &str,
        arguments: &[&str],
        limits: Limits,
        feed: &mut dyn FnMut(&mut Session) -> Result<(), Broken>,
    ) -> Result<Outcome> {
        let line = Line::framed(script, arguments);
        let mut session = self.start(&line)?;
        // Where it ended before it was fed, how it ended says more.
        let fed = feed(&mut session);
        session.close();
        let read = session.read_frame(&line.mark, limits.most, limits.longest);
        match (read, fed) {
            (Ok((_, 0)), Err(broken)) => Err(self.error(format!("a command there {broken}"))),
            (Ok((stdout, code)), _) => {
                let complaint = if code == 0 { String::new() } else { session.last_words() };
                Ok(Outcome { code, stdout: String::from_utf8_lossy(&stdout).into_owned(), complaint })
            }
            (Err(Broken::Ended), Err(broken @ Broken::Late(_))) => {
                Err(self.error(format!("a command there {broken}")))
            }
            (Err(broken), _) => Err(self.error(unheard(&mut session, &broken, AT_WORK))),
        }
    }

    /// Starts a line, and passes over what the login prints before it.
    ///
    /// # Errors
    /// [`Error::Board`] if the login does not run it.
    pub(crate) fn start(&self, line: &Line) -> Result<Session> {
        let mut command = ssh(&self.options, &self.socket);
        command.args(["-o", "ControlMaster=no", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15"]);
        command.args(["--", self.host.as_str(), &line.text]);
        let mut session = Session::start(&mut command)?;
        match session.await_mark(&line.mark, SHELL) {
            Ok(()) => Ok(session),
            Err(broken) => Err(self.error(unheard(&mut session, &broken, LOGGING_IN))),
        }
    }

    /// An error of this board.
    pub(crate) fn error(&self, problem: impl Into<String>) -> Error {
        failed(&self.host, problem.into())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The master ends with its input, and takes its socket with it.
        self.master.hang_up(Duration::from_secs(2));
    }
}

/// What is known of a command that was not heard to its end.
fn unheard(session: &mut Session, broken: &Broken, (who, did): (&str, &str)) -> String {
    if !matches!(broken, Broken::Ended) {
        return format!("{who} {broken}{}", overheard(session));
    }
    let complaint = session.last_words();
    match session.code() {
        Some(CONNECTION_FAILED) if complaint.is_empty() => "the connection was lost".to_owned(),
        Some(CONNECTION_FAILED) => complaint,
        code => {
            let code = code.map_or(String::new(), |code| format!(" with {code}"));
            let complaint = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
            format!("{who} ended{code} before it {did}{complaint}{}", overheard(session))
        }
    }
}

/// What the login printed, if that may explain something.
fn overheard(session: &Session) -> String {
    match session.overheard() {
        "" => String::new(),
        said => format!("; it printed: {}", text::quoted(said, 200)),
    }
}

pub(crate) fn failed(host: &Host, problem: String) -> Error {
    let problem = if problem.is_empty() { "ssh ended without a word".to_owned() } else { problem };
    Error::Board { subject: text::visible(host.as_str()).into_owned(), problem }
}

/// An ssh of ours. Nothing of this machine is lent to a board, whatever the user's configuration says: neither agent nor
/// display nor ports nor credentials. Options that older versions of ssh do not know are not used: they end it.
fn ssh(options: &SshOptions, socket: &Path) -> Command {
    let mut command = Command::new("ssh");
    if let Some(config) = &options.config {
        command.arg("-F").arg(config);
    }
    if options.batch {
        command.args(["-o", "BatchMode=yes"]);
    }
    command.args(["-T", "-a", "-x", "-k", "-e", "none", "-S"]).arg(socket);
    for option in [
        "ForwardAgent=no",
        "ForwardX11=no",
        "ForwardX11Trusted=no",
        "ClearAllForwardings=yes",
        "Tunnel=no",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        "RequestTTY=no",
    ] {
        command.args(["-o", option]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("host", &self.host).finish_non_exhaustive()
    }
}
