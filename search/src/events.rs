//! What a running study tells its observer. The observer draws; the study never prints.

use mfactor::protocol::{Epoch, TrainerFacts};
use mfactor::{Architecture, Trial};

/// What happened. For each trial: `Started`, `Epoch` zero or more times, then one of `Finished`, `Pruned`, `Skipped` and
/// `Failed`, or nothing more if the study was stopped. With several workers the events of several trials mix.
#[derive(Debug, Clone, PartialEq)]
pub enum StudyEvent {
    /// A trainer is up; again after each restart.
    Trainer(TrainerFacts),
    /// A trial began.
    Started {
        /// Which.
        place: Place,
    },
    /// An epoch of a trial ended.
    Epoch {
        /// Of which.
        place: Place,
        /// Loss, accuracy, speed and the time left of this trial.
        epoch: Epoch,
    },
    /// A trial is complete.
    Finished {
        /// Which.
        place: Place,
        /// Its result.
        trial: Trial,
    },
    /// A trial was stopped early, for others were ahead of it.
    Pruned {
        /// Which.
        place: Place,
        /// The trial, with its accuracies so far.
        trial: Trial,
    },
    /// A trial was not trained, for what a board said of it is beyond a limit.
    Skipped {
        /// Which.
        place: Place,
        /// The trial; `failure` says what it costs.
        trial: Trial,
    },
    /// Something went wrong in a trial that does not change its result.
    Warning {
        /// Which trial.
        place: Place,
        /// What, in a sentence.
        text: String,
    },
    /// A trial failed, and the search goes on.
    Failed {
        /// Which.
        place: Place,
        /// The trial; `failure` says why.
        trial: Trial,
    },
    /// A strategy ended before its trials were used up: the space has no further architecture, or it found none among many
    /// that could win.
    Exhausted {
        /// The strategy.
        strategy: String,
        /// Trials it made.
        trials: u64,
        /// How many of them were skipped.
        skipped: u64,
    },
}

/// Where in the study an event happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The strategy, or the baseline.
    pub strategy: String,
    /// The trial's id.
    pub id: u64,
    /// The trial's number among those of its strategy, from 0.
    pub number: u64,
    /// Trials this strategy will make.
    pub total: u64,
    /// The trial's architecture.
    pub architecture: Architecture,
    /// Whether the trial was cut off before and is evaluated again.
    pub resumed: bool,
    /// Best M-factor of this strategy so far; where a front is sought, the share of its hypervolume that this strategy has
    /// covered.
    pub best: Option<f64>,
    /// Trials of the whole study that have ended.
    pub finished: u64,
    /// Trials of the whole study.
    pub planned: u64,
    /// Estimate of the time to the end of the study, from the mean of its trials so far; absent while nothing
    /// is known.
    pub seconds_left: Option<f64>,
}
