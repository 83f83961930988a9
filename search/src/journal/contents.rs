//! The trials of a study as its journal has them. What a journal says twice is held against itself: a trial's study and
//! strategy, its parameters and architecture, its value and accuracy.

use std::collections::BTreeMap;

use mfactor::{Architecture, Objective, SearchSpace, Trial, TrialState};
use serde_json::Value;

use super::operation::{Attributes, state};
use super::replay::{Damage, Replay, StudyRecord, TrialRecord};
use crate::tell::is_accuracy;

/// Attribute of a trial that does another one again, which failed: that one's id.
pub(super) const RETRIES: &str = "retries";
/// How far the value of a trial may be from the M-factor of its accuracy: a few roundings.
const ROUNDING: f64 = 1e-9;

/// What the trials of a journal are read against.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub space: &'a SearchSpace,
    pub objective: &'a Objective,
    /// The strategies, and the name of each one's study in the journal.
    pub studies: &'a [(String, String)],
}

/// What a journal holds of a study.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Contents {
    /// The trials of each strategy, by number. Where a trial was done again only the later one is here.
    pub trials: Vec<Vec<Trial>>,
    /// What is damaged, in the order of the file: the line (0 where it is none) and what is wrong. Those trials are left
    /// out.
    pub damage: Vec<(usize, String)>,
    /// What this program said of the study of each strategy, where there is one.
    pub attributes: Vec<Option<Attributes>>,
    /// Studies that another program deleted.
    pub deleted: Vec<String>,
}

impl Reader<'_> {
    /// Reads what a journal holds.
    pub(super) fn contents(&self, replay: &Replay) -> Contents {
        let mut contents = Contents::default();
        let mut damage: Vec<(usize, String)> =
            replay.damage.iter().map(|damage| (damage.line, sentence(damage))).collect();
        for (strategy, name) in self.studies {
            let (trials, problems) = self.trials(replay, strategy, name);
            contents.trials.push(trials);
            let study = replay.studies.iter().find(|study| study.is_ours && study.name == *name);
            contents.attributes.push(study.map(|study| study.user_attributes.clone()));
            damage.extend(problems);
        }
        damage.extend(self.strangers(replay));
        damage.sort_by_key(|(line, _)| *line);
        contents.damage = damage;
        let deleted = self.studies.iter().map(|(_, name)| name).filter(|name| was_deleted(replay, name));
        contents.deleted = deleted.cloned().collect();
        contents
    }

    /// The trials of one strategy, and what is wrong with others of them.
    fn trials(&self, replay: &Replay, strategy: &str, name: &str) -> (Vec<Trial>, Vec<(usize, String)>) {
        let is_own = |record: &TrialRecord| {
            let study = record.study.and_then(|id| replay.studies.get(id));
            record.is_ours && study.is_some_and(|study| study.is_ours && study.name == name)
        };
        let own = replay.trials.iter().zip(0u64..).filter(|(record, _)| is_own(record));
        let (mut trials, mut problems) = (BTreeMap::new(), vec![]);
        for ((record, id), position) in own.zip(0..) {
            let number = record.number.unwrap_or(position);
            match self.trial(record, id, strategy) {
                _ if record.is_damaged => {}
                // One that was tried again comes later and takes the place of the first try.
                Ok(trial) => drop(trials.insert(number, Trial { number, ..trial })),
                Err(problem) => problems.push((record.line, format!("trial {id} {problem}"))),
            }
        }
        if replay.damage.is_empty()
            && problems.is_empty()
            && !trials.keys().copied().eq(0..trials.len() as u64)
        {
            problems.push((0, format!("the trials of {strategy} are not numbered one by one")));
        }
        (trials.into_values().collect(), problems)
    }

    /// A trial in this program's words; the error says what it lacks, or where it contradicts itself.
    fn trial(&self, record: &TrialRecord, id: u64, strategy: &str) -> Result<Trial, String> {
        let attribute = |name: &str| record.user_attributes.get(name);
        let needed = |name: &str| attribute(name).ok_or_else(|| format!("has no attribute {name:?}"));
        let number = |name: &str| attribute(name).and_then(Value::as_f64);
        let architecture = needed("architecture")?.as_str().unwrap_or_default();
        let architecture: Architecture =
            architecture.parse().map_err(|error: mfactor::Error| error.to_string())?;
        self.space.check(&architecture).map_err(|error| error.to_string())?;
        let proposer = needed("strategy")?;
        if proposer != strategy {
            return Err(format!("is in the study of strategy {strategy} and says that it is of {proposer}"));
        }
        let cost = self.space.cost(&architecture);
        let size_score = self.objective.size_score(cost.parameters);
        self.check_parameters(record, &architecture)?;
        let counts =
            [("parameters", cost.parameters), ("macs", cost.macs), ("model_bytes", cost.model_bytes)];
        for (name, count) in counts {
            agrees(name, attribute(name).is_none_or(|said| said.as_u64() == Some(count)), &architecture)?;
        }
        let is_size_score = number("size_score").is_none_or(|said| is_close(said, size_score));
        agrees("size_score", is_size_score, &architecture)?;
        let state = state_of(record)?;
        let accuracy = number("accuracy").filter(|_| state == TrialState::Complete);
        let m_factor = accuracy.map(|accuracy| self.objective.m_factor(accuracy, cost.parameters));
        if state == TrialState::Complete {
            check_result(accuracy, m_factor, record.value)?;
        }
        if !record.intermediate_values.values().copied().all(is_accuracy) {
            return Err("has an accuracy after an epoch that is not from 0 to 1".to_owned());
        }
        let is_trained = matches!(state, TrialState::Complete | TrialState::Pruned);
        let reason = if record.ended_by_other { Some(ENDED_BY_OTHER) } else { None };
        let failure = reason.or_else(|| attribute("failure").and_then(Value::as_str));
        Ok(Trial {
            id,
            number: 0,
            strategy: strategy.to_owned(),
            architecture,
            state,
            seed: needed("seed")?.as_u64().ok_or("has an attribute \"seed\" that is no number")?,
            cost,
            size_score,
            accuracy,
            m_factor,
            epoch_accuracies: record.intermediate_values.values().copied().collect(),
            seconds: number("seconds").filter(|_| is_trained),
            images: attribute("images").and_then(Value::as_u64).filter(|_| is_trained),
            reused: attribute("reused") == Some(&Value::Bool(true)),
            failure: failure.filter(|_| state == TrialState::Failed).map(str::to_owned),
        })
    }

    /// Holds the parameters that Optuna has against the architecture.
    fn check_parameters(&self, record: &TrialRecord, architecture: &Architecture) -> Result<(), String> {
        let point = self.space.point(architecture).map_err(|error| error.to_string())?;
        let names = self.space.choices().map(|choice| choice.name);
        let own: BTreeMap<String, f64> =
            names.zip(point.options()).map(|(name, option)| (name, f64::from(*option))).collect();
        agrees("params", own == record.parameters, architecture)
    }

    /// Studies of this program that are none of this study's.
    fn strangers(&self, replay: &Replay) -> Vec<(usize, String)> {
        let is_known = |study: &StudyRecord| self.studies.iter().any(|(_, name)| *name == study.name);
        let strangers = replay.studies.iter().filter(|study| study.is_ours && !is_known(study));
        let sentence = |study: &StudyRecord| {
            format!("the line begins the study {:?}, which study.toml does not name", study.name)
        };
        strangers.map(|study| (study.line, sentence(study))).collect()
    }
}

const ENDED_BY_OTHER: &str = "another program (Optuna, or its dashboard) ended it in the journal";

pub(super) fn sentence(damage: &Damage) -> String {
    match damage.trial {
        Some(id) => format!("trial {id}: the line {}", damage.problem),
        None => format!("the line {}", damage.problem),
    }
}

fn was_deleted(replay: &Replay, name: &str) -> bool {
    replay.studies.iter().any(|study| study.is_ours && study.is_deleted && study.name == name)
}

fn agrees(name: &str, holds: bool, architecture: &Architecture) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("has {name:?} of another architecture than its own, {architecture}"))
    }
}

fn is_close(said: f64, computed: f64) -> bool {
    (said - computed).abs() <= ROUNDING
}

fn check_result(accuracy: Option<f64>, m_factor: Option<f64>, value: Option<f64>) -> Result<(), String> {
    let (Some(accuracy), Some(m_factor), Some(value)) = (accuracy, m_factor, value) else {
        return Err("is complete and has no value or no accuracy".to_owned());
    };
    if !is_accuracy(accuracy) {
        return Err(format!("has the accuracy {accuracy}, which is not from 0 to 1"));
    }
    if !is_close(value, m_factor) {
        return Err(format!("has the value {value}, and its accuracy gives {m_factor}"));
    }
    Ok(())
}

fn state_of(record: &TrialRecord) -> Result<TrialState, String> {
    match record.state {
        _ if record.ended_by_other => Ok(TrialState::Failed),
        state::RUNNING => Ok(TrialState::Running),
        state::COMPLETE => Ok(TrialState::Complete),
        state::PRUNED => Ok(TrialState::Pruned),
        state::FAIL => Ok(TrialState::Failed),
        other => Err(format!("is in state {other}, which mfactor does not write")),
    }
}
