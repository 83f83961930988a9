//! The lines that the search and the trainer exchange: one JSON object a line, jobs down the trainer's
//! standard input, events up its standard output.
//!
//! The legal order of events is `ready` once after the start, then for each job `epoch` zero or more times and
//! one of `done`, `pruned` and `failed`. After the epochs that a job names in `decisions`, and only there, the
//! trainer waits for one [`Decision`] line.
//!
//! JSON has no word for what is not a finite number: such a value travels as `null` and arrives as NaN.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use crate::architecture::Architecture;
use crate::confusion::AccuracyKind;
use crate::recipe::Recipe;
use crate::space::SearchSpace;

/// Version of this protocol. A trainer says it when it is ready, and one that says another is not given any job.
pub const PROTOCOL: u32 = 1;

/// One architecture to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The trial this belongs to; events repeat it.
    pub trial: u64,
    /// What to train.
    pub architecture: Architecture,
    /// The space that lowers it to layers.
    pub space: SearchSpace,
    /// How to train.
    pub recipe: Recipe,
    /// Seed of initial weights, order of images and augmentation.
    pub seed: u64,
    /// Folder of a data set, see [`crate::dataset`].
    pub data: PathBuf,
    /// Folder that receives [`WEIGHTS_FILE`], [`CHECK_FILE`] and [`CONFUSION_FILE`].
    pub output: PathBuf,
    /// Which accuracy to report.
    #[serde(default, skip_serializing_if = "AccuracyKind::is_plain")]
    pub accuracy: AccuracyKind,
    /// Epochs, from 1, after which the trainer waits to be told whether to go on; rising, and none is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<u32>,
}

/// Untrained networks to rate: what `mfactor-trainer --naswot` reads from its standard input, one JSON object. It answers with
/// a [`Rating`] a line, in the order of the architectures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Untrained {
    /// The space that lowers them to layers.
    pub space: SearchSpace,
    /// Folder of a data set, see [`crate::dataset`].
    pub data: PathBuf,
    /// Seed of initial weights.
    pub seed: u64,
    /// What to rate.
    pub architectures: Vec<Architecture>,
}

/// How well an untrained network tells images apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rating {
    /// NASWOT (Mellor et al. 2021): the logarithm of the determinant of the matrix that has, for each two of a batch of
    /// images, the number of rectifiers that answer both alike, by letting them through or not. `None` where two images
    /// are not told apart at all.
    pub naswot: Option<f64>,
}

/// What the search answers after an epoch that [`Job::decisions`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The trial.
    pub trial: u64,
    /// Whether to go on. If not, the job ends with [`Event::Pruned`] and leaves no files.
    pub go_on: bool,
}

/// Variable in which a search tells the trainer that it starts the search's own process id: where the system
/// can see to it, the trainer ends with that process, however it ends.
pub const OWNER_VARIABLE: &str = "MFACTOR_TRAINER_OWNER";
/// Variable in which a search tells a trainer on which of the machine's cores it runs: their numbers with commas
/// between. What it changes is speed alone.
pub const CORES_VARIABLE: &str = "MFACTOR_TRAINER_CORES";
/// The trained tensors, named as [`crate::Layer::tensors`] says, in f32, with [`MEAN_TENSOR`] and
/// [`DEVIATION_TENSOR`] beside them.
pub const WEIGHTS_FILE: &str = "weights.safetensors";
/// What the network answers on a few validation images: [`CHECK_RECORDS_TENSOR`] and [`CHECK_LOGITS_TENSOR`].
pub const CHECK_FILE: &str = "check.safetensors";
/// What the network took for what on the validation split after the whole budget: a [`crate::Confusion`]. Only where
/// [`Job::accuracy`] is balanced does a trainer have to write it; where it is written it must say the same accuracy.
pub const CONFUSION_FILE: &str = "confusion.json";
/// Mean of each channel over the training split, f32 \[channels\], of pixel values divided by 255.
pub const MEAN_TENSOR: &str = "normalization.mean";
/// Standard deviation of each channel, f32 \[channels\], likewise.
pub const DEVIATION_TENSOR: &str = "normalization.deviation";
/// Record numbers in the training records, i64 \[n\].
pub const CHECK_RECORDS_TENSOR: &str = "records";
/// Logits of those records from the trained network in f32, f32 \[n, classes\].
pub const CHECK_LOGITS_TENSOR: &str = "logits";
/// Number of records in [`CHECK_FILE`], or all validation records where there are fewer.
pub const CHECK_RECORDS: usize = 64;

/// What a trainer reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The trainer is up. Sent once, before the first job.
    Ready(TrainerFacts),
    /// An epoch has ended.
    Epoch(Epoch),
    /// The job is done and its files are written.
    Done {
        /// The trial.
        trial: u64,
        /// The result.
        evaluation: Evaluation,
    },
    /// The job was stopped early, as a [`Decision`] asked.
    Pruned {
        /// The trial.
        trial: u64,
        /// Wall-clock seconds of the job.
        #[serde(deserialize_with = "number_or_nan")]
        seconds: f64,
        /// Training images that were seen.
        images: u64,
    },
    /// The job failed; the trainer is ready for another.
    Failed {
        /// The trial.
        trial: u64,
        /// What kind of failure it is; programs need not say.
        #[serde(default)]
        kind: FailureKind,
        /// Why, in a sentence for people: nothing is read from it.
        reason: String,
    },
}

/// What kind of failure ended a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The job itself is wrong: its data, architecture, recipe or output folder.
    Job,
    /// Training left the numbers.
    Diverged,
    /// libtorch refused an operation; out of memory is the usual reason.
    Library,
    /// The trainer's code panicked.
    Panic,
    /// The trainer ended, broke the protocol, or left files that are not whole. A search says so of a trainer.
    Trainer,
    /// The trial's time was over. Likewise.
    Timeout,
    /// Not said, or a kind that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// What a trainer is and where it trains. What the first trainers did not say arrives empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainerFacts {
    /// Version of this protocol that it speaks; see [`PROTOCOL`].
    #[serde(default = "first_protocol")]
    pub protocol: u32,
    /// Version of the trainer, as [`crate::version`] gives it.
    pub version: String,
    /// SHA-256 of its program, in hex: tells builds of one version apart.
    #[serde(default)]
    pub build: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// Device: `cpu` or `cuda:0`.
    pub device: String,
    /// Name of the processor or GPU, as its maker calls it.
    #[serde(default)]
    pub device_name: String,
    /// Type that convolutions are computed in: `float32` or `bfloat16`. Earlier trainers computed networks with channels
    /// apart in float32 on a CPU unless bfloat16 was asked for.
    pub precision: String,
    /// Instructions of the layers that are not libtorch's, as `MFACTOR_KERNELS` calls them; empty if there are none, or it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernels: String,
    /// Threads of one operation.
    pub threads: usize,
}

/// On what a training was computed, as far as its result depends on that: the same job on another kind gives other
/// digits. Which of several like devices it was does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// `cpu` or `cuda`.
    pub device: String,
    /// As in [`TrainerFacts`]; empty where it is not known.
    #[serde(default)]
    pub device_name: String,
    /// As in [`TrainerFacts`].
    pub precision: String,
    /// As in [`TrainerFacts`].
    pub libtorch: String,
}

impl TrainerFacts {
    /// The kind of machine that it trains on.
    pub fn hardware(&self) -> Hardware {
        let device = self.device.split_once(':').map_or(&*self.device, |(device, _)| device);
        Hardware {
            device: device.to_owned(),
            device_name: self.device_name.clone(),
            precision: self.precision.clone(),
            libtorch: self.libtorch.clone(),
        }
    }
}

impl Hardware {
    /// What is different on `other`, such as `precision float32 and not bfloat16`; `None` if nothing is. A name that one
    /// of the two does not say is no difference.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let known = |own: &str, other: &str| !own.is_empty() && !other.is_empty();
        let parts = [
            ("device", &self.device, &other.device),
            ("processor or GPU", &self.device_name, &other.device_name),
            ("precision", &self.precision, &other.precision),
            ("libtorch", &self.libtorch, &other.libtorch),
        ];
        let differences = parts.into_iter().filter(|(_, own, other)| own != other && known(own, other));
        let words = differences.map(|(part, own, other)| format!("{part} {other} and not {own}"));
        Some(words.collect::<Vec<_>>().join(", ")).filter(|words| !words.is_empty())
    }
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, device_name, precision, libtorch } = self;
        let name = if device_name.is_empty() { String::new() } else { format!(" ({device_name})") };
        write!(f, "{device}{name} in {precision} with libtorch {libtorch}")
    }
}

/// State of a training at the end of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// The trial.
    pub trial: u64,
    /// The epoch, from 1.
    pub epoch: u32,
    /// Epochs of the budget.
    pub epochs: u32,
    /// Mean training loss in this epoch, in nats.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// Accuracy on the validation split, 0 to 1, of the kind that [`Job::accuracy`] says.
    #[serde(deserialize_with = "number_or_nan")]
    pub accuracy: f64,
    /// Training speed in this epoch, validation excluded.
    #[serde(deserialize_with = "number_or_nan")]
    pub images_per_second: f64,
    /// Estimate of the time to the end of this job.
    #[serde(deserialize_with = "number_or_nan")]
    pub seconds_left: f64,
}

/// Result of the only expensive call in a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Accuracy on the validation split after the whole budget, 0 to 1, computed in f32, of the kind that [`Job::accuracy`]
    /// says. Not a number where training diverged; the study judges that.
    #[serde(deserialize_with = "number_or_nan")]
    pub accuracy: f64,
    /// Wall-clock seconds of the job.
    #[serde(deserialize_with = "number_or_nan")]
    pub seconds: f64,
    /// Training images that were seen.
    pub images: u64,
}

/// The first trainers did not say which protocol they speak.
fn first_protocol() -> u32 {
    1
}

fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_flat_lines() {
        let event =
            Event::Done { trial: 4, evaluation: Evaluation { accuracy: 0.5, seconds: 2.0, images: 10 } };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(
            line,
            r#"{"event":"done","trial":4,"evaluation":{"accuracy":0.5,"seconds":2.0,"images":10}}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn what_the_first_trainers_said_is_understood() {
        let line = r#"{"event":"ready","version":"0.1.0","libtorch":"2.13.0","device":"cuda:1","precision":"bfloat16","threads":2}"#;
        let Event::Ready(facts) = serde_json::from_str(line).unwrap() else { panic!("it is ready") };
        assert_eq!((facts.protocol, facts.build.as_str()), (1, ""));
        assert_eq!(facts.hardware().to_string(), "cuda in bfloat16 with libtorch 2.13.0");
    }

    #[test]
    fn a_failure_has_a_kind_and_one_that_nobody_knows_is_understood() {
        let failed = |kind: &str| {
            let line = format!(r#"{{"event":"failed","trial":1,{kind}"reason":"no"}}"#);
            match serde_json::from_str::<Event>(&line).unwrap() {
                Event::Failed { kind, reason, .. } if reason == "no" => kind,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(failed(r#""kind":"diverged","#), FailureKind::Diverged);
        assert_eq!([failed(""), failed(r#""kind":"meteorite","#)], [FailureKind::Unknown; 2]);
    }

    #[test]
    fn kinds_of_hardware_differ_in_what_changes_a_result() {
        let hardware = Hardware {
            device: "cpu".to_owned(),
            device_name: "Cortex-A76".to_owned(),
            precision: "float32".to_owned(),
            libtorch: "2.13.0".to_owned(),
        };
        let nameless = Hardware { device_name: String::new(), ..hardware.clone() };
        assert_eq!((hardware.difference(&hardware), hardware.difference(&nameless)), (None, None));
        let other =
            Hardware { precision: "bfloat16".to_owned(), device: "cuda".to_owned(), ..hardware.clone() };
        let expected = "device cuda and not cpu, precision bfloat16 and not float32";
        assert_eq!(hardware.difference(&other).as_deref(), Some(expected));
    }

    #[test]
    fn what_is_not_a_number_arrives_as_such() {
        let line =
            serde_json::to_string(&Evaluation { accuracy: f64::NAN, seconds: 2.0, images: 10 }).unwrap();
        let arrived: Evaluation = serde_json::from_str(&line).unwrap();
        assert!(arrived.accuracy.is_nan() && arrived.seconds == 2.0);
        assert!(serde_json::from_str::<Evaluation>(r#"{"seconds":2.0,"images":10}"#).is_err());
    }
}
