//! Training in a process of its own: what happens to one training, a crash in C++ or the end of memory, costs
//! one trial and not the study.

mod child;
mod ending;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mfactor::protocol::{Decision, Epoch, Evaluation, Event, Job};
use mfactor::{Error, Result};

use self::child::{Output, Trainer};
use self::ending::Ending;
use super::{Evaluator, Failure, Report, Verdict};

/// How long a trainer may take to come up. Loading libtorch with CUDA from a cold disk takes a while.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// How often the stop flag and the clock are looked at while the trainer is silent.
const POLL: Duration = Duration::from_millis(50);

/// How to start a trainer.
#[derive(Debug, Clone, Default)]
pub struct TrainerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, such as `--device cpu`.
    pub arguments: Vec<OsString>,
    /// Variables to set beside the inherited ones, such as `LD_LIBRARY_PATH`.
    pub environment: Vec<(OsString, OsString)>,
}

/// Trains by `mfactor-trainer`, which is started with the first job, kept for the next, and started afresh after
/// it crashed or was killed. A job whose trainer was killed from outside begins again, once. The trainer runs in a process group of its own: a Ctrl-C in the terminal reaches the study,
/// which ends it, and not the trainer itself. Nor does a trainer outlive its study: on Linux the system ends it
/// with the thread that evaluated the first job, so that thread should be the one that runs the study.
pub struct TrainerProcess {
    command: TrainerCommand,
    timeout: Option<Duration>,
    idle: Option<Trainer>,
}

impl TrainerProcess {
    /// An evaluator that kills a trial which takes longer than `timeout`.
    pub fn new(command: TrainerCommand, timeout: Option<Duration>) -> Self {
        Self { command, timeout, idle: None }
    }

    /// Starts a trainer and waits until it is ready. A trainer that does not come up ends the study.
    fn start(
        &self,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Trainer> {
        let trainer = Trainer::start(&self.command)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            check_stop(stop)?;
            let line = match trainer.next(POLL) {
                Output::Line(line) => line,
                Output::Silence if Instant::now() < deadline => continue,
                Output::Silence => {
                    let seconds = START_TIMEOUT.as_secs();
                    return Err(trainer
                        .kill()
                        .not_ready(&format!("it was not ready within {seconds} seconds")));
                }
                Output::End => return Err(trainer.end().not_ready("")),
            };
            match understand(&line) {
                Ok(Some(Event::Ready(facts))) => {
                    on_report(Report::Trainer(facts))?;
                    return Ok(trainer);
                }
                Ok(None) => trainer.note(&line),
                Ok(Some(_)) | Err(_) => {
                    let problem = format!("it said {} before it was ready", quote(&line));
                    return Err(trainer.kill().not_ready(&problem));
                }
            }
        }
    }

    /// Fails a trial that began too long ago.
    fn check_time(&self, began: Instant) -> Result<(), Failure> {
        match self.timeout {
            Some(timeout) if began.elapsed() >= timeout => {
                let seconds = timeout.as_secs_f64();
                Err(Failure::Trial(format!("ran past the trial timeout of {seconds} seconds")))
            }
            _ => Ok(()),
        }
    }
}

impl Evaluator for TrainerProcess {
    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Evaluation, Failure> {
        std::fs::create_dir_all(&job.output).map_err(Error::io("create", &job.output))?;
        let ending = match self.attempt(job, on_report, stop) {
            Ok(evaluation) => return Ok(evaluation),
            Err(Unfinished::Failure(failure)) => return Err(failure),
            Err(Unfinished::Dead(ending)) => ending,
        };
        if !ending.came_from_outside() {
            return Err(Failure::Trial(ending.to_string()));
        }
        on_report(Report::Again(format!("{ending}; the trial begins again")))?;
        self.attempt(job, on_report, stop).map_err(|unfinished| match unfinished {
            Unfinished::Failure(failure) => failure,
            Unfinished::Dead(ending) => Failure::Trial(ending.to_string()),
        })
    }
}

/// Why an attempt at a job gave no evaluation.
enum Unfinished {
    Failure(Failure),
    /// The trainer ended in the middle of it.
    Dead(Ending),
}

impl<F: Into<Failure>> From<F> for Unfinished {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

impl TrainerProcess {
    /// Has one trainer do the job.
    fn attempt(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Evaluation, Unfinished> {
        // Whoever returns early from here drops the trainer, and that kills it: its state is unknown.
        let mut trainer = match self.idle.take().and_then(Trainer::if_alive) {
            Some(trainer) => trainer,
            None => self.start(on_report, stop)?,
        };
        let began = Instant::now();
        trainer.forget();
        if trainer.send(job).is_err() {
            return Err(Unfinished::Dead(trainer.end()));
        }
        loop {
            check_stop(stop)?;
            self.check_time(began)?;
            let line = match trainer.next(POLL) {
                Output::Line(line) => line,
                Output::Silence => continue,
                Output::End => return Err(Unfinished::Dead(trainer.end())),
            };
            match answer(&line, job)? {
                Answer::Epoch(epoch) => {
                    let is_awaited = job.decisions.contains(&epoch.epoch);
                    let go_on = on_report(Report::Epoch(epoch))? == Verdict::GoOn;
                    if is_awaited && trainer.send(&Decision { trial: job.trial, go_on }).is_err() {
                        return Err(Unfinished::Dead(trainer.end()));
                    }
                }
                Answer::Ended(result) => {
                    self.idle = Some(trainer);
                    return Ok(result?);
                }
                Answer::Stray => trainer.note(&line),
            }
        }
    }
}

/// What a line means to the job that is running.
enum Answer {
    Epoch(Epoch),
    /// The job has ended, and the trainer is ready for another.
    Ended(Result<Evaluation, Failure>),
    /// Nothing: libraries print where they should not.
    Stray,
}

/// Reads a line of a running job. A line that breaks the protocol fails the trial: what was meant may have
/// been the end of the job, and waiting for another would be for ever.
fn answer(line: &str, job: &Job) -> Result<Answer, Failure> {
    let broken = |problem: String| Failure::Trial(format!("the trainer broke the protocol: {problem}"));
    let event = understand(line).map_err(broken)?;
    let (trial, answer) = match event {
        None => return Ok(Answer::Stray),
        Some(Event::Ready(_)) => {
            return Err(broken("it said that it is ready in the middle of a job".to_owned()));
        }
        Some(Event::Epoch(epoch)) => (epoch.trial, Answer::Epoch(epoch)),
        Some(Event::Done { trial, evaluation }) => (trial, Answer::Ended(Ok(evaluation))),
        Some(Event::Pruned { trial, seconds, images }) => {
            (trial, Answer::Ended(Err(Failure::Pruned { seconds, images })))
        }
        Some(Event::Failed { trial, reason }) => (trial, Answer::Ended(Err(Failure::Trial(reason)))),
    };
    if trial != job.trial {
        return Err(broken(format!("it spoke of trial {trial} and not of {}", job.trial)));
    }
    Ok(answer)
}

/// The event on a line; `None` for a line that was not meant as one.
fn understand(line: &str) -> Result<Option<Event>, String> {
    if !line.trim_start().starts_with('{') {
        return Ok(None);
    }
    serde_json::from_str(line).map(Some).map_err(|error| format!("{} is not an event ({error})", quote(line)))
}

/// The beginning of a line, in quotes.
fn quote(line: &str) -> String {
    const LONGEST: usize = 120;
    let mut text: String = line.chars().take(LONGEST).collect();
    if text.len() < line.len() {
        text.push('…');
    }
    format!("{text:?}")
}

pub(super) fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted("stopped in the middle of a trial".to_owned()));
    }
    Ok(())
}
