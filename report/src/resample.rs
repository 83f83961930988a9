//! How sure a rank correlation is: bootstrap intervals and permutation p-values.

use mfactor::statistics::{doubled_ranks, quantile};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::rank::Statistic;

/// Fewer models than this are too few to say anything: three can be ordered in six ways only.
pub const FEWEST: usize = 4;
/// Up to this many models every permutation is counted: 8! = 40,320.
pub const MOST_FOR_EXACT: usize = 8;
/// Resamples behind an interval.
pub const BOOTSTRAP_RESAMPLES: usize = 2_000;
/// Permutations drawn where they are too many to count.
pub const MONTE_CARLO_PERMUTATIONS: usize = 9_999;

/// A rank correlation with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// The correlation, -1 to 1.
    pub value: f64,
    /// 95 % bootstrap percentile interval over the models. `None` below [`FEWEST`].
    pub interval: Option<[f64; 2]>,
    /// Two-sided permutation p-value: the share of orders of the models in which the correlation is at
    /// least as far from 0. `None` below [`FEWEST`].
    pub p_value: Option<f64>,
    /// Whether every order was counted, rather than a random part of them.
    pub exact: bool,
}

/// The correlation of two equally long lists with its uncertainty; `None` where it is not defined.
pub fn assess(statistic: Statistic, x: &[f64], y: &[f64], rng: &mut ChaCha8Rng) -> Option<Coefficient> {
    let (ranks_x, ranks_y) = (doubled_ranks(x), doubled_ranks(y));
    let value = statistic.of_ranks(&ranks_x, &ranks_y)?;
    let exact = x.len() <= MOST_FOR_EXACT;
    if x.len() < FEWEST {
        return Some(Coefficient { value, interval: None, p_value: None, exact });
    }
    let p_value = if exact {
        exact_p(statistic, &ranks_x, &ranks_y)
    } else {
        monte_carlo_p(statistic, &ranks_x, &ranks_y, rng)
    };
    let interval = bootstrap_interval(statistic, x, y, rng);
    Some(Coefficient { value, interval, p_value: Some(p_value), exact })
}

fn exact_p(statistic: Statistic, x: &[i64], y: &[i64]) -> f64 {
    let observed = statistic.numerator(x, y).abs();
    let (mut extreme, mut all) = (0u32, 0u32);
    for_each_permutation(&mut y.to_vec(), y.len(), &mut |order| {
        all += 1;
        extreme += u32::from(statistic.numerator(x, order).abs() >= observed);
    });
    f64::from(extreme) / f64::from(all)
}

/// Calls `visit` with every order of the first `length` values (Heap 1963); equal values count as different.
fn for_each_permutation(values: &mut [i64], length: usize, visit: &mut impl FnMut(&[i64])) {
    if length <= 1 {
        return visit(values);
    }
    for i in 0..length {
        for_each_permutation(values, length - 1, visit);
        let other = if length.is_multiple_of(2) { i } else { 0 };
        values.swap(other, length - 1);
    }
}

/// (b + 1) / (m + 1): the observed order is one of those that chance may give, so p is never 0 (Phipson and
/// Smyth 2010).
fn monte_carlo_p(statistic: Statistic, x: &[i64], y: &[i64], rng: &mut ChaCha8Rng) -> f64 {
    let observed = statistic.numerator(x, y).abs();
    let mut order = y.to_vec();
    let mut extreme = 0;
    for _ in 0..MONTE_CARLO_PERMUTATIONS {
        order.shuffle(rng);
        extreme += usize::from(statistic.numerator(x, &order).abs() >= observed);
    }
    (extreme + 1) as f64 / (MONTE_CARLO_PERMUTATIONS + 1) as f64
}

/// Resamples in which one list came out all equal have no correlation and are left out.
pub(crate) fn bootstrap_interval(
    statistic: Statistic,
    x: &[f64],
    y: &[f64],
    rng: &mut ChaCha8Rng,
) -> Option<[f64; 2]> {
    let n = x.len();
    let mut values = Vec::with_capacity(BOOTSTRAP_RESAMPLES);
    for _ in 0..BOOTSTRAP_RESAMPLES {
        let drawn: Vec<usize> = (0..n).map(|_| rng.random_range(0..n)).collect();
        let of = |list: &[f64]| -> Vec<f64> { drawn.iter().map(|index| list[*index]).collect() };
        values.extend(statistic.of(&of(x), &of(y)));
    }
    values.sort_by(f64::total_cmp);
    Some([quantile(&values, 0.025)?, quantile(&values, 0.975)?])
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn p(statistic: Statistic, x: &[f64], y: &[f64]) -> f64 {
        assess(statistic, x, y, &mut rng(0)).unwrap().p_value.unwrap()
    }

    #[test]
    fn every_order_is_visited_once() {
        let mut seen = Vec::new();
        for_each_permutation(&mut [1, 2, 3, 4], 4, &mut |order| seen.push(order.to_vec()));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 24);
    }

    #[test]
    fn exact_p_of_few_models() {
        // scipy 1.17.1: kendalltau(x, y, method="exact").pvalue, and permutation_test of spearmanr over all
        // pairings.
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let y = [2.0, 1.0, 4.0, 3.0, 6.0, 8.0, 5.0, 7.0];
        assert!((p(Statistic::KendallTauB, &x, &y) - 0.031_150_793_650_793_65).abs() < 1e-12);
        assert!((p(Statistic::SpearmanRho, &x, &y) - 620.0 / 40_320.0).abs() < 1e-12);
        // With ties: counted over itertools.permutations with scipy's statistics.
        let (x, y) = ([0.81, 0.79, 0.85, 0.74, 0.80, 0.66, 0.79], [3.1, 3.4, 2.9, 3.4, 4.2, 5.0, 3.3]);
        assert!((p(Statistic::KendallTauB, &x, &y) - 304.0 / 5040.0).abs() < 1e-12);
        assert!((p(Statistic::SpearmanRho, &x, &y) - 280.0 / 5040.0).abs() < 1e-12);
    }

    #[test]
    fn monte_carlo_comes_near_the_exact_p() {
        let x = doubled_ranks(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let y = doubled_ranks(&[2.0, 1.0, 4.0, 3.0, 3.0, 7.0, 5.0]);
        for statistic in [Statistic::KendallTauB, Statistic::SpearmanRho] {
            let exact = exact_p(statistic, &x, &y);
            let drawn = monte_carlo_p(statistic, &x, &y, &mut rng(1));
            // Four standard errors of a share of 9,999 draws.
            assert!((exact - drawn).abs() < 4.0 * (exact * (1.0 - exact) / 9_999.0).sqrt() + 1e-4);
        }
    }

    #[test]
    fn an_interval_holds_its_value_and_narrows_with_more_models() {
        let wide = |n: usize| {
            let mut noise = rng(7);
            let x: Vec<f64> = (0..n).map(|i| i as f64 / n as f64).collect();
            let y: Vec<f64> = x.iter().map(|x| x + noise.random_range(-0.5..0.5)).collect();
            let tau = assess(Statistic::KendallTauB, &x, &y, &mut rng(2)).unwrap();
            let [low, high] = tau.interval.unwrap();
            assert!(low < tau.value && tau.value < high, "{tau:?}");
            high - low
        };
        assert!(wide(80) < wide(10));
    }

    #[test]
    fn three_models_get_no_uncertainty_and_one_seed_one_answer() {
        let few = assess(Statistic::KendallTauB, &[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], &mut rng(0)).unwrap();
        assert_eq!((few.value, few.interval, few.p_value), (1.0, None, None));
        let x: Vec<f64> = (0..20).map(|i| f64::from(i * i % 17)).collect();
        let y: Vec<f64> = (0..20).map(f64::from).collect();
        let [first, again] = [(); 2].map(|()| assess(Statistic::SpearmanRho, &x, &y, &mut rng(3)));
        assert_eq!(first, again);
    }
}
