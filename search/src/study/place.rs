//! Where a running study stands: how much is done, and how long the rest may take.

use mfactor::Proposer;

use super::Study;
use super::run::Next;
use crate::events::Place;
use crate::track::Track;

/// Seconds of the running trial that have gone by, and that its trainer expects to need yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub elapsed: f64,
    pub left: f64,
}

impl Study {
    /// Trials that a track was asked for.
    pub(super) fn asked_of(&self, track: &Track) -> u64 {
        match track.proposer() {
            Proposer::Baseline => 1,
            Proposer::Given => self.config.architectures.len() as u64,
            Proposer::Strategy(_) => self.config.trials,
        }
    }

    /// The place of a trial, with the time left if the trial is running and its clock known, or has ended.
    pub(super) fn place(&self, next: Next, clock: Option<Clock>) -> Place {
        let track = &self.tracks[next.track];
        let trial = &track.trials()[next.number];
        let finished = self.tracks.iter().map(|track| track.finished()).sum();
        let planned = self.tracks.iter().map(|track| self.planned(track)).sum();
        Place {
            strategy: track.proposer().to_string(),
            id: trial.id,
            number: trial.number,
            total: self.planned(track),
            architecture: trial.architecture.clone(),
            resumed: next.resumed,
            best: track.best_or_covered(&self.terms.sought),
            finished,
            planned,
            seconds_left: self.seconds_left(planned - finished, clock),
        }
    }

    /// Trials that a track can make: a small space may have fewer architectures than are asked for.
    fn planned(&self, track: &Track) -> u64 {
        let size = u64::try_from(self.terms.sought.space.size()).unwrap_or(u64::MAX);
        let asked = self.asked_of(track) + track.skipped();
        asked.min(size).max(track.trials().len() as u64)
    }

    /// Estimate for the `trials` that have not ended, as many of them at once as there are workers.
    fn seconds_left(&self, trials: u64, clock: Option<Clock>) -> Option<f64> {
        let clock = clock.filter(|clock| clock.left.is_finite());
        let of_tracks = self.tracks.iter().map(Track::seconds);
        let (seconds, count) = of_tracks.fold((0.0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        let mean = match (count, clock) {
            (0, clock) => clock.map(|clock| clock.elapsed + clock.left)?,
            (count, _) => seconds / count as f64,
        };
        let workers = self.config.workers as f64;
        Some(match clock {
            Some(clock) => clock.left + mean * trials.saturating_sub(1) as f64 / workers,
            None => mean * trials as f64 / workers,
        })
    }
}
