//! What was told of networks before they were measured, held against what was measured.

use mfactor::cost_table::{Agreement, Line};
use mfactor::statistics::quantile;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::rank::Statistic;
use crate::resample::{FEWEST, bootstrap_interval};

/// How predictions agree with measurements, pairs of both; errors are shares of what was measured. `None` of none.
pub fn agreement(pairs: &[(f64, f64)]) -> Option<Agreement> {
    let mut errors: Vec<f64> =
        pairs.iter().map(|(predicted, measured)| (predicted - measured).abs() / measured).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let (predicted, measured): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let statistic = Statistic::KendallTauB;
    let tau = statistic.of(&predicted, &measured);
    let interval = |_| {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        bootstrap_interval(statistic, &predicted, &measured, &mut rng)
    };
    Some(Agreement {
        networks: pairs.len(),
        median_error: quantile(&errors, 0.5)?,
        p90_error: quantile(&errors, 0.9)?,
        tau,
        tau_interval: tau.filter(|_| pairs.len() >= FEWEST).and_then(interval),
    })
}

/// The line through pairs of a sum over parts and what the whole took, and how it does on pairs that it has not seen. The line
/// is that of Theil (1950) and Sen (1968), the median of the slopes between any two, for one network in four may have been
/// disturbed when it was measured without the line following it. `None` where there is no line that rises.
pub fn line(seen: &[(f64, f64)], held_out: &[(f64, f64)]) -> Option<Line> {
    let mut slopes = vec![];
    for (position, (x, y)) in seen.iter().enumerate() {
        let later = seen[position + 1..].iter().filter(|(other, _)| other != x);
        slopes.extend(later.map(|(other_x, other_y)| (other_y - y) / (other_x - x)));
    }
    let slope = median(slopes).filter(|slope| *slope > 0.0)?;
    let intercept = median(seen.iter().map(|(x, y)| y - slope * x).collect())?;
    let told: Vec<(f64, f64)> = held_out.iter().map(|(x, y)| (intercept + slope * x, *y)).collect();
    Some(Line { intercept, slope, test: agreement(&told)? })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    quantile(&values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_though_a_quarter_was_disturbed() {
        let point = |n: usize| (n as f64, 2.0 + 0.5 * n as f64);
        let disturbed = |n: usize| if n.is_multiple_of(4) { (n as f64, 40.0) } else { point(n) };
        let seen: Vec<(f64, f64)> = (1..=20).map(disturbed).collect();
        let held_out: Vec<(f64, f64)> = (21..=50).map(point).collect();
        let line = line(&seen, &held_out).unwrap();
        assert!((line.slope - 0.5).abs() < 0.05 && (line.intercept - 2.0).abs() < 0.5, "{line:?}");
        assert!(line.test.p90_error < 0.05 && line.test.tau == Some(1.0));
    }

    #[test]
    fn errors_are_shares_of_what_was_measured() {
        let agreement = agreement(&[(1.1, 1.0), (1.8, 2.0), (3.0, 3.0), (4.0, 4.0)]).unwrap();
        assert!((agreement.median_error - 0.05).abs() < 1e-12, "{agreement:?}");
        assert_eq!((agreement.networks, agreement.tau), (4, Some(1.0)));
        assert_eq!(super::agreement(&[]), None);
    }

    #[test]
    fn where_nothing_rises_there_is_no_line() {
        let falling: Vec<(f64, f64)> = (0..20).map(|n| (f64::from(n), -f64::from(n))).collect();
        assert_eq!(line(&falling, &falling), None);
        assert_eq!(line(&[(1.0, 1.0); 20], &[(1.0, 1.0); 30]), None);
    }
}
