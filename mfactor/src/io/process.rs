//! A program of somebody else's that is asked one thing: it gets so long and may say so much.
//!
//! Every wait for another program goes through here or has a deadline of its own: what hangs, floods, or leaves a
//! grandchild holding its pipes ends with its whole process group.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getppid, kill_process_group};

/// How often a child that has closed its pipes is asked whether it has ended.
const POLL: Duration = Duration::from_millis(2);

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: Vec<u8>,
}

/// Why there is no answer. The text goes after the program's name: `vcgencmd gave no answer in 5 s`.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// There is no such program.
    #[error("is not there")]
    Absent,
    /// The system did not start it.
    #[error("cannot be started: {0}")]
    Refused(io::Error),
    /// It was ended at its deadline.
    #[error("gave no answer in {} s", .0.as_secs_f64())]
    Late(Duration),
    /// It was ended because it did not stop talking.
    #[error("said more than {0} bytes")]
    Endless(usize),
}

/// Runs a program to its end with nothing on its standard input.
///
/// # Errors
/// If it cannot be started, takes longer than `longest`, or says more than `most` bytes on stdout or stderr. An exit
/// code other than 0 is no error here.
pub fn run(command: &mut Command, longest: Duration, most: usize) -> Result<Ended, Trouble> {
    let deadline = Instant::now() + longest;
    let child = end_with_parent(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Trouble::Absent,
            _ => Trouble::Refused(error),
        })?;
    let mut child = Group(child);
    let stdout = collect(child.0.stdout.take(), most);
    let stderr = collect(child.0.stderr.take(), most);
    let text = |pipe: Receiver<io::Result<Vec<u8>>>| match pipe
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        Ok(Ok(bytes)) if bytes.len() > most => Err(Trouble::Endless(most)),
        Ok(bytes) => bytes.map_err(Trouble::Refused),
        Err(RecvTimeoutError::Timeout) => Err(Trouble::Late(longest)),
        Err(RecvTimeoutError::Disconnected) => Ok(vec![]),
    };
    let (stdout, stderr) = (text(stdout)?, text(stderr)?);
    loop {
        match child.0.try_wait().map_err(Trouble::Refused)? {
            Some(status) => return Ok(Ended { status, stdout, stderr }),
            None if Instant::now() >= deadline => return Err(Trouble::Late(longest)),
            None => thread::sleep(POLL),
        }
    }
}

/// Has the system kill the program when this one ends, however it ends: what is killed cannot end its children.
/// (The thread that starts it has to live as long as it does.)
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    let parent = Pid::from_raw(std::process::id().cast_signed());
    let tie = move || {
        // Where the system has no such thing, the child is only ended by those who live to do it.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        // The parent may have ended before it was asked for.
        if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    #[expect(unsafe_code, reason = "what runs between fork and exec may only make system calls")]
    // SAFETY: `tie` makes two system calls, and neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(tie)
    }
}

/// What a program prints, trimmed; `None` if it is not there, fails, hangs or floods.
pub fn said(command: &mut Command, longest: Duration) -> Option<String> {
    const MOST: usize = 1 << 20;
    let ended = run(command, longest, MOST).ok()?;
    ended.status.success().then(|| String::from_utf8_lossy(&ended.stdout).trim().to_owned())
}

/// A child and everything it started, which end with this.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // An error means that nothing of the group is left.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// Reads one byte more than is allowed at most, in a thread of its own.
fn collect(pipe: Option<impl Read + Send + 'static>, most: usize) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = channel();
    if let Some(pipe) = pipe {
        thread::spawn(move || {
            let mut bytes = vec![];
            let read = pipe.take(most as u64 + 1).read_to_end(&mut bytes);
            let _ = sender.send(read.map(|_| bytes));
        });
    }
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        command
    }

    #[test]
    fn an_answer_comes_back_whole() {
        let ended = run(&mut shell("echo out; echo err >&2; exit 3"), 10 * SECOND, 100).unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!((ended.stdout.as_slice(), ended.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(said(&mut shell("echo ' x '"), 10 * SECOND).as_deref(), Some("x"));
        assert_eq!(said(&mut shell("echo x; false"), 10 * SECOND), None);
    }

    #[test]
    fn what_hangs_floods_or_is_not_there_ends_in_words() {
        let trouble = |script, longest| run(&mut shell(script), longest, 1000).unwrap_err().to_string();
        assert_eq!(trouble("sleep 60", SECOND / 10), "gave no answer in 0.1 s");
        assert_eq!(trouble("yes", 60 * SECOND), "said more than 1000 bytes");
        // The grandchild keeps the pipe open after its parent is gone.
        assert_eq!(trouble("sleep 60 & exit 0", SECOND / 10), "gave no answer in 0.1 s");
        let absent = run(&mut Command::new("/no/such/program"), SECOND, 1).unwrap_err();
        assert_eq!(absent.to_string(), "is not there");
    }
}
