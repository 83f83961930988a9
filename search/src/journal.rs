//! The journal of a study: a file in Optuna's journal format that `optuna-dashboard` and `optuna.load_study`
//! open as it is, and that they may write into while a search runs. Appended and synced as things happen.
//!
//! One file holds one Optuna study for each strategy. Each trial is created by a single line with its parameters
//! and fixed attributes, so that a crash never leaves half a trial. Before each append what others wrote is read, under
//! the lock that they take too, and the new lines are numbered by it.
//!
//! | module | holds |
//! |---|---|
//! | `log_file` | the file: appended, mended, never written over |
//! | `optuna_lock` | the lock of Optuna's processes |
//! | `line`, `operation` | what a line says, and whether it is as it was written |
//! | `replay` | what all lines say together |
//! | `contents` | the trials, held against what else is known of them |
//! | `stored` | the journal as a storage of trials |

mod contents;
mod line;
mod log_file;
mod operation;
mod optuna_lock;
mod replay;
mod stored;
mod timestamp;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mfactor::{Error, Result, SearchSpace, Trial, files};
use serde_json::{Value, json};

use self::contents::RETRIES;
pub(crate) use self::contents::{Contents, Reader};
use self::log_file::{LogFile, whole_lines};
use self::operation::{
    CreateStudy, CreateTrial, IntermediateValue, Operation, StudySystemAttribute, StudyUserAttribute,
    TrialUserAttribute,
};
use self::optuna_lock::OptunaLock;
use self::replay::Replay;
pub(crate) use self::stored::JournalStorage;
pub(crate) use self::timestamp::timestamp;
use crate::storage::Attributes;
use crate::storage::form::{self, METRIC, METRIC_NAMES, state};

/// Optuna's number for maximising.
const MAXIMIZE: u8 = 2;

/// What to do with a damaged journal.
pub(crate) const ADVICE: &str =
    "restore it from a copy, or start a new study with --cache of this one, which trains nothing again";

/// A journal that is open for writing. What would change nothing is not written again, so a study that was cut
/// off and resumed ends with the lines that an uninterrupted one has.
pub(crate) struct Journal {
    file: LogFile,
    path: PathBuf,
    replay: Replay,
    kept_aside: Option<PathBuf>,
}

impl Journal {
    /// Opens the journal, or begins one, and mends its end. The caller holds the study's lock.
    ///
    /// # Errors
    /// If a line is no longer as it was written; the error names line and trial.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = LogFile::open(path)?;
        optuna_lock::collect(path)?;
        let _lock = OptunaLock::take(path)?;
        let kept_aside = file.mend(line::rest)?;
        let mut journal = Self { file, path: path.to_owned(), replay: Replay::default(), kept_aside };
        journal.read_on()?;
        Ok(journal)
    }

    /// Where the end of the journal was put that was no line of it, if that was so when it was opened.
    pub fn kept_aside(&self) -> Option<&Path> {
        self.kept_aside.as_deref()
    }

    /// What it holds of a study.
    pub fn contents(&self, reader: Reader) -> Contents {
        reader.contents(&self.replay)
    }

    /// Numbers of the Optuna studies with these names, which are made if there are none, with these attributes.
    pub fn studies(&mut self, studies: Vec<(String, Attributes)>) -> Result<Vec<usize>> {
        let path = self.path.clone();
        let mut numbers = Vec::new();
        self.write(|replay| {
            let (mut free, mut operations) = (replay.studies.len().., Vec::new());
            for (name, attributes) in studies {
                let known = replay.study(&name);
                if known.is_some_and(|id| !replay.studies[id].is_ours) {
                    let problem =
                        format!("holds a study {name:?} that another program made; take another name");
                    return Err(Error::file(&path, problem));
                }
                let study_id = known.or_else(|| free.next()).expect("there are numbers enough");
                operations.extend(study_operations(replay, study_id, name, attributes));
                numbers.push(study_id);
            }
            Ok(operations)
        })?;
        Ok(numbers)
    }

    /// Whether nobody else wrote anything into it.
    pub fn is_ours_alone(&self) -> bool {
        self.replay.is_ours_alone()
    }

    /// Creates a running trial in an Optuna study and returns its id. `retries` is the trial that it does again.
    pub fn create(
        &mut self,
        study_id: usize,
        trial: &Trial,
        space: &SearchSpace,
        retries: Option<u64>,
    ) -> Result<u64> {
        let mut create = CreateTrial {
            study_id,
            trial_id: None,
            number: Some(trial.number),
            datetime_start: Some(timestamp(SystemTime::now())),
            state: state::RUNNING,
            params: Default::default(),
            distributions: Default::default(),
            user_attrs: form::fixed_attributes(trial),
        };
        create.user_attrs.extend(retries.map(|id| (RETRIES.to_owned(), json!(id))));
        for (name, option, distribution) in form::parameters(trial, space)? {
            create.params.insert(name.clone(), option);
            create.distributions.insert(name, distribution);
        }
        let mut id = 0;
        self.write(|replay| {
            id = replay.trials.len();
            Ok(vec![Operation::CreateTrial(CreateTrial { trial_id: Some(id), ..create })])
        })?;
        Ok(id as u64)
    }

    /// Writes a validation accuracy after an epoch of a running trial.
    pub fn report(&mut self, trial: u64, epoch: u32, accuracy: f64) -> Result<()> {
        let (trial_id, step) = (trial as usize, i64::from(epoch));
        if self.replay.trials[trial_id].intermediate_values.get(&step) == Some(&accuracy) {
            return Ok(());
        }
        let operation = IntermediateValue { trial_id, step, intermediate_value: accuracy };
        self.write_of(trial_id, vec![Operation::IntermediateValue(operation)])
    }

    /// Writes how a trial ended.
    pub fn finish(&mut self, trial: &Trial) -> Result<()> {
        let trial_id = trial.id as usize;
        let known = &self.replay.trials[trial_id].user_attributes;
        let news =
            form::final_attributes(trial).into_iter().filter(|(key, value)| known.get(key) != Some(value));
        let attribute = |(key, value): (String, Value)| {
            Operation::TrialUserAttribute(TrialUserAttribute { trial_id, user_attr: entry(&key, value) })
        };
        let end = Operation::TrialState(operation::TrialState {
            trial_id,
            state: form::state_number(trial.state),
            values: trial.m_factor.map(|m_factor| vec![m_factor]),
            datetime_complete: Some(timestamp(SystemTime::now())),
        });
        let operations = news.map(attribute).chain([end]).collect();
        self.write_of(trial_id, operations)
    }

    /// Writes about a trial that is running, unless somebody else ended it meanwhile.
    fn write_of(&mut self, trial: usize, operations: Vec<Operation>) -> Result<()> {
        let path = self.path.clone();
        self.write(|replay| {
            if replay.trials[trial].ended_by_other {
                let problem = format!(
                    "another program (Optuna, or its dashboard) ended trial {trial} while it ran; with --resume the \
                     search goes on without it, with --retry-failed too it is tried again"
                );
                return Err(Error::file(&path, problem));
            }
            Ok(operations)
        })
    }

    /// Appends what `make` makes of all that was written before, by whomever.
    fn write(&mut self, make: impl FnOnce(&Replay) -> Result<Vec<Operation>>) -> Result<()> {
        let _lock = OptunaLock::take(&self.path)?;
        self.read_on()?;
        self.check_studies()?;
        let operations = make(&self.replay)?;
        if operations.is_empty() {
            return Ok(());
        }
        let numbers = self.replay.own_lines..;
        let lines: String =
            operations.iter().zip(numbers.clone()).map(|(operation, n)| line::write(operation, n)).collect();
        self.file.append(&lines)?;
        for (operation, number) in operations.into_iter().zip(numbers) {
            self.replay.apply(line::Line::Ours { operation, number: Some(number) });
        }
        Ok(())
    }

    /// Takes in what was appended since the last look.
    fn read_on(&mut self) -> Result<()> {
        let news = self.file.news()?;
        apply(&mut self.replay, &news);
        match self.replay.damage.first() {
            None => Ok(()),
            Some(damage) => {
                let count = self.replay.damage.len();
                let more =
                    if count == 1 { String::new() } else { format!(" (and {} more lines)", count - 1) };
                let problem = format!("{}{more}; {ADVICE}", contents::sentence(damage));
                Err(Error::input(place(&self.path, damage.line), problem))
            }
        }
    }

    /// Refuses to go on where another program took one of our studies away: Optuna passes over what is written of it.
    fn check_studies(&self) -> Result<()> {
        match self.replay.studies.iter().find(|study| study.is_ours && study.is_deleted) {
            None => Ok(()),
            Some(study) => Err(Error::file(&self.path, deleted(study.name.as_deref().unwrap_or_default()))),
        }
    }
}

/// That a study was deleted, and what to do.
pub(crate) fn deleted(name: &str) -> String {
    format!(
        "another program (Optuna, or its dashboard) has deleted or renamed the study {name:?}, so it cannot go on; what \
         was found is still there to be read, and a new study with --cache of this one trains none of it again"
    )
}

/// A line of a journal, 0 for the whole of it.
pub(crate) fn place(path: &Path, line: usize) -> String {
    if line == 0 { path.display().to_string() } else { format!("{}:{line}", path.display()) }
}

/// What a journal holds of a study, without a torn last line; for readers, which need no lock. There may be no journal
/// yet.
pub(crate) fn read(path: &Path, reader: Reader) -> Result<Contents> {
    let mut replay = Replay::default();
    if path.exists() {
        apply(&mut replay, whole_lines(&files::read(path)?));
    }
    Ok(reader.contents(&replay))
}

/// Applies whole lines.
fn apply(replay: &mut Replay, lines: &[u8]) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        replay.apply(line::read(line.trim_ascii_end()));
    }
}

/// What makes an Optuna study and its attributes, as far as they are not there.
fn study_operations(
    replay: &Replay,
    study_id: usize,
    name: String,
    attributes: Attributes,
) -> Vec<Operation> {
    let known = replay.studies.get(study_id);
    let mut operations = Vec::new();
    if known.is_none() {
        let create = CreateStudy { study_name: name, study_id: Some(study_id), directions: vec![MAXIMIZE] };
        operations.push(Operation::CreateStudy(create));
    }
    let metric_names = json!([METRIC]);
    if known.and_then(|study| study.system_attributes.get(METRIC_NAMES)) != Some(&metric_names) {
        let system_attr = entry(METRIC_NAMES, metric_names);
        operations.push(Operation::StudySystemAttribute(StudySystemAttribute { study_id, system_attr }));
    }
    for (key, value) in attributes {
        if known.and_then(|study| study.user_attributes.get(&key)) != Some(&value) {
            let user_attr = entry(&key, value);
            operations.push(Operation::StudyUserAttribute(StudyUserAttribute { study_id, user_attr }));
        }
    }
    operations
}

fn entry(key: &str, value: Value) -> Attributes {
    Attributes::from_iter([(key.to_owned(), value)])
}
