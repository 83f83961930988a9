//! The one gate for results: whatever an evaluator answers becomes a complete or a failed trial here.

use mfactor::protocol::Evaluation;
use mfactor::{Objective, Trial, TrialState};

use crate::evaluators::Failure;

/// Ends `trial` with the evaluator's answer, or with the reason why there is none. A complete trial has a
/// finite accuracy from 0 to 1; a pruned one has only what it cost; anything else is a failure with its reason,
/// and the search goes on. An answer that ends the study is no answer to a trial: it fails like any other.
pub(crate) fn tell(trial: &mut Trial, answer: Result<Evaluation, Failure>, objective: &Objective) {
    let answer = answer.and_then(|evaluation| believable(evaluation).map_err(Failure::Trial));
    match answer {
        Ok(evaluation) => {
            trial.state = TrialState::Complete;
            trial.accuracy = Some(evaluation.accuracy);
            trial.seconds = Some(evaluation.seconds);
            trial.images = Some(evaluation.images);
            trial.score(objective);
        }
        Err(Failure::Pruned { seconds, images }) => {
            trial.state = TrialState::Pruned;
            trial.seconds = Some(seconds).filter(|seconds| seconds.is_finite());
            trial.images = Some(images);
        }
        Err(Failure::Trial(reason)) => fail(trial, reason),
        Err(Failure::Study(error)) => fail(trial, error.to_string()),
    }
}

fn fail(trial: &mut Trial, reason: String) {
    trial.state = TrialState::Failed;
    trial.failure = Some(reason);
}

/// Whether an accuracy may be recorded.
pub(crate) fn is_accuracy(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

fn believable(evaluation: Evaluation) -> Result<Evaluation, String> {
    let Evaluation { accuracy, seconds, .. } = evaluation;
    if accuracy.is_nan() {
        Err("the accuracy is not a number: training diverged".to_owned())
    } else if !is_accuracy(accuracy) {
        Err(format!("the accuracy is {accuracy}; it must be from 0 to 1"))
    } else if !(seconds.is_finite() && seconds >= 0.0) {
        Err(format!("the evaluation took {seconds} seconds; that cannot be"))
    } else {
        Ok(evaluation)
    }
}
