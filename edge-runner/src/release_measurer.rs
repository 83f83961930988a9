//! What the runner lends to the board's side of a flash: models measured in rounds, in processes of their own.

use std::cell::Cell;
use std::path::Path;

use engines::{EngineKind, EngineOptions};
use mfactor::{Error, Result};
use release::Reply;
use release::board::{Measurer, Measuring, Opened};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::measure::Progress;
use crate::rounds::{self, Event, LiveMachine, Order, Subject};

/// Most characters of a name that somebody else chose.
const LONGEST_NAME: usize = 40;

/// Measures with the rounds of this runner, as long as anybody listens.
pub struct RoundsOfRelease;

impl Measurer for RoundsOfRelease {
    fn measure(&self, work: &Measuring, tell: &mut dyn FnMut(&Reply) -> Result<()>) -> Result<()> {
        let engines = engines(work)?;
        let subject = |model: &Opened, engine: &EngineOptions| Subject {
            model: model.path.clone(),
            contents: Some(model.contents.clone()),
            engine: engine.clone(),
        };
        let of_model = |model| engines.iter().map(move |engine| subject(model, engine));
        let order = Order {
            subjects: work.models.iter().flat_map(of_model).collect(),
            data: work.data.iter().map(|data| data.contents.clone()).collect(),
            preset: work.request.preset,
        };
        let is_gone = Cell::new(false);
        let is_stopped = || is_gone.get() || nobody_listens();
        let mut told = Ok(());
        let mut on_event = |subject: usize, event: Event<'_>| {
            let name = order.subjects[subject].model.file_name().unwrap_or_default();
            let reply = match event {
                Event::Complete(measured) => Reply::Measured(Box::new(measured.clone())),
                event => Reply::Measuring { model: name.to_string_lossy().into_owned(), step: step(&event) },
            };
            if told.is_ok() {
                told = tell(&reply);
                is_gone.set(told.is_err());
            }
        };
        let mut machine = LiveMachine::new(&work.program, &work.request.sensors, &is_stopped);
        let results = rounds::measure(&order, &mut machine, &mut on_event);
        told?;
        let failed = results.into_iter().find_map(Result::err);
        failed.map_or(Ok(()), |error| Err(with_names(error, &work.data)))
    }
}

/// The engines that were asked for, by their names.
fn engines(work: &Measuring) -> Result<Vec<EngineOptions>> {
    let library = work.library.as_ref().map(|library| library.contents.clone());
    let options = |name: &String| {
        let kind = EngineKind::named(name).ok_or_else(|| {
            Error::Usage(format!("there is no engine {}", mfactor::text::quoted(name, LONGEST_NAME)))
        })?;
        Ok(EngineOptions { kind, threads: work.request.threads, library: library.clone() })
    };
    work.request.engines.iter().map(options).collect()
}

/// Whether standard output leads to nobody any more: the connection was closed.
fn nobody_listens() -> bool {
    let output = rustix::stdio::stdout();
    let mut listener = [PollFd::new(&output, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut listener, Some(&now)).is_ok_and(|count| count > 0)
        && listener[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// The names of files in the place of their descriptors.
fn with_names(error: Error, files: &[Opened]) -> Error {
    match error {
        Error::Input { subject, problem } => {
            let opened = files.iter().find(|file| file.contents == Path::new(&subject));
            let subject = opened.map_or(subject, |file| file.path.display().to_string());
            Error::Input { subject, problem }
        }
        other => other,
    }
}

fn step(event: &Event<'_>) -> String {
    match event {
        Event::Progress { round, of, progress } => match progress {
            Progress::Loading | Progress::Loaded { .. } => "loading".to_owned(),
            Progress::WarmingUp => format!("round {round} of {of}, warming up"),
            Progress::Timing => format!("round {round} of {of}, timing"),
            Progress::Records { done, of } => format!("test image {done} of {of}"),
        },
        Event::Retry { reasons, wait } => {
            format!("{}; cooling down, at most {} s", reasons.join("; "), wait.as_secs())
        }
        Event::Partial(_) | Event::Complete(_) => "round over".to_owned(),
        Event::Failed(error) => error.to_string(),
    }
}
