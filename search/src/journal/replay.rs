//! What a journal says, by applying its operations in order as Optuna does.

use std::collections::BTreeMap;

use mfactor::{Architecture, Objective, SearchSpace, Trial, TrialState};
use serde_json::Value;

use super::operation::{Attributes, CreateTrial, Operation, state};

/// Everything a journal says so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Replay {
    pub studies: Vec<StudyRecord>,
    /// Trials of all studies, by id.
    pub trials: Vec<TrialRecord>,
}

/// One of Optuna's studies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StudyRecord {
    pub name: String,
    pub user_attributes: Attributes,
    pub system_attributes: Attributes,
    pub is_deleted: bool,
    trials: u64,
}

/// One trial as Optuna has it; parameters are left out, for the attribute `architecture` says the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TrialRecord {
    pub study: usize,
    pub number: u64,
    pub state: u8,
    pub value: Option<f64>,
    pub user_attributes: Attributes,
    pub intermediate_values: BTreeMap<i64, f64>,
}

impl Replay {
    /// Applies one operation. As in Optuna, what does not apply (a finished trial is told again) is passed
    /// over: two writers may have crossed.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::CreateStudy(create) => self.create_study(&create.study_name),
            Operation::CreateTrial(create) => self.create_trial(create),
            Operation::DeleteStudy(delete) => {
                self.with_study(delete.study_id, |study| study.is_deleted = true);
            }
            Operation::StudyUserAttribute(set) => {
                self.with_study(set.study_id, |study| study.user_attributes.extend(set.user_attr.clone()));
            }
            Operation::StudySystemAttribute(set) => {
                self.with_study(set.study_id, |study| {
                    study.system_attributes.extend(set.system_attr.clone())
                });
            }
            Operation::TrialState(set) => self.with_unfinished(set.trial_id, |trial| {
                trial.state = set.state;
                trial.value = set.values.as_ref().and_then(|values| values.first().copied());
            }),
            Operation::IntermediateValue(set) => self.with_unfinished(set.trial_id, |trial| {
                trial.intermediate_values.insert(set.step, set.intermediate_value);
            }),
            Operation::TrialUserAttribute(set) => self.with_unfinished(set.trial_id, |trial| {
                trial.user_attributes.extend(set.user_attr.clone());
            }),
        }
    }

    fn create_study(&mut self, name: &str) {
        if self.study(name).is_none() {
            self.studies.push(StudyRecord {
                name: name.to_owned(),
                user_attributes: Attributes::new(),
                system_attributes: Attributes::new(),
                is_deleted: false,
                trials: 0,
            });
        }
    }

    fn create_trial(&mut self, create: &CreateTrial) {
        let Some(study) = self.studies.get_mut(create.study_id) else { return };
        self.trials.push(TrialRecord {
            study: create.study_id,
            number: study.trials,
            state: create.state,
            value: create.value,
            user_attributes: create.user_attrs.clone(),
            intermediate_values: BTreeMap::new(),
        });
        study.trials += 1;
    }

    fn with_study(&mut self, id: usize, change: impl FnOnce(&mut StudyRecord)) {
        if let Some(study) = self.studies.get_mut(id) {
            change(study);
        }
    }

    fn with_unfinished(&mut self, id: usize, change: impl FnOnce(&mut TrialRecord)) {
        let is_finished = |state| matches!(state, state::COMPLETE | state::PRUNED | state::FAIL);
        if let Some(trial) = self.trials.get_mut(id).filter(|trial| !is_finished(trial.state)) {
            change(trial);
        }
    }

    /// Number of the study with this name.
    pub fn study(&self, name: &str) -> Option<usize> {
        self.studies.iter().position(|study| study.name == name && !study.is_deleted)
    }
}

impl TrialRecord {
    /// The trial in this program's words; the error says what it lacks.
    pub fn trial(&self, id: u64, space: &SearchSpace, objective: &Objective) -> Result<Trial, String> {
        let text = |name: &str| self.user_attributes.get(name).and_then(Value::as_str);
        let number = |name: &str| self.user_attributes.get(name).and_then(Value::as_f64);
        let count = |name: &str| self.user_attributes.get(name).and_then(Value::as_u64);
        let lacks = |name: &str| format!("has no attribute {name:?}: mfactor did not write it");
        let architecture: Architecture = text("architecture")
            .ok_or_else(|| lacks("architecture"))?
            .parse()
            .map_err(|error: mfactor::Error| error.to_string())?;
        space.check(&architecture).map_err(|error| error.to_string())?;
        let state = self.state()?;
        let complete = |value: Option<f64>| value.filter(|_| state == TrialState::Complete);
        if state == TrialState::Complete && (self.value.is_none() || number("accuracy").is_none()) {
            return Err("is complete and has no value or no accuracy".to_owned());
        }
        let is_trained = matches!(state, TrialState::Complete | TrialState::Pruned);
        let cost = space.cost(&architecture);
        Ok(Trial {
            id,
            number: self.number,
            strategy: text("strategy").ok_or_else(|| lacks("strategy"))?.to_owned(),
            architecture,
            state,
            seed: count("seed").ok_or_else(|| lacks("seed"))?,
            cost,
            size_score: objective.size_score(cost.parameters),
            accuracy: complete(number("accuracy")),
            m_factor: complete(self.value),
            epoch_accuracies: self.intermediate_values.values().copied().collect(),
            seconds: number("seconds").filter(|_| is_trained),
            images: count("images").filter(|_| is_trained),
            reused: self.user_attributes.get("reused") == Some(&Value::Bool(true)),
            failure: text("failure").filter(|_| state == TrialState::Failed).map(str::to_owned),
        })
    }

    fn state(&self) -> Result<TrialState, String> {
        match self.state {
            state::RUNNING => Ok(TrialState::Running),
            state::COMPLETE => Ok(TrialState::Complete),
            state::PRUNED => Ok(TrialState::Pruned),
            state::FAIL => Ok(TrialState::Failed),
            other => Err(format!("is in state {other}, which mfactor does not write")),
        }
    }
}
