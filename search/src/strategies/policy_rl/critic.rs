//! The critic: what M-factor to expect of an architecture of which only the first choices are made.

use super::Episode;
use crate::strategies::history::Row;

/// Observations of nothing in particular that each choice's value is shrunk by.
const RIDGE: f64 = 0.3;
/// Rounds of coordinate descent. The values settle within a few: choices are drawn almost independently.
const ROUNDS: usize = 20;
/// λ of generalised advantage estimation. Low: the additive values are a better guide than the residual,
/// which also carries the noise of training.
const LAMBDA: f64 = 0.3;

/// M-factor ≈ mean + Σ value of each choice, fitted by ridge regression.
pub(super) struct Critic {
    /// Value of each choice of each decision.
    values: Vec<Vec<f64>>,
    /// What the values leave unexplained, for each episode.
    residuals: Vec<f64>,
}

impl Critic {
    /// Fits the values to episodes, of which there is at least one.
    pub fn fit(choices: &[u8], episodes: &[Episode]) -> Self {
        let mean = episodes.iter().map(|(_, score)| score).sum::<f64>() / episodes.len() as f64;
        let mut critic = Self {
            values: choices.iter().map(|choices| vec![0.0; usize::from(*choices)]).collect(),
            residuals: episodes.iter().map(|(_, score)| score - mean).collect(),
        };
        for _ in 0..ROUNDS {
            for decision in 0..choices.len() {
                critic.fit_decision(decision, episodes);
            }
        }
        critic
    }

    /// The values of one decision that fit best while the others stay.
    fn fit_decision(&mut self, decision: usize, episodes: &[Episode]) {
        let values = &mut self.values[decision];
        let mut sums = vec![0.0; values.len()];
        let mut counts = vec![RIDGE; values.len()];
        for ((row, _), residual) in episodes.iter().zip(&self.residuals) {
            let choice = usize::from(row[decision]);
            sums[choice] += residual + values[choice];
            counts[choice] += 1.0;
        }
        let fitted: Vec<f64> = sums.iter().zip(&counts).map(|(sum, count)| sum / count).collect();
        for ((row, _), residual) in episodes.iter().zip(&mut self.residuals) {
            let choice = usize::from(row[decision]);
            *residual += values[choice] - fitted[choice];
        }
        *values = fitted;
    }

    /// Advantage of each step of an episode under a policy with these probabilities. A step changes the
    /// expected M-factor by the value of its choice less the value expected of that decision; the last step
    /// also brings what the values could not foresee. Steps count for earlier ones with weight λ^distance.
    pub fn advantages(&self, probabilities: &[Vec<f64>], row: &Row, episode: usize) -> Vec<f64> {
        let mut later = self.residuals[episode] / LAMBDA;
        let mut advantages = vec![0.0; row.len()];
        for decision in (0..row.len()).rev() {
            let values = &self.values[decision];
            let expected: f64 = probabilities[decision].iter().zip(values).map(|(p, value)| p * value).sum();
            later = values[usize::from(row[decision])] - expected + LAMBDA * later;
            advantages[decision] = later;
        }
        advantages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additive_scores_are_explained_and_good_choices_have_the_advantage() {
        let scores = [[0.1, 0.4], [0.3, 0.2]];
        let episodes: Vec<Episode> = (0..40u8)
            .map(|n| vec![n % 2, n / 2 % 2])
            .map(|row| {
                let score = scores[0][usize::from(row[0])] + scores[1][usize::from(row[1])];
                (row, score)
            })
            .collect();
        let critic = Critic::fit(&[2, 2], &episodes);
        assert!(critic.residuals.iter().all(|residual| residual.abs() < 0.01));
        let uniform = vec![vec![0.5; 2]; 2];
        let best = critic.advantages(&uniform, &vec![1, 0], 1);
        let worst = critic.advantages(&uniform, &vec![0, 1], 2);
        assert!(best.iter().all(|advantage| *advantage > 0.03), "{best:?}");
        assert!(worst.iter().all(|advantage| *advantage < -0.03), "{worst:?}");
    }
}
