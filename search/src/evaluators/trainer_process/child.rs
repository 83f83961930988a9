//! The process itself: pipes, threads that read them, and its end.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mfactor::protocol::OWNER_VARIABLE;
use mfactor::{Error, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

use super::TrainerCommand;
use super::ending::Ending;

/// Longest line that is read as one; longer ones come in pieces.
const LONGEST_LINE: u64 = 1 << 20;
/// Lines that wait to be read before the trainer has to wait.
const WAITING_LINES: usize = 1024;
/// Lines of its talk that are kept for a report of its end, and the bytes of each.
const TAIL: (usize, usize) = (20, 500);
/// How long a trainer that has closed its output may take to end, and its last words to arrive.
const GRACE: Duration = Duration::from_secs(5);

/// The last lines of a trainer's talk.
type Tail = Arc<Mutex<VecDeque<String>>>;

/// What came from a trainer.
pub(super) enum Output {
    /// A line.
    Line(String),
    /// Nothing in the time given.
    Silence,
    /// The trainer has closed its output: it has ended or is about to.
    End,
}

/// A running trainer. Dropping it kills it, with everything it started.
pub(super) struct Trainer {
    name: String,
    child: Child,
    jobs: ChildStdin,
    events: Receiver<String>,
    tail: Tail,
    /// Ends when the trainer's stderr does.
    talk: Receiver<String>,
}

impl Trainer {
    /// Starts the program in a process group of its own.
    pub fn start(command: &TrainerCommand) -> Result<Self> {
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .env(OWNER_VARIABLE, std::process::id().to_string())
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => {
                    let what = format!("the trainer is not there: {}", command.program.display());
                    Error::missing(what, super::ending::INSTALL)
                }
                _ => Error::io("start", &command.program)(error),
            })?;
        let jobs = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let tail = Tail::default();
        let (sender, events) = sync_channel(WAITING_LINES);
        thread::spawn(move || read_lines(stdout, |line| sender.send(line).is_ok()));
        let (ended, talk): (SyncSender<String>, _) = sync_channel(0);
        let kept = Arc::clone(&tail);
        thread::spawn(move || {
            read_lines(stderr, |line| {
                keep(&kept, &line);
                true
            });
            drop(ended);
        });
        Ok(Self { name: command.program.display().to_string(), child, jobs, events, tail, talk })
    }

    /// The trainer, unless it has ended.
    pub fn if_alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// Forgets what it said so far: it has nothing to do with the next job.
    pub fn forget(&self) {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Sends a line. An error means that the trainer does not listen any more.
    pub fn send(&mut self, message: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.jobs.write_all(&line)
    }

    /// Waits for a line.
    pub fn next(&self, wait: Duration) -> Output {
        match self.events.recv_timeout(wait) {
            Ok(line) => Output::Line(line),
            Err(RecvTimeoutError::Timeout) => Output::Silence,
            Err(RecvTimeoutError::Disconnected) => Output::End,
        }
    }

    /// Keeps a stray line of its output with the rest of its talk.
    pub fn note(&self, line: &str) {
        keep(&self.tail, line);
    }

    /// Kills it.
    pub fn kill(mut self) -> Ending {
        self.kill_group();
        let _ = self.child.wait();
        self.ending(None)
    }

    /// Waits for the end of a trainer that has closed its output, and kills it if the end does not come.
    pub fn end(mut self) -> Ending {
        let deadline = Instant::now() + GRACE;
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(status) => break status,
                Err(_) => break None,
            }
        };
        self.kill_group();
        self.ending(status)
    }

    fn ending(&self, status: Option<ExitStatus>) -> Ending {
        // Nothing is ever sent: this waits for the sender to go, which it does when stderr ends.
        let _ = self.talk.recv_timeout(GRACE);
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        Ending { trainer: self.name.clone(), status, tail }
    }

    fn kill_group(&self) {
        // An error means that nothing of the group is left.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        self.kill_group();
        let _ = self.child.wait();
    }
}

/// Reads lines to the end, or until one is not wanted any more.
fn read_lines(pipe: impl Read, mut wanted: impl FnMut(String) -> bool) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line), Ok(read) if read > 0) {
        if !wanted(String::from_utf8_lossy(&line).trim_end().to_owned()) {
            break;
        }
        line.clear();
    }
}

fn keep(tail: &Tail, line: &str) {
    if line.trim().is_empty() {
        return;
    }
    let end = (0..=TAIL.1.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    if tail.len() == TAIL.0 {
        tail.pop_front();
    }
    tail.push_back(line[..end].to_owned());
}
