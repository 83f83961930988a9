//! The conversation: job lines in, event lines out, until the input ends.

use std::any::Any;
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use mfactor::protocol::{Evaluation, Event, Job};
use mfactor::{Error, Result};

use crate::device::Backend;
use crate::failure::Failure;
use crate::images::Images;
use crate::training;

/// Announces itself on `events`, then trains one job after another from `jobs`. Returns at the end of the input.
///
/// # Errors
/// [`Error::Input`] for a line that is no job and names no trial that could be told about it; [`Error::Io`] where
/// nobody takes the events any more.
pub fn serve(backend: Backend, jobs: impl BufRead, mut events: impl Write) -> Result<()> {
    send(&mut events, &Event::Ready(backend.facts()))?;
    let mut worker = Worker { backend, loaded: None };
    for (number, line) in (1..).zip(jobs.lines()) {
        let line = line.map_err(Error::io("read", "standard input".as_ref()))?;
        if line.trim().is_empty() {
            continue;
        }
        let last = match serde_json::from_str::<Job>(&line) {
            Ok(job) => worker.finish(&job, &mut events)?,
            Err(error) => refuse(&line, number, &error)?,
        };
        send(&mut events, &last)?;
    }
    Ok(())
}

/// What to answer to a line that is no job.
fn refuse(line: &str, number: u64, error: &serde_json::Error) -> Result<Event> {
    let reason = format!("line {number} is not a job: {error}");
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    match value.and_then(|value| value.get("trial")?.as_u64()) {
        Some(trial) => Ok(Event::Failed { trial, reason }),
        None => Err(Error::input("standard input", reason)),
    }
}

fn send(events: &mut impl Write, event: &Event) -> Result<()> {
    let line = serde_json::to_string(event)
        .map_err(|error| Error::Defect(format!("an event cannot be written as JSON: {error}")))?;
    writeln!(events, "{line}")
        .and_then(|()| events.flush())
        .map_err(Error::io("write", "standard output".as_ref()))
}

/// What lives on from job to job.
struct Worker {
    backend: Backend,
    /// The data set of the last job: a search trains on one, and loading it takes a second.
    loaded: Option<(PathBuf, Images)>,
}

impl Worker {
    /// Trains a job and returns its last event. Only an event that cannot be sent is an error.
    fn finish(&mut self, job: &Job, events: &mut impl Write) -> Result<Event> {
        let mut unsent = None;
        let mut on_event = |event: Event| {
            if unsent.is_none() {
                unsent = send(events, &event).err();
            }
        };
        // A job that panics leaves tensors behind that are dropped, and nothing else that a later job reads.
        let result = catch_unwind(AssertUnwindSafe(|| self.train(job, &mut on_event)))
            .unwrap_or_else(|panic| Err(Failure::Panic(text_of(&*panic))));
        if let Some(error) = unsent {
            return Err(error);
        }
        Ok(match result {
            Ok(evaluation) => Event::Done { trial: job.trial, evaluation },
            Err(failure) => Event::Failed { trial: job.trial, reason: failure.to_string() },
        })
    }

    fn train(&mut self, job: &Job, on_event: &mut dyn FnMut(Event)) -> Result<Evaluation, Failure> {
        training::check(job)?;
        let images = match self.loaded.take() {
            Some((folder, images)) if folder == job.data && images.fits(&job.space) => images,
            _ => Images::load(&job.data, &job.space, self.backend.device)?,
        };
        let (_, images) = self.loaded.insert((job.data.clone(), images));
        training::train(job, images, self.backend, on_event)
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
