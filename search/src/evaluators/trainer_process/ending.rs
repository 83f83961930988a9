//! How a trainer ended, in words.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use mfactor::{Error, exit};

/// The command that installs trainer and libtorch.
pub(super) const INSTALL: &str = "scripts/setup";
/// Last lines of its talk that a report repeats.
const LAST_WORDS: usize = 4;
/// What separates cause and cure in the text of [`Error::Missing`].
const CURE: &str = "; to mend it, run: ";
/// Signals that end a trainer, and what they mean to its user.
const SIGNALS: [(i32, &str); 7] = [
    (4, "SIGILL: libtorch needs a processor instruction that this machine lacks"),
    (6, "SIGABRT: it gave up"),
    (7, "SIGBUS: memory or disk failed it"),
    (8, "SIGFPE"),
    (9, "SIGKILL: the system does this when memory runs out"),
    (11, "SIGSEGV: it crashed"),
    (15, "SIGTERM"),
];

/// The end of a trainer. Its text is a sentence for the record of the trial that met it.
#[derive(Debug)]
pub(super) struct Ending {
    pub trainer: String,
    /// As it would be typed.
    pub command: String,
    /// Whether another program started it, on another machine say.
    pub is_launched: bool,
    /// `None` if it did not end by itself.
    pub status: Option<ExitStatus>,
    /// Its last lines, oldest first.
    pub tail: Vec<String>,
}

impl Ending {
    /// The error for a trainer that never came up. The trainer's own exit code says whose fault it is;
    /// anything else is likely an installation that is not whole.
    pub fn not_ready(&self, problem: &str) -> Error {
        let text =
            if problem.is_empty() { self.to_string() } else { format!("{problem}{}", self.last_words()) };
        match self.status.and_then(|status| status.code()).map(u8::try_from) {
            Some(Ok(exit::USAGE)) => Error::Usage(format!("the trainer refused its options: {text}")),
            Some(Ok(exit::INPUT)) => Error::input(format!("trainer {}", self.trainer), text),
            _ => {
                let (what, install) = text.split_once(CURE).unwrap_or((&text, INSTALL));
                Error::missing(format!("the trainer {} cannot start: {what}", self.trainer), install)
            }
        }
    }

    /// The error for a trainer that somebody else ended each of so many times before it was up.
    pub fn never_ready(&self, times: u32) -> Error {
        let what = format!("the trainer {} cannot start, tried {times} times: {self}", self.trainer);
        Error::missing(what, format!("{} (by hand, to see why)", self.command))
    }

    /// Whether somebody else ended it, the system or a person: then the job may be innocent.
    pub fn came_from_outside(&self) -> bool {
        const KILL_AND_TERM: [i32; 2] = [9, 15];
        // srun and a shell say 128 more than the signal; ssh says 255 when the connection broke.
        const SAID_BY_LAUNCHERS: [i32; 3] = [137, 143, 255];
        let signal = self.status.and_then(|status| status.signal());
        let code = self.status.and_then(|status| status.code()).filter(|_| self.is_launched);
        signal.is_some_and(|signal| KILL_AND_TERM.contains(&signal))
            || code.is_some_and(|code| SAID_BY_LAUNCHERS.contains(&code))
    }

    fn last_words(&self) -> String {
        let last = &self.tail[self.tail.len().saturating_sub(LAST_WORDS)..];
        if last.is_empty() { String::new() } else { format!("; its last words: {}", last.join(" | ")) }
    }

    fn ran_out_of_memory(&self) -> bool {
        let marks = ["out of memory", "bad_alloc", "can't allocate memory", "cannot allocate memory"];
        self.tail.iter().any(|line| marks.iter().any(|mark| line.to_lowercase().contains(mark)))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = self.status.and_then(|status| status.signal());
        match (signal, self.status.and_then(|status| status.code())) {
            (Some(signal), _) => {
                let meaning = SIGNALS.iter().find(|(number, _)| *number == signal);
                let meaning = meaning.map_or(String::new(), |(_, meaning)| format!(" ({meaning})"));
                write!(f, "the trainer was killed by signal {signal}{meaning}")?;
            }
            (None, Some(code)) => write!(f, "the trainer ended with exit code {code}")?,
            (None, None) => write!(f, "the trainer closed its input or output and had to be killed")?,
        }
        if self.ran_out_of_memory() {
            write!(f, "; it ran out of memory")?;
        }
        f.write_str(&self.last_words())
    }
}
