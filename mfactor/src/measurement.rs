//! What a board reported about one model: the record that `edge-runner measure` writes and every other
//! program reads.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metadata::ModelMetadata;

/// Version of the record's form.
pub const SCHEMA: u32 = 1;

/// One model, measured once by one engine on one board. Raw samples are kept beside their summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Version of this form.
    pub schema: u32,
    /// Version of the runner.
    pub tool_version: String,
    /// When the measurement ended: seconds since 1970-01-01 UTC.
    pub unix_seconds: u64,
    /// The model that was measured.
    pub model: MeasuredModel,
    /// What ran it.
    pub engine: EngineFacts,
    /// Where it ran.
    pub board: Board,
    /// How thorough the measurement was.
    pub preset: Preset,
    /// Accuracy on the test records, if records were given.
    pub accuracy: Option<MeasuredAccuracy>,
    /// Milliseconds to read, check and optimise the model.
    pub load_ms: f64,
    /// Milliseconds of the first inference.
    pub first_inference_ms: f64,
    /// Inferences made before the timed ones.
    pub warm_up_inferences: u64,
    /// Latency of one image at batch 1.
    pub latency: Latency,
    /// Peak resident memory of the whole process in bytes (VmHWM), measured before test records are read.
    pub peak_rss_bytes: Option<u64>,
    /// Whether the figures may be believed.
    pub verdict: Verdict,
}

/// The model of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredModel {
    /// File name.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Size of the file.
    pub model_bytes: u64,
    /// P recounted from the file's weights, as they were before batch norm was folded.
    pub parameters: u64,
    /// What the file says about itself.
    pub metadata: ModelMetadata,
}

/// The engine of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// `tract` or `ort`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Threads it was allowed.
    pub threads: usize,
}

/// Facts about the machine that measured; what could not be read is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// Model name, from the device tree or the processor.
    pub name: String,
    /// Processor architecture: `aarch64`.
    pub architecture: String,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Logical processors.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// CPU frequency governor.
    pub governor: Option<String>,
    /// Temperature in °C, before and after.
    pub temperature_celsius: Option<[f64; 2]>,
    /// Whether the processor is emulated, so that times mean nothing.
    pub emulated: bool,
}

/// How thorough a measurement was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Enough samples to be believed.
    Full,
    /// For a first look and for tests.
    Quick,
}

/// Accuracy over test records.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeasuredAccuracy {
    /// Records classified.
    pub images: u64,
    /// Records classified as labelled.
    pub correct: u64,
    /// correct / images.
    pub accuracy: f64,
}

/// Distribution of the time of one inference.
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
    /// Every sample in the order it was taken, nanoseconds.
    pub samples_ns: Vec<u64>,
}

impl Latency {
    /// Summarises raw samples in nanoseconds. `None` if there is none.
    pub fn from_samples(samples_ns: Vec<u64>) -> Option<Self> {
        let mut sorted = samples_ns.clone();
        sorted.sort_unstable();
        let count = sorted.len();
        if count == 0 {
            return None;
        }
        let ms = |ns: f64| ns / 1e6;
        let median = percentile(&sorted, 0.5);
        let mut deviations: Vec<u64> = sorted.iter().map(|sample| sample.abs_diff(median as u64)).collect();
        deviations.sort_unstable();
        Some(Self {
            min_ms: ms(sorted[0] as f64),
            p50_ms: ms(median),
            p90_ms: ms(percentile(&sorted, 0.9)),
            p99_ms: ms(percentile(&sorted, 0.99)),
            mean_ms: ms(sorted.iter().map(|sample| *sample as f64).sum::<f64>() / count as f64),
            mad_ms: ms(percentile(&deviations, 0.5)),
            samples_ns,
        })
    }
}

/// Percentile of ascending samples by linear interpolation between closest ranks (numpy's default).
fn percentile(sorted: &[u64], quantile: f64) -> f64 {
    let position = quantile * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[position.floor() as usize] as f64, sorted[position.ceil() as usize] as f64);
    low + (high - low) * position.fract()
}

/// Whether a measurement may be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing speaks against it.
    Valid,
    /// It must not enter statistics.
    Invalid {
        /// Why, a sentence each.
        reasons: Vec<String>,
    },
}

impl Measurement {
    /// Parses a record; `subject` names its source in errors.
    pub fn parse(bytes: &[u8], subject: impl ToString) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let subject = subject.to_string();
        let malformed =
            |error: serde_json::Error| Error::input(&subject, format!("not a measurement: {error}"));
        let Version { schema } = serde_json::from_slice(bytes).map_err(malformed)?;
        if schema != SCHEMA {
            return Err(Error::input(&subject, format!("schema is {schema}; this version reads {SCHEMA}")));
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }

    /// Whether its times may enter statistics: valid, and not emulated.
    pub fn counts(&self) -> bool {
        self.verdict == Verdict::Valid && !self.board.emulated
    }
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
        assert_eq!(latency.samples_ns[0], 5_000_000);
        assert!(Latency::from_samples(vec![]).is_none());
    }

    #[test]
    fn a_record_of_another_version_is_refused() {
        let error = Measurement::parse(br#"{"schema": 9}"#, "m.json").unwrap_err().to_string();
        assert_eq!(error, "m.json: schema is 9; this version reads 1");
        assert!(Measurement::parse(b"{", "m.json").unwrap_err().to_string().contains("m.json"));
    }
}
