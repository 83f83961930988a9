//! Evaluators: what turns an architecture into an accuracy, the only expensive call in a study. They know
//! neither strategies nor the study.

mod cached;
mod constant;
mod table;
mod trained;
mod trainer_process;

use std::sync::atomic::AtomicBool;

use mfactor::Result;
use mfactor::cost::BoardCosts;
use mfactor::protocol::{Epoch, Evaluation, FailureKind, Job, TrainerFacts};

pub use cached::{Cached, recorded, replay, training_key};
pub use constant::Constant;
pub use table::Table;
pub use trained::TRAINED_FILES;
pub use trainer_process::{TrainerCommand, TrainerProcess};

/// Turns an architecture into an evaluation. A study with several workers has one evaluator for each and calls
/// them from threads of their own.
pub trait Evaluator: Send {
    /// The evaluator that this one is around; `None` where it answers by itself.
    fn inner(&mut self) -> Option<&mut dyn Evaluator> {
        None
    }

    /// What trains, for all of it has a part in the result: a trainer is started to be asked. `None` where nothing is
    /// trained. Around another evaluator it is that one's.
    fn trainer(
        &mut self,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Option<TrainerFacts>> {
        self.inner().map_or(Ok(None), |inner| inner.trainer(on_report, stop))
    }

    /// Evaluates one job. What happens on the way goes to `on_report` as it comes. Its answer to an epoch that
    /// [`Job::decisions`] names, or to [`Report::Measured`], says whether to go on, and means nothing elsewhere; an error from it ends the
    /// evaluation. Once `stop` is set the evaluation ends soon, with [`mfactor::Error::Interrupted`].
    ///
    /// # Errors
    /// What no trial can succeed with, and so ends the study. That a trial failed is an answer.
    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended>;
}

impl<E: Evaluator + ?Sized> Evaluator for Box<E> {
    fn trainer(
        &mut self,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Option<TrainerFacts>> {
        (**self).trainer(on_report, stop)
    }

    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        (**self).evaluate(job, on_report, stop)
    }
}

impl<E: Evaluator + ?Sized> Evaluator for &mut E {
    fn trainer(
        &mut self,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Option<TrainerFacts>> {
        (**self).trainer(on_report, stop)
    }

    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        (**self).evaluate(job, on_report, stop)
    }
}

/// What an evaluator reports on the way.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A trainer is up; again after each restart.
    Trainer(TrainerFacts),
    /// An epoch has ended.
    Epoch(Epoch),
    /// What a board said that the network costs. Its answer says whether it is worth a training: it may be beyond a limit.
    Measured(BoardCosts),
    /// The result comes from an earlier training of the same job. Sent before its epochs.
    Reused,
    /// The evaluation begins again, for the reason given: the epochs so far do not count.
    Again(String),
    /// Something went wrong that changes no result, in a sentence.
    Warning(String),
}

/// Whether an evaluation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    GoOn,
    /// It ends here, with [`Ended::Pruned`].
    Prune,
}

/// How an evaluation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// With a result.
    Complete(Evaluation),
    /// Early, as the study's verdict was, or never begun.
    Pruned {
        /// Wall-clock seconds until then.
        seconds: f64,
        /// Training images that were seen.
        images: u64,
    },
    /// Without a result; another trial may succeed.
    Failed {
        /// What kind of failure it is.
        kind: FailureKind,
        /// Why, in a sentence.
        reason: String,
    },
}

impl Ended {
    /// A failure for this reason.
    pub fn failed(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self::Failed { kind, reason: reason.into() }
    }
}
