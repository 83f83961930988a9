//! What the runner lends to the board's side of a flash: models measured in rounds, in processes of their own.

use engines::{EngineKind, EngineOptions};
use mfactor::Result;
use release::Reply;
use release::board::{Measurer, Measuring};

use crate::measure::Progress;
use crate::rounds::{self, Event, LiveMachine, Order, Subject};

/// Measures with the rounds of this runner.
pub struct RoundsOfRelease;

impl Measurer for RoundsOfRelease {
    fn measure(&self, work: &Measuring, tell: &mut dyn FnMut(&Reply) -> Result<()>) -> Result<()> {
        let threads = work.request.threads;
        let engine = EngineOptions { threads, ..EngineOptions::new(EngineKind::Tract) };
        let subject = |model: &std::path::PathBuf| Subject { model: model.clone(), engine: engine.clone() };
        let order = Order {
            subjects: work.models.iter().map(subject).collect(),
            data: work.data.clone(),
            preset: work.request.preset,
        };
        let mut told = Ok(());
        let mut on_event = |subject: usize, event: Event<'_>| {
            let name = order.subjects[subject].model.file_name().unwrap_or_default();
            let reply = match event {
                Event::Complete(measured) => Reply::Measured(Box::new(measured.clone())),
                event => Reply::Measuring { model: name.to_string_lossy().into_owned(), step: step(&event) },
            };
            if told.is_ok() {
                told = tell(&reply);
            }
        };
        let results = rounds::measure(&order, &mut LiveMachine { program: &work.program }, &mut on_event);
        told?;
        results.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }
}

fn step(event: &Event<'_>) -> String {
    match event {
        Event::Progress { round, of, progress } => match progress {
            Progress::Loading => "loading".to_owned(),
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
