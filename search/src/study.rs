//! A study: a folder with a configuration and a journal, and the one loop that asks, evaluates and tells.

mod place;
mod record;
mod run;
mod workers;

use std::path::{Path, PathBuf};

use mfactor::{Error, Result, Trial};
use serde_json::{Value, json};

use crate::config::StudyConfig;
use crate::journal::{self, Attributes, Journal};
use crate::lock::StudyLock;
use crate::strategies::{Given, Smallest};
use crate::track::{Terms, Track};

pub use record::{Baselines, RandomBaseline, StudyRecord};
pub use run::Outcome;

/// Name of the configuration in a study's folder.
pub const CONFIG_FILE: &str = "study.toml";
/// Name of the journal in a study's folder.
pub const JOURNAL_FILE: &str = "journal.log";
/// What stands for the strategy in the trial that measures the smallest architecture.
pub const BASELINE: &str = "baseline";
/// What stands for the strategy in the trials of architectures that the configuration names.
pub const GIVEN: &str = "given";
/// Attribute of Optuna's studies: the versions of this tool that wrote to them, in order.
const VERSIONS: &str = "versions";

/// Folder of what a trial left: `<study>/trials/<id>`.
pub fn trial_folder(folder: &Path, trial: u64) -> PathBuf {
    folder.join("trials").join(trial.to_string())
}

/// A study that is open for running. As long as it lives no other process can open it so.
pub struct Study {
    folder: PathBuf,
    config: StudyConfig,
    terms: Terms,
    journal: Journal,
    /// The baseline and the given architectures where there are any, then the strategies in the order of the
    /// configuration.
    tracks: Vec<Track>,
    /// Optuna's study of each track.
    optuna_studies: Vec<usize>,
    _lock: StudyLock,
}

impl Study {
    /// Begins a study in `folder`, which is made if need be and must not hold one.
    pub fn create(folder: &Path, config: StudyConfig) -> Result<Self> {
        config.check("the study")?;
        config.check_data("the study")?;
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let lock = StudyLock::take(folder)?;
        for file in [CONFIG_FILE, JOURNAL_FILE] {
            if folder.join(file).exists() {
                let problem =
                    format!("holds a study already ({file}); go on with --resume, or choose another folder");
                return Err(Error::file(folder, problem));
            }
        }
        config.save(&folder.join(CONFIG_FILE))?;
        Self::open(folder, config, lock)
    }

    /// Opens the study in `folder` to go on with it. A journal that was cut off in the middle of a line is
    /// mended.
    pub fn resume(folder: &Path) -> Result<Self> {
        let config = load_config(folder)?;
        let lock = StudyLock::take(folder)?;
        Self::open(folder, config, lock)
    }

    /// Reads the study in `folder` without opening it: other processes may, one of them may be running it.
    pub fn read(folder: &Path) -> Result<StudyRecord> {
        let config = load_config(folder)?;
        let terms = terms(&config)?;
        let trials = journal::read(&folder.join(JOURNAL_FILE), &terms.space, &terms.objective)?;
        Ok(StudyRecord { config, trials })
    }

    fn open(folder: &Path, config: StudyConfig, lock: StudyLock) -> Result<Self> {
        let terms = terms(&config)?;
        let mut journal = Journal::open(&folder.join(JOURNAL_FILE))?;
        let trials = journal.trials(&terms.space, &terms.objective)?;
        let of = |name: &str| trials.iter().filter(|trial| trial.strategy == name).cloned().collect();
        let mut tracks = Vec::new();
        if config.baseline {
            tracks.push(Track::new(BASELINE, Box::new(Smallest), of(BASELINE)));
        }
        if !config.architectures.is_empty() {
            let points = config.architectures.iter().map(|architecture| terms.space.point(architecture));
            let given = Given { points: points.collect::<Result<_>>()? };
            tracks.push(Track::new(GIVEN, Box::new(given), of(GIVEN)));
        }
        let strategies = config.strategies.iter();
        tracks.extend(strategies.map(|kind| Track::new(kind.name(), kind.build(), of(kind.name()))));
        let mut optuna_studies = Vec::new();
        for track in &tracks {
            let name = optuna_name(&config, track.name());
            let attributes =
                study_attributes(&config, track.name(), journal.study_attribute(&name, VERSIONS));
            optuna_studies.push(journal.study(&name, attributes)?);
        }
        Ok(Self { folder: folder.to_owned(), config, terms, journal, tracks, optuna_studies, _lock: lock })
    }

    /// Takes over what may change when a study goes on, more trials and moved files; refuses a configuration
    /// that would have given another result so far.
    pub fn reconcile(&mut self, asked: &StudyConfig) -> Result<()> {
        let place = format!("{}, {CONFIG_FILE}", self.folder.display());
        asked.check("what is asked for")?;
        let differences = self.config.differences(asked);
        if !differences.is_empty() {
            let problem = format!(
                "what decides the result differs: {}; leave it as it is, or start a new study",
                differences.join(", ")
            );
            return Err(Error::input(place, problem));
        }
        if asked.trials < self.config.trials {
            let problem = format!(
                "the study has {} trials; {} were asked for, and only more can be",
                self.config.trials, asked.trials
            );
            return Err(Error::input(place, problem));
        }
        let config = StudyConfig { tool: self.config.tool.clone(), ..asked.clone() };
        if config != self.config {
            config.save(&self.folder.join(CONFIG_FILE))?;
            self.config = config;
        }
        Ok(())
    }

    /// Its configuration.
    pub fn config(&self) -> &StudyConfig {
        &self.config
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What [`Study::read`] would give.
    pub fn record(&self) -> StudyRecord {
        let mut trials: Vec<Trial> = self.tracks.iter().flat_map(Track::trials).cloned().collect();
        trials.sort_by_key(|trial| trial.id);
        StudyRecord { config: self.config.clone(), trials }
    }
}

fn load_config(folder: &Path) -> Result<StudyConfig> {
    let path = folder.join(CONFIG_FILE);
    if !path.exists() {
        return Err(Error::file(folder, format!("holds no study: there is no {CONFIG_FILE} in it")));
    }
    let config = StudyConfig::load(&path)?;
    config.check_data(&path.display().to_string())?;
    Ok(config)
}

fn terms(config: &StudyConfig) -> Result<Terms> {
    let terms = Terms::new(config.space.clone(), config.alpha, config.seed)?;
    Ok(Terms { workers: config.workers, pruning: config.prune.clone(), ..terms })
}

/// Name of the Optuna study of one strategy.
fn optuna_name(config: &StudyConfig, strategy: &str) -> String {
    format!("{}-{strategy}", config.name)
}

/// What Optuna's study says of itself. `versions` are those that wrote to it before.
fn study_attributes(config: &StudyConfig, strategy: &str, versions: Option<&Value>) -> Attributes {
    let mut versions = versions.and_then(Value::as_array).cloned().unwrap_or_default();
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
        (VERSIONS, json!(versions)),
    ];
    attributes.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}
