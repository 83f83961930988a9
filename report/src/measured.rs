//! What a board measured, and what a model may be ranked by before it is measured.

use mfactor::numbers;
use mfactor::objective::netscore;
use mfactor::{AccuracyKind, Objective};
use serde::{Deserialize, Serialize};

use crate::models::{Figures, MeasuredModel, Model};

/// A quantity that a board measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Accuracy on test records.
    TestAccuracy,
    /// Median latency.
    LatencyP50,
    /// 90th percentile of latency.
    LatencyP90,
    /// Peak resident memory of the process.
    PeakMemory,
    /// Size of the model file.
    ModelBytes,
    /// Energy of one inference.
    Energy,
}

impl Measured {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::TestAccuracy,
        Self::LatencyP50,
        Self::LatencyP90,
        Self::PeakMemory,
        Self::ModelBytes,
        Self::Energy,
    ];

    /// Its name in words.
    pub fn label(self) -> &'static str {
        match self {
            Self::TestAccuracy => "test accuracy",
            Self::LatencyP50 => "latency p50",
            Self::LatencyP90 => "latency p90",
            Self::PeakMemory => "peak memory",
            Self::ModelBytes => "file size",
            Self::Energy => "energy",
        }
    }

    /// The measured value: a fraction, milliseconds, bytes, or millijoules.
    pub fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::TestAccuracy => figures.test_accuracy,
            Self::LatencyP50 => Some(figures.latency_p50_ms),
            Self::LatencyP90 => Some(figures.latency_p90_ms),
            Self::PeakMemory => figures.peak_rss_bytes.map(|bytes| bytes as f64),
            Self::ModelBytes => Some(figures.file_bytes as f64),
            Self::Energy => figures.energy_mj,
        }
    }

    /// The measured value turned so that more is better.
    pub fn goodness(self, figures: &Figures) -> Option<f64> {
        let sign = if self == Self::TestAccuracy { 1.0 } else { -1.0 };
        self.of(figures).map(|value| sign * value)
    }

    /// A value with its unit.
    pub fn format(self, value: f64) -> String {
        match self {
            Self::TestAccuracy => numbers::percent(value),
            Self::LatencyP50 | Self::LatencyP90 => numbers::milliseconds(value),
            Self::PeakMemory | Self::ModelBytes => numbers::bytes(value as u64),
            Self::Energy => numbers::millijoules(value),
        }
    }
}

/// What a model may be ranked by before any board has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ranking {
    /// The M-factor at the study's α.
    MFactor,
    /// NetScore, equation 1 of the paper.
    Netscore,
    /// Fewer parameters first.
    Parameters,
    /// Fewer multiply-accumulates first.
    Macs,
    /// Higher validation accuracy first.
    Accuracy,
}

impl Ranking {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::MFactor, Self::Netscore, Self::Parameters, Self::Macs, Self::Accuracy];

    /// Its name in words, where `accuracy` is the A of M.
    pub fn label(self, accuracy: AccuracyKind) -> &'static str {
        match self {
            Self::MFactor => "M-factor",
            Self::Netscore => "NetScore",
            Self::Parameters => "fewest parameters",
            Self::Macs => "fewest MACs",
            Self::Accuracy if accuracy.is_plain() => "validation accuracy",
            Self::Accuracy => "validation balanced accuracy",
        }
    }

    /// The score of a model; more is better.
    pub fn score(self, model: &Model, objective: &Objective) -> f64 {
        match self {
            Self::MFactor => objective.m_factor(model.validation_accuracy, model.size_score),
            Self::Netscore => netscore(model.validation_accuracy, model.parameters, model.macs),
            Self::Parameters => -(model.parameters as f64),
            Self::Macs => -(model.macs as f64),
            Self::Accuracy => model.validation_accuracy,
        }
    }
}

/// How far two measured values may differ by chance alone, in the quantity's unit: for an accuracy
/// [`accuracy_margin`], for a latency [`latency_noise`], for an energy the sum of both noises, for sizes nothing. Two
/// trainings of one architecture cost the same, so apart from their accuracy they differ by chance only.
pub fn noise(quantity: Measured, a: &MeasuredModel, b: &MeasuredModel) -> f64 {
    match quantity {
        Measured::TestAccuracy => accuracy_margin(&a.figures, &b.figures).unwrap_or(0.0),
        _ if a.model.architecture == b.model.architecture => f64::INFINITY,
        Measured::LatencyP50 | Measured::LatencyP90 => latency_noise(&a.figures, &b.figures),
        Measured::Energy => [a, b].map(|row| reading_noise(quantity, &row.figures)).iter().sum(),
        Measured::PeakMemory | Measured::ModelBytes => 0.0,
    }
}

/// How far two latencies may differ by chance alone, milliseconds: the sum of both median absolute deviations, or of what
/// both medians may be off by where that is more.
pub fn latency_noise(a: &Figures, b: &Figures) -> f64 {
    (a.latency_mad_ms + b.latency_mad_ms).max(a.latency_noise_ms + b.latency_noise_ms)
}

/// How far one reading may be off: that of a latency by half of its interval, that of an energy by half of what its rounds
/// span, and by any amount where one round alone told it. Others are not read from noisy sensors.
fn reading_noise(quantity: Measured, figures: &Figures) -> f64 {
    match quantity {
        Measured::LatencyP50 | Measured::LatencyP90 => figures.latency_noise_ms,
        Measured::Energy => figures.energy_noise_mj.unwrap_or(f64::INFINITY),
        Measured::TestAccuracy | Measured::PeakMemory | Measured::ModelBytes => 0.0,
    }
}

/// The goodness of what was measured of each model, for ranking: values that noise does not tell from their neighbours
/// share their mean, so that they are ties.
pub(crate) fn ranked_goodness(quantity: Measured, figures: &[&Figures]) -> Vec<Option<f64>> {
    let mut goodness: Vec<Option<f64>> = figures.iter().map(|figures| quantity.goodness(figures)).collect();
    let mut order: Vec<usize> = (0..figures.len()).filter(|index| goodness[*index].is_some()).collect();
    let value = |index: usize, of: &[Option<f64>]| of[index].unwrap_or(0.0);
    order.sort_by(|a, b| value(*a, &goodness).total_cmp(&value(*b, &goodness)));
    let told = goodness.clone();
    let is_tied = |a: &usize, b: &usize| {
        let noise = reading_noise(quantity, figures[*a]) + reading_noise(quantity, figures[*b]);
        noise > 0.0 && value(*b, &told) - value(*a, &told) <= noise
    };
    for run in order.chunk_by(is_tied).filter(|run| run.len() > 1) {
        let mean = run.iter().map(|index| value(*index, &told)).sum::<f64>() / run.len() as f64;
        run.iter().for_each(|index| goodness[*index] = Some(mean));
    }
    goodness
}

/// 1.96 standard errors of the difference of two measured accuracies, taken as independent. Two models see
/// the same records, so this is on the safe side.
pub fn accuracy_margin(a: &Figures, b: &Figures) -> Option<f64> {
    let variance = |figures: &Figures| {
        let (accuracy, images) = (figures.test_accuracy?, figures.test_images?);
        Some(accuracy * (1.0 - accuracy) / images as f64)
    };
    Some(1.96 * (variance(a)? + variance(b)?).sqrt())
}

#[cfg(test)]
mod tests {
    use mfactor::measurement::Preset;

    use super::*;

    fn figures(energy_mj: f64, energy_noise_mj: Option<f64>) -> Figures {
        Figures {
            test_accuracy: None,
            test_images: None,
            latency_p50_ms: 1.0,
            latency_p90_ms: 1.0,
            latency_p99_ms: 1.0,
            latency_mad_ms: 0.0,
            latency_noise_ms: 0.0,
            peak_rss_bytes: None,
            file_bytes: 1,
            energy_mj: Some(energy_mj),
            energy_noise_mj,
            preset: Preset::Full,
            violations: vec![],
        }
    }

    #[test]
    fn what_noise_does_not_tell_apart_is_not_ranked() {
        let ranked = |all: &[Figures]| ranked_goodness(Measured::Energy, &all.iter().collect::<Vec<_>>());
        let exact = Some(0.1);
        let [a, b, c] = [figures(1.0, exact), figures(1.15, exact), figures(2.0, exact)];
        assert_eq!(ranked(&[a.clone(), b, c.clone()]), [Some(-1.075), Some(-1.075), Some(-2.0)]);
        assert_eq!(ranked(&[a.clone(), c]), [Some(-1.0), Some(-2.0)]);
        let unknown = figures(9.0, None);
        assert_eq!(ranked(&[a, unknown]), [Some(-5.0), Some(-5.0)], "one round alone tells no noise");
    }
}
