//! Rank correlation, exact with ties: Kendall's tau-b and Spearman's rho.
//!
//! Both see ranks only, so values are replaced by integer ranks first. All counting is then exact, and
//! resampling can compare statistics without rounding.

use mfactor::statistics::doubled_ranks;
use serde::{Deserialize, Serialize};

/// A rank correlation. Both are in [-1, 1], 1 where two rankings agree in every pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Kendall (1945): (concordant - discordant pairs) / √(pairs untied in x · pairs untied in y).
    KendallTauB,
    /// Spearman (1904): Pearson's correlation of the ranks, ties sharing their mean rank.
    SpearmanRho,
}

impl Statistic {
    /// The correlation of two equally long lists. `None` where it is not defined: fewer than two values, or
    /// one list whose values are all equal.
    ///
    /// # Panics
    /// If the lists differ in length.
    pub fn of(self, x: &[f64], y: &[f64]) -> Option<f64> {
        self.of_ranks(&doubled_ranks(x), &doubled_ranks(y))
    }

    /// The correlation of two lists of integers whose order and ties are those of [`doubled_ranks`].
    /// Spearman's rho needs the very ranks, Kendall's tau-b any integers in their order.
    pub(crate) fn of_ranks(self, x: &[i64], y: &[i64]) -> Option<f64> {
        let squared = self.squared_scale(x) as f64 * self.squared_scale(y) as f64;
        (squared > 0.0).then(|| (self.numerator(x, y) as f64 / squared.sqrt()).clamp(-1.0, 1.0))
    }

    /// The part that changes when one list is permuted, an exact integer.
    pub(crate) fn numerator(self, x: &[i64], y: &[i64]) -> i128 {
        assert_eq!(x.len(), y.len(), "rankings of the same models");
        match self {
            Self::KendallTauB => kendall_numerator(x, y),
            Self::SpearmanRho => {
                let product: i128 = x.iter().zip(y).map(|(a, b)| i128::from(a * b)).sum();
                x.len() as i128 * product - sum(x) * sum(y)
            }
        }
    }

    /// The part of the squared denominator that one list contributes; no permutation changes it.
    fn squared_scale(self, ranks: &[i64]) -> i128 {
        match self {
            Self::KendallTauB => {
                let mut sorted = ranks.to_vec();
                sorted.sort_unstable();
                pairs(ranks.len()) - equal_neighbours(&sorted)
            }
            Self::SpearmanRho => {
                let squares: i128 = ranks.iter().map(|rank| i128::from(rank * rank)).sum();
                ranks.len() as i128 * squares - sum(ranks) * sum(ranks)
            }
        }
    }
}

fn sum(values: &[i64]) -> i128 {
    values.iter().map(|value| i128::from(*value)).sum()
}

fn pairs(n: usize) -> i128 {
    let n = n as i128;
    n * (n - 1) / 2
}

/// Pairs of equal values.
pub(crate) fn tied_pairs(values: &[f64]) -> usize {
    let mut sorted = doubled_ranks(values);
    sorted.sort_unstable();
    equal_neighbours(&sorted) as usize
}

/// Pairs of equal neighbours in a sorted list, that is all equal pairs.
fn equal_neighbours<T: PartialEq>(sorted: &[T]) -> i128 {
    sorted.chunk_by(|a, b| a == b).map(|run| pairs(run.len())).sum()
}

/// Concordant minus discordant pairs in O(n log n): Knight (1966), who counts the exchanges of a merge sort.
fn kendall_numerator(x: &[i64], y: &[i64]) -> i128 {
    let mut points: Vec<(i64, i64)> = x.iter().copied().zip(y.iter().copied()).collect();
    points.sort_unstable();
    let tied_x: i128 = points.chunk_by(|a, b| a.0 == b.0).map(|run| pairs(run.len())).sum();
    let tied_both = equal_neighbours(&points);
    let mut column: Vec<i64> = points.iter().map(|point| point.1).collect();
    let discordant = count_exchanges(&mut column);
    pairs(x.len()) - tied_x - equal_neighbours(&column) + tied_both - 2 * discordant
}

/// Sorts a list and returns how many pairs stood in the wrong order.
fn count_exchanges(values: &mut [i64]) -> i128 {
    if values.len() < 2 {
        return 0;
    }
    let (left, right) = values.split_at_mut(values.len() / 2);
    let mut exchanges = count_exchanges(left) + count_exchanges(right);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut i, mut j) = (0, 0);
    while i < left.len() && j < right.len() {
        if right[j] < left[i] {
            exchanges += (left.len() - i) as i128;
            merged.push(right[j]);
            j += 1;
        } else {
            merged.push(left[i]);
            i += 1;
        }
    }
    merged.extend_from_slice(&left[i..]);
    merged.extend_from_slice(&right[j..]);
    values.copy_from_slice(&merged);
    exchanges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// tau-b by its definition: every pair is looked at.
    fn tau_b_by_pairs(x: &[f64], y: &[f64]) -> Option<f64> {
        let (mut s, mut untied_x, mut untied_y) = (0.0, 0.0, 0.0);
        for i in 0..x.len() {
            for j in 0..i {
                let sign = |a: f64, b: f64| if a == b { 0.0 } else { (a - b).signum() };
                let (dx, dy) = (sign(x[i], x[j]), sign(y[i], y[j]));
                s += dx * dy;
                untied_x += dx * dx;
                untied_y += dy * dy;
            }
        }
        let scale = f64::sqrt(untied_x * untied_y);
        (scale > 0.0).then(|| s / scale)
    }

    /// rho by its definition: a rank is one more than the values below, and half of the other ties.
    fn rho_by_definition(x: &[f64], y: &[f64]) -> Option<f64> {
        let rank = |list: &[f64], value: f64| {
            let below = list.iter().filter(|other| **other < value).count() as f64;
            let equal = list.iter().filter(|other| **other == value).count() as f64;
            below + (equal + 1.0) / 2.0
        };
        let ranks = |list: &[f64]| -> Vec<f64> { list.iter().map(|value| rank(list, *value)).collect() };
        let (a, b) = (ranks(x), ranks(y));
        let mean = (x.len() as f64 + 1.0) / 2.0;
        let covariance =
            |p: &[f64], q: &[f64]| -> f64 { p.iter().zip(q).map(|(p, q)| (p - mean) * (q - mean)).sum() };
        let scale = f64::sqrt(covariance(&a, &a) * covariance(&b, &b));
        (scale > 0.0).then(|| covariance(&a, &b) / scale)
    }

    fn close(a: Option<f64>, b: Option<f64>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-12,
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    /// Few distinct values, so that ties are common.
    fn two_lists() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
        let value = || (-4..4i8).prop_map(f64::from);
        prop::collection::vec((value(), value()), 0..25).prop_map(|points| points.into_iter().unzip())
    }

    proptest! {
        #[test]
        fn both_are_what_their_definitions_say((x, y) in two_lists()) {
            prop_assert!(close(Statistic::KendallTauB.of(&x, &y), tau_b_by_pairs(&x, &y)));
            prop_assert!(close(Statistic::SpearmanRho.of(&x, &y), rho_by_definition(&x, &y)));
        }

        #[test]
        fn only_the_order_counts((x, y) in two_lists()) {
            let stretched: Vec<f64> = x.iter().map(|value| value.exp()).collect();
            let turned: Vec<f64> = y.iter().map(|value| -value).collect();
            for statistic in [Statistic::KendallTauB, Statistic::SpearmanRho] {
                prop_assert!(close(statistic.of(&stretched, &y), statistic.of(&x, &y)));
                prop_assert!(close(statistic.of(&y, &x), statistic.of(&x, &y)));
                prop_assert!(close(statistic.of(&x, &turned), statistic.of(&x, &y).map(|value| -value)));
            }
        }
    }

    #[test]
    fn values_of_scipy() {
        // scipy 1.17.1: stats.kendalltau(x, y).statistic and stats.spearmanr(x, y).statistic.
        let cases: [(&[f64], &[f64], f64, f64); 3] = [
            (
                &[12.0, 2.0, 1.0, 12.0, 2.0],
                &[1.0, 4.0, 7.0, 1.0, 0.0],
                -0.471_404_520_791_031_6,
                -0.540_738_070_435_875_2,
            ),
            (
                &[0.81, 0.79, 0.85, 0.74, 0.80, 0.66, 0.79],
                &[3.1, 3.4, 2.9, 3.4, 4.2, 5.0, 3.3],
                -0.649_999_999_999_999_9,
                -0.754_545_454_545_454_5,
            ),
            (
                &[272_474.0, 284_762.0, 284_762.0, 301_146.0, 350_298.0, 401_498.0, 401_498.0, 419_930.0],
                &[40.8, 53.4, 45.0, 49.2, 53.4, 61.8, 57.6, 66.0],
                0.868_079_059_510_856_7,
                0.927_289_757_544_036,
            ),
        ];
        for (x, y, tau, rho) in cases {
            assert!(close(Statistic::KendallTauB.of(x, y), Some(tau)));
            assert!(close(Statistic::SpearmanRho.of(x, y), Some(rho)));
        }
    }

    #[test]
    fn what_has_no_ranking_has_no_correlation() {
        for statistic in [Statistic::KendallTauB, Statistic::SpearmanRho] {
            assert_eq!(statistic.of(&[], &[]), None);
            assert_eq!(statistic.of(&[1.0], &[2.0]), None);
            assert_eq!(statistic.of(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
            assert_eq!(statistic.of(&[f64::NEG_INFINITY, 0.0, 1.0], &[1.0, 2.0, 3.0]), Some(1.0));
        }
    }
}
