//! Measurements as rows: one a model and board, with what was known before beside what was measured.

use std::collections::BTreeMap;

use mfactor::measurement::{Preset, Verdict};
use mfactor::{AccuracyKind, Architecture, Cost, Limits, Measurement, Objective, Quantity, Trial};
use serde::{Deserialize, Serialize};

use crate::bench::{Filed, Setup};
use crate::energy;

/// A trained model as the search knew it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its architecture.
    pub architecture: Architecture,
    /// Id of its trial.
    pub trial: u64,
    /// The strategy that proposed it.
    pub strategy: String,
    /// P; of a measured model as recounted on the board.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// A: accuracy on the validation split, 0 to 1, of the kind that `accuracy` says.
    pub validation_accuracy: f64,
    /// Which accuracy A is.
    #[serde(default, skip_serializing_if = "AccuracyKind::is_plain")]
    pub accuracy: AccuracyKind,
    /// S' over the costs of the objective.
    pub size_score: f64,
    /// M at the α of the comparison.
    pub m_factor: f64,
}

impl Model {
    /// A complete trial as a model; `None` of any other.
    pub fn of_trial(trial: &Trial, objective: &Objective) -> Option<Self> {
        let accuracy = trial.accuracy?;
        Some(Self {
            architecture: trial.architecture.clone(),
            trial: trial.id,
            strategy: trial.proposer.to_string(),
            parameters: trial.cost.parameters,
            macs: trial.cost.macs,
            validation_accuracy: accuracy,
            accuracy: objective.accuracy(),
            size_score: objective.exact_size_score(&trial.cost),
            m_factor: objective.m_factor(accuracy, objective.exact_size_score(&trial.cost)),
        })
    }

    fn of_measurement(measurement: &Measurement, objective: &Objective) -> Self {
        let (model, metadata) = (&measurement.model, &measurement.model.metadata);
        let told = objective.cost(&metadata.space, &metadata.architecture);
        let cost = Cost { parameters: model.parameters, ..told };
        let size_score = objective.exact_size_score(&cost);
        Self {
            architecture: metadata.architecture.clone(),
            trial: metadata.trial,
            strategy: metadata.strategy.clone(),
            parameters: model.parameters,
            macs: metadata.macs,
            validation_accuracy: metadata.validation_accuracy,
            accuracy: metadata.accuracy,
            size_score,
            m_factor: objective.m_factor(metadata.validation_accuracy, size_score),
        }
    }
}

/// What a board measured of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Accuracy on test records, 0 to 1, if records were given.
    pub test_accuracy: Option<f64>,
    /// Test records.
    pub test_images: Option<u64>,
    /// Median latency, milliseconds.
    pub latency_p50_ms: f64,
    /// 90th percentile, milliseconds.
    pub latency_p90_ms: f64,
    /// 99th percentile, milliseconds.
    pub latency_p99_ms: f64,
    /// Median absolute deviation, milliseconds.
    pub latency_mad_ms: f64,
    /// Peak resident memory of the process in bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Size of the model file in bytes.
    pub file_bytes: u64,
    /// How far the median latency may be off, milliseconds: half of its 95 % interval.
    #[serde(default)]
    pub latency_noise_ms: f64,
    /// Energy of one inference in millijoules, if the board has a sensor and the energy is larger than its noise.
    #[serde(default)]
    pub energy_mj: Option<f64>,
    /// How far that energy may be off: half of the range that its rounds span. `None` where one round alone told it.
    #[serde(default)]
    pub energy_noise_mj: Option<f64>,
    /// How thorough the measurement was.
    pub preset: Preset,
    /// What keeps the model from the limits, a phrase each.
    pub violations: Vec<String>,
}

impl Figures {
    /// What a cost came to, and how far that may be off, in the quantity's unit; `None` of what is exact, or was not
    /// measured.
    pub(crate) fn cost(&self, quantity: Quantity) -> Option<(f64, f64)> {
        match quantity {
            Quantity::LatencyP50 => Some((self.latency_p50_ms, self.latency_noise_ms)),
            Quantity::LatencyP90 => Some((self.latency_p90_ms, 0.0)),
            Quantity::PeakMemory => self.peak_rss_bytes.map(|bytes| (bytes as f64, 0.0)),
            Quantity::Energy => self.energy_mj.map(|mj| (mj, self.energy_noise_mj.unwrap_or(0.0))),
            Quantity::Accuracy
            | Quantity::Parameters
            | Quantity::Macs
            | Quantity::ModelBytes
            | Quantity::PeakActivations => None,
        }
    }

    fn new(measurement: &Measurement, limits: &Limits) -> Self {
        let latency = &measurement.latency;
        let energy = energy::told(measurement);
        Self {
            test_accuracy: measurement.accuracy.map(|measured| measured.accuracy),
            test_images: measurement.accuracy.map(|measured| measured.images),
            latency_p50_ms: latency.p50_ms,
            latency_p90_ms: latency.p90_ms,
            latency_p99_ms: latency.p99_ms,
            latency_mad_ms: latency.mad_ms,
            peak_rss_bytes: measurement.memory.peak_rss_bytes,
            file_bytes: measurement.model.model_bytes,
            latency_noise_ms: (latency.p50_interval_ms[1] - latency.p50_interval_ms[0]) / 2.0,
            energy_mj: energy.mj,
            energy_noise_mj: energy.noise_mj,
            preset: measurement.preset,
            violations: limits.violations(measurement),
        }
    }
}

/// A model with what one board measured of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredModel {
    /// What was known before.
    #[serde(flatten)]
    pub model: Model,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
}

impl MeasuredModel {
    pub(crate) fn new(filed: &Filed, objective: &Objective) -> Self {
        Self {
            model: Model::of_measurement(&filed.measurement, objective),
            figures: Figures::new(&filed.measurement, &filed.limits),
        }
    }
}

/// A measurement that is shown, and stays out of every statistic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Board, engine, threads and precision.
    pub bench: String,
    /// The model and its figures.
    #[serde(flatten)]
    pub model: MeasuredModel,
    /// Why, a phrase each.
    pub reasons: Vec<String>,
}

/// Measurements that may be compared with each other.
pub(crate) struct Bench<'a> {
    pub(crate) setup: Setup,
    /// The latest of each model, best M first.
    pub(crate) measurements: Vec<&'a Filed>,
}

/// Sorts measurements into benches, and into those that are left out.
pub(crate) fn sort<'a>(measurements: &'a [Filed], objective: &Objective) -> (Vec<Bench<'a>>, Vec<LeftOut>) {
    let mut benches: BTreeMap<Setup, BTreeMap<(u64, Architecture), &Filed>> = BTreeMap::new();
    let mut left_out = Vec::new();
    let mut leave_out = |filed: &Filed, reasons: Vec<String>| {
        let model = MeasuredModel::new(filed, objective);
        left_out.push(LeftOut { bench: Setup::of(filed).label(), model, reasons });
    };
    for filed in measurements {
        let measurement = &filed.measurement;
        if !measurement.counts() {
            leave_out(filed, reasons(measurement));
            continue;
        }
        let metadata = &measurement.model.metadata;
        let bench = benches.entry(Setup::of(filed)).or_default();
        let latest = bench.entry((metadata.trial, metadata.architecture.clone())).or_insert(filed);
        if latest.measurement.unix_seconds < measurement.unix_seconds {
            let earlier = std::mem::replace(latest, filed);
            leave_out(earlier, vec!["measured again later".to_owned()]);
        } else if !std::ptr::eq(*latest, filed) {
            leave_out(filed, vec!["measured again later".to_owned()]);
        }
    }
    let benches = benches.into_iter().map(|(setup, models)| {
        let mut measurements: Vec<&Filed> = models.into_values().collect();
        let m = |filed: &Filed| Model::of_measurement(&filed.measurement, objective).m_factor;
        measurements.sort_by(|a, b| m(b).total_cmp(&m(a)));
        Bench { setup, measurements }
    });
    (benches.collect(), left_out)
}

fn reasons(measurement: &Measurement) -> Vec<String> {
    let mut reasons = match &measurement.verdict {
        Verdict::Valid => Vec::new(),
        Verdict::Invalid { reasons } => reasons.clone(),
    };
    if measurement.board.emulated {
        reasons.push("the processor is emulated, so its times mean nothing".to_owned());
    }
    reasons
}
