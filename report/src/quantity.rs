//! What a board measured, and what a model may be ranked by before it is measured.

use mfactor::Objective;
use mfactor::objective::netscore;
use serde::{Deserialize, Serialize};

use crate::models::{Figures, MeasuredModel, Model};
use crate::numbers;

/// A quantity that a board measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
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

impl Quantity {
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

    /// Its name in words.
    pub fn label(self) -> &'static str {
        match self {
            Self::MFactor => "M-factor",
            Self::Netscore => "NetScore",
            Self::Parameters => "fewest parameters",
            Self::Macs => "fewest MACs",
            Self::Accuracy => "validation accuracy",
        }
    }

    /// The score of a model; more is better.
    pub fn score(self, model: &Model, objective: &Objective) -> f64 {
        match self {
            Self::MFactor => objective.m_factor(model.validation_accuracy, model.parameters),
            Self::Netscore => netscore(model.validation_accuracy, model.parameters, model.macs),
            Self::Parameters => -(model.parameters as f64),
            Self::Macs => -(model.macs as f64),
            Self::Accuracy => model.validation_accuracy,
        }
    }
}

/// How far two measured values may differ by chance alone, in the quantity's unit: for an accuracy
/// [`accuracy_margin`], for a latency the sum of both median absolute deviations, for sizes nothing. Two
/// trainings of one architecture cost the same, so apart from their accuracy they differ by chance only.
pub fn noise(quantity: Quantity, a: &MeasuredModel, b: &MeasuredModel) -> f64 {
    match quantity {
        Quantity::TestAccuracy => accuracy_margin(&a.figures, &b.figures).unwrap_or(0.0),
        _ if a.model.architecture == b.model.architecture => f64::INFINITY,
        Quantity::LatencyP50 | Quantity::LatencyP90 => a.figures.latency_mad_ms + b.figures.latency_mad_ms,
        Quantity::PeakMemory | Quantity::ModelBytes | Quantity::Energy => 0.0,
    }
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
