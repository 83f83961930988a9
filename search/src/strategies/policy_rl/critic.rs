//! The critic: what M-factor to expect of an architecture of which only the first options are made.

use mfactor::Point;

use super::Episode;

/// Observations of nothing in particular that each option's value is shrunk by.
const RIDGE: f64 = 0.3;
/// Rounds of coordinate descent. The values settle within a few: options are drawn almost independently.
const ROUNDS: usize = 20;
/// λ of generalised advantage estimation. Low: the additive values are a better guide than the residual,
/// which also carries the noise of training.
const LAMBDA: f64 = 0.3;

/// M-factor ≈ mean + Σ value of each option, fitted by ridge regression.
pub(super) struct Critic {
    /// Value of each option of each choice.
    values: Vec<Vec<f64>>,
    /// What the values leave unexplained, for each episode.
    residuals: Vec<f64>,
}

impl Critic {
    /// Fits the values to episodes, of which there is at least one.
    pub fn fit(options: &[u8], episodes: &[Episode]) -> Self {
        let mean = episodes.iter().map(|(_, score)| score).sum::<f64>() / episodes.len() as f64;
        let mut critic = Self {
            values: options.iter().map(|options| vec![0.0; usize::from(*options)]).collect(),
            residuals: episodes.iter().map(|(_, score)| score - mean).collect(),
        };
        for _ in 0..ROUNDS {
            for choice in 0..options.len() {
                critic.fit_choice(choice, episodes);
            }
        }
        critic
    }

    /// The values of one choice that fit best while the others stay.
    fn fit_choice(&mut self, choice: usize, episodes: &[Episode]) {
        let values = &mut self.values[choice];
        let mut sums = vec![0.0; values.len()];
        let mut counts = vec![RIDGE; values.len()];
        for ((point, _), residual) in episodes.iter().zip(&self.residuals) {
            let option = usize::from(point.options()[choice]);
            sums[option] += residual + values[option];
            counts[option] += 1.0;
        }
        let fitted: Vec<f64> = sums.iter().zip(&counts).map(|(sum, count)| sum / count).collect();
        for ((point, _), residual) in episodes.iter().zip(&mut self.residuals) {
            let option = usize::from(point.options()[choice]);
            *residual += values[option] - fitted[option];
        }
        *values = fitted;
    }

    /// Advantage of each step of an episode under a policy with these probabilities. A step changes the
    /// expected M-factor by the value of its option less the value expected of that choice; the last step
    /// also brings what the values could not foresee. Steps count for earlier ones with weight λ^distance.
    pub fn advantages(&self, probabilities: &[Vec<f64>], point: &Point, episode: usize) -> Vec<f64> {
        let mut later = self.residuals[episode] / LAMBDA;
        let mut advantages = vec![0.0; self.values.len()];
        for choice in (0..self.values.len()).rev() {
            let values = &self.values[choice];
            let expected: f64 = probabilities[choice].iter().zip(values).map(|(p, value)| p * value).sum();
            later = values[usize::from(point.options()[choice])] - expected + LAMBDA * later;
            advantages[choice] = later;
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
            .map(|n| [n % 2, n / 2 % 2])
            .map(|[first, second]| {
                let score = scores[0][usize::from(first)] + scores[1][usize::from(second)];
                (Point::new(vec![first, second]), score)
            })
            .collect();
        let critic = Critic::fit(&[2, 2], &episodes);
        assert!(critic.residuals.iter().all(|residual| residual.abs() < 0.01));
        let uniform = vec![vec![0.5; 2]; 2];
        let best = critic.advantages(&uniform, &Point::new(vec![1, 0]), 1);
        let worst = critic.advantages(&uniform, &Point::new(vec![0, 1]), 2);
        assert!(best.iter().all(|advantage| *advantage > 0.03), "{best:?}");
        assert!(worst.iter().all(|advantage| *advantage < -0.03), "{worst:?}");
    }
}
