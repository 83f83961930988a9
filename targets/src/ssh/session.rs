//! One command on a board: its pipes, read within limits of bytes, lines and time, and its end.

use std::io::{self, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mfactor::lines::{self, Line as Heard};
use mfactor::patience::Patient;
use mfactor::{Error, Result, text};

/// What a login may print before what is ours begins, and around it.
pub(crate) const MOST_CHATTER: usize = 1 << 20;
/// No line of a login is longer.
const LONGEST_CHATTER: usize = 64 << 10;
/// How long a program that has closed its stdout is waited for.
const END_SECONDS: Duration = Duration::from_secs(5);
/// Lines of stderr that are kept: ssh's warning of a changed host key has more than ten, and all of them matter.
const MOST_COMPLAINTS: usize = 16;
const LONGEST_COMPLAINT: usize = 400;

/// Why a board is not heard. The text goes after what was asked: `gave no answer in 30 s`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The pipe was closed.
    #[error("ended")]
    Ended,
    /// Nothing came in time.
    #[error("gave no answer in {} s", .0.as_secs())]
    Late(Duration),
    /// It did not stop talking.
    #[error("said more than {0} bytes where no more were expected")]
    Endless(usize),
    /// The system refused.
    #[error("cannot be heard: {0}")]
    Refused(io::Error),
}

impl Broken {
    fn from_io(error: io::Error, longest: Duration) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Late(longest),
            io::ErrorKind::BrokenPipe => Self::Ended,
            _ => Self::Refused(error),
        }
    }
}

/// A command of ours that runs on a board. It is ended when this is dropped.
pub(crate) struct Session {
    child: Child,
    input: Option<Patient<'static, ChildStdin>>,
    output: BufReader<Patient<'static, ChildStdout>>,
    complaints: Complaints,
    /// Bytes that were not ours, and the last line of them.
    chatter: usize,
    overheard: String,
}

impl Session {
    /// Starts `command`, whose pipes are all asked for.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::missing("ssh is not on PATH", "sudo apt-get install openssh-client")
            }
            _ => Error::io("start", "ssh".as_ref())(error),
        })?;
        let (Some(input), Some(output), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::Defect("ssh has no pipes".to_owned()));
        };
        Ok(Self {
            child,
            input: Some(Patient::until(input, Duration::ZERO, &|| false)),
            output: BufReader::new(Patient::until(output, Duration::ZERO, &|| false)),
            complaints: Complaints::collect(stderr),
            chatter: 0,
            overheard: String::new(),
        })
    }

    /// Passes over what the login prints, up to the line that is `mark`.
    pub(crate) fn await_mark(&mut self, mark: &str, longest: Duration) -> Result<(), Broken> {
        self.output.get_mut().extend(longest);
        loop {
            let line = self.next_line(LONGEST_CHATTER, longest)?;
            if line.trim_ascii_end() == mark.as_bytes() {
                return Ok(());
            }
            self.overhear(&line)?;
        }
    }

    /// Everything up to the second mark, and the exit code after it.
    pub(crate) fn read_frame(
        &mut self,
        mark: &str,
        most: usize,
        longest: Duration,
    ) -> Result<(Vec<u8>, i32), Broken> {
        self.output.get_mut().extend(longest);
        let mut told = vec![];
        loop {
            let line = self.next_line(most, longest)?;
            if let Some(code) = code_after(&line, mark) {
                told.pop(); // The newline before the mark is its own.
                return Ok((told, code));
            }
            if told.len() + line.len() > most {
                return Err(Broken::Endless(most));
            }
            told.extend_from_slice(&line);
            told.push(b'\n');
        }
    }

    /// The next line, within a time that goes on.
    fn next_line(&mut self, most: usize, longest: Duration) -> Result<Vec<u8>, Broken> {
        match lines::next(&mut self.output, most) {
            Ok(Heard::Whole(line)) => Ok(line),
            Ok(Heard::Torn(_) | Heard::End) => Err(Broken::Ended),
            Ok(Heard::TooLong(_)) => Err(Broken::Endless(most)),
            Err(error) => Err(Broken::from_io(error, longest)),
        }
    }

    /// Counts what is not ours.
    fn overhear(&mut self, line: &[u8]) -> Result<(), Broken> {
        self.chatter += line.len() + 1;
        if !line.trim_ascii().is_empty() {
            self.overheard = String::from_utf8_lossy(line).into_owned();
        }
        if self.chatter > MOST_CHATTER { Err(Broken::Endless(MOST_CHATTER)) } else { Ok(()) }
    }

    /// What was said on stderr; waits a moment for the end of it.
    pub(crate) fn last_words(&mut self) -> String {
        self.complaints.last_words(END_SECONDS)
    }

    /// Its exit code, if it ends soon after its stdout.
    pub(crate) fn code(&mut self) -> Option<i32> {
        self.ended_within(END_SECONDS).and_then(|status| status.code())
    }

    /// The last line that the login printed before what is ours.
    pub(crate) fn overheard(&self) -> &str {
        self.overheard.trim()
    }

    /// Closes its input.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    /// Closes its input, and gives it `longest` to finish what it is about.
    pub(crate) fn hang_up(&mut self, longest: Duration) {
        self.close();
        self.ended_within(longest);
    }

    fn ended_within(&mut self, longest: Duration) -> Option<std::process::ExitStatus> {
        const LOOK_EVERY: Duration = Duration::from_millis(5);
        let deadline = Instant::now() + longest;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK_EVERY),
                _ => return None,
            }
        }
    }
}

/// The two directions of a dialogue with a board; what is behind it may be a board, or a test's own.
pub(crate) trait Wire {
    /// Sends bytes, which the other end has to take within `longest`.
    fn say(&mut self, bytes: &[u8], longest: Duration) -> Result<(), Broken>;
    /// The next line of at most `most` bytes, if one comes within `longest`.
    fn hear(&mut self, most: usize, longest: Duration) -> Result<Vec<u8>, Broken>;
    /// What was said beside the dialogue, once it ended.
    fn last_words(&mut self) -> String;
}

impl Wire for Session {
    fn say(&mut self, bytes: &[u8], longest: Duration) -> Result<(), Broken> {
        let input = self.input.as_mut().ok_or(Broken::Ended)?;
        input.extend(longest);
        let sent = input.write_all(bytes).and_then(|()| input.flush());
        sent.map_err(|error| Broken::from_io(error, longest))
    }

    fn hear(&mut self, most: usize, longest: Duration) -> Result<Vec<u8>, Broken> {
        self.output.get_mut().extend(longest);
        self.next_line(most, longest)
    }

    fn last_words(&mut self) -> String {
        self.close();
        Session::last_words(self)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code_after(line: &[u8], mark: &str) -> Option<i32> {
    let rest = line.strip_prefix(mark.as_bytes())?.strip_prefix(b" ")?;
    std::str::from_utf8(rest).ok()?.trim_ascii_end().parse().ok()
}

/// What a program says on stderr, read as it comes so that it never has to wait, and kept as far as it is of use.
#[derive(Debug)]
struct Complaints {
    lines: Arc<Mutex<Vec<String>>>,
    end: Receiver<()>,
}

impl Complaints {
    fn collect(stderr: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(vec![]));
        let collected = Arc::clone(&lines);
        let (sender, end) = channel::<()>();
        thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            while let Ok(line) = lines::next(&mut stderr, LONGEST_CHATTER) {
                let line = match line {
                    Heard::End => break,
                    Heard::Whole(line) | Heard::Torn(line) | Heard::TooLong(line) => line,
                };
                let line = text::quoted(String::from_utf8_lossy(&line).trim(), LONGEST_COMPLAINT);
                if let (false, Ok(mut lines)) = (line.is_empty(), collected.lock()) {
                    lines.push(line);
                    if lines.len() > MOST_COMPLAINTS {
                        lines.remove(0);
                    }
                }
            }
            drop(sender);
        });
        Self { lines, end }
    }

    /// The last few lines of what was said until the program closed its stderr, or until now, if that takes too long:
    /// something that a login started may keep it open.
    fn last_words(&self, longest: Duration) -> String {
        let _ = self.end.recv_timeout(longest);
        self.lines.lock().map_or_else(|_| String::new(), |lines| lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::ssh::script::Line;

    const MOMENT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(60);

    /// A login that runs `before`, then the command, then `after`.
    fn login(before: &str, line: &Line, after: &str) -> Session {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{before}\n{}\n{after}", line.text));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Session::start(&mut command).unwrap()
    }

    fn framed(before: &str, script: &str, after: &str) -> Result<(String, i32), Broken> {
        let line = Line::framed(script, &[]);
        let mut session = login(before, &line, after);
        session.await_mark(&line.mark, LONG)?;
        let (bytes, code) = session.read_frame(&line.mark, 1000, LONG)?;
        Ok((String::from_utf8(bytes).unwrap(), code))
    }

    #[test]
    fn whatever_a_login_prints_around_it_what_is_ours_comes_out_alone() {
        for (before, after) in [
            ("", ""),
            ("printf '\\033]0;title\\007'", "echo bye"),
            ("echo Welcome; seq 20000", "seq 20000"),
            ("printf 'no newline'", "sleep 5 & echo started"),
            ("sleep 5 & exec 2>&1; echo found /bin/true", "exit 1"),
        ] {
            let (text, code) = framed(before, "echo ours; printf 'and more'; exit 3", after).unwrap();
            assert_eq!((text.as_str(), code), ("ours\nand more", 3), "{before}");
        }
    }

    #[test]
    fn silence_floods_and_an_early_end_are_told_apart() {
        assert!(matches!(framed("yes", "echo x", ""), Err(Broken::Endless(MOST_CHATTER))));
        assert!(matches!(framed("exit 1", "echo x", ""), Err(Broken::Ended)));
        assert!(matches!(framed("", "yes", ""), Err(Broken::Endless(1000))));
        let line = Line::framed("echo x", &[]);
        let mut session = login("sleep 60", &line, "");
        assert!(matches!(session.await_mark(&line.mark, MOMENT), Err(Broken::Late(_))));
        let endless = Line::framed("tr '\\0' x </dev/zero", &[]);
        let mut session = login("", &endless, "");
        session.await_mark(&endless.mark, LONG).unwrap();
        let told = session.read_frame(&endless.mark, 1 << 20, LONG);
        assert!(matches!(told, Err(Broken::Endless(_))), "an endless line");
    }

    #[test]
    fn what_is_said_on_stderr_is_short_and_obeys_nobody() {
        let line = Line::framed(
            "seq 100000 >&2; printf '\\033[2Jbad' >&2; yes | head -c 100000 | tr -d '\\n' >&2",
            &[],
        );
        let mut session = login("", &line, "");
        session.await_mark(&line.mark, LONG).unwrap();
        session.read_frame(&line.mark, 1000, LONG).unwrap();
        let words = session.last_words();
        assert!(words.lines().count() <= MOST_COMPLAINTS && words.contains("\\u{1b}[2Jbad"), "{words}");
        assert!(words.len() < MOST_COMPLAINTS * (LONGEST_COMPLAINT + 10), "{}", words.len());
    }
}
