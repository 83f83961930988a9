//! Evaluators: what turns an architecture into an accuracy, the only expensive call in a study. They know
//! neither strategies nor the study.

mod constant;
mod table;
mod trainer_process;

use std::sync::atomic::AtomicBool;

use mfactor::protocol::{Evaluation, Event, Job};
use mfactor::{Error, Result};

pub use constant::Constant;
pub use table::Table;
pub use trainer_process::{TrainerCommand, TrainerProcess};

/// Turns an architecture into an evaluation.
pub trait Evaluator {
    /// Evaluates one job. Events of the job go to `on_event` as they come; an error from it ends the evaluation.
    /// Once `stop` is set the evaluation ends soon, with [`Error::Interrupted`].
    fn evaluate(
        &mut self,
        job: &Job,
        on_event: &mut dyn FnMut(Event) -> Result<()>,
        stop: &AtomicBool,
    ) -> Result<Evaluation, Failure>;
}

/// Why there is no evaluation.
#[derive(Debug)]
pub enum Failure {
    /// This trial failed, for the reason given; another may succeed.
    Trial(String),
    /// No trial can succeed: the study ends.
    Study(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Study(error)
    }
}
