//! The host's end of the dialogue with the agent on a board.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use mfactor::{Error, Result};
use release::{AGENT_COMMAND, Reply, Request, dialogue};

use crate::host::Folder;
use crate::ssh::{Complaints, Connection, spawn};

/// Starts the agent in place of the shell; `$1` is the runner.
const SCRIPT: &str = r#"exec "$1" "$2" --folder "$3" --owner "$4""#;
/// Bytes between two reports of progress.
const PIECE: usize = 64 << 10;

/// A running agent. It ends when this is dropped, and the lock on the board with it.
#[derive(Debug)]
pub(crate) struct Agent<'a> {
    connection: &'a Connection,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    complaints: Complaints,
}

impl<'a> Agent<'a> {
    /// Starts the runner at `path` on the board as an agent. Also returns what it had to put right, in words.
    ///
    /// # Errors
    /// [`Error::Board`] if it does not start, speaks another version, or another flash has the lock.
    pub(crate) fn start(
        connection: &'a Connection,
        path: &str,
        folder: &Folder,
    ) -> Result<(Self, Option<String>)> {
        let arguments = [path, AGENT_COMMAND, folder.as_str(), &owner()];
        let mut child = spawn(&mut connection.command(SCRIPT, &arguments))?;
        let (input, output, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(output), Some(stderr)) = (output, stderr) else {
            return Err(Error::Defect("ssh has no pipes".to_owned()));
        };
        let complaints = Complaints::collect(stderr);
        let mut agent = Self { connection, child, input, output: BufReader::new(output), complaints };
        match agent.hear()? {
            Reply::Ready { version: dialogue::VERSION, recovered } => Ok((agent, recovered)),
            Reply::Ready { version, .. } => Err(connection.error(format!(
                "its runner speaks version {version} of the dialogue, and this mfactor {}; flash it anew",
                dialogue::VERSION
            ))),
            Reply::Busy(owner) => Err(busy(connection, &owner)),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// What the agent could not do, as [`Error::Board`]; and a connection that broke.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Reply> {
        self.tell(request)?;
        self.hear()
    }

    /// Asks with bytes after the question; `on_bytes` is told of every piece that left.
    pub(crate) fn send(
        &mut self,
        request: &Request,
        bytes: &[u8],
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<Reply> {
        self.tell(request)?;
        for piece in bytes.chunks(PIECE) {
            if self.write(piece).is_err() {
                // It ended, and may have said why before.
                break;
            }
            on_bytes(piece.len() as u64);
        }
        self.hear()
    }

    /// Sends a question.
    pub(crate) fn tell(&mut self, request: &Request) -> Result<()> {
        let mut line = serde_json::to_vec(request)
            .map_err(|error| Error::Defect(format!("a request has no JSON form: {error}")))?;
        line.push(b'\n');
        // Where the agent ended, its last answer says more than the broken pipe.
        let _ = self.write(&line);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let input = self.input.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        input.write_all(bytes).and_then(|()| input.flush())
    }

    /// The next answer.
    pub(crate) fn hear(&mut self) -> Result<Reply> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        if !matches!(read, Ok(count) if count > 0) || !line.ends_with('\n') {
            self.input = None;
            let _ = self.child.wait();
            let complaint = self.complaints.last_words();
            return Err(self.error(self.connection.lost(complaint)));
        }
        match serde_json::from_str(&line) {
            Ok(Reply::Failed { failure }) => {
                let error = Error::from(failure);
                Err(if matches!(error, Error::Usage(_)) { error } else { self.error(error.to_string()) })
            }
            Ok(reply) => Ok(reply),
            // Some logins greet even those who only run a command.
            Err(_) if !line.trim_start().starts_with('{') => self.hear(),
            Err(error) => Err(self.error(format!("its runner said {line:?}: {error}"))),
        }
    }

    /// An error of this board.
    pub(crate) fn error(&self, problem: impl Into<String>) -> Error {
        self.connection.error(problem)
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        // The agent ends with its input; it may have work to finish, which the lock is held for.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// An answer to another question.
pub(crate) fn unexpected(reply: &Reply) -> Error {
    Error::Defect(format!("the board's answer does not fit the question: {reply:?}"))
}

/// Another one is at work.
pub(crate) fn busy(connection: &Connection, owner: &release::LockOwner) -> Error {
    let (name, seconds, process) = (&owner.owner, owner.seconds, owner.process);
    connection.error(format!(
        "is being flashed by {name}, for {seconds} s (process {process} there); try again when that is done"
    ))
}

/// Who flashes, for those who find the lock taken: `ada@desk`.
pub(crate) fn owner() -> String {
    let user =
        std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "someone".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim())
}
