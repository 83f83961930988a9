//! Distribution of the time of one inference: raw samples in windows, and their summary.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// Resamples of the bootstrap interval.
const RESAMPLES: usize = 400;

/// Distribution of the time of one inference. The raw samples are kept beside their summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Smallest, milliseconds.
    pub min_ms: f64,
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 90th percentile, milliseconds.
    pub p90_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
    /// Mean, milliseconds.
    pub mean_ms: f64,
    /// Median absolute deviation from the median, milliseconds.
    pub mad_ms: f64,
    /// Median of the medians of the windows, milliseconds.
    pub window_p50_ms: f64,
    /// Largest median of a window − smallest, as a share of their median: what did not repeat.
    pub window_spread: f64,
    /// 95 % bootstrap interval of the median, milliseconds. Windows are drawn first and samples within them, so that
    /// what differs between windows (another process, another place in memory, drift) is in it.
    pub p50_interval_ms: [f64; 2],
    /// MLPerf's early-stopping estimate of the 90th percentile, milliseconds; see [`early_stopping`].
    pub p90_early_stopping_ms: Option<f64>,
    /// Number of samples in each window, in order.
    pub windows: Vec<usize>,
    /// Every sample in the order it was taken, nanoseconds.
    pub samples_ns: Vec<u64>,
}

impl Latency {
    /// Summarises raw samples in nanoseconds as one window. `None` if there is none.
    pub fn from_samples(samples_ns: Vec<u64>) -> Option<Self> {
        Self::from_windows(&[samples_ns])
    }

    /// Summarises windows of raw samples in nanoseconds. `None` if there is no window or one has no sample.
    pub fn from_windows(windows: &[Vec<u64>]) -> Option<Self> {
        if windows.is_empty() || windows.iter().any(Vec::is_empty) {
            return None;
        }
        let samples_ns = windows.concat();
        let sorted = ascending(&samples_ns);
        let median = percentile(&sorted, 0.5);
        let deviations: Vec<u64> = sorted.iter().map(|sample| sample.abs_diff(median as u64)).collect();
        let mut medians: Vec<f64> =
            windows.iter().map(|window| percentile(&ascending(window), 0.5)).collect();
        medians.sort_unstable_by(f64::total_cmp);
        let window_median = (medians[(medians.len() - 1) / 2] + medians[medians.len() / 2]) / 2.0;
        let spread = medians[medians.len() - 1] - medians[0];
        let mean = sorted.iter().map(|sample| *sample as f64).sum::<f64>() / sorted.len() as f64;
        Some(Self {
            min_ms: ms(sorted[0] as f64),
            p50_ms: ms(median),
            p90_ms: ms(percentile(&sorted, 0.9)),
            p99_ms: ms(percentile(&sorted, 0.99)),
            mean_ms: ms(mean),
            mad_ms: ms(percentile(&ascending(&deviations), 0.5)),
            window_p50_ms: ms(window_median),
            window_spread: if spread > 0.0 { spread / window_median } else { 0.0 },
            p50_interval_ms: median_interval(windows).map(ms),
            p90_early_stopping_ms: early_stopping(&sorted, 0.9).map(|ns| ms(ns as f64)),
            windows: windows.iter().map(Vec::len).collect(),
            samples_ns,
        })
    }
}

fn ms(ns: f64) -> f64 {
    ns / 1e6
}

fn ascending(samples: &[u64]) -> Vec<u64> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted
}

/// Percentile of ascending samples by linear interpolation between closest ranks (numpy's default).
fn percentile(sorted: &[u64], quantile: f64) -> f64 {
    let position = quantile * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[position.floor() as usize] as f64, sorted[position.ceil() as usize] as f64);
    low + (high - low) * position.fract()
}

/// 95 % percentile-bootstrap interval of the median, from a fixed seed: as many windows are drawn as there are, and
/// from each as many samples as it has (the two-stage bootstrap of Davison and Hinkley 1997, section 3.8).
fn median_interval(windows: &[Vec<u64>]) -> [f64; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut resample = vec![];
    let mut medians: Vec<u64> = (0..RESAMPLES)
        .map(|_| {
            resample.clear();
            for _ in windows {
                let window = &windows[rng.random_range(0..windows.len())];
                resample.extend(window.iter().map(|_| window[rng.random_range(0..window.len())]));
            }
            let middle = resample.len() / 2;
            *resample.select_nth_unstable(middle).1
        })
        .collect();
    medians.sort_unstable();
    [0.025, 0.975].map(|quantile| percentile(&medians, quantile))
}

/// The early-stopping estimate of MLPerf's single-stream scenario: an upper bound of the `quantile` of the
/// latency that holds with 99 % confidence, and comes nearer to it as samples are added. `None` where the
/// samples are too few for any bound (below 64 for the 90th percentile).
///
/// With q samples, t is the largest number of which P(X ≤ t) ≤ 1 %, X ~ Binomial(q, 1 − quantile); the t − 1
/// largest samples are set aside and the largest of the rest is the estimate
/// (<https://github.com/mlcommons/inference_policies>, "Early stopping criterion", tolerance 0).
pub fn early_stopping(sorted_ns: &[u64], quantile: f64) -> Option<u64> {
    let count = sorted_ns.len();
    let (over, under) = ((1.0 - quantile).ln(), quantile.ln());
    // Terms of the binomial sum in logarithms: the first one underflows from a few thousand samples on.
    let mut term = count as f64 * under;
    let mut sum = term.exp();
    let mut largest = None;
    for t in 1..count {
        term += ((count - t + 1) as f64 / t as f64).ln() + over - under;
        sum += term.exp();
        if sum > 0.01 {
            break;
        }
        largest = Some(t);
    }
    largest.map(|t| sorted_ns[count - t])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_of_samples() {
        let latency =
            Latency::from_samples(vec![5_000_000, 1_000_000, 2_000_000, 4_000_000, 3_000_000]).unwrap();
        assert_eq!((latency.min_ms, latency.p50_ms, latency.mean_ms, latency.mad_ms), (1.0, 3.0, 3.0, 1.0));
        assert!((latency.p90_ms - 4.6).abs() < 1e-9);
        assert_eq!((latency.samples_ns[0], latency.windows), (5_000_000, vec![5]));
        assert_eq!(latency.p90_early_stopping_ms, None);
        assert!(Latency::from_samples(vec![]).is_none());
    }

    #[test]
    fn windows_are_summarised_apart() {
        let latency = Latency::from_windows(&[vec![1_000_000; 10], vec![4_000_000; 4]]).unwrap();
        assert_eq!((latency.p50_ms, latency.window_p50_ms), (1.0, 2.5));
        assert!((latency.window_spread - 3.0 / 2.5).abs() < 1e-12);
        assert_eq!(latency.p50_interval_ms, [1.0, 4.0], "either window may be the one that is like the next");
        assert_eq!((latency.windows, latency.samples_ns.len()), (vec![10, 4], 14));
        assert!(Latency::from_windows(&[vec![1], vec![]]).is_none());
    }

    #[test]
    fn early_stopping_needs_the_samples_mlperf_asks_for() {
        let samples: Vec<u64> = (1..=10_000).collect();
        assert_eq!(early_stopping(&samples[..63], 0.9), None);
        assert_eq!(early_stopping(&samples[..64], 0.9), Some(64));
        assert_eq!(early_stopping(&samples[..661], 0.99), None);
        assert_eq!(early_stopping(&samples[..662], 0.99), Some(662));
    }

    #[test]
    fn early_stopping_is_an_upper_bound_that_tightens() {
        let samples: Vec<u64> = (1..=1_000_000).collect();
        let excess = |count: usize| {
            let estimate = early_stopping(&samples[..count], 0.9).unwrap() as f64;
            estimate / (0.9 * count as f64) - 1.0
        };
        assert!(excess(100) > excess(1_000) && excess(1_000) > excess(100_000) && excess(1_000_000) > 0.0);
        assert!(excess(1_000_000) < 0.001);
    }

    #[test]
    fn the_interval_of_the_median_holds_it_and_shrinks() {
        let spread = |count: u64| {
            let latency =
                Latency::from_samples((0..count).map(|n| (n * 7919) % count * 1_000_000 / count).collect());
            let latency = latency.unwrap();
            let [low, high] = latency.p50_interval_ms;
            assert!(low <= latency.p50_ms && latency.p50_ms <= high);
            high - low
        };
        assert!(spread(50) > 2.0 * spread(5_000));
    }
}
