//! The policy: a softmax over the options of each choice, improved by Adam on the clipped objective.

use mfactor::Point;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Gradient steps of one update, each over all of its episodes.
const STEPS: usize = 10;
/// Adam's step size. Logits are few and start at 0, so it may be large.
const LEARNING_RATE: f64 = 0.1;
/// Adam's decay of the mean gradient and of its square.
const DECAY: (f64, f64) = (0.9, 0.999);
/// ε of the clipped objective: a option gains nothing from becoming more (or less) probable than this factor.
const CLIP: f64 = 0.2;
/// Weight of the entropy, which keeps the policy from settling on what few trials say.
const ENTROPY_WEIGHT: f64 = 0.2;

/// Logits of every option of every choice, with Adam's state.
#[derive(Default)]
pub(super) struct Policy {
    logits: Vec<Vec<f64>>,
    mean: Vec<Vec<f64>>,
    square: Vec<Vec<f64>>,
    steps: i32,
}

impl Policy {
    /// The policy that prefers nothing.
    pub fn uniform(options: &[u8]) -> Self {
        let zeros: Vec<Vec<f64>> = options.iter().map(|options| vec![0.0; usize::from(*options)]).collect();
        Self { logits: zeros.clone(), mean: zeros.clone(), square: zeros, steps: 0 }
    }

    /// Whether it has these numbers of options.
    pub fn fits(&self, options: &[u8]) -> bool {
        self.logits.iter().map(Vec::len).eq(options.iter().map(|options| usize::from(*options)))
    }

    /// Probabilities of every option of every choice; the higher the temperature, the more alike.
    pub fn probabilities(&self, temperature: f64) -> Vec<Vec<f64>> {
        self.logits.iter().map(|logits| softmax(logits, temperature)).collect()
    }

    /// Draws a option for each choice.
    pub fn sample(&self, temperature: f64, rng: &mut ChaCha8Rng) -> Point {
        let draw = |logits: &Vec<f64>| {
            let mut quantile: f64 = rng.random();
            let option = softmax(logits, temperature).iter().position(|probability| {
                quantile -= probability;
                quantile < 0.0
            });
            // Rounding may leave the quantile a hair above the sum of all probabilities.
            option.unwrap_or(logits.len() - 1) as u8
        };
        Point::new(self.logits.iter().map(draw).collect())
    }

    /// Makes the options of `points` more probable where their advantage is positive and less where it is
    /// negative, but not by much.
    pub fn improve(&mut self, points: &[&Point], advantages: &[Vec<f64>]) {
        let before = self.probabilities(1.0);
        for _ in 0..STEPS {
            self.steps += 1;
            for (choice, before) in before.iter().enumerate() {
                let taken = points.iter().zip(advantages);
                let taken = taken
                    .map(|(point, advantages)| (usize::from(point.options()[choice]), advantages[choice]));
                let gradient = gradient(&softmax(&self.logits[choice], 1.0), before, taken);
                self.climb(choice, &gradient);
            }
        }
    }

    /// One step of Adam for one choice.
    fn climb(&mut self, choice: usize, gradient: &[f64]) {
        let correction = (1.0 - DECAY.0.powi(self.steps), 1.0 - DECAY.1.powi(self.steps));
        for (option, gradient) in gradient.iter().enumerate() {
            let mean = &mut self.mean[choice][option];
            let square = &mut self.square[choice][option];
            *mean = DECAY.0 * *mean + (1.0 - DECAY.0) * gradient;
            *square = DECAY.1 * *square + (1.0 - DECAY.1) * gradient * gradient;
            let step = (*mean / correction.0) / ((*square / correction.1).sqrt() + 1e-8);
            self.logits[choice][option] += LEARNING_RATE * step;
        }
    }
}

/// Gradient with respect to the logits of one choice of mean(min(r·A, clip(r)·A)) + weight·entropy, where r
/// is the ratio of the probability `now` to that `before` the update.
fn gradient(now: &[f64], before: &[f64], taken: impl ExactSizeIterator<Item = (usize, f64)>) -> Vec<f64> {
    let count = taken.len() as f64;
    let entropy: f64 = -now.iter().map(|p| p * log(*p)).sum::<f64>();
    let mut gradient: Vec<f64> = now.iter().map(|p| -ENTROPY_WEIGHT * p * (log(*p) + entropy)).collect();
    for (option, advantage) in taken {
        let ratio = now[option] / before[option];
        let is_clipped = if advantage > 0.0 { ratio > 1.0 + CLIP } else { ratio < 1.0 - CLIP };
        if is_clipped {
            continue;
        }
        for (other, slope) in gradient.iter_mut().enumerate() {
            let kronecker = f64::from(u8::from(other == option));
            *slope += advantage * ratio * (kronecker - now[other]) / count;
        }
    }
    gradient
}

fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| ((logit - largest) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Logarithm of a probability, finite also for one that was rounded to 0.
fn log(probability: f64) -> f64 {
    probability.max(f64::MIN_POSITIVE).ln()
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn the_gradient_is_that_of_the_objective() {
        let logits = [0.3, -0.2, 0.1];
        let before = softmax(&[0.25, -0.2, 0.1], 1.0);
        let taken = [(0, 1.3), (2, -0.7), (1, 0.4), (0, 0.2)];
        let objective = |logits: &[f64]| {
            let now = softmax(logits, 1.0);
            let clipped = |(option, advantage): &(usize, f64)| {
                let ratio: f64 = now[*option] / before[*option];
                f64::min(ratio * advantage, ratio.clamp(1.0 - CLIP, 1.0 + CLIP) * advantage)
            };
            let entropy: f64 = -now.iter().map(|p| p * p.ln()).sum::<f64>();
            taken.iter().map(clipped).sum::<f64>() / taken.len() as f64 + ENTROPY_WEIGHT * entropy
        };
        let analytic = gradient(&softmax(&logits, 1.0), &before, taken.into_iter());
        for option in 0..3 {
            let (mut up, mut down) = (logits, logits);
            up[option] += 1e-6;
            down[option] -= 1e-6;
            let numeric = (objective(&up) - objective(&down)) / 2e-6;
            assert!((analytic[option] - numeric).abs() < 1e-8, "{option}: {} {numeric}", analytic[option]);
        }
    }

    #[test]
    fn an_update_goes_towards_the_advantage_and_the_clip_holds_it_back() {
        let mut policy = Policy::uniform(&[3, 1]);
        let points = [[0, 0], [1, 0], [2, 0]].map(|options| Point::new(options.to_vec()));
        policy.improve(&points.each_ref(), &[vec![2.0, 0.0], vec![-1.0, 0.0], vec![-1.0, 0.0]]);
        let probabilities = policy.probabilities(1.0);
        // Ten free steps would end near 0.79. Adam's momentum carries some way past the clip, at 0.4.
        assert!(probabilities[0][0] > 0.4 && probabilities[0][0] < 0.7, "{probabilities:?}");
        assert_eq!(probabilities[1], [1.0]);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let drawn =
            (0..3000).filter(|_| policy.sample(1.0, &mut rng).options()[0] == 0).count() as f64 / 3000.0;
        assert!((drawn - probabilities[0][0]).abs() < 0.03, "{drawn}");
    }
}
