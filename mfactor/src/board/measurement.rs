//! What a board reported about one model: the record that `edge-runner measure` writes and every other
//! program reads.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::board::soundness;
use crate::error::{Error, Result};
use crate::files;
pub use crate::latency::Latency;
use crate::magic::{self, Kind};
use crate::metadata::ModelMetadata;

/// Largest record that is read, in bytes: that of a million samples has a fifth of it.
pub const LARGEST_FILE: u64 = 64 << 20;
/// Version of the record's form.
pub const SCHEMA: u32 = 2;

/// One model, measured by one engine on one board, in rounds: each round is one timed window in a process of its
/// own, and between two rounds of one model come those of the others. Raw samples are kept beside their summary.
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
    /// Largest difference from the golden logits in the model's metadata, over all rounds, see
    /// [`crate::golden::difference`]. `None` where one of the answers is not a number.
    pub golden_difference: Option<f64>,
    /// Accuracy on the test records, if records were given.
    pub accuracy: Option<MeasuredAccuracy>,
    /// Milliseconds to read, check and optimise the model: median of the rounds.
    pub load_ms: f64,
    /// Milliseconds of the first inference: median of the rounds.
    pub first_inference_ms: f64,
    /// Inferences made before the timed ones, in all rounds.
    pub warm_up_inferences: u64,
    /// Latency of one image at batch 1, over the rounds that count: of each round the attempt that is valid, else the
    /// last one.
    pub latency: Latency,
    /// Processor time of the measuring process in the timed windows / their length: the smallest of the rounds. Below
    /// 1 on one thread, other processes had the core in between, and the upper percentiles are theirs too.
    pub processor_share: f64,
    /// Memory: the largest of the rounds.
    pub memory: MemoryUse,
    /// Energy: median of the rounds. `None` where no sensor was found; it is never estimated.
    pub energy: Option<Energy>,
    /// Every attempt at every round, in the order of time, those that do not count among them.
    pub rounds: Vec<Round>,
    /// Whether the figures may be believed.
    pub verdict: Verdict,
}

/// One attempt at one round: one timed window in a process of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Number of the round, from 1.
    pub number: usize,
    /// Which attempt at it, from 1. Above 1, the one before was not valid.
    pub attempt: usize,
    /// Place in the order of this round, from 1. Every round begins with another model.
    pub position: usize,
    /// Seconds waited before this attempt for the board to cool down.
    pub cool_down_seconds: f64,
    /// When it ended: seconds since 1970-01-01 UTC.
    pub unix_seconds: u64,
    /// As in [`Measurement`].
    pub load_ms: f64,
    /// As in [`Measurement`].
    pub first_inference_ms: f64,
    /// As in [`Measurement`].
    pub warm_up_inferences: u64,
    /// As in [`Measurement`].
    pub processor_share: f64,
    /// Memory of this process.
    pub memory: MemoryUse,
    /// Energy of this window.
    pub energy: Option<Energy>,
    /// Before the first timed inference and after the last.
    pub conditions: [Conditions; 2],
    /// Number of samples in the window.
    pub samples: usize,
    /// The samples, in nanoseconds, if this attempt does not count; those that count are in [`Latency::samples_ns`].
    pub set_aside_ns: Vec<u64>,
    /// Whether the board was in a state to be believed.
    pub verdict: Verdict,
}

/// Memory of the measuring process, in bytes; what could not be read is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Resident before the model was read (VmRSS).
    pub baseline_rss_bytes: Option<u64>,
    /// Private dirty before the model was read (smaps_rollup).
    pub baseline_private_dirty_bytes: Option<u64>,
    /// Peak resident while the model was read, checked and optimised (VmHWM, reset before).
    pub load_peak_rss_bytes: Option<u64>,
    /// Peak resident in first inference and warm-up (VmHWM, reset after loading).
    pub inference_peak_rss_bytes: Option<u64>,
    /// Peak resident of the whole process, from its start to the end of the warm-up: before samples and test records
    /// take memory of their own.
    pub peak_rss_bytes: Option<u64>,
    /// Private dirty after the warm-up (smaps_rollup): what would be free if the process ended.
    pub private_dirty_bytes: Option<u64>,
    /// Most that the program's own allocator gave out at once up to the end of the warm-up, beyond what it had given
    /// out before the model was read. `None` for an engine with an allocator of its own.
    pub allocator_peak_bytes: Option<u64>,
}

impl MemoryUse {
    /// Private dirty memory that the model and its engine brought.
    pub fn model_private_dirty_bytes(&self) -> Option<u64> {
        Some(self.private_dirty_bytes?.saturating_sub(self.baseline_private_dirty_bytes?))
    }

    /// The larger of each figure.
    pub fn or_larger(self, other: Self) -> Self {
        Self {
            baseline_rss_bytes: self.baseline_rss_bytes.max(other.baseline_rss_bytes),
            baseline_private_dirty_bytes: self
                .baseline_private_dirty_bytes
                .max(other.baseline_private_dirty_bytes),
            load_peak_rss_bytes: self.load_peak_rss_bytes.max(other.load_peak_rss_bytes),
            inference_peak_rss_bytes: self.inference_peak_rss_bytes.max(other.inference_peak_rss_bytes),
            peak_rss_bytes: self.peak_rss_bytes.max(other.peak_rss_bytes),
            private_dirty_bytes: self.private_dirty_bytes.max(other.private_dirty_bytes),
            allocator_peak_bytes: self.allocator_peak_bytes.max(other.allocator_peak_bytes),
        }
    }
}

/// Energy of inferences, from a sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// The sensor, and what it measures: `INA3221 VDD_IN`.
    pub source: String,
    /// How often it was read. `None` for a sensor that counts energy itself and is read at both ends.
    pub samples_per_second: Option<f64>,
    /// Mean power of the board at rest, the model loaded, before the window.
    pub idle_watts: f64,
    /// Mean power in the window.
    pub watts: f64,
    /// Energy of one inference beyond that of the board at rest, millijoules: (watts − idle) · time / inferences.
    pub inference_mj: f64,
    /// What of it the sensor's own noise makes likely, millijoules: three standard errors of the difference. Where the
    /// difference is below it, no energy is told. Records of former versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_mj: Option<f64>,
}

impl Energy {
    /// Why this is no energy of an inference, as a phrase; `None` if it may be one.
    pub fn impossible(&self) -> Option<&'static str> {
        soundness::of_energy(self)
    }
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
    /// Environment variables and settings that change what it does: `TRACT_CPU_AARCH64_KIND`.
    pub knobs: BTreeMap<String, String>,
    /// The kernels that it takes on this processor, where it tells.
    pub kernels: Option<String>,
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
    /// Temperature of the processor, °C: the highest of its sensors, or of those of its chip where it has none.
    pub temperature_celsius: Option<f64>,
    /// What these sensors call themselves; records of former versions do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_sensor: Option<String>,
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
    /// For the many parts of a cost table, of which each counts for little.
    Brief,
}

impl Preset {
    /// Its name in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Quick => "quick",
            Self::Brief => "brief",
        }
    }
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
    /// Reads a record of at most [`LARGEST_FILE`] bytes.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&files::read_at_most(path, LARGEST_FILE)?, path.display())
    }

    /// Parses a record; `subject` names its source in errors.
    pub fn parse(bytes: &[u8], subject: impl ToString) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let subject = subject.to_string();
        let malformed = |error: serde_json::Error| match magic::mistaken(bytes, Kind::Json) {
            Some(words) => Error::input(&subject, format!("not a measurement: it {words}")),
            None => Error::input(&subject, format!("not a measurement: {error}")),
        };
        let Version { schema } = serde_json::from_slice(bytes).map_err(malformed)?;
        if schema != SCHEMA {
            return Err(Error::input(&subject, format!("schema is {schema}; this version reads {SCHEMA}")));
        }
        let measurement: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        match soundness::impossible(&measurement) {
            Some(problem) => Err(Error::input(subject, format!("{problem}, which cannot be; measure again"))),
            None => Ok(measurement),
        }
    }

    /// Energy of one inference in millijoules, if it is told and can be: records of former versions hold differences
    /// below the sensor's noise, and some are negative.
    pub fn inference_mj(&self) -> Option<f64> {
        self.energy.as_ref().map(|energy| energy.inference_mj).filter(|mj| mj.is_finite() && *mj > 0.0)
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
        assert_eq!(error, "m.json: schema is 9; this version reads 2");
        assert!(Measurement::parse(b"{", "m.json").unwrap_err().to_string().contains("m.json"));
    }

    #[test]
    fn what_former_records_do_not_say_is_not_missed() {
        let energy: Energy = serde_json::from_str(
            r#"{"source": "INA3221", "samples_per_second": 10, "idle_watts": 3, "watts": 2, "inference_mj": -1}"#,
        )
        .unwrap();
        assert_eq!((energy.noise_mj, energy.inference_mj), (None, -1.0));
        let conditions: Conditions = serde_json::from_str("{}").unwrap();
        assert_eq!(conditions, Conditions::default());
    }
}
