//! What a journal says, by applying its lines in order as Optuna does. Of this program's own lines none is believed
//! that is damaged or contradicts those before it; of the lines of others only what they do to the numbering. A line that
//! carries a checksum says which study or trial it is about, so it is believed whatever became of the lines around it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::line::{Damaged, Line, Other};
use super::operation::{CreateStudy, CreateTrial, Operation, TrialState, code};
use crate::storage::Attributes;
use crate::storage::form::state;

/// Everything a journal says so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Replay {
    pub studies: Vec<StudyRecord>,
    /// Trials of all studies, by id.
    pub trials: Vec<TrialRecord>,
    /// Lines that this program wrote.
    pub own_lines: u64,
    /// What was found damaged, in the order of the file.
    pub damage: Vec<Damage>,
    /// Lines of the file.
    lines: usize,
    /// Whether lines of this program carry a checksum: once one does, all that follow must.
    is_sealed: bool,
    /// Whether it cannot be told any more what lines without a checksum are about.
    is_astray: bool,
    /// Lines of this program that were passed over because of that.
    pub passed_over: usize,
}

/// Something in a journal that is not as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Damage {
    /// The line, from 1.
    pub line: usize,
    /// The trial that it is about, where that can be told.
    pub trial: Option<usize>,
    /// What is wrong, after the words `the line`.
    pub problem: String,
}

/// One of Optuna's studies.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct StudyRecord {
    /// `None` where the line that begins it is lost or damaged.
    pub name: Option<String>,
    /// Whether this program created it.
    pub is_ours: bool,
    /// What this program said of it.
    pub user_attributes: Attributes,
    pub system_attributes: Attributes,
    pub is_deleted: bool,
    /// The line that begins it.
    pub line: usize,
}

/// One trial; attributes and values are those that this program wrote.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct TrialRecord {
    /// `None` of a trial whose line is lost or damaged.
    pub study: Option<usize>,
    /// Whether this program created it.
    pub is_ours: bool,
    pub is_damaged: bool,
    /// The line that begins it.
    pub line: usize,
    /// Whether another program ended it before this one did.
    pub ended_by_other: bool,
    /// Its number among the trials of its strategy, where the line says it.
    pub number: Option<u64>,
    pub state: u8,
    pub value: Option<f64>,
    pub parameters: BTreeMap<String, f64>,
    pub user_attributes: Attributes,
    pub intermediate_values: BTreeMap<i64, f64>,
}

impl TrialRecord {
    fn is_finished(&self) -> bool {
        self.ended_by_other || is_end(self.state)
    }
}

fn is_end(state: u8) -> bool {
    matches!(state, state::COMPLETE | state::PRUNED | state::FAIL)
}

impl Replay {
    /// Applies the next line of the file.
    pub fn apply(&mut self, line: Line) {
        self.lines += 1;
        match line {
            Line::Other(other) => self.other(&other),
            Line::Damaged(damaged) => self.damaged(damaged),
            Line::Ours { operation, number } => {
                self.count(number, trial_of(&operation));
                if number.is_some() || !self.is_astray {
                    self.ours(operation);
                } else {
                    self.passed_over += 1;
                }
            }
        }
    }

    /// Holds the number of a line of ours against those before it.
    fn count(&mut self, number: Option<u64>, trial: Option<usize>) {
        let expected = self.own_lines;
        self.own_lines = number.unwrap_or(expected) + 1;
        match number {
            None if self.is_sealed => {
                self.damage(
                    trial,
                    "has no checksum, and lines before it have: it was changed, or an older mfactor wrote it",
                );
            }
            None => {}
            Some(number) => {
                self.is_sealed = true;
                if number > expected {
                    self.damage(None, &format!("comes after {}", lost(number - expected)));
                } else if number < expected {
                    self.damage(trial, "stands there a second time, or in another place than it was written");
                }
            }
        }
    }

    fn ours(&mut self, operation: Operation) {
        match operation {
            Operation::CreateStudy(create) => self.create_study(create),
            Operation::CreateTrial(create) => self.create_trial(create),
            Operation::StudyUserAttribute(set) => {
                self.with_study(set.study_id, |study| study.user_attributes.extend(set.user_attr));
            }
            Operation::StudySystemAttribute(set) => {
                self.with_study(set.study_id, |study| study.system_attributes.extend(set.system_attr));
            }
            Operation::TrialState(set) => self.end_trial(&set),
            Operation::IntermediateValue(set) => self.with_trial(set.trial_id, |trial| {
                if is_end(trial.state) {
                    return trial.intermediate_values.get(&set.step) != Some(&set.intermediate_value);
                }
                trial.intermediate_values.insert(set.step, set.intermediate_value);
                false
            }),
            Operation::TrialUserAttribute(set) => self.with_trial(set.trial_id, |trial| {
                let differs = |(key, value): (&String, &Value)| trial.user_attributes.get(key) != Some(value);
                if is_end(trial.state) {
                    return set.user_attr.iter().any(differs);
                }
                trial.user_attributes.extend(set.user_attr);
                false
            }),
        }
    }

    fn other(&mut self, other: &Other) {
        match other {
            Other::CreateStudy(name) => {
                if self.study(name).is_none() {
                    self.studies.push(StudyRecord { name: Some(name.clone()), ..StudyRecord::default() });
                }
            }
            Other::DeleteStudy(id) => {
                if let Some(study) = self.studies.get_mut(*id) {
                    study.is_deleted = true;
                }
            }
            // As in Optuna: what is created in a study that is not there takes no number.
            Other::CreateTrial(study) => {
                if self.studies.get(*study).is_some_and(|study| !study.is_deleted) {
                    self.trials.push(TrialRecord { study: Some(*study), ..TrialRecord::default() });
                }
            }
            Other::EndTrial(id) => {
                if let Some(trial) = self.trials.get_mut(*id).filter(|trial| !trial.is_finished()) {
                    trial.ended_by_other = true;
                }
            }
            Other::Nothing => {}
        }
    }

    fn create_study(&mut self, create: CreateStudy) {
        let here = self.studies.len();
        let id = create.study_id.unwrap_or(here);
        let name = Some(create.study_name);
        let is_taken = |study: &StudyRecord| study.is_ours && study.name.is_some();
        let is_known =
            self.studies.iter().any(|study| study.is_ours && !study.is_deleted && study.name == name);
        if is_known || self.studies.get(id).is_some_and(is_taken) || id.saturating_sub(here) > self.lines {
            return self.damage(None, &format!("creates study {id}, and there are {here} before it"));
        }
        if id != here {
            self.damage(None, &misplaced("study", id, here));
        }
        self.studies.resize_with(here.max(id + 1), StudyRecord::default);
        let study = &mut self.studies[id];
        if study.name.is_some() {
            *study = StudyRecord::default();
        }
        (study.name, study.is_ours, study.line) = (name, true, self.lines);
    }

    fn create_trial(&mut self, create: CreateTrial) {
        let here = self.trials.len();
        let id = create.trial_id.unwrap_or(here);
        let Some(study) = self.study_of_line(create.study_id).filter(|study| !study.is_deleted) else {
            return self.damage(create.trial_id, "creates a trial in a study that is not there");
        };
        let is_ours = study.is_ours;
        let known = self.trials.get(id);
        if known.is_some_and(|trial| trial.is_ours) || id.saturating_sub(here) > self.lines {
            return self.damage(Some(id), &format!("creates trial {id}, and there are {here} before it"));
        }
        // What was said of it before it began was passed over.
        let is_damaged = known.is_some_and(|trial| trial.study.is_none());
        if id != here {
            self.damage(None, &misplaced("trial", id, here));
        }
        self.trials.resize_with(here.max(id + 1), TrialRecord::default);
        self.trials[id] = TrialRecord {
            study: Some(create.study_id),
            is_ours,
            is_damaged,
            line: self.lines,
            number: create.number,
            state: create.state,
            parameters: create.params,
            user_attributes: create.user_attrs,
            ..TrialRecord::default()
        };
        if !is_ours {
            self.damage(Some(id), "creates a trial in a study that is not one of mfactor's");
        }
    }

    fn end_trial(&mut self, set: &TrialState) {
        let value = set.values.as_ref().and_then(|values| values.first().copied());
        self.with_trial(set.trial_id, |trial| {
            if is_end(trial.state) {
                return (trial.state, trial.value) != (set.state, value);
            }
            if !trial.ended_by_other {
                (trial.state, trial.value) = (set.state, value);
            }
            false
        });
    }

    fn with_study(&mut self, id: usize, change: impl FnOnce(&mut StudyRecord)) {
        match self.study_of_line(id).filter(|study| study.is_ours) {
            Some(study) => change(study),
            None => self.damage(None, &format!("speaks of study {id}, which mfactor did not create")),
        }
    }

    /// The study that a line of ours is about. One whose beginning is lost is ours, since we speak of it.
    fn study_of_line(&mut self, id: usize) -> Option<&mut StudyRecord> {
        let here = self.studies.len();
        if self.is_sealed && id >= here && id - here <= self.lines {
            self.damage(None, &format!("speaks of study {id}, whose beginning is lost"));
            self.studies.resize_with(id + 1, StudyRecord::default);
        }
        let study = self.studies.get_mut(id)?;
        study.is_ours |= study.name.is_none();
        Some(study)
    }

    /// Changes a trial of ours; `change` answers whether it contradicts what was written before.
    fn with_trial(&mut self, id: usize, change: impl FnOnce(&mut TrialRecord) -> bool) {
        let here = self.trials.len();
        if self.is_sealed && id >= here && id - here <= self.lines {
            self.damage(None, &format!("speaks of trial {id}, whose beginning is lost"));
            self.trials.resize_with(id + 1, TrialRecord::default);
        }
        let contradicts = match self.trials.get_mut(id) {
            Some(trial) if trial.is_ours => change(trial),
            // A lost trial is named where its loss was noticed.
            Some(trial) if trial.study.is_none() => false,
            _ => {
                return self.damage(None, &format!("speaks of trial {id}, which mfactor did not create"));
            }
        };
        if contradicts {
            self.damage(Some(id), &format!("says something else of trial {id} than lines before it"));
        }
    }

    /// Takes note of a line that cannot be believed. One that would have created something still takes a number, or all
    /// that follows would be about something else. Lines with a checksum say which number is theirs; where it cannot be
    /// told what a line was, those without are not believed any more.
    fn damaged(&mut self, line: Damaged) {
        let (studies, trials) = (self.studies.len(), self.trials.len());
        let creates_study = line.op_code == Some(code::CREATE_STUDY) && line.trial.is_none();
        let creates_trial = line.op_code == Some(code::CREATE_TRIAL);
        if creates_study && line.study.map_or(!self.is_sealed, |id| id == studies) {
            self.studies.push(StudyRecord::default());
            self.damage(None, &line.problem);
        } else if creates_trial && line.trial.map_or(!self.is_sealed, |id| id == trials) {
            self.trials.push(TrialRecord::default());
            self.damage(Some(trials), &line.problem);
        } else {
            let is_placed = line.trial.is_some_and(|id| id < trials)
                || line.trial.is_none() && line.study.is_some_and(|id| id < studies);
            self.damage(line.trial, &line.problem);
            self.is_astray |= !is_placed && !self.is_sealed;
        }
    }

    fn damage(&mut self, trial: Option<usize>, problem: &str) {
        let record = trial.and_then(|id| self.trials.get_mut(id));
        if let Some(trial) = record {
            trial.is_damaged = true;
        }
        self.damage.push(Damage { line: self.lines, trial, problem: problem.to_owned() });
    }

    /// Whether every line is one of this program.
    pub fn is_ours_alone(&self) -> bool {
        self.own_lines == self.lines as u64
    }

    /// Number of the study with this name.
    pub fn study(&self, name: &str) -> Option<usize> {
        self.studies.iter().position(|study| study.name.as_deref() == Some(name) && !study.is_deleted)
    }
}

fn trial_of(operation: &Operation) -> Option<usize> {
    match operation {
        Operation::CreateTrial(create) => create.trial_id,
        Operation::TrialState(set) => Some(set.trial_id),
        Operation::IntermediateValue(set) => Some(set.trial_id),
        Operation::TrialUserAttribute(set) => Some(set.trial_id),
        _ => None,
    }
}

fn misplaced(kind: &str, id: usize, here: usize) -> String {
    let why = if id > here { ": others are lost" } else { "" };
    format!("creates {kind} {id}, and there are {here} before it{why}")
}

fn lost(lines: u64) -> String {
    if lines == 1 { "a line that is lost".to_owned() } else { format!("{lines} lines that are lost") }
}
