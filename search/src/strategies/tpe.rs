//! Tree-structured Parzen estimator (Bergstra et al. 2011) in Optuna's multivariate form: joint over all
//! choices, with Optuna's split, weights and prior (`optuna/samplers/_tpe`, release 5.0).
//!
//! Optuna may propose what it has proposed before; here only new candidates compete, which is the one
//! deliberate difference.

use mfactor::Point;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::history::{ATTEMPTS, History, Shape, running, scored};
use super::{Observation, Sought, Strategy};

/// Complete trials before the model is trusted; until then proposals are random. Optuna waits for 10, which
/// finds less in studies of 50 trials.
const STARTUP: usize = 5;
/// New candidates among which the expected improvement decides. Optuna draws 24, repeated ones included.
const CANDIDATES: usize = 40;
/// Weight of the uniform prior, in observations.
const PRIOR_WEIGHT: f64 = 1.0;
/// Youngest observations that keep their full weight.
const FULL_WEIGHTS: usize = 25;

/// Models good and other architectures by one mixture each and proposes, of candidates drawn from the good
/// mixture, the new one whose likelihood ratio is the highest.
#[derive(Default)]
pub struct Tpe {
    history: History,
}

impl Strategy for Tpe {
    fn propose(
        &mut self,
        sought: &Sought,
        observations: &[Observation],
        rng: &mut ChaCha8Rng,
    ) -> Option<Point> {
        self.history.follow(&sought.space, observations);
        let history = &self.history;
        let observed = scored(observations);
        let candidate = if observed.len() < STARTUP || history.is_exhausted() {
            None
        } else {
            let (good, mut other) = split(&observed);
            // Optuna's constant liar: what runs counts as bad, lest its neighbourhood be proposed all over.
            other.extend(running(observations));
            let good = Mixture::new(good, history.shape());
            let other = Mixture::new(other, history.shape());
            best_candidate(history, &good, &other, rng)
        };
        candidate.or_else(|| history.sample_new(rng))
    }
}

/// The best tenth of the observations, 25 at the most, and the rest; both by trial number, for the
/// weights depend on age. Of equal scores the earlier is the better.
fn split<'a>(observed: &[(&'a Point, f64)]) -> (Vec<&'a Point>, Vec<&'a Point>) {
    let count = observed.len().div_ceil(10).min(25);
    let mut order: Vec<usize> = (0..observed.len()).collect();
    order.sort_by(|a, b| observed[*b].1.total_cmp(&observed[*a].1));
    let mut is_good = vec![false; observed.len()];
    for position in &order[..count] {
        is_good[*position] = true;
    }
    let points = |wanted: bool| {
        let chosen = observed.iter().zip(&is_good).filter(move |(_, good)| **good == wanted);
        chosen.map(|((point, _), _)| *point).collect()
    };
    (points(true), points(false))
}

/// The candidate drawn from `good` with the largest ratio of likelihoods among the new ones, which is the
/// one with the largest expected improvement.
fn best_candidate(history: &History, good: &Mixture, other: &Mixture, rng: &mut ChaCha8Rng) -> Option<Point> {
    let mut candidates: Vec<Point> = Vec::with_capacity(CANDIDATES);
    for _ in 0..ATTEMPTS {
        let point = good.sample(rng);
        if history.is_new(&point) && !candidates.contains(&point) {
            candidates.push(point);
        }
        if candidates.len() == CANDIDATES {
            break;
        }
    }
    let ratio = |point: &Point| good.log_likelihood(point) - other.log_likelihood(point);
    let rated = candidates.into_iter().map(|point| (ratio(&point), point));
    rated.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, point)| point)
}

/// A mixture of one kernel for each observation and a uniform prior. A kernel is a product over the
/// choices, so what occurs together is proposed together.
///
/// With n observations a kernel gives each option of a choice the weight `PRIOR_WEIGHT / (n + 1)`, and the
/// observed one 1 more. The ratio of the two is the same for every choice, so the likelihood of a point under a
/// kernel depends on the number of choices they share alone.
///
/// A choice that is inactive in an observation is no evidence: the kernel is uniform there. One that is inactive at the
/// point adds nothing, for there is only one way to leave it.
struct Mixture<'a> {
    shape: &'a Shape,
    kernels: Vec<&'a Point>,
    /// Weights of the kernels, then that of the prior; they sum to 1.
    weights: Vec<f64>,
    /// For each choice, how often a draw from a kernel keeps the observed option; else it is uniform.
    keep: Vec<f64>,
    /// Weight of every option in a kernel, beside the observed one's.
    floor: f64,
    /// Logarithm of a kernel's probability for a point with which it shares nothing.
    log_apart: f64,
    /// What each shared choice adds to that logarithm.
    log_ratio: f64,
    /// Logarithm of the prior's probability of any point.
    log_prior: f64,
}

impl<'a> Mixture<'a> {
    fn new(kernels: Vec<&'a Point>, shape: &'a Shape) -> Self {
        let options = &shape.options;
        let mut weights = age_weights(kernels.len());
        weights.push(PRIOR_WEIGHT);
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let floor = PRIOR_WEIGHT / (kernels.len() + 1) as f64;
        let keep: Vec<f64> =
            options.iter().map(|options| 1.0 / (1.0 + f64::from(*options) * floor)).collect();
        Self {
            shape,
            kernels,
            weights,
            log_apart: keep.iter().map(|keep| (floor * keep).ln()).sum(),
            log_ratio: ((1.0 + floor) / floor).ln(),
            floor,
            log_prior: options.iter().map(|options| -f64::from(*options).ln()).sum(),
            keep,
        }
    }

    fn sample(&self, rng: &mut ChaCha8Rng) -> Point {
        let mut quantile: f64 = rng.random();
        let kernel = self.weights.iter().position(|weight| {
            quantile -= weight;
            quantile < 0.0
        });
        let kernel = kernel.and_then(|index| self.kernels.get(index));
        let draw = |(choice, options): (usize, &u8)| match kernel {
            Some(kernel) if self.shape.is_active(kernel, choice) && rng.random_bool(self.keep[choice]) => {
                kernel.options()[choice]
            }
            _ => rng.random_range(0..*options),
        };
        self.shape.canonical(Point::new(self.shape.options.iter().enumerate().map(draw).collect()))
    }

    fn log_likelihood(&self, point: &Point) -> f64 {
        let terms = if self.shape.is_flat() { self.by_agreement(point) } else { self.one_by_one(point) };
        // Scaled by the largest term that counts, or a space of many decisions would underflow.
        let counts = terms.iter().filter(|(weight, _)| *weight > 0.0).map(|(_, log)| *log);
        let largest = counts.fold(f64::NEG_INFINITY, f64::max);
        let scaled = terms.iter().filter(|(weight, _)| *weight > 0.0);
        largest + scaled.map(|(weight, log)| *weight * (log - largest).exp()).sum::<f64>().ln()
    }

    /// Weights and logarithms of the probabilities of a point, for each number of options that it may share with a
    /// kernel, and under the prior. All choices are active.
    fn by_agreement(&self, point: &Point) -> Vec<(f64, f64)> {
        // Weight of the kernels that share so many options with the point.
        let mut sharing = vec![0.0; self.keep.len() + 1];
        for (kernel, weight) in self.kernels.iter().zip(&self.weights) {
            let shared = kernel.agreements(point);
            sharing[shared] += weight;
        }
        let prior = self.weights[self.kernels.len()];
        let terms = sharing.into_iter().enumerate();
        let terms = terms.map(|(shared, weight)| (weight, self.log_apart + shared as f64 * self.log_ratio));
        terms.chain([(prior, self.log_prior)]).collect()
    }

    /// The same for each kernel, and for the prior, over the choices that are active at the point.
    fn one_by_one(&self, point: &Point) -> Vec<(f64, f64)> {
        let active: Vec<usize> =
            (0..self.keep.len()).filter(|choice| self.shape.is_active(point, *choice)).collect();
        let uniform = |choice: &usize| -f64::from(self.shape.options[*choice]).ln();
        let log = |kernel: &Point| -> f64 {
            let of_choice = |choice: &usize| {
                let (keep, shared) =
                    (self.keep[*choice], kernel.options()[*choice] == point.options()[*choice]);
                match (self.shape.is_active(kernel, *choice), shared) {
                    (false, _) => uniform(choice),
                    (true, true) => (self.floor * keep).ln() + self.log_ratio,
                    (true, false) => (self.floor * keep).ln(),
                }
            };
            active.iter().map(of_choice).sum()
        };
        let kernels = self.kernels.iter().map(|kernel| log(kernel));
        let prior = active.iter().map(uniform).sum();
        self.weights.iter().copied().zip(kernels.chain([prior])).collect()
    }
}

/// Weights of observations by age, oldest first: 1 for the youngest [`FULL_WEIGHTS`], and before them a
/// ramp that rises from 1/n to 1.
fn age_weights(count: usize) -> Vec<f64> {
    let ramp = count.saturating_sub(FULL_WEIGHTS);
    let lowest = 1.0 / count.max(1) as f64;
    let weight = |position: usize| match ramp {
        _ if position >= ramp => 1.0,
        1 => lowest,
        _ => lowest + (1.0 - lowest) * position as f64 / (ramp - 1) as f64,
    };
    (0..count).map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are those of Optuna 5.0.0: `_ParzenEstimator(…).log_pdf(…)` with multivariate=True.
    #[test]
    fn likelihoods_are_optunas() {
        let shape = Shape::flat(&[3, 2, 4]);
        let point = |i: u32| Point::new([i % 3, i / 3 % 2, i * i % 4].map(|option| option as u8).to_vec());
        let points: Vec<Point> = (0..30).map(point).collect();
        let asked = [[0, 0, 0], [2, 1, 1], [1, 1, 3]].map(|options| Point::new(options.to_vec()));
        for (count, expected) in
            [(30, [-2.08967694, -1.88282564, -5.04727957]), (2, [-2.10516643, -3.824681, -3.824681])]
        {
            let mixture = Mixture::new(points[..count].iter().collect(), &shape);
            for (point, expected) in asked.iter().zip(expected) {
                let found = mixture.log_likelihood(point);
                assert!(
                    (found - expected).abs() < 1e-7,
                    "{count} observations, {point:?}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn draws_follow_the_likelihood() {
        use rand_chacha::rand_core::SeedableRng;
        let points = [Point::new(vec![0, 1]), Point::new(vec![2, 0])];
        let shape = Shape::flat(&[3, 2]);
        let mixture = Mixture::new(points.iter().collect(), &shape);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0.0; 6];
        for _ in 0..60_000 {
            let point = mixture.sample(&mut rng);
            counts[usize::from(point.options()[0] * 2 + point.options()[1])] += 1.0 / 60_000.0;
        }
        for (index, frequency) in counts.iter().enumerate() {
            let point = Point::new(vec![(index / 2) as u8, (index % 2) as u8]);
            let expected = mixture.log_likelihood(&point).exp();
            assert!((frequency - expected).abs() < 0.01, "{point:?}: {frequency} {expected}");
        }
    }

    #[test]
    fn likelihoods_of_canonical_points_sum_to_1_and_draws_follow_them() {
        use mfactor::point::Condition;
        use rand_chacha::rand_core::SeedableRng;
        let shape = Shape::conditional(&[2, 3], &[None, Some(Condition { choice: 0, least: 1 })]);
        let points = [vec![0, 0], vec![0, 0], vec![1, 2]].map(Point::new);
        let mixture = Mixture::new(points.iter().collect(), &shape);
        let canonical = [vec![0, 0], vec![1, 0], vec![1, 1], vec![1, 2]].map(Point::new);
        let likelihoods = canonical.each_ref().map(|point| mixture.log_likelihood(point).exp());
        assert!((likelihoods.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{likelihoods:?}");
        // The shallow observations say nothing of the deeper block, so its options differ by the deep one alone.
        assert!((likelihoods[1] - likelihoods[2]).abs() < 1e-12 && likelihoods[3] > likelihoods[2]);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn: Vec<Point> = (0..40_000).map(|_| mixture.sample(&mut rng)).collect();
        for (point, likelihood) in canonical.iter().zip(likelihoods) {
            let frequency = drawn.iter().filter(|drawn| *drawn == point).count() as f64 / 40_000.0;
            assert!((frequency - likelihood).abs() < 0.01, "{point:?}: {frequency} {likelihood}");
        }
    }

    #[test]
    fn weights_by_age_are_optunas() {
        assert_eq!(age_weights(3), [1.0; 3]);
        assert_eq!(age_weights(26)[..2], [1.0 / 26.0, 1.0]);
        let weights = age_weights(28);
        assert_eq!(weights[0], 1.0 / 28.0);
        assert!((weights[1] - 0.51785714).abs() < 1e-8);
        assert_eq!(weights[2..], [1.0; 26]);
    }

    #[test]
    fn the_best_tenth_is_good() {
        let points: Vec<Point> = (0..21).map(|n| Point::new(vec![n])).collect();
        let observed: Vec<(&Point, f64)> =
            points.iter().map(|point| (point, f64::from(point.options()[0] % 7))).collect();
        let (good, other) = split(&observed);
        assert_eq!(good, [6, 13, 20].map(|option| Point::new(vec![option])).each_ref());
        assert_eq!(other.len(), 18);
    }
}
