//! The trials of a study as its journal has them.

use std::collections::BTreeMap;

use mfactor::{Objective, SearchSpace, Trial};

use super::replay::{Damage, Replay, StudyRecord, TrialRecord};
use crate::storage::Attributes;
use crate::storage::form::Stored;

/// Attribute of a trial that does another one again, which failed: that one's id.
pub(super) const RETRIES: &str = "retries";

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
            let is_own =
                |study: &&StudyRecord| study.is_ours && is_of(study, name, &study.user_attributes, strategy);
            let study = replay.studies.iter().find(is_own);
            contents.attributes.push(study.map(|study| study.user_attributes.clone()));
            damage.extend(problems);
        }
        damage.extend(self.strangers(replay));
        damage.extend(passed_over(replay));
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
            let is_of = |study: &StudyRecord| is_of(study, name, &record.user_attributes, strategy);
            record.is_ours && study.is_some_and(is_of)
        };
        let own = replay.trials.iter().zip(0u64..).filter(|(record, _)| is_own(record));
        let (mut trials, mut problems) = (BTreeMap::new(), vec![]);
        for ((record, id), position) in own.zip(0..) {
            let number = record.number.unwrap_or(position);
            match stored(record, id).read(self.space, self.objective, strategy) {
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

    /// Studies of this program that are none of this study's.
    fn strangers(&self, replay: &Replay) -> Vec<(usize, String)> {
        let is_known = |study: &StudyRecord| {
            self.studies.iter().any(|(_, name)| study.name.as_ref().is_none_or(|own| own == name))
        };
        let strangers = replay.studies.iter().filter(|study| study.is_ours && !is_known(study));
        let sentence = |study: &StudyRecord| {
            let name = study.name.as_deref().unwrap_or_default();
            format!("the line begins the study {name:?}, which study.toml does not name")
        };
        strangers.map(|study| (study.line, sentence(study))).collect()
    }
}

fn passed_over(replay: &Replay) -> Option<(usize, String)> {
    let count = replay.passed_over;
    let sentence = || {
        format!(
            "{count} lines have no checksum, so it cannot be told which trials they are about after such damage"
        )
    };
    (count > 0).then(|| (0, sentence()))
}

pub(super) fn sentence(damage: &Damage) -> String {
    match damage.trial {
        Some(id) => format!("trial {id}: the line {}", damage.problem),
        None => format!("the line {}", damage.problem),
    }
}

fn was_deleted(replay: &Replay, name: &str) -> bool {
    replay
        .studies
        .iter()
        .any(|study| study.is_ours && study.is_deleted && study.name.as_deref() == Some(name))
}

/// Whether a study is that of a strategy: by its name or, where that is lost, by what was said with a checksum of whoever
/// proposed.
fn is_of(study: &StudyRecord, name: &str, attributes: &Attributes, strategy: &str) -> bool {
    let says = || attributes.get("strategy").and_then(serde_json::Value::as_str) == Some(strategy);
    study.name.as_deref().map_or_else(says, |own| own == name)
}

fn stored(record: &TrialRecord, id: u64) -> Stored<'_> {
    Stored {
        id,
        state: record.state,
        ended_by_other: record.ended_by_other,
        value: record.value,
        parameters: &record.parameters,
        attributes: &record.user_attributes,
        epochs: &record.intermediate_values,
    }
}
