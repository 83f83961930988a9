//! `mfactor export`: ONNX models of the best trials.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use export::{ExportedModel, Precision, Progress, Request};
use mfactor::numbers::{bytes, percent, points};
use mfactor::trial::ranked;
use mfactor::{Architecture, Error, Trial};
use search::StudyRecord;
use search::study::trial_folder;

use crate::output::{Output, table, thousands};
use crate::progress::Line;
use crate::studies;

/// Export trained networks as ONNX models, each checked against the trainer's answers
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor export runs/first --top 3
  mfactor export runs/first --architecture 333-333-333
  mfactor export runs/first --top 3 --target my-board.toml
  mfactor export runs/first --precision int8

With --target, architectures whose file would break the board's limit are passed over.
A model is handed out only after ONNX Runtime and tract gave the trainer's answers on 64 validation images. Its accuracy on the test
images is measured here, once, and written into the file.

An int8 model has less than a third of the size. Whether it is quicker, only measuring tells: `mfactor measure --engine all`.")]
pub struct Export {
    /// Folder of the study
    dir: PathBuf,
    /// Export the best K architectures
    #[arg(long, value_name = "K", default_value_t = NonZeroUsize::MIN, conflicts_with_all = ["trial", "architecture"])]
    top: NonZeroUsize,
    /// Export the trial with this id
    #[arg(long, value_name = "ID", conflicts_with = "architecture")]
    trial: Option<u64>,
    /// Export the best trial of this architecture
    #[arg(long, value_name = "ID")]
    architecture: Option<String>,
    /// A board, by name or file: only models that its limit on model files allows
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Type of weights and activations
    #[arg(long, value_enum, default_value_t = PrecisionName::F32)]
    precision: PrecisionName,
    /// ONNX Runtime's library; looked for in the Python environment if not given
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    ort_library: Option<PathBuf>,
}

/// The precisions, as words of the command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum PrecisionName {
    /// 32-bit floats
    F32,
    /// int8 weights with a scale for each output channel, and uint8 activations
    Int8,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Int8 => Self::Int8,
        }
    }
}

impl Export {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let record = studies::read(&self.dir, output)?;
        let limits = self.target.as_deref().map(targets::load).transpose()?.map(|board| board.limits);
        let limit = limits.and_then(|limits| limits.model_bytes).unwrap_or(u64::MAX);
        let line = Line::new(output);
        let mut models = vec![];
        for trial in self.candidates(&record)? {
            if models.len() == self.top.get() {
                break;
            }
            // Not even its weights would fit, so the work is saved.
            if self.bytes_of_weights(trial) > limit {
                continue;
            }
            let request = self.request(&record, trial, limit)?;
            models.extend(export::export(&request, &mut |progress| line.show(&text_of(trial, progress)))?);
        }
        line.finish();
        if models.is_empty() {
            let problem = format!("has no complete trial whose model has at most {limit} bytes");
            return Err(Error::file(&self.dir, problem).into());
        }
        output.result(&models, || text(&models))
    }

    /// The trials that may be exported: complete ones, one an architecture, best first.
    fn candidates<'a>(&self, record: &'a StudyRecord) -> anyhow::Result<Vec<&'a Trial>> {
        let refuse = |problem: String| Err(Error::file(&self.dir, problem).into());
        let ranked = ranked(&record.trials);
        if let Some(id) = self.trial {
            return match ranked.iter().find(|trial| trial.id == id) {
                Some(trial) => Ok(vec![trial]),
                None => refuse(format!("has no complete trial {id}; `mfactor trials` lists them")),
            };
        }
        if let Some(id) = &self.architecture {
            let architecture: Architecture = id.parse()?;
            return match ranked.iter().find(|trial| trial.architecture == architecture) {
                Some(trial) => Ok(vec![trial]),
                None => {
                    refuse(format!("has no complete trial of {architecture}; `mfactor trials` lists them"))
                }
            };
        }
        if ranked.is_empty() {
            let folder = self.dir.display();
            return refuse(format!(
                "has no complete trial yet; to go on, run: mfactor search --resume --out {folder}"
            ));
        }
        let mut seen = BTreeSet::new();
        Ok(ranked.into_iter().filter(|trial| seen.insert(&trial.architecture)).collect())
    }

    /// What the weights alone take in the file.
    fn bytes_of_weights(&self, trial: &Trial) -> u64 {
        match self.precision {
            PrecisionName::F32 => trial.cost.model_bytes,
            PrecisionName::Int8 => trial.cost.model_bytes / 4,
        }
    }

    fn file_name(&self, trial: &Trial) -> String {
        match self.precision {
            PrecisionName::F32 => format!("{}.onnx", trial.architecture),
            PrecisionName::Int8 => format!("{}.int8.onnx", trial.architecture),
        }
    }

    fn request(&self, record: &StudyRecord, trial: &Trial, largest_file: u64) -> mfactor::Result<Request> {
        let config = &record.config;
        let Some(data) = &config.data else {
            let problem = "was searched without training, so there are no weights to export";
            return Err(Error::file(&self.dir, problem));
        };
        let incomplete = || Error::Defect(format!("trial {} is complete without a result", trial.id));
        Ok(Request {
            trial_folder: trial_folder(&self.dir, trial.id),
            data: data.folder.clone(),
            output: models_folder(&self.dir).join(self.file_name(trial)),
            precision: self.precision.into(),
            library: self.ort_library.clone(),
            space: config.space.clone(),
            architecture: trial.architecture.clone(),
            objective: config.objective()?,
            accuracy: trial.accuracy.ok_or_else(incomplete)?,
            recipe: config.recipe.clone(),
            seed: trial.seed,
            study: config.name.clone(),
            trial: trial.id,
            strategy: trial.proposer.to_string(),
            largest_file,
        })
    }
}

/// Where the models of a study lie.
pub fn models_folder(study: &Path) -> PathBuf {
    study.join("models")
}

fn text_of(trial: &Trial, progress: Progress) -> String {
    let architecture = &trial.architecture;
    match progress {
        Progress::Checking => format!("{architecture}: checking the answers of both engines"),
        Progress::Calibrating => format!("{architecture}: taking the ranges of its activations"),
        Progress::Validating { done, of } => format!("{architecture}: validation image {done} of {of}"),
        Progress::Testing { done, of } => format!("{architecture}: test image {done} of {of}"),
        Progress::Writing => format!("{architecture}: writing"),
    }
}

fn text(models: &[ExportedModel]) -> String {
    let headers = ["model", ">M", ">M bytes", ">val. A", ">test A", ">params", ">file", ">differs"];
    let rows = models.iter().map(|model| {
        let metadata = &model.metadata;
        let difference = model.checks.iter().map(|check| check.largest_difference).fold(0.0, f64::max);
        [
            metadata.architecture.to_string(),
            format!("{:.4}", metadata.m_factor),
            format!("{:.4}", model.m_factor_by_bytes),
            percent(metadata.validation_accuracy),
            percent(metadata.test_accuracy),
            thousands(metadata.parameters),
            bytes(model.model_bytes),
            format!("{difference:.1e}"),
        ]
    });
    let mut text = table(&headers, rows);
    text.push_str(
        "\nM bytes has the file's bytes in the place of the parameters. The last\n\
         column is the f32 network's largest difference from the trainer's logits, over\n\
         both engines.\n",
    );
    for model in models {
        if let Some(int8) = &model.int8 {
            text.push_str(&format!(
                "{}: int8, {} ranges; validation accuracy {} from f32, test accuracy {}; the \
                 engines agree on {} of the validation images; the file has {:.2} of the f32 one's size\n",
                model.metadata.architecture,
                int8.calibration.name(),
                points(model.metadata.validation_accuracy - int8.f32_validation_accuracy),
                points(model.metadata.test_accuracy - int8.f32_test_accuracy),
                percent(int8.agreement),
                int8.share_of_f32_bytes,
            ));
        }
        text.push_str(&format!("{}\n", model.path.display()));
    }
    text
}
