//! How far a regression over a study's trials can be trusted.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::rank::Statistic;
use crate::resample::bootstrap_interval;

/// Trials below which nothing is said.
pub const FEWEST: usize = 10;
/// Tau below which a regression is of no use.
pub const USELESS: f64 = 0.3;

/// The agreement of trials with what a regression without them says of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trust {
    /// Trials.
    pub trials: usize,
    /// Kendall's tau-b between what they reached and what was predicted.
    pub tau: f64,
    /// Its 95 % bootstrap interval.
    pub interval: Option<[f64; 2]>,
}

impl Trust {
    /// The agreement of two equally long lists. `None` of fewer than [`FEWEST`] trials, or where all are alike.
    pub fn new(reached: &[f64], predicted: &[f64]) -> Option<Self> {
        let trials = reached.len();
        let tau = Statistic::KendallTauB.of(reached, predicted).filter(|_| trials >= FEWEST)?;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let interval = bootstrap_interval(Statistic::KendallTauB, reached, predicted, &mut rng);
        Some(Self { trials, tau, interval })
    }

    /// In a sentence.
    pub fn words(&self) -> String {
        let Self { trials, tau, .. } = self;
        let interval =
            self.interval.map_or_else(String::new, |[low, high]| format!(" (95 %: {low:+.2} to {high:+.2})"));
        let judged = match *tau < USELESS {
            true => "useless, for it hardly ranks what it did not learn from",
            false => "it ranks what it did not learn from",
        };
        format!(
            "The regression has a leave-one-out tau of {tau:+.2}{interval} over {trials} trials: {judged}."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_rank_is_called_useless() {
        let reached: Vec<f64> = (0..20).map(f64::from).collect();
        let shuffled: Vec<f64> = (0..20).map(|n| f64::from(n * 9 % 20)).collect();
        let [good, bad] = [&reached, &shuffled].map(|predicted| Trust::new(&reached, predicted).unwrap());
        assert_eq!(good.tau, 1.0);
        assert!(!good.words().contains("useless") && bad.words().contains("useless"), "{}", bad.words());
        assert!(bad.interval.is_some_and(|[low, high]| low < bad.tau && bad.tau < high));
        assert_eq!(Trust::new(&reached[..9], &shuffled[..9]), None);
        assert_eq!(Trust::new(&[1.0; 20], &shuffled), None);
    }
}
