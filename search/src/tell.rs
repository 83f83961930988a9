//! The one gate for results: whatever an evaluator answers becomes a complete or a failed trial here.

use mfactor::protocol::Evaluation;
use mfactor::{Objective, Trial, TrialState};

/// Ends `trial` with the evaluator's answer, or with the reason why there is none. A complete trial has a
/// finite accuracy from 0 to 1; anything else is a failure with its reason, and the search goes on.
pub(crate) fn tell(trial: &mut Trial, answer: Result<Evaluation, String>, objective: &Objective) {
    match answer.and_then(believable) {
        Ok(evaluation) => {
            trial.state = TrialState::Complete;
            trial.accuracy = Some(evaluation.accuracy);
            trial.m_factor = Some(objective.m_factor(evaluation.accuracy, trial.cost.parameters));
            trial.seconds = Some(evaluation.seconds);
            trial.images = Some(evaluation.images);
        }
        Err(reason) => {
            trial.state = TrialState::Failed;
            trial.failure = Some(reason);
        }
    }
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
