//! Options about the trainers of this machine, and the trainers that they ask for.

use std::cell::OnceCell;
use std::ffi::OsString;

use clap::Args;
use mfactor::Result;
use search::StudyConfig;
use search::config::EvaluatorConfig;
use search::evaluators::TrainerCommand;

use crate::programs::{TRAINER, patient_threads};
use crate::workers::{Machine, launched};

/// What trains, and how it is started.
#[derive(Args)]
pub struct TrainerOptions {
    /// Start each trainer by this command, as in 'srun -N1 -n1' or 'ssh ws{worker}' with {worker} for 1 to N
    ///
    /// The trainers run elsewhere. Study, data and the trainer must lie in a folder that the machines share. A trainer that its
    /// launcher lost (exit codes 137, 143, 255) begins its trial again.
    #[arg(long, value_name = "COMMAND")]
    launch: Option<String>,
    /// Where to train: cpu, cuda or cuda:N; what libtorch sees if not given
    #[arg(long)]
    device: Option<String>,
    /// Type that convolutions are trained in: float32, bfloat16, or what suits the device if not given
    #[arg(long, value_parser = ["auto", "float32", "bfloat16"])]
    precision: Option<String>,
    /// Asked once: loading libtorch to count GPUs takes seconds.
    #[arg(skip)]
    machine: OnceCell<Machine>,
}

impl TrainerOptions {
    /// So many trainers; not looked for where nothing is trained.
    pub fn commands(&self, config: &StudyConfig, trainers: u64) -> Result<Vec<TrainerCommand>> {
        if !matches!(config.evaluator, EvaluatorConfig::Train) {
            return Ok(vec![TrainerCommand::default(); trainers as usize]);
        }
        let program = TRAINER.find()?;
        let options = [("--device", &self.device), ("--precision", &self.precision)];
        let given =
            options.into_iter().filter_map(|(option, value)| Some([option.into(), value.as_ref()?.into()]));
        let arguments: Vec<OsString> = given.flatten().collect();
        let command = TrainerCommand { program, arguments, environment: patient_threads(), launcher: vec![] };
        if let Some(launch) = &self.launch {
            return launched(&command, launch, trainers);
        }
        let machine = if trainers == 1 { None } else { self.machine()? };
        Ok(match machine {
            Some(machine) => machine.place(&command, trainers),
            None => vec![command; trainers as usize],
        })
    }

    /// Trainers that this machine can feed.
    pub fn most(&self) -> Result<u64> {
        Ok(self.machine()?.map_or(1, Machine::workers))
    }

    /// What the trainers share; `None` where a GPU was named, which is theirs together.
    fn machine(&self) -> Result<Option<&Machine>> {
        if let Some(machine) = self.machine.get() {
            return Ok(Some(machine));
        }
        let machine = match self.device.as_deref() {
            None | Some("auto") => Machine::ask(&TRAINER.find()?)?,
            Some("cpu") => Machine::without_gpus(),
            Some(_) => return Ok(None),
        };
        Ok(Some(self.machine.get_or_init(|| machine)))
    }
}
