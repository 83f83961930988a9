//! The host's end of the dialogue with the agent on a board.
//!
//! A board may be hostile: whatever it says is read within limits of bytes, lines and time, ends at worst this one flash,
//! and is [`Error::Board`] with the host's name.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use mfactor::{Error, Result, lines, text};
use release::{AGENT_COMMAND, LockOwner, Reply, Request, dialogue};

use crate::flash::bootstrap::Runner;
use crate::host::{Folder, Host};
use crate::ssh::Connection;
use crate::ssh::failed;
use crate::ssh::script::Line;
use crate::ssh::session::{Broken, MOST_CHATTER, Session, Wire};

/// Starts the agent in place of the shell: what is run is what was hashed, whatever has its name by then. `$1` is the
/// runner, `$2` its SHA-256, `$3` the command, `$4` our folder, `$5` who we are.
const SCRIPT: &str = concat!(include_str!("tools.sh"), include_str!("start.sh"));
/// Bytes between two reports of progress.
const PIECE: usize = 64 << 10;
/// Longest answer but for a measurement: what a board holds, in some thousand releases.
const LONGEST_ANSWER: usize = 4 << 20;
/// Longest measurement: one of a million samples has a third of it.
const LONGEST_MEASUREMENT: usize = 32 << 20;
/// More is no quotation any more.
const LONGEST_QUOTE: usize = 400;
/// Slowest card that is waited for, in bytes a second, and slowest network that ssh works over.
const SLOWEST_DISK: u64 = 2_000_000;
pub(crate) const SLOWEST_NETWORK: u64 = 10_000;
/// What is waited for in any case.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// What an agent may finish after the host has hung up; it holds the lock meanwhile.
const FAREWELL: Duration = Duration::from_secs(10);

/// How long a board may take to read, copy or write so many bytes.
pub(crate) fn work(bytes: u64) -> Duration {
    PATIENCE + Duration::from_secs(bytes / SLOWEST_DISK)
}

/// How long so many bytes may take over the network.
pub(crate) fn way(bytes: u64) -> Duration {
    PATIENCE + Duration::from_secs(bytes / SLOWEST_NETWORK)
}

/// A running agent. It ends when this is dropped, and the lock on the board with it.
pub(crate) struct Agent<W: Wire> {
    host: Host,
    wire: W,
    chatter: usize,
}

/// The versions of the dialogue that a flash takes: only our own.
pub(crate) const FOR_A_FLASH: RangeInclusive<u32> = dialogue::VERSION..=dialogue::VERSION;
/// The versions that can be asked for a status, rolled back and tidied.
pub(crate) const FOR_A_QUESTION: RangeInclusive<u32> = dialogue::OLDEST_VERSION..=dialogue::VERSION;

impl Agent<Hung> {
    /// Starts a runner on the board as an agent. Also returns what it had to put right, in words, which may take
    /// `longest`.
    ///
    /// # Errors
    /// [`Error::Board`] if it does not start, speaks another version, or another flash has the lock.
    pub(crate) fn start(
        connection: &Connection,
        runner: &Runner,
        folder: &Folder,
        versions: RangeInclusive<u32>,
        longest: Duration,
    ) -> Result<(Self, Option<String>)> {
        let arguments = [&runner.path, &runner.sha256, AGENT_COMMAND, folder.as_str(), &owner()];
        let session = connection.start(&Line::open(SCRIPT, &arguments))?;
        Self { host: connection.host().clone(), wire: Hung(session), chatter: 0 }.greeted(versions, longest)
    }
}

impl<W: Wire> Agent<W> {
    /// Hears the agent's first words.
    pub(crate) fn greeted(
        mut self,
        versions: RangeInclusive<u32>,
        longest: Duration,
    ) -> Result<(Self, Option<String>)> {
        match self.hear(longest)? {
            Reply::Ready { version, recovered } if versions.contains(&version) => {
                Ok((self, recovered.map(|words| text::quoted(&words, LONGEST_QUOTE))))
            }
            Reply::Ready { version, .. } => Err(self.error(format!(
                "its runner speaks version {version} of the dialogue, and this mfactor {} to {}; flash it anew, with a \
                 runner of this version",
                versions.start(),
                versions.end()
            ))),
            Reply::Busy(owner) => Err(busy(&self.host, &owner)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// An agent at the other end of `wire`, for tests.
    #[cfg(test)]
    pub(crate) fn over(host: Host, wire: W) -> Self {
        Self { host, wire, chatter: 0 }
    }

    /// The other end, for tests.
    #[cfg(test)]
    pub(crate) fn wire(&self) -> &W {
        &self.wire
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// What the agent could not do, as [`Error::Board`]; and a connection that broke.
    pub(crate) fn ask(&mut self, request: &Request, longest: Duration) -> Result<Reply> {
        self.tell(request)?;
        self.hear(longest)
    }

    /// Asks with bytes after the question; `on_bytes` is told of every piece that left.
    pub(crate) fn send(
        &mut self,
        request: &Request,
        bytes: &[u8],
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<Reply> {
        self.tell(request)?;
        let end = Instant::now() + way(bytes.len() as u64);
        for piece in bytes.chunks(PIECE) {
            match self.wire.say(piece, end.saturating_duration_since(Instant::now())) {
                Ok(()) => on_bytes(piece.len() as u64),
                // It ended, and may have said why before.
                Err(Broken::Ended) => break,
                Err(broken) => return Err(self.lost(&broken)),
            }
        }
        self.hear(work(bytes.len() as u64))
    }

    /// Sends a question.
    pub(crate) fn tell(&mut self, request: &Request) -> Result<()> {
        let line = lines::json(request)?;
        match self.wire.say(&line, way(line.len() as u64)) {
            // Where the agent ended, its last answer says more than the broken pipe.
            Ok(()) | Err(Broken::Ended) => Ok(()),
            Err(broken) => Err(self.lost(&broken)),
        }
    }

    /// The next answer.
    pub(crate) fn hear(&mut self, longest: Duration) -> Result<Reply> {
        self.hear_at_most(LONGEST_ANSWER, longest)
    }

    /// The next answer, which may be a measurement.
    pub(crate) fn hear_measurement(&mut self, longest: Duration) -> Result<Reply> {
        self.hear_at_most(LONGEST_MEASUREMENT, longest)
    }

    fn hear_at_most(&mut self, most: usize, longest: Duration) -> Result<Reply> {
        // What is overheard does not lengthen the wait.
        let end = Instant::now() + longest;
        loop {
            let line = match self.wire.hear(most, end.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(Broken::Late(_)) => return Err(self.lost(&Broken::Late(longest))),
                Err(broken) => return Err(self.lost(&broken)),
            };
            match serde_json::from_slice(&line) {
                Ok(Reply::Failed { failure }) => {
                    let problem = Error::from(failure).to_string();
                    return Err(self.error(text::quoted(&problem, LONGEST_QUOTE)));
                }
                Ok(reply) => return Ok(reply),
                // What a login started may still be talking.
                Err(_) if !line.trim_ascii_start().starts_with(b"{") => self.overhear(line.len())?,
                Err(error) => {
                    let said = text::quoted(&String::from_utf8_lossy(&line), 100);
                    let error = text::quoted(&error.to_string(), LONGEST_QUOTE);
                    return Err(self.error(format!("its runner said {said}: {error}")));
                }
            }
        }
    }

    fn overhear(&mut self, bytes: usize) -> Result<()> {
        self.chatter += bytes + 1;
        match self.chatter {
            ..=MOST_CHATTER => Ok(()),
            _ => Err(self.lost(&Broken::Endless(MOST_CHATTER))),
        }
    }

    fn lost(&mut self, broken: &Broken) -> Error {
        let said = match broken {
            Broken::Ended => self.wire.last_words(),
            _ => String::new(),
        };
        match (broken, said) {
            (Broken::Ended, said) if said.is_empty() => self.error("the connection was lost"),
            (Broken::Ended, said) => {
                let said = said.strip_prefix("error: ").unwrap_or(&said);
                self.error(format!("the connection to its runner ended: {said}"))
            }
            (broken, _) => self.error(format!("its runner {broken}")),
        }
    }

    /// An error of this board.
    pub(crate) fn error(&self, problem: impl Into<String>) -> Error {
        failed(&self.host, problem.into())
    }

    /// An answer to another question.
    pub(crate) fn unexpected(&self, reply: &Reply) -> Error {
        let said = serde_json::to_value(reply).unwrap_or_default();
        let said = text::quoted(said["reply"].as_str().unwrap_or("nothing"), 100);
        self.error(format!("its runner answered \"{said}\", which does not fit the question"))
    }
}

/// A session that is told to end, and given time to, when it is dropped.
pub(crate) struct Hung(Session);

impl Wire for Hung {
    fn say(&mut self, bytes: &[u8], longest: Duration) -> std::result::Result<(), Broken> {
        self.0.say(bytes, longest)
    }

    fn hear(&mut self, most: usize, longest: Duration) -> std::result::Result<Vec<u8>, Broken> {
        self.0.hear(most, longest)
    }

    fn last_words(&mut self) -> String {
        Wire::last_words(&mut self.0)
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.0.hang_up(FAREWELL);
    }
}

/// Another one is at work.
pub(crate) fn busy(host: &Host, owner: &LockOwner) -> Error {
    let (name, seconds, process) = (text::quoted(&owner.owner, 100), owner.seconds, owner.process);
    failed(
        host,
        format!(
            "is being flashed by {name}, for {seconds} s (process {process} there); try again when that is done"
        ),
    )
}

/// Who flashes, for those who find the lock taken: `ada@desk`. Only letters that no shell touches.
pub(crate) fn owner() -> String {
    let user =
        std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "someone".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let [user, host] =
        [user.as_str(), host.trim()].map(|name| name.chars().take(60).map(plain).collect::<String>());
    format!("{user}@{host}")
}
