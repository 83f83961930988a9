//! Trials in Optuna's words, and back: parameters, attributes, states. Every storage writes and reads them by this file.
//!
//! What a storage says twice is held against itself: a trial's study and strategy, its parameters and architecture, its
//! value and accuracy.

use std::collections::BTreeMap;

use mfactor::cost::BoardCosts;
use mfactor::{Architecture, Objective, Result, SearchSpace, Trial, TrialState};
use serde_json::{Value, json};

use super::Attributes;
use crate::tell::is_accuracy;

/// Attribute of a trial that was not evaluated: why. Optuna knows no such state; for it the trial is pruned.
const SKIPPED: &str = "skipped";
/// Attribute of a failed trial: the word of its [`FailureKind`](mfactor::protocol::FailureKind), where it is known.
const FAILURE_KIND: &str = "failure_kind";
/// Attribute of a trial whose network was measured: what it costs.
const MEASURED: &str = "measured";
/// How far the value of a trial may be from the M-factor of its accuracy: a few roundings.
const ROUNDING: f64 = 1e-9;
/// System attribute from which Optuna and its dashboard take the objective's name.
pub const METRIC_NAMES: &str = "study:metric_names";
/// What the objective is called there.
pub const METRIC: &str = "M-factor";

/// Optuna's numbers for the states of a trial.
pub mod state {
    /// It has not ended.
    pub const RUNNING: u8 = 0;
    /// It has a value.
    pub const COMPLETE: u8 = 1;
    /// It was stopped early, or skipped.
    pub const PRUNED: u8 = 2;
    /// It failed.
    pub const FAIL: u8 = 3;
}

/// A choice of a trial: the parameter's name, the option's index, and Optuna's distribution as JSON.
pub type Parameter = (String, f64, String);

/// A trial as a storage has it.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Its id.
    pub id: u64,
    /// One of [`state`].
    pub state: u8,
    /// Whether another program ended it.
    pub ended_by_other: bool,
    /// Its value, M.
    pub value: Option<f64>,
    /// Index of the option, by parameter.
    pub parameters: &'a BTreeMap<String, f64>,
    /// Its attributes.
    pub attributes: &'a Attributes,
    /// Accuracy by epoch.
    pub epochs: &'a BTreeMap<i64, f64>,
}

impl Stored<'_> {
    /// A trial in this program's words, with number 0; the error says what it lacks, or where it contradicts itself.
    pub fn read(&self, space: &SearchSpace, objective: &Objective, strategy: &str) -> Result<Trial, String> {
        let attribute = |name: &str| self.attributes.get(name);
        let needed = |name: &str| attribute(name).ok_or_else(|| format!("has no attribute {name:?}"));
        let number = |name: &str| attribute(name).and_then(Value::as_f64);
        let text = |name: &str| attribute(name).and_then(Value::as_str);
        let architecture = needed("architecture")?.as_str().unwrap_or_default();
        let architecture: Architecture =
            architecture.parse().map_err(|error: mfactor::Error| error.to_string())?;
        space.check(&architecture).map_err(|error| error.to_string())?;
        let proposer = needed("strategy")?;
        if proposer != strategy {
            return Err(format!("is in the study of strategy {strategy} and says that it is of {proposer}"));
        }
        let mut cost = objective.cost(space, &architecture);
        let told = objective.exact_size_score(&cost);
        cost.measured = self.measured()?;
        let size_score = objective.exact_size_score(&cost);
        self.check_parameters(space, &architecture)?;
        let counts =
            [("parameters", cost.parameters), ("macs", cost.macs), ("model_bytes", cost.model_bytes)];
        for (name, count) in counts {
            agrees(name, attribute(name).is_none_or(|said| said.as_u64() == Some(count)), &architecture)?;
        }
        let is_size_score = number("size_score").is_none_or(|said| is_close(said, told));
        agrees("size_score", is_size_score, &architecture)?;
        let state = self.state()?;
        let accuracy = number("accuracy").filter(|_| state == TrialState::Complete);
        let m_factor = accuracy.map(|accuracy| objective.m_factor(accuracy, size_score));
        if state == TrialState::Complete {
            check_result(accuracy, m_factor, self.value)?;
        }
        if !self.epochs.values().copied().all(is_accuracy) {
            return Err("has an accuracy after an epoch that is not from 0 to 1".to_owned());
        }
        let is_trained = matches!(state, TrialState::Complete | TrialState::Pruned);
        let reason = if self.ended_by_other { Some(ENDED_BY_OTHER) } else { None };
        let failure = [reason, text("failure"), text(SKIPPED)].into_iter().flatten().next();
        Ok(Trial {
            id: self.id,
            number: 0,
            proposer: strategy.into(),
            architecture,
            state,
            seed: needed("seed")?.as_u64().ok_or("has an attribute \"seed\" that is no number")?,
            cost,
            size_score,
            accuracy,
            m_factor,
            epoch_accuracies: self.epochs.values().copied().collect(),
            seconds: number("seconds").filter(|_| is_trained),
            images: attribute("images").and_then(Value::as_u64).filter(|_| is_trained),
            reused: attribute("reused") == Some(&Value::Bool(true)),
            failure: failure
                .filter(|_| matches!(state, TrialState::Failed | TrialState::Skipped))
                .map(str::to_owned),
            failure_kind: attribute(FAILURE_KIND)
                .filter(|_| state == TrialState::Failed)
                .and_then(|kind| serde_json::from_value(kind.clone()).ok()),
        })
    }

    /// What a board said of its network.
    fn measured(&self) -> Result<BoardCosts, String> {
        let Some(said) = self.attributes.get(MEASURED) else { return Ok(BoardCosts::default()) };
        let costs = serde_json::from_value(said.clone()).ok().filter(BoardCosts::are_sound);
        costs.ok_or_else(|| format!("has {MEASURED:?}, {said}, which no board can have said"))
    }

    /// Holds the parameters that Optuna has against the architecture.
    fn check_parameters(&self, space: &SearchSpace, architecture: &Architecture) -> Result<(), String> {
        let point = space.point(architecture).map_err(|error| error.to_string())?;
        let names = space.choices().map(|choice| choice.name);
        let named = names.zip(point.options()).enumerate();
        let active = named.filter(|(position, _)| space.is_active(&point, *position));
        let own: BTreeMap<String, f64> =
            active.map(|(_, (name, option))| (name, f64::from(*option))).collect();
        agrees("params", own == *self.parameters, architecture)
    }

    fn state(&self) -> Result<TrialState, String> {
        match self.state {
            _ if self.ended_by_other => Ok(TrialState::Failed),
            state::RUNNING => Ok(TrialState::Running),
            state::COMPLETE => Ok(TrialState::Complete),
            state::PRUNED if self.attributes.contains_key(SKIPPED) => Ok(TrialState::Skipped),
            state::PRUNED => Ok(TrialState::Pruned),
            state::FAIL => Ok(TrialState::Failed),
            other => Err(format!("is in state {other}, which mfactor does not write")),
        }
    }
}

const ENDED_BY_OTHER: &str = "another program (Optuna, or its dashboard) ended it";

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

/// The choices of a trial. As Optuna has it: what was not there to be chosen has no parameter.
///
/// # Errors
/// If the architecture is none of the space.
pub fn parameters(trial: &Trial, space: &SearchSpace) -> Result<Vec<Parameter>> {
    let point = space.point(&trial.architecture)?;
    let choices = space.choices().zip(point.options()).enumerate();
    let active = choices.filter(|(position, _)| space.is_active(&point, *position));
    let parameter = |(_, (choice, option)): (usize, (mfactor::point::Choice, &u8))| {
        let options = json!({"name": "CategoricalDistribution", "attributes": {"choices": choice.options}});
        (choice.name, f64::from(*option), options.to_string())
    };
    Ok(active.map(parameter).collect())
}

/// Attributes that are known when a trial begins.
pub fn fixed_attributes(trial: &Trial) -> Attributes {
    let attributes = [
        ("architecture", json!(trial.architecture)),
        ("parameters", json!(trial.cost.parameters)),
        ("macs", json!(trial.cost.macs)),
        ("model_bytes", json!(trial.cost.model_bytes)),
        ("size_score", json!(trial.size_score)),
        ("seed", json!(trial.seed)),
        ("strategy", json!(trial.proposer)),
    ];
    attributes.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// Attributes that are known when a trial has ended.
pub fn final_attributes(trial: &Trial) -> Attributes {
    let reason = if trial.state == TrialState::Skipped { SKIPPED } else { "failure" };
    let attributes = [
        ("accuracy", trial.accuracy.map(|accuracy| json!(accuracy))),
        ("seconds", trial.seconds.map(|seconds| json!(seconds))),
        ("images", trial.images.map(|images| json!(images))),
        (MEASURED, (!trial.cost.measured.is_nothing()).then(|| json!(trial.cost.measured))),
        ("reused", trial.reused.then_some(Value::Bool(true))),
        (reason, trial.failure.as_ref().map(|failure| json!(failure))),
        (FAILURE_KIND, trial.failure_kind.map(|kind| json!(kind))),
    ];
    let known = attributes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    known.collect()
}

/// Optuna's number for a state.
pub fn state_number(state: TrialState) -> u8 {
    match state {
        TrialState::Running => state::RUNNING,
        TrialState::Complete => state::COMPLETE,
        TrialState::Pruned | TrialState::Skipped => state::PRUNED,
        TrialState::Failed => state::FAIL,
    }
}
