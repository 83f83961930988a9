//! Tree-structured Parzen estimator (Bergstra et al. 2011) in Optuna's multivariate form: joint over all
//! decisions, with Optuna's split, weights and prior (`optuna/samplers/_tpe`, release 5.0).
//!
//! Optuna may propose what it has proposed before; here only new candidates compete, which is the one
//! deliberate difference.

use mfactor::{Architecture, SearchSpace, Trial};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Strategy;
use super::history::{ATTEMPTS, History, Row};

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
        space: &SearchSpace,
        trials: &[Trial],
        rng: &mut ChaCha8Rng,
    ) -> Option<Architecture> {
        self.history.follow(space, trials);
        let history = &self.history;
        let observed = history.scored(trials);
        let candidate = if observed.len() < STARTUP || history.is_exhausted() {
            None
        } else {
            let (good, mut other) = split(&observed);
            // Optuna's constant liar: what runs counts as bad, lest its neighbourhood be proposed all over.
            other.extend(history.running(trials));
            let good = Mixture::new(good, history.choices());
            let other = Mixture::new(other, history.choices());
            best_candidate(history, &good, &other, rng)
        };
        candidate.or_else(|| history.sample_new(rng)).map(|row| history.architecture(&row))
    }
}

/// The best tenth of the observations, 25 at the most, and the rest; both by trial number, for the
/// weights depend on age. Of equal scores the earlier is the better.
fn split<'a>(observed: &[(&'a Row, f64)]) -> (Vec<&'a Row>, Vec<&'a Row>) {
    let count = observed.len().div_ceil(10).min(25);
    let mut order: Vec<usize> = (0..observed.len()).collect();
    order.sort_by(|a, b| observed[*b].1.total_cmp(&observed[*a].1));
    let mut is_good = vec![false; observed.len()];
    for position in &order[..count] {
        is_good[*position] = true;
    }
    let rows = |wanted: bool| {
        let chosen = observed.iter().zip(&is_good).filter(move |(_, good)| **good == wanted);
        chosen.map(|((row, _), _)| *row).collect()
    };
    (rows(true), rows(false))
}

/// The candidate drawn from `good` with the largest ratio of likelihoods among the new ones, which is the
/// one with the largest expected improvement.
fn best_candidate(history: &History, good: &Mixture, other: &Mixture, rng: &mut ChaCha8Rng) -> Option<Row> {
    let mut candidates: Vec<Row> = Vec::with_capacity(CANDIDATES);
    for _ in 0..ATTEMPTS {
        let row = good.sample(history.choices(), rng);
        if history.is_new(&row) && !candidates.contains(&row) {
            candidates.push(row);
        }
        if candidates.len() == CANDIDATES {
            break;
        }
    }
    let ratio = |row: &Row| good.log_likelihood(row) - other.log_likelihood(row);
    let rated = candidates.into_iter().map(|row| (ratio(&row), row));
    rated.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, row)| row)
}

/// A mixture of one kernel for each observation and a uniform prior. A kernel is a product over the
/// decisions, so what occurs together is proposed together.
///
/// With n observations a kernel gives each choice of a decision the weight `PRIOR_WEIGHT / (n + 1)`, and the
/// observed one 1 more. The ratio of the two is the same for every decision, so the likelihood of a row under a
/// kernel depends on the number of choices they share alone.
struct Mixture<'a> {
    kernels: Vec<&'a Row>,
    /// Weights of the kernels, then that of the prior; they sum to 1.
    weights: Vec<f64>,
    /// For each decision, how often a draw from a kernel keeps the observed choice; else it is uniform.
    keep: Vec<f64>,
    /// Logarithm of a kernel's probability for a row with which it shares nothing.
    log_apart: f64,
    /// What each shared choice adds to that logarithm.
    log_ratio: f64,
    /// Logarithm of the prior's probability of any row.
    log_prior: f64,
}

impl<'a> Mixture<'a> {
    fn new(kernels: Vec<&'a Row>, choices: &[u8]) -> Self {
        let mut weights = age_weights(kernels.len());
        weights.push(PRIOR_WEIGHT);
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let floor = PRIOR_WEIGHT / (kernels.len() + 1) as f64;
        let keep: Vec<f64> =
            choices.iter().map(|choices| 1.0 / (1.0 + f64::from(*choices) * floor)).collect();
        Self {
            kernels,
            weights,
            log_apart: keep.iter().map(|keep| (floor * keep).ln()).sum(),
            log_ratio: ((1.0 + floor) / floor).ln(),
            log_prior: choices.iter().map(|choices| -f64::from(*choices).ln()).sum(),
            keep,
        }
    }

    fn sample(&self, choices: &[u8], rng: &mut ChaCha8Rng) -> Row {
        let mut quantile: f64 = rng.random();
        let kernel = self.weights.iter().position(|weight| {
            quantile -= weight;
            quantile < 0.0
        });
        let kernel = kernel.and_then(|index| self.kernels.get(index));
        let draw = |(decision, choices): (usize, &u8)| match kernel {
            Some(row) if rng.random_bool(self.keep[decision]) => row[decision],
            _ => rng.random_range(0..*choices),
        };
        choices.iter().enumerate().map(draw).collect()
    }

    fn log_likelihood(&self, row: &Row) -> f64 {
        // Weight of the kernels that share so many choices with the row.
        let mut sharing = vec![0.0; row.len() + 1];
        for (kernel, weight) in self.kernels.iter().zip(&self.weights) {
            let shared = kernel.iter().zip(row).filter(|(kernel, row)| kernel == row).count();
            sharing[shared] += weight;
        }
        let prior = self.weights[self.kernels.len()];
        let terms = sharing.iter().enumerate();
        let terms = terms.map(|(shared, weight)| (weight, self.log_apart + shared as f64 * self.log_ratio));
        let terms: Vec<(&f64, f64)> = terms.chain([(&prior, self.log_prior)]).collect();
        // Scaled by the largest term that counts, or a space of many decisions would underflow.
        let counts = terms.iter().filter(|(weight, _)| **weight > 0.0).map(|(_, log)| *log);
        let largest = counts.fold(f64::NEG_INFINITY, f64::max);
        let scaled = terms.iter().filter(|(weight, _)| **weight > 0.0);
        largest + scaled.map(|(weight, log)| *weight * (log - largest).exp()).sum::<f64>().ln()
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
        let choices = [3, 2, 4];
        let rows: Vec<Row> =
            (0..30u32).map(|i| [i % 3, i / 3 % 2, i * i % 4].map(|c| c as u8).to_vec()).collect();
        let asked: [Row; 3] = [vec![0, 0, 0], vec![2, 1, 1], vec![1, 1, 3]];
        for (count, expected) in
            [(30, [-2.08967694, -1.88282564, -5.04727957]), (2, [-2.10516643, -3.824681, -3.824681])]
        {
            let mixture = Mixture::new(rows[..count].iter().collect(), &choices);
            for (row, expected) in asked.iter().zip(expected) {
                let found = mixture.log_likelihood(row);
                assert!((found - expected).abs() < 1e-7, "{count} observations, {row:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn draws_follow_the_likelihood() {
        use rand_chacha::rand_core::SeedableRng;
        let rows: [Row; 2] = [vec![0, 1], vec![2, 0]];
        let mixture = Mixture::new(rows.iter().collect(), &[3, 2]);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0.0; 6];
        for _ in 0..60_000 {
            let row = mixture.sample(&[3, 2], &mut rng);
            counts[usize::from(row[0] * 2 + row[1])] += 1.0 / 60_000.0;
        }
        for (index, frequency) in counts.iter().enumerate() {
            let row = vec![(index / 2) as u8, (index % 2) as u8];
            let expected = mixture.log_likelihood(&row).exp();
            assert!((frequency - expected).abs() < 0.01, "{row:?}: {frequency} {expected}");
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
        let rows: Vec<Row> = (0..21).map(|n| vec![n]).collect();
        let observed: Vec<(&Row, f64)> = rows.iter().map(|row| (row, f64::from(row[0] % 7))).collect();
        let (good, other) = split(&observed);
        assert_eq!(good, [&vec![6], &vec![13], &vec![20]]);
        assert_eq!(other.len(), 18);
    }
}
