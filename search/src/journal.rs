//! The journal of a study: a file in Optuna's journal format that `optuna-dashboard` and `optuna.load_study`
//! open as it is. Appended and synced as things happen; see [`Journal`].
//!
//! One file holds one Optuna study for each strategy. Each trial is created by a single line with its parameters
//! and fixed attributes, so that a crash never leaves half a trial.

mod log_file;
mod operation;
mod replay;
mod timestamp;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mfactor::{Error, Objective, Result, SearchSpace, Trial, TrialState};
use serde_json::{Value, json};

use self::log_file::{LogFile, read_lines};
pub(crate) use self::operation::Attributes;
use self::operation::{
    CreateStudy, CreateTrial, IntermediateValue, Operation, StudySystemAttribute, StudyUserAttribute,
    TrialUserAttribute, state,
};
use self::replay::{Replay, TrialRecord};
pub(crate) use self::timestamp::timestamp;

/// Optuna's number for maximising.
const MAXIMIZE: u8 = 2;
/// System attribute from which Optuna and its dashboard take the objective's name.
const METRIC_NAMES: &str = "study:metric_names";

/// A journal that is open for writing. What would change nothing is not written again, so a study that was cut
/// off and resumed ends with the lines that an uninterrupted one has.
pub(crate) struct Journal {
    file: LogFile,
    path: PathBuf,
    replay: Replay,
}

impl Journal {
    /// Opens the journal, or begins one. A torn last line is cut off; garbage elsewhere is an error with its
    /// line number. The caller holds the study's lock.
    pub fn open(path: &Path) -> Result<Self> {
        let file = LogFile::open(path)?;
        Ok(Self { file, path: path.to_owned(), replay: replay(path)? })
    }

    /// Number of the Optuna study called `name`, which is made if there is none, with these attributes.
    pub fn study(&mut self, name: &str, attributes: Attributes) -> Result<usize> {
        let study_id = match self.replay.study(name) {
            Some(study_id) => study_id,
            None => {
                let study_name = name.to_owned();
                self.write(vec![Operation::CreateStudy(CreateStudy {
                    study_name,
                    directions: vec![MAXIMIZE],
                })])?;
                self.replay.study(name).expect("it was created just now")
            }
        };
        let mut operations = Vec::new();
        let metric_names = json!(["M-factor"]);
        if self.replay.studies[study_id].system_attributes.get(METRIC_NAMES) != Some(&metric_names) {
            let system_attr = entry(METRIC_NAMES, metric_names);
            operations.push(Operation::StudySystemAttribute(StudySystemAttribute { study_id, system_attr }));
        }
        for (key, value) in attributes {
            if self.replay.studies[study_id].user_attributes.get(&key) != Some(&value) {
                let user_attr = entry(&key, value);
                operations.push(Operation::StudyUserAttribute(StudyUserAttribute { study_id, user_attr }));
            }
        }
        self.write(operations)?;
        Ok(study_id)
    }

    /// All trials so far, by id.
    pub fn trials(&self, space: &SearchSpace, objective: &Objective) -> Result<Vec<Trial>> {
        trials(&self.replay, &self.path, space, objective)
    }

    /// An attribute of the Optuna study called `name`.
    pub fn study_attribute(&self, name: &str, key: &str) -> Option<&Value> {
        self.replay.studies[self.replay.study(name)?].user_attributes.get(key)
    }

    /// The id of the next trial to be created.
    pub fn next_trial(&self) -> u64 {
        self.replay.trials.len() as u64
    }

    /// Creates `trial`, whose id is [`Journal::next_trial`], as running in an Optuna study.
    pub fn create(&mut self, study_id: usize, trial: &Trial, space: &SearchSpace) -> Result<()> {
        let mut create = CreateTrial {
            study_id,
            datetime_start: Some(timestamp(SystemTime::now())),
            state: state::RUNNING,
            params: Default::default(),
            distributions: Default::default(),
            user_attrs: fixed_attributes(trial),
            value: None,
        };
        let point = space.point(&trial.architecture)?;
        for (choice, option) in space.choices().zip(point.options()) {
            let options =
                json!({"name": "CategoricalDistribution", "attributes": {"choices": choice.options}});
            create.params.insert(choice.name.clone(), f64::from(*option));
            create.distributions.insert(choice.name, options.to_string());
        }
        self.write(vec![Operation::CreateTrial(create)])
    }

    /// Writes a validation accuracy after an epoch of a running trial.
    pub fn report(&mut self, trial: u64, epoch: u32, accuracy: f64) -> Result<()> {
        let (trial_id, step) = (trial as usize, i64::from(epoch));
        if self.replay.trials[trial_id].intermediate_values.get(&step) == Some(&accuracy) {
            return Ok(());
        }
        let operation = IntermediateValue { trial_id, step, intermediate_value: accuracy };
        self.write(vec![Operation::IntermediateValue(operation)])
    }

    /// Writes how a trial ended.
    pub fn finish(&mut self, trial: &Trial) -> Result<()> {
        let trial_id = trial.id as usize;
        let mut operations = Vec::new();
        for (key, value) in final_attributes(trial) {
            if self.replay.trials[trial_id].user_attributes.get(&key) != Some(&value) {
                let user_attr = entry(&key, value);
                operations.push(Operation::TrialUserAttribute(TrialUserAttribute { trial_id, user_attr }));
            }
        }
        operations.push(Operation::TrialState(operation::TrialState {
            trial_id,
            state: state_number(trial.state),
            values: trial.m_factor.map(|m_factor| vec![m_factor]),
            datetime_complete: Some(timestamp(SystemTime::now())),
        }));
        self.write(operations)
    }

    fn write(&mut self, operations: Vec<Operation>) -> Result<()> {
        if operations.is_empty() {
            return Ok(());
        }
        let lines: String = operations.iter().map(Operation::line).collect();
        self.file.append(&lines)?;
        operations.iter().for_each(|operation| self.replay.apply(operation));
        Ok(())
    }
}

/// The trials of a journal by id, without a torn last line; for readers, which need no lock. There may be
/// no journal yet.
pub(crate) fn read(path: &Path, space: &SearchSpace, objective: &Objective) -> Result<Vec<Trial>> {
    trials(&replay(path)?, path, space, objective)
}

fn trials(replay: &Replay, path: &Path, space: &SearchSpace, objective: &Objective) -> Result<Vec<Trial>> {
    if let Some(study) = replay.studies.iter().find(|study| study.is_deleted) {
        let problem = format!("study {:?} was deleted from it with Optuna; start a new study", study.name);
        return Err(Error::file(path, problem));
    }
    let trial = |(record, id): (&TrialRecord, u64)| {
        let trial = record.trial(id, space, objective);
        trial.map_err(|problem| Error::file(path, format!("trial {id} {problem}")))
    };
    replay.trials.iter().zip(0..).map(trial).collect()
}

fn replay(path: &Path) -> Result<Replay> {
    let mut replay = Replay::default();
    if path.exists() {
        for (number, line) in read_lines(path)? {
            let place = || format!("{}:{number}", path.display());
            let operation = Operation::parse(&line).map_err(|problem| Error::input(place(), problem))?;
            if let Some(operation) = operation {
                replay.apply(&operation);
            }
        }
    }
    Ok(replay)
}

fn entry(key: &str, value: Value) -> Attributes {
    Attributes::from_iter([(key.to_owned(), value)])
}

/// Attributes that are known when a trial begins.
fn fixed_attributes(trial: &Trial) -> Attributes {
    let attributes = [
        ("architecture", json!(trial.architecture)),
        ("parameters", json!(trial.cost.parameters)),
        ("macs", json!(trial.cost.macs)),
        ("model_bytes", json!(trial.cost.model_bytes)),
        ("size_score", json!(trial.size_score)),
        ("seed", json!(trial.seed)),
        ("strategy", json!(trial.strategy)),
    ];
    attributes.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// Attributes that are known when a trial has ended.
fn final_attributes(trial: &Trial) -> Attributes {
    let attributes = [
        ("accuracy", trial.accuracy.map(|accuracy| json!(accuracy))),
        ("seconds", trial.seconds.map(|seconds| json!(seconds))),
        ("images", trial.images.map(|images| json!(images))),
        ("reused", trial.reused.then_some(Value::Bool(true))),
        ("failure", trial.failure.as_ref().map(|failure| json!(failure))),
    ];
    let known = attributes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    known.collect()
}

fn state_number(state: TrialState) -> u8 {
    match state {
        TrialState::Running => state::RUNNING,
        TrialState::Complete => state::COMPLETE,
        TrialState::Pruned => state::PRUNED,
        TrialState::Failed => state::FAIL,
    }
}
