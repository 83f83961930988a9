//! Asynchronous successive halving (Li et al., arXiv:1810.05934): trials that are behind others after a part of
//! the budget are stopped. Decided at once from what is known, as in Optuna's `SuccessiveHalvingPruner`.

use mfactor::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which trials are stopped early. Trials are compared with the others of their strategy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pruning {
    /// Of the trials that get as far as a rung, one in so many goes on.
    pub reduction: u32,
    /// The first rung: an epoch, from 1. Each further rung is `reduction` times as far.
    pub first_epoch: u32,
    /// What is compared.
    pub by: PruningScore,
    /// With [`PruningScore::Front`]: accuracy that a trial may be behind and go on, a fraction of 1.
    #[serde(skip_serializing_if = "is_default_margin")]
    pub margin: f64,
}

/// What a training gains or loses by chance after few epochs.
const MARGIN: f64 = 0.02;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_default_margin(margin: &f64) -> bool {
    *margin == MARGIN
}

/// What decides between trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PruningScore {
    /// The M-factor of the validation accuracy so far. The size is known before any training, so this is the
    /// study's own objective.
    MFactor,
    /// The validation accuracy so far. Stops small architectures that learn a little less and would have had the
    /// higher M-factor.
    Accuracy,
    /// The validation accuracy so far, against trials that cost no more in any cost of the front. One that is behind by
    /// more than [`Pruning::margin`] is stopped, for it will hardly lie on the front; costs are known before any training.
    Front,
}

impl Default for Pruning {
    fn default() -> Self {
        Self { reduction: 3, first_epoch: 1, by: PruningScore::MFactor, margin: MARGIN }
    }
}

impl Pruning {
    /// Checks every value; the error names `subject` and the key.
    pub fn check(&self, subject: &str) -> Result<()> {
        let check = |key: &str, holds: bool, must: &str| {
            if holds { Ok(()) } else { Err(Error::input(format!("{subject}, prune.{key}"), must)) }
        };
        check("reduction", (2..=100).contains(&self.reduction), "must be from 2 to 100")?;
        check("margin", (0.0..=1.0).contains(&self.margin), "must be from 0 to 1")?;
        check("first_epoch", (1..=10_000).contains(&self.first_epoch), "must be from 1 to 10000")
    }

    /// The epochs after which a training of `epochs` epochs may be stopped.
    pub fn rungs(&self, epochs: u32) -> Vec<u32> {
        let next = |epoch: &u32| epoch.checked_mul(self.reduction);
        std::iter::successors(Some(self.first_epoch), next).take_while(|epoch| *epoch < epochs).collect()
    }

    /// Pruning against the front.
    pub fn by_front() -> Self {
        Self { by: PruningScore::Front, ..Self::default() }
    }

    /// Whether a trial with this `score` at a rung goes on, where `others` are the scores of the trials that came
    /// this far before: it must be among the best one in `reduction` of all, or the best while they are fewer. By
    /// [`PruningScore::Front`] `others` are those that cost no more, and it may be behind the best by the margin.
    pub fn goes_on(&self, score: f64, others: &[f64]) -> bool {
        if self.by == PruningScore::Front {
            return others.iter().all(|other| score >= other - self.margin);
        }
        let places = ((others.len() + 1) / self.reduction as usize).max(1);
        others.iter().filter(|other| **other > score).count() < places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_lie_inside_the_budget() {
        let pruning = Pruning::default();
        assert_eq!(pruning.rungs(1), [0; 0]);
        assert_eq!(pruning.rungs(3), [1]);
        assert_eq!(pruning.rungs(10), [1, 3, 9]);
        assert_eq!(Pruning { first_epoch: 2, reduction: 4, ..pruning }.rungs(100), [2, 8, 32]);
    }

    #[test]
    fn one_in_three_goes_on_and_the_best_always() {
        let pruning = Pruning::default();
        assert!(pruning.goes_on(0.1, &[]));
        assert!(pruning.goes_on(0.5, &[0.4]) && !pruning.goes_on(0.3, &[0.4]));
        let others: Vec<f64> = (1..=8).map(|n| f64::from(n) / 10.0).collect();
        assert!(pruning.goes_on(0.65, &others), "the third of nine");
        assert!(!pruning.goes_on(0.55, &others), "the fourth of nine");
        assert!(pruning.goes_on(0.4, &[0.4; 20]), "equals are not ahead");
    }

    #[test]
    fn by_the_front_a_trial_may_be_behind_by_the_margin() {
        let pruning = Pruning { margin: 0.125, ..Pruning::by_front() };
        assert!(pruning.goes_on(0.25, &[]));
        assert!(pruning.goes_on(0.375, &[0.25, 0.5]) && !pruning.goes_on(0.3125, &[0.25, 0.5]));
    }

    #[test]
    fn wrong_values_are_named() {
        for (pruning, key) in [
            (Pruning { reduction: 1, ..Pruning::default() }, "prune.reduction"),
            (Pruning { first_epoch: 0, ..Pruning::default() }, "prune.first_epoch"),
        ] {
            assert!(pruning.check("study.toml").unwrap_err().to_string().contains(key));
        }
    }
}
