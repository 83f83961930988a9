//! Where a study's accuracies come from: what is looked at before, and the evaluators that answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mfactor::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sources::FileSource;
use super::{StudyConfig, sources};
use crate::evaluators::{Cached, Constant, Evaluator, Table, TrainerCommand, TrainerProcess};
use crate::ratings::Ratings;

/// Where accuracies come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EvaluatorConfig {
    /// Every architecture is trained.
    #[default]
    Train,
    /// Every architecture has this accuracy: a dry run.
    Constant {
        /// From 0 to 1.
        accuracy: f64,
    },
    /// Accuracies are looked up.
    Table {
        /// The table's file.
        file: PathBuf,
        /// SHA-256 of the file, in lower-case hexadecimal.
        sha256: String,
    },
}

impl EvaluatorConfig {
    /// An evaluator from its short form: `train`, `constant:ACCURACY` or `table:FILE`. The table is read.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |problem: &str| Err(Error::input(format!("evaluator {text:?}"), problem));
        match text.split_once(':') {
            None if text == "train" => Ok(Self::Train),
            Some(("constant", accuracy)) => match accuracy.parse::<f64>() {
                Ok(accuracy) => Constant::new(accuracy).map(|_| Self::Constant { accuracy }),
                Err(_) => refuse("the accuracy is not a number"),
            },
            Some(("table", file)) => {
                let FileSource { file, sha256 } = FileSource::open(Path::new(file))?;
                Ok(Self::Table { file, sha256 })
            }
            _ => refuse("is not known; there are train, constant:ACCURACY and table:FILE"),
        }
    }
}

impl StudyConfig {
    /// Refuses a study that trains and has no data.
    pub(crate) fn check_data(&self, subject: &str) -> Result<()> {
        match (&self.evaluator, &self.data) {
            (EvaluatorConfig::Train, None) => Err(Error::input(
                format!("{subject}, data"),
                "is missing; a study that trains needs a data set",
            )),
            _ => Ok(()),
        }
    }

    /// Looks at what evaluators read, before anything is made or written: a table or data set that is not as the
    /// configuration says is refused.
    pub fn check_inputs(&self) -> Result<()> {
        self.ratings()?;
        match (&self.evaluator, &self.data) {
            (EvaluatorConfig::Table { file, sha256 }, _) => self.table(file, sha256).map(drop),
            (EvaluatorConfig::Train, Some(data)) => data.check(&self.space),
            _ => Ok(()),
        }
    }

    pub(super) fn ratings(&self) -> Result<Option<Ratings>> {
        let load = |source: &FileSource| {
            let text = sources::unchanged_text(&source.file, &source.sha256)?;
            Ratings::parse(&text, &source.file, &self.space)
        };
        self.naswot.as_ref().map(load).transpose()
    }

    fn table(&self, file: &Path, sha256: &str) -> Result<Table> {
        Table::parse(&sources::unchanged_text(file, sha256)?, file, &self.space)
    }

    /// The evaluators that this configuration asks for, one for each of `trainers`. What they read should have passed
    /// [`StudyConfig::check_inputs`]. A trainer is started when its first job comes, and
    /// only where there is something to train. Trainings are kept in the folder `cache`, and found again there.
    pub fn evaluators(
        &self,
        trainers: &[TrainerCommand],
        cache: Option<&Path>,
    ) -> Result<Vec<Box<dyn Evaluator>>> {
        match &self.evaluator {
            EvaluatorConfig::Train => self.trainers(trainers, cache),
            EvaluatorConfig::Constant { accuracy } => {
                let constant = Constant::new(*accuracy)?;
                Ok(trainers.iter().map(|_| Box::new(constant) as Box<dyn Evaluator>).collect())
            }
            EvaluatorConfig::Table { file, sha256 } => {
                let table = Arc::new(self.table(file, sha256)?);
                let table = || Box::new(Arc::clone(&table)) as Box<dyn Evaluator>;
                Ok(trainers.iter().map(|_| table()).collect())
            }
        }
    }

    /// What decides a training's result beside its job and its trainer.
    pub fn training_context(&self) -> Value {
        json!({ "data": self.data.as_ref().map(|data| &data.fingerprint) })
    }

    fn trainers(&self, trainers: &[TrainerCommand], cache: Option<&Path>) -> Result<Vec<Box<dyn Evaluator>>> {
        self.check_data("the study")?;
        let timeout = self.trial_timeout_seconds.map(Duration::from_secs);
        let evaluator = |command: &TrainerCommand| -> Result<Box<dyn Evaluator>> {
            let trainer = TrainerProcess::new(command.clone(), timeout);
            let Some(cache) = cache else { return Ok(Box::new(trainer)) };
            Ok(Box::new(Cached::new(trainer, cache, self.training_context())?))
        };
        trainers.iter().map(evaluator).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_of_evaluators() {
        let parse = EvaluatorConfig::parse;
        assert_eq!(parse("train").unwrap(), EvaluatorConfig::Train);
        assert_eq!(parse("constant:0.75").unwrap(), EvaluatorConfig::Constant { accuracy: 0.75 });
        for wrong in ["constant:1.5", "constant:x", "constant", "guess", "train:now", "table:/nowhere.csv"] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), mfactor::exit::INPUT, "{wrong}");
        }
    }
}
