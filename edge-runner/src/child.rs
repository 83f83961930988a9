//! A part of a measurement in a process of its own: nothing of an earlier model is in its memory, its caches or its
//! allocator, and an engine that crashes takes nothing with it.
//!
//! The child is this very program with the hidden command [`COMMAND`]. It reads one [`Request`] as JSON from its
//! standard input and answers [`Reply`] lines, the last of which is the answer or the failure.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mfactor::error::Failure;
use mfactor::lines::{self, Line};
use mfactor::measurement;
use mfactor::patience::Patient;
use mfactor::{Error, Result, exit, process, text};
use serde::{Deserialize, Serialize};

use crate::measure::{Answer, Part, Progress, Request, measure};
use crate::system::SystemTree;
use crate::timing::Plan;

/// Longest that a model may take to load, be optimised, and answer its golden inputs.
const LONGEST_LOADING: Duration = Duration::from_secs(600);
/// How long a child may be silent in any case.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much longer than planned a part may take: a board that throttles, or that others use, is slow.
const SLACK: f64 = 20.0;
/// More test records than there are between two reports of progress.
const RECORDS_BETWEEN: f64 = 1000.0;
/// Longest that a child may take to end once it has said everything.
const LONGEST_END: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);
const LONGEST_QUOTE: usize = 200;

/// Name of the hidden command.
pub const COMMAND: &str = "measure-alone";

/// One line of a child's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is on its way.
    Progress(Progress),
    /// It is done.
    Done(Answer),
    /// It could not measure.
    Failed(Failure),
}

/// Measures in a fresh process of `program`, which is this program or another that answers to [`COMMAND`]. The process
/// ends with this one, at its deadline, or as soon as `is_stopped` says so.
///
/// # Errors
/// What [`measure`] can say, [`Error::Board`] if the child was ended by a signal or hangs, and [`Error::Interrupted`].
pub fn measure_in_child(
    program: &Path,
    request: &Request,
    is_stopped: &dyn Fn() -> bool,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Answer> {
    let mut command = Command::new(program);
    command.arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped());
    let spawned = process::end_with_parent(&mut command).spawn();
    let mut child = Ending(spawned.map_err(Error::io("start", program))?);
    let (Some(input), Some(output)) = (child.0.stdin.take(), child.0.stdout.take()) else {
        return Err(Error::Defect("a child has no pipes".to_owned()));
    };
    // A child that is already gone cannot read this; what it said, or how it ended, tells more.
    let _ = Patient::until(input, PATIENCE, is_stopped).write_all(&lines::json(request)?);
    let output = Patient::until(output, LONGEST_LOADING, is_stopped);
    let heard = hear(BufReader::new(output), request, on_progress);
    let answer = heard.map_err(|error| broken_off(program, request, &error))?;
    let status = child.end().map_err(Error::io("wait for", program))?;
    answer.unwrap_or_else(|| Err(ended(&request.model, status)))
}

/// Reads replies to their end; the last one is the answer.
fn hear(
    mut output: BufReader<Patient<'_, impl io::Read + rustix::fd::AsFd>>,
    request: &Request,
    on_progress: &mut dyn FnMut(Progress),
) -> io::Result<Option<Result<Answer>>> {
    let mut last = None;
    let mut pace = Pace::default();
    loop {
        let line = match lines::next(&mut output, measurement::LARGEST_FILE as usize)? {
            Line::End => return Ok(last),
            Line::TooLong(_) => return Err(io::ErrorKind::FileTooLarge.into()),
            Line::Whole(line) | Line::Torn(line) => line,
        };
        match serde_json::from_slice(&line) {
            Ok(Reply::Progress(progress)) => {
                if let Some(longest) = pace.longest(progress, &request.part) {
                    output.get_mut().extend(longest);
                }
                on_progress(progress);
            }
            Ok(Reply::Done(answer)) => last = Some(Ok(answer)),
            Ok(Reply::Failed(failure)) => last = Some(Err(failure.into())),
            Err(error) => {
                let said = text::quoted(&String::from_utf8_lossy(&line), LONGEST_QUOTE);
                last = Some(Err(Error::Defect(format!("the measuring child said {said}: {error}"))));
            }
        }
    }
}

/// How fast a child is, and so how long what it does next may take.
#[derive(Default)]
struct Pace {
    inference: Option<f64>,
    records: usize,
}

impl Pace {
    /// How long the child may be silent after this; `None` if that says nothing new.
    fn longest(&mut self, progress: Progress, part: &Part) -> Option<Duration> {
        let seconds = match progress {
            Progress::Loaded { inference_ms } if self.inference.is_none() => {
                let inference = inference_ms / 1e3;
                self.inference = Some(inference);
                match part {
                    Part::Round { preset } => Plan::of(*preset).longest(inference),
                    Part::Accuracy { .. } => RECORDS_BETWEEN * inference,
                }
            }
            Progress::Records { done, .. } if done > self.records => {
                self.records = done;
                RECORDS_BETWEEN * self.inference.unwrap_or(1.0)
            }
            _ => return None,
        };
        let slack = Duration::try_from_secs_f64(SLACK * seconds).unwrap_or_default();
        Some(PATIENCE + slack)
    }
}

/// A child that ends with this.
struct Ending(Child);

impl Ending {
    /// Waits for its end, but not for long.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + LONGEST_END;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        self.0.kill()?;
        self.0.wait()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn broken_off(program: &Path, request: &Request, error: &io::Error) -> Error {
    let model = request.model.display().to_string();
    match error.kind() {
        io::ErrorKind::ConnectionAborted => Error::Interrupted(format!("{model}: stopped")),
        io::ErrorKind::TimedOut => Error::Board {
            subject: model,
            problem: "the process that measures it gave no sign of life and was ended; the board may be out of memory, or \
                      the model far too slow for it"
                .to_owned(),
        },
        io::ErrorKind::FileTooLarge => Error::Defect("the measuring child does not stop talking".to_owned()),
        _ => Error::Io { action: "read from", path: program.to_owned(), source: io::Error::from(error.kind()) },
    }
}

fn ended(model: &Path, status: ExitStatus) -> Error {
    if status.code() == Some(i32::from(exit::INPUT)) {
        return Error::file(model, "an engine broke on it in the process that measured it; see above");
    }
    Error::Board {
        subject: model.display().to_string(),
        problem: format!(
            "the process that measured it ended early ({status}); it may have run out of memory"
        ),
    }
}

/// What the hidden command does: reads a request, measures, answers. The exit code is that of the error.
///
/// # Errors
/// If the pipes fail; failures of the measurement are answered.
pub fn serve(input: impl BufRead, output: &mut dyn Write) -> Result<()> {
    let pipe = Path::new("standard output");
    let mut send = |reply: &Reply| -> Result<()> {
        output.write_all(&lines::json(reply)?).and_then(|()| output.flush()).map_err(Error::io("write", pipe))
    };
    let request: Request = serde_json::from_reader(input).map_err(|error| Error::input("request", error))?;
    // A parent that no longer listens is noticed at the last line.
    let mut on_progress = |progress| drop(send(&Reply::Progress(progress)));
    let reply = match measure(&request, &SystemTree::live(), &mut on_progress) {
        Ok(answer) => Reply::Done(answer),
        Err(error) => Reply::Failed(error.into()),
    };
    send(&reply)
}
