//! What a board reported about one model: the record that `edge-runner measure` writes and every other
//! program reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use crate::latency::Latency;
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
    /// What can change while it runs: before the first timed inference (the processor is warm) and after the last.
    pub conditions: [Conditions; 2],
    /// Logical processor that the measurement was pinned to; `None` where pinning was refused or not wanted.
    pub pinned_core: Option<usize>,
    /// How thorough the measurement was.
    pub preset: Preset,
    /// Largest difference from the golden logits in the model's metadata, see [`crate::golden::difference`].
    /// `None` where one of the answers is not a number.
    pub golden_difference: Option<f64>,
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
    /// Processor time of this process in the timed windows / their length. Below 1 on one thread, other processes had
    /// the core in between, and the upper percentiles are theirs too.
    pub processor_share: f64,
    /// Resident memory of the process before the model was read, in bytes (VmRSS).
    pub baseline_rss_bytes: Option<u64>,
    /// Peak resident memory of the whole process in bytes (VmHWM), read after the warm-up: before samples and test
    /// records take memory of their own.
    pub peak_rss_bytes: Option<u64>,
    /// Private dirty memory of the process at the same moment, in bytes (smaps_rollup).
    pub private_dirty_bytes: Option<u64>,
    /// Energy, where the board has a sensor that could be read; never an estimate.
    #[serde(default)]
    pub energy: Option<Energy>,
    /// Whether the figures may be believed.
    pub verdict: Verdict,
}

/// Energy of one inference, from the timed windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// Millijoules of one inference, with the power of the idle board subtracted.
    pub inference_mj: f64,
    /// Sensor and rate: `ina3221 VDD_IN, 10 Hz`.
    pub source: String,
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
    /// Environment variables that change what it does: `TRACT_CPU_AARCH64_KIND`.
    pub knobs: BTreeMap<String, String>,
}

/// Facts about the machine that measured; what could not be read is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// Model name, from the device tree or the processor.
    pub name: String,
    /// Processor architecture: `aarch64`.
    pub architecture: String,
    /// Model of the processor, or implementer and part (`0x41/0xd08`) where only these are told.
    pub processor: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Logical processors.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Whether the processor is emulated, so that times mean nothing.
    pub emulated: bool,
}

/// State of the machine at one moment; what could not be read is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// CPU frequency governor.
    pub governor: Option<String>,
    /// Current frequency of the measuring core in kHz.
    pub frequency_khz: Option<u64>,
    /// Largest frequency that the core is allowed, in kHz.
    pub maximum_frequency_khz: Option<u64>,
    /// Highest temperature of all thermal zones, °C.
    pub temperature_celsius: Option<f64>,
    /// Raspberry Pi's `get_throttled` bits.
    pub throttle_bits: Option<u32>,
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
    fn a_record_of_another_version_is_refused() {
        let error = Measurement::parse(br#"{"schema": 9}"#, "m.json").unwrap_err().to_string();
        assert_eq!(error, "m.json: schema is 9; this version reads 1");
        assert!(Measurement::parse(b"{", "m.json").unwrap_err().to_string().contains("m.json"));
    }
}
