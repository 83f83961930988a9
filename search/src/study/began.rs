//! How a study began, as the journal keeps it: what has to be the same when it goes on.

use mfactor::Error;
use mfactor::protocol::{Hardware, TrainerFacts};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::StudyConfig;
use crate::storage::Attributes;

/// Attribute of Optuna's studies: all that decides the result.
const CONFIGURATION: &str = "configuration";
/// Attribute of Optuna's studies: the versions of this tool that wrote to them, in order.
const VERSIONS: &str = "versions";
/// Attribute of Optuna's studies: the trainer that was started last.
const TRAINER: &str = "trainer";
/// Attribute of Optuna's studies: the kinds of hardware that trained, in order.
const HARDWARE: &str = "hardware";

/// What Optuna's study of a strategy says of itself. `before` is what it said until now.
pub(super) fn attributes(config: &StudyConfig, strategy: &str, before: Option<&Attributes>) -> Attributes {
    let versions = before.and_then(|before| before.get(VERSIONS)).and_then(Value::as_array);
    let mut versions = versions.cloned().unwrap_or_default();
    let version = json!(mfactor::version());
    if versions.last() != Some(&version) {
        versions.push(version);
    }
    let attributes = [
        ("strategy", json!(strategy)),
        ("seed", json!(config.seed)),
        ("workers", json!(config.workers)),
        ("alpha", json!(config.alpha)),
        ("evaluator", json!(config.evaluator)),
        ("data", json!(config.data.as_ref().map(|data| &data.name))),
        ("recipe", json!(config.recipe)),
        ("space", json!(config.space.name())),
        (CONFIGURATION, config.decisive()),
        (VERSIONS, json!(versions)),
    ];
    attributes.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// In what a configuration differs from the one that a study began with, a phrase each.
pub(super) fn changes(config: &StudyConfig, attributes: &Attributes) -> Vec<String> {
    match attributes.get(CONFIGURATION) {
        Some(began) => config.changes_since(began),
        None => config.changes_since_attributes(attributes),
    }
}

/// What is to be said of trainers.
pub(super) fn of_trainers(facts: &TrainerFacts, hardware: &[Hardware]) -> Attributes {
    let attributes = [(TRAINER, json!(facts)), (HARDWARE, json!(hardware))];
    attributes.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

/// The kinds of hardware that trained for a study, in order; the first versions kept the last trainer alone.
pub(super) fn hardware(attributes: &Attributes) -> Vec<Hardware> {
    let known = attributes.get(HARDWARE).and_then(|kinds| Vec::deserialize(kinds).ok());
    let last = || attributes.get(TRAINER).and_then(|facts| TrainerFacts::deserialize(facts).ok());
    known.unwrap_or_else(|| last().iter().map(TrainerFacts::hardware).collect())
}

/// That several kinds of hardware trained, where they did.
pub(super) fn mixed(hardware: &[Hardware]) -> Option<String> {
    let kinds: Vec<String> = hardware.iter().map(ToString::to_string).collect();
    (kinds.len() > 1).then(|| {
        format!(
            "the study was trained on mixed hardware, so accuracies may differ by that alone: {}",
            kinds.join("; ")
        )
    })
}

/// That the trainer is not of the kind that the study began with.
pub(super) fn unlike_trainer(difference: &str) -> String {
    format!(
        "the trainer is not of the kind that the study began with: {difference}; go on where it began, or pass --mixed-hardware: \
         the study will say that its accuracies cannot all be compared"
    )
}

/// The same of a worker, whose machine lacks such a trainer.
pub(super) fn unlike_worker(difference: &str) -> Error {
    let what = format!("this worker's trainer is not of the kind that the study began with: {difference}");
    Error::missing(
        what,
        "mfactor worker on a machine of that kind, or with --mixed-hardware, which the study will say",
    )
}

/// Adds a kind of hardware to those that trained; the error is in what it differs, where that may not be.
pub(super) fn join(kinds: &mut Vec<Hardware>, own: Hardware, is_mixed: bool) -> Result<(), String> {
    let differences: Vec<_> = kinds.iter().map(|known| known.difference(&own)).collect();
    if differences.iter().all(Option::is_some) {
        if let (Some(Some(difference)), false) = (differences.first(), is_mixed) {
            return Err(difference.clone());
        }
        kinds.push(own);
    }
    Ok(())
}
