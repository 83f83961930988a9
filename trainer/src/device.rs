//! Where and in which number type training computes.

use std::collections::BTreeSet;
use std::process::Command;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use clap::ValueEnum;
use mfactor::protocol::{PROTOCOL, TrainerFacts};
use mfactor::{Error, Result, files, process};
use tch::{Cuda, Device, Kind};

use crate::kernels::instructions;

/// What `--device` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU that libtorch sees, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU with this index, as libtorch counts them.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = text.strip_prefix("cuda:").and_then(|index| index.parse().ok());
                index.map(Self::Cuda).ok_or_else(|| "a device is auto, cpu, cuda or cuda:N".to_owned())
            }
        }
    }
}

/// Number of GPUs that libtorch sees.
pub fn gpus() -> usize {
    usize::try_from(Cuda::device_count()).unwrap_or(0)
}

impl DeviceChoice {
    fn resolve(self) -> Result<Device> {
        let gpus = gpus();
        match self {
            Self::Auto if gpus > 0 => Ok(Device::Cuda(0)),
            Self::Auto | Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(index) if index < gpus => Ok(Device::Cuda(index)),
            Self::Cuda(index) => Err(Error::missing(
                format!("there is no device cuda:{index}: libtorch sees {gpus} GPUs here"),
                "nvidia-smi (to see which GPUs there are), or mfactor-trainer --device cpu",
            )),
        }
    }
}

/// What `--precision` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// bfloat16 where the processor or GPU computes with it natively, else float32.
    Auto,
    /// Everything in float32.
    Float32,
    /// Convolutions in bfloat16, master weights in float32.
    Bfloat16,
}

/// A device that was found, and how it computes.
#[derive(Debug, Clone, Copy)]
pub struct Backend {
    /// Where tensors live.
    pub device: Device,
    /// Type that training computes in: `Kind::Float` or `Kind::BFloat16`. Evaluation is always in float32.
    pub kind: Kind,
}

impl Backend {
    /// Finds what was asked for and sets up libtorch for it; `threads` of one operation, as libtorch chooses
    /// where it is not given.
    ///
    /// # Errors
    /// [`Error::Missing`] for a GPU that is not there.
    pub fn new(device: DeviceChoice, precision: Precision, threads: Option<u16>) -> Result<Self> {
        forbid_tf32();
        let device = device.resolve()?;
        if let Some(threads) = threads {
            tch::set_num_threads(i32::from(threads));
        }
        if device.is_cuda() {
            Cuda::cudnn_set_benchmark(true);
        }
        let bfloat16 = match precision {
            Precision::Auto if device.is_cuda() => gpus_have_bfloat16(),
            Precision::Auto => processor_has_bfloat16(),
            Precision::Float32 => false,
            Precision::Bfloat16 => true,
        };
        let kind = if bfloat16 { Kind::BFloat16 } else { Kind::Float };
        Ok(Self { device, kind })
    }

    /// What the trainer says about itself when it is ready.
    pub fn facts(&self) -> TrainerFacts {
        TrainerFacts {
            protocol: PROTOCOL,
            version: mfactor::version(),
            build: build(),
            libtorch: env!("MFACTOR_LIBTORCH").to_owned(),
            device: match self.device {
                Device::Cuda(index) => format!("cuda:{index}"),
                _ => "cpu".to_owned(),
            },
            device_name: if self.device.is_cuda() { gpu_name() } else { processor_name() },
            precision: if self.kind == Kind::Float { "float32" } else { "bfloat16" }.to_owned(),
            kernels: match instructions() {
                Some(set) if self.device == Device::Cpu => set.name().to_owned(),
                _ => String::new(),
            },
            threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
        }
    }
}

/// GPUs may compute f32 convolutions with 10 bits of mantissa, and then logits differ from those of an exported
/// model by more than export tolerates. tch has no switch for it; the CUDA libraries heed this variable.
fn forbid_tf32() {
    #[expect(unsafe_code, reason = "changing the environment is unsafe where other threads read it")]
    // SAFETY: called before the first use of libtorch and before any thread is started.
    unsafe {
        std::env::set_var("NVIDIA_TF32_OVERRIDE", "0");
    }
}

/// SHA-256 of this program; empty where the system does not let it read itself.
fn build() -> String {
    let program = std::env::current_exe().and_then(std::fs::read);
    program.map_or_else(|_| String::new(), |bytes| files::sha256(&bytes))
}

/// Without such instructions oneDNN converts at every step, which is slower than float32.
pub fn processor_has_bfloat16() -> bool {
    processor_multiplies_matrices() || processor_has("avx512_bf16")
}

/// Whether the processor has instructions that multiply matrices of bfloat16, and not only vectors: AMX, or those of ARM.
pub fn processor_multiplies_matrices() -> bool {
    processor_has("amx_bf16") || processor_has("bf16")
}

fn processor_has(wanted: &str) -> bool {
    // Asked for each layer of each step.
    static FLAGS: LazyLock<BTreeSet<String>> =
        LazyLock::new(|| processor(&["flags", "Features"]).split_whitespace().map(str::to_owned).collect());
    FLAGS.contains(wanted)
}

/// What the maker calls the processor; on ARM the numbers of the maker and of the part.
fn processor_name() -> String {
    let name = processor(&["model name"]);
    if !name.is_empty() {
        return name;
    }
    let numbers = ["CPU implementer", "CPU part"].map(|field| processor(&[field]));
    numbers.join("/").trim_matches('/').to_owned()
}

/// The first of these fields that Linux lists of the first processor; empty if there is none.
fn processor(fields: &[&str]) -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut values = text.lines().filter_map(|line| line.split_once(':'));
    let value = values.find(|(field, _)| fields.contains(&field.trim()));
    value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// GPUs compute in bfloat16 from compute capability 8.0 on.
fn gpus_have_bfloat16() -> bool {
    let capabilities: Vec<f32> =
        ask_driver("compute_cap").iter().filter_map(|line| line.parse().ok()).collect();
    !capabilities.is_empty() && capabilities.iter().all(|capability| *capability >= 8.0)
}

/// The GPU's name; where the machine has several kinds, all of them: CUDA numbers them in another order than the driver.
fn gpu_name() -> String {
    let names: BTreeSet<String> = ask_driver("name").into_iter().collect();
    names.into_iter().collect::<Vec<_>>().join(" or ")
}

/// What the driver's own tool says about each GPU; tch cannot ask for it.
fn ask_driver(what: &str) -> Vec<String> {
    const LONGEST: Duration = Duration::from_secs(20);
    let mut command = Command::new("nvidia-smi");
    let said =
        process::said(command.arg(format!("--query-gpu={what}")).arg("--format=csv,noheader"), LONGEST);
    said.unwrap_or_default().lines().map(|line| line.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed() {
        for (text, expected) in [
            ("auto", Some(DeviceChoice::Auto)),
            ("cpu", Some(DeviceChoice::Cpu)),
            ("cuda", Some(DeviceChoice::Cuda(0))),
            ("cuda:3", Some(DeviceChoice::Cuda(3))),
            ("cuda:", None),
            ("gpu", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_gpu_that_is_not_there_is_missing() {
        let error = DeviceChoice::Cuda(9_999).resolve().unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::MISSING);
        assert!(error.to_string().contains("cuda:9999"), "{error}");
    }
}
