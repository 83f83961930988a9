//! What chance can do. The comparison of two strategies over repeated seeds: Wilcoxon's signed-rank test, Holm's correction
//! for several pairs, and how large a difference is. Ranks, quantiles, and the interval of a share.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Wilcoxon's signed-rank test (1945) of paired differences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SignedRank {
    /// Differences other than 0; the others say nothing about a direction and are left out, as Wilcoxon did.
    pub n: usize,
    /// Sum of the ranks of the positive differences, ties sharing their mean rank.
    pub positive_ranks: f64,
    /// Two-sided p-value, exact: over all signs that the ranks, with their ties, could have.
    pub p_value: f64,
    /// Matched-pairs rank-biserial correlation (Kerby 2014): (positive - negative ranks) / all ranks, -1 to 1.
    pub rank_biserial: f64,
}

/// The test of `differences`. `None` if none differs from 0.
pub fn signed_rank(differences: &[f64]) -> Option<SignedRank> {
    let differing: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    if differing.is_empty() {
        return None;
    }
    let sizes: Vec<f64> = differing.iter().map(|difference| difference.abs()).collect();
    let ranks: Vec<usize> = doubled_ranks(&sizes).into_iter().map(|rank| rank as usize).collect();
    let all: usize = ranks.iter().sum();
    let of_positive = ranks.iter().zip(&differing).filter(|(_, difference)| **difference > 0.0);
    let positive: usize = of_positive.map(|(rank, _)| rank).sum();
    let distribution = distribution(&ranks);
    let low: f64 = distribution[..=positive].iter().sum();
    let high: f64 = distribution[positive..].iter().sum();
    Some(SignedRank {
        n: differing.len(),
        positive_ranks: positive as f64 / 2.0,
        p_value: (2.0 * low.min(high)).min(1.0),
        rank_biserial: (2.0 * positive as f64 - all as f64) / all as f64,
    })
}

/// The probability of each sum of doubled positive ranks if every sign is a fair coin's.
fn distribution(ranks: &[usize]) -> Vec<f64> {
    let mut chances = vec![0.0; ranks.iter().sum::<usize>() + 1];
    chances[0] = 1.0;
    for rank in ranks {
        for sum in (0..chances.len()).rev() {
            let with = if sum >= *rank { chances[sum - rank] } else { 0.0 };
            chances[sum] = 0.5 * (chances[sum] + with);
        }
    }
    chances
}

/// The smallest p-value that [`signed_rank`] can give of `n` differences: all of one sign.
pub fn smallest_p(n: usize) -> f64 {
    0.5f64.powi(n as i32 - 1).min(1.0)
}

/// p-values corrected for their number by Holm's step-down procedure (1979), in the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (done, index) in order.into_iter().enumerate() {
        largest = largest.max(((p_values.len() - done) as f64 * p_values[index]).min(1.0));
        corrected[index] = largest;
    }
    corrected
}

/// Vargha and Delaney's A (2000): the chance that a value of `a` is larger than one of `b`, ties counting half.
/// `None` if one is empty.
pub fn superiority(a: &[f64], b: &[f64]) -> Option<f64> {
    let pairs = a.len() * b.len();
    let score = |x: &f64| -> f64 {
        b.iter()
            .map(|y| {
                if x > y {
                    1.0
                } else if x == y {
                    0.5
                } else {
                    0.0
                }
            })
            .sum()
    };
    (pairs > 0).then(|| a.iter().map(score).sum::<f64>() / pairs as f64)
}

/// Twice the rank of each value from the smallest, ties sharing the mean of their ranks: doubling keeps
/// the mean of two ranks an integer. Values are not NaN; infinities are fine.
pub fn doubled_ranks(values: &[f64]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0; values.len()];
    let mut start = 0;
    for run in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let end = start + run.len();
        for index in run {
            ranks[*index] = (start + 1 + end) as i64;
        }
        start = end;
    }
    ranks
}

/// Quantile of ascending values by linear interpolation (numpy's default). `None` of nothing.
pub fn quantile(ascending: &[f64], fraction: f64) -> Option<f64> {
    let position = fraction * ascending.len().checked_sub(1)? as f64;
    let (low, high) = (ascending[position.floor() as usize], ascending[position.ceil() as usize]);
    match low.partial_cmp(&high) {
        Some(Ordering::Less) => Some(low + (high - low) * position.fract()),
        _ => Some(low),
    }
}

/// Wilson's score interval (1927) of a share of `count`, 95 %.
pub fn wilson(share: f64, count: u64) -> [f64; 2] {
    const Z: f64 = 1.959_963_984_540_054;
    let n = count as f64;
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [middle - half, middle + half].map(|end| (end / (1.0 + Z * Z / n)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    /// The test by its definition: all signs are tried.
    fn p_by_all_signs(differences: &[f64]) -> f64 {
        let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
        let ranks = doubled_ranks(&sizes);
        let observed: i64 =
            ranks.iter().zip(differences).filter(|(_, d)| **d > 0.0).map(|(rank, _)| rank).sum();
        let (mut low, mut high) = (0u32, 0u32);
        for signs in 0..1u32 << ranks.len() {
            let sum: i64 =
                ranks.iter().enumerate().filter(|(i, _)| signs >> i & 1 == 1).map(|(_, rank)| rank).sum();
            low += u32::from(sum <= observed);
            high += u32::from(sum >= observed);
        }
        (2.0 * f64::from(low.min(high)) / f64::from(1u32 << ranks.len())).min(1.0)
    }

    proptest! {
        #[test]
        fn the_p_value_is_that_of_all_signs(steps in prop::collection::vec(prop_oneof![-4..0i8, 1..5i8], 1..11)) {
            let differences: Vec<f64> = steps.into_iter().map(f64::from).collect();
            let test = signed_rank(&differences).unwrap();
            prop_assert!(close(test.p_value, p_by_all_signs(&differences)));
            let turned: Vec<f64> = differences.iter().map(|difference| -difference).collect();
            let turned = signed_rank(&turned).unwrap();
            prop_assert!(close(turned.p_value, test.p_value) && close(turned.rank_biserial, -test.rank_biserial));
            prop_assert!(test.p_value >= smallest_p(differences.len()) - 1e-12);
        }

        #[test]
        fn a_corrected_p_is_never_smaller_and_keeps_the_order(p_values in prop::collection::vec(0.0..=1.0, 0..8)) {
            let corrected = holm(&p_values);
            for (i, p) in p_values.iter().enumerate() {
                prop_assert!(corrected[i] >= *p && corrected[i] <= 1.0);
                for (j, q) in p_values.iter().enumerate() {
                    prop_assert!(p > q || corrected[i] <= corrected[j]);
                }
            }
        }
    }

    #[test]
    fn values_of_scipy() {
        // scipy 1.17.1: stats.wilcoxon(d, method="exact"), which takes the differences without ties.
        let differences = [0.011, -0.004, 0.023, 0.017, 0.002, 0.031, -0.001, 0.009];
        let test = signed_rank(&differences).unwrap();
        assert_eq!((test.n, test.positive_ranks), (8, 32.0));
        assert!(close(test.p_value, 0.054_687_5), "{}", test.p_value);
        assert!(close(test.rank_biserial, (32.0 - 4.0) / 36.0));
    }

    #[test]
    fn no_difference_is_no_test_and_zeros_are_left_out() {
        assert_eq!(signed_rank(&[0.0, 0.0]), None);
        assert_eq!(signed_rank(&[]), None);
        assert_eq!(signed_rank(&[0.0, 1.0, 2.0, 3.0]), signed_rank(&[1.0, 2.0, 3.0]));
        assert_eq!(signed_rank(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap().p_value, smallest_p(5));
        assert_eq!([smallest_p(1), smallest_p(5), smallest_p(6)], [1.0, 0.0625, 0.031_25]);
    }

    #[test]
    fn holm_by_hand() {
        // Holm (1979): 0.01·4, 0.02·3, max with 0.03·2 and 0.04·1.
        assert!(
            holm(&[0.01, 0.04, 0.03, 0.02]).iter().zip([0.04, 0.06, 0.06, 0.06]).all(|(a, b)| close(*a, b))
        );
    }

    #[test]
    fn superiority_counts_ties_half() {
        assert_eq!(superiority(&[3.0, 2.0], &[1.0, 2.0]), Some(0.875));
        assert_eq!(superiority(&[], &[1.0]), None);
    }

    #[test]
    fn wilsons_interval_by_hand() {
        // 294 of 300: (0.98 + 0.0064) / 1.0128 = 0.97393, ± 0.01687.
        let [low, high] = wilson(0.98, 300);
        assert!((low - 0.9570).abs() < 5e-4 && (high - 0.9908).abs() < 5e-4, "{low} {high}");
        let [low, high] = wilson(1.0, 300);
        assert!(low < 0.99 && high > 0.9999 && high <= 1.0, "{low} {high}");
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[1.0], 0.9), Some(1.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
    }
}
