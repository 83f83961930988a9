//! The process itself: pipes, threads that read them, and its end.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mfactor::lines::{self, Line};
use mfactor::protocol::OWNER_VARIABLE;
use mfactor::{Error, Result, text};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

use super::TrainerCommand;
use super::ending::Ending;

/// Most bytes of a line that are looked at.
const LONGEST_LINE: usize = 1 << 20;
/// Most bytes that a trainer may print between two events.
const MOST_TALK: u64 = 256 << 20;
/// Lines that wait to be read before the trainer has to wait.
const WAITING_LINES: usize = 1024;
/// Lines of its talk that are kept for a report of its end, and the characters of each.
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
    /// It has printed [`MOST_TALK`] without an event.
    Endless,
    /// The trainer has closed its output: it has ended or is about to.
    End,
}

/// A running trainer. Dropping it kills it, with everything it started.
pub(super) struct Trainer {
    name: String,
    /// As it would be typed.
    typed: String,
    is_launched: bool,
    child: Child,
    /// What a thread of its own writes: a trainer that does not listen makes nobody wait.
    messages: Sender<Vec<u8>>,
    writer: JoinHandle<()>,
    /// Lines, and [`None`] for talk without end.
    lines: Receiver<Option<String>>,
    tail: Tail,
    /// Ends when the trainer's stderr does.
    talk: Receiver<String>,
}

impl Trainer {
    /// Starts the program in a process group of its own.
    pub fn start(command: &TrainerCommand) -> Result<Self> {
        let is_launched = !command.launcher.is_empty();
        let mut words = command.launcher.iter().map(OsString::as_os_str).chain([command.program.as_os_str()]);
        let typed = words.clone().chain(command.arguments.iter().map(OsString::as_os_str));
        let typed = typed.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        let program = words.next().expect("there is a program, whoever starts it");
        let mut process = Command::new(program);
        if !is_launched {
            // On another machine that process is somebody else's.
            process.env(OWNER_VARIABLE, std::process::id().to_string());
        }
        let mut child = process
            .args(words)
            .args(&command.arguments)
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound if is_launched => {
                    Error::input("--launch", format!("the program {} is not there", program.display()))
                }
                ErrorKind::NotFound => {
                    let what = format!("the trainer is not there: {}", command.program.display());
                    Error::missing(what, super::ending::INSTALL)
                }
                _ => Error::io("start", &command.program)(error),
            })?;
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let tail = Tail::default();
        let (messages, to_write) = channel();
        let writer = thread::spawn(move || write_messages(stdin, &to_write));
        let (sender, lines) = sync_channel(WAITING_LINES);
        thread::spawn(move || read_events(stdout, &sender));
        let (ended, talk): (SyncSender<String>, _) = sync_channel(0);
        let kept = Arc::clone(&tail);
        thread::spawn(move || {
            read_talk(stderr, &kept);
            drop(ended);
        });
        Ok(Self {
            name: command.program.display().to_string(),
            typed,
            is_launched,
            child,
            messages,
            writer,
            lines,
            tail,
            talk,
        })
    }

    /// Whether it has not ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Forgets what it said so far: it has nothing to do with the next job.
    pub fn forget(&self) {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Sends a line, without waiting for the trainer to read it.
    pub fn send(&self, message: &impl Serialize) -> Result<()> {
        // Nobody takes it where an earlier one could not be written, and that is noticed by `is_deaf`.
        let _ = self.messages.send(lines::json(message)?);
        Ok(())
    }

    /// Whether the trainer has closed its input.
    pub fn is_deaf(&self) -> bool {
        self.writer.is_finished()
    }

    /// Waits for a line.
    pub fn next(&self, wait: Duration) -> Output {
        match self.lines.recv_timeout(wait) {
            Ok(Some(line)) => Output::Line(line),
            Ok(None) => Output::Endless,
            Err(RecvTimeoutError::Timeout) => Output::Silence,
            Err(RecvTimeoutError::Disconnected) => Output::End,
        }
    }

    /// Keeps a stray line of its output with the rest of its talk.
    pub fn note(&self, line: &str) {
        keep(&self.tail, line);
    }

    /// Kills it.
    pub fn kill(&mut self) -> Ending {
        self.kill_group();
        let _ = self.child.wait();
        self.ending(None)
    }

    /// Waits for the end of a trainer that has closed its output, and kills it if the end does not come.
    pub fn end(&mut self) -> Ending {
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
        let (trainer, command) = (self.name.clone(), self.typed.clone());
        Ending { trainer, command, is_launched: self.is_launched, status, tail }
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

fn write_messages(mut pipe: ChildStdin, messages: &Receiver<Vec<u8>>) {
    for message in messages {
        if pipe.write_all(&message).is_err() {
            break;
        }
    }
}

/// Reads the lines of a trainer's output until nobody wants them any more, or until there was too much between two that
/// could be events.
fn read_events(pipe: impl Read, wanted: &SyncSender<Option<String>>) {
    let mut reader = BufReader::new(pipe);
    let mut talked = 0;
    while let Some((line, length)) = next_line(&mut reader, MOST_TALK - talked) {
        talked = if line.trim_start().starts_with('{') { 0 } else { talked + length };
        let line = (talked < MOST_TALK).then_some(line);
        let is_last = line.is_none();
        if wanted.send(line).is_err() || is_last {
            break;
        }
    }
}

/// Reads a trainer's talk to its end, and keeps the last of it.
fn read_talk(pipe: impl Read, tail: &Tail) {
    let mut reader = BufReader::new(pipe);
    while let Some((line, _)) = next_line(&mut reader, u64::MAX) {
        keep(tail, &line);
    }
}

/// The beginning of the next line and its whole length in bytes; a line of `most` bytes is not read to its end. `None`
/// at the end.
fn next_line(reader: &mut impl BufRead, most: u64) -> Option<(String, u64)> {
    let (line, rest) = match lines::next(reader, LONGEST_LINE).ok()? {
        Line::Whole(line) | Line::Torn(line) => (line, 0),
        Line::TooLong(line) => {
            let rest = skip_line(reader, most.saturating_sub(line.len() as u64));
            (line, rest)
        }
        Line::End => return None,
    };
    Some((String::from_utf8_lossy(&line).trim_end().to_owned(), line.len() as u64 + 1 + rest))
}

/// Reads to the end of a line, or so many bytes of it, and returns how many there were.
fn skip_line(reader: &mut impl BufRead, most: u64) -> u64 {
    let mut skipped = 0;
    while skipped < most
        && let Ok(bytes) = reader.fill_buf()
        && !bytes.is_empty()
    {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(bytes.len(), |end| end + 1);
        reader.consume(count);
        skipped += count as u64;
        if end.is_some() {
            break;
        }
    }
    skipped
}

fn keep(tail: &Tail, line: &str) {
    if line.trim().is_empty() {
        return;
    }
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    if tail.len() == TAIL.0 {
        tail.pop_front();
    }
    tail.push_back(text::quoted(line, TAIL.1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(said: impl Read) -> Vec<Option<String>> {
        let (sender, lines) = sync_channel(WAITING_LINES);
        read_events(said, &sender);
        drop(sender);
        lines.iter().collect()
    }

    #[test]
    fn a_long_line_is_one_line_and_cut() {
        let said = ["x".repeat(3 * LONGEST_LINE), "{}".to_owned(), "end".to_owned()].join("\n");
        let lines = read(said.as_bytes());
        let lengths: Vec<usize> = lines.iter().flatten().map(String::len).collect();
        assert_eq!(lengths, [LONGEST_LINE + 1, 2, 3]);
    }

    #[test]
    fn talk_without_end_ends() {
        let (sender, lines) = sync_channel(1);
        let reader = thread::spawn(move || read_events(std::io::repeat(b'x'), &sender));
        assert_eq!(lines.iter().map(|line| line.map(|line| line.len())).collect::<Vec<_>>(), [None]);
        reader.join().unwrap();
    }
}
