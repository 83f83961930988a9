//! The one gate for results: whatever an evaluator answers becomes a complete or a failed trial here.

use mfactor::protocol::{Evaluation, FailureKind};
use mfactor::{Objective, Trial, TrialState};

use crate::evaluators::Ended;

/// Ends `trial` as its evaluation ended. A complete trial has a finite accuracy from 0 to 1; a pruned one has only what it
/// cost; anything else is a failure with its reason, and the search goes on.
pub(crate) fn tell(trial: &mut Trial, ended: Ended, objective: &Objective) {
    match ended {
        Ended::Complete(evaluation) => match disbelief(&evaluation) {
            Some((kind, reason)) => fail(trial, kind, reason),
            None => {
                trial.state = TrialState::Complete;
                trial.accuracy = Some(evaluation.accuracy);
                trial.seconds = Some(evaluation.seconds);
                trial.images = Some(evaluation.images);
                trial.score(objective);
            }
        },
        // Whatever is told to break a limit was not evaluated: that it does was measured.
        Ended::Pruned { .. } if let Some(breach) = objective.breach(&trial.cost) => {
            trial.state = TrialState::Skipped;
            trial.failure = Some(breach);
        }
        Ended::Pruned { seconds, images } => {
            trial.state = TrialState::Pruned;
            trial.seconds = Some(seconds).filter(|seconds| seconds.is_finite());
            trial.images = Some(images);
        }
        Ended::Failed { kind, reason } => fail(trial, kind, reason),
    }
}

fn fail(trial: &mut Trial, kind: FailureKind, reason: String) {
    trial.state = TrialState::Failed;
    trial.failure_kind = Some(kind).filter(|kind| *kind != FailureKind::Unknown);
    trial.failure = Some(reason);
}

/// Whether an accuracy may be recorded.
pub(crate) fn is_accuracy(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

/// Why a result cannot be.
fn disbelief(evaluation: &Evaluation) -> Option<(FailureKind, String)> {
    let Evaluation { accuracy, seconds, .. } = *evaluation;
    if accuracy.is_nan() {
        Some((FailureKind::Diverged, "the accuracy is not a number: training diverged".to_owned()))
    } else if !is_accuracy(accuracy) {
        Some((FailureKind::Trainer, format!("the accuracy is {accuracy}; it must be from 0 to 1")))
    } else if !(seconds.is_finite() && seconds >= 0.0) {
        Some((FailureKind::Trainer, format!("the evaluation took {seconds} seconds; that cannot be")))
    } else {
        None
    }
}
