//! The conversation: job lines in, event lines out, and decisions in between, until the input ends.

use std::any::Any;
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use mfactor::lines::{self, Line};
use mfactor::protocol::{Decision, Epoch, Event, FailureKind, Job};
use mfactor::{Error, Result};

use crate::device::Backend;
use crate::failure::Failure;
use crate::images::Images;
use crate::training::{self, Ended};

/// Most bytes of a job: a space is a page of text.
const LONGEST_LINE: usize = 64 << 20;

/// Announces itself on `events`, then trains one job after another from `jobs`. Returns at the end of the input.
///
/// # Errors
/// [`Error::Input`] for a line that is no job and names no trial that could be told about it, or for one that is
/// no decision where one is due; [`Error::Io`] where
/// nobody takes the events any more.
pub fn serve(backend: Backend, jobs: impl BufRead, events: impl Write) -> Result<()> {
    let mut search = Search { lines: jobs, read: 0, events };
    search.send(&Event::Ready(backend.facts()))?;
    let mut worker = Worker { backend, loaded: None };
    while let Some(line) = search.line()? {
        let last = match serde_json::from_str::<Job>(&line) {
            Ok(job) => worker.finish(&job, &mut search)?,
            Err(error) => refuse(&line, search.read, &error)?,
        };
        search.send(&last)?;
    }
    Ok(())
}

/// The other end of the conversation.
struct Search<R, W> {
    lines: R,
    /// Lines read so far.
    read: usize,
    events: W,
}

impl<R: BufRead, W: Write> Search<R, W> {
    /// The next line that says something; `None` at the end of the input.
    fn line(&mut self) -> Result<Option<String>> {
        let wrong =
            |number: usize, problem: &str| Error::input("standard input", format!("line {number} {problem}"));
        loop {
            let line = lines::next(&mut self.lines, LONGEST_LINE)
                .map_err(Error::io("read", "standard input".as_ref()))?;
            self.read += 1;
            let line = match line {
                Line::Whole(line) | Line::Torn(line) => line,
                Line::TooLong(_) => return Err(wrong(self.read, "is too long for a job")),
                Line::End => return Ok(None),
            };
            let line = String::from_utf8(line).map_err(|_| wrong(self.read, "is not UTF-8 text"))?;
            if !line.trim().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    fn send(&mut self, event: &Event) -> Result<()> {
        let line = serde_json::to_string(event)
            .map_err(|error| Error::Defect(format!("an event cannot be written as JSON: {error}")))?;
        writeln!(self.events, "{line}")
            .and_then(|()| self.events.flush())
            .map_err(Error::io("write", "standard output".as_ref()))
    }

    /// Reports an epoch and, where the job says so, waits for the decision. Whether to go on.
    fn report(&mut self, job: &Job, epoch: Epoch) -> Result<bool> {
        let number = epoch.epoch;
        self.send(&Event::Epoch(epoch))?;
        if !job.decisions.contains(&number) {
            return Ok(true);
        }
        let wrong = |problem: String| Error::input("standard input", problem);
        let line = self.line()?.ok_or_else(|| wrong("ended where a decision was due".to_owned()))?;
        match serde_json::from_str::<Decision>(&line) {
            Ok(decision) if decision.trial == job.trial => Ok(decision.go_on),
            Ok(decision) => Err(wrong(format!(
                "line {} decides on trial {} and not on {}",
                self.read, decision.trial, job.trial
            ))),
            Err(error) => Err(wrong(format!("line {} is not a decision: {error}", self.read))),
        }
    }
}

/// What to answer to a line that is no job.
fn refuse(line: &str, number: usize, error: &serde_json::Error) -> Result<Event> {
    let reason = format!("line {number} is not a job: {error}");
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    match value.and_then(|value| value.get("trial")?.as_u64()) {
        Some(trial) => Ok(Event::Failed { trial, kind: FailureKind::Job, reason }),
        None => Err(Error::input("standard input", reason)),
    }
}

/// What lives on from job to job.
struct Worker {
    backend: Backend,
    /// The data set of the last job: a search trains on one, and loading it takes a second.
    loaded: Option<(PathBuf, Images)>,
}

impl Worker {
    /// Trains a job and returns its last event. It is an error, and training stops, if nobody takes the events
    /// or a decision does not come.
    fn finish(&mut self, job: &Job, search: &mut Search<impl BufRead, impl Write>) -> Result<Event> {
        let mut on_epoch = |epoch| search.report(job, epoch).map_err(Failure::Conversation);
        // A job that panics leaves tensors behind that are dropped, and nothing else that a later job reads.
        let result = catch_unwind(AssertUnwindSafe(|| self.train(job, &mut on_epoch)))
            .unwrap_or_else(|panic| Err(Failure::Panic(text_of(&*panic))));
        let trial = job.trial;
        match result {
            Ok(Ended::Done(evaluation)) => Ok(Event::Done { trial, evaluation }),
            Ok(Ended::Pruned { seconds, images }) => Ok(Event::Pruned { trial, seconds, images }),
            Err(Failure::Conversation(error)) => Err(error),
            Err(failure) => Ok(Event::Failed { trial, kind: failure.kind(), reason: failure.to_string() }),
        }
    }

    fn train(
        &mut self,
        job: &Job,
        on_epoch: &mut dyn FnMut(Epoch) -> Result<bool, Failure>,
    ) -> Result<Ended, Failure> {
        training::check(job)?;
        let seen = job.space.image_of(&job.architecture)?;
        let images = match self.loaded.take() {
            Some((folder, images)) if folder == job.data && images.fits(&job.space, seen) => images,
            _ => Images::load(&job.data, &job.space, seen, self.backend.device)?,
        };
        let (_, images) = self.loaded.insert((job.data.clone(), images));
        training::train(job, images, self.backend, on_epoch)
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
