//! A study: a folder with a configuration and a journal, and the one loop that asks, evaluates and tells.

mod began;
mod copy;
mod discard;
mod place;
mod record;
mod run;
mod workers;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use mfactor::measured_networks::MeasuredNetworks;
use mfactor::protocol::Hardware;
use mfactor::{Error, Proposer, Result, Trial, drafts, files};

use crate::config::StudyConfig;
use crate::journal::{self, Contents, Journal, JournalStorage, Reader};
use crate::lock::{LOCK_FILE, StudyLock};
use crate::storage::{Attributes, Storage};
use crate::strategies::{Given, Smallest, Strategy};
use crate::track::{Terms, Track, learn_measured};

pub use record::{Baselines, RandomBaseline, StudyRecord};
pub use run::Outcome;

/// Name of the configuration in a study's folder.
pub const CONFIG_FILE: &str = "study.toml";
/// Name of the journal in a study's folder.
pub const JOURNAL_FILE: &str = "journal.log";
/// Name of the folder of what trials left.
const TRIALS_FOLDER: &str = "trials";
pub use mfactor::proposer::{BASELINE, GIVEN};

/// Folder of what a trial left: `<study>/trials/<id>`.
pub fn trial_folder(folder: &Path, trial: u64) -> PathBuf {
    folder.join(TRIALS_FOLDER).join(trial.to_string())
}

/// One of Optuna's studies: a track of a study, as every storage has it.
#[derive(Debug, Clone, PartialEq)]
pub struct OptunaStudy {
    /// Who proposes in it: a strategy, [`BASELINE`] or [`GIVEN`].
    pub strategy: String,
    /// Its name, `<study>-<strategy>`.
    pub name: String,
    /// What it says of itself when it begins.
    pub attributes: Attributes,
}

/// The studies that Optuna sees of one of this configuration, in the order of their tracks.
pub fn optuna_studies(config: &StudyConfig) -> Vec<OptunaStudy> {
    let study = |(strategy, name): (String, String)| {
        let attributes = began::attributes(config, &strategy, None);
        OptunaStudy { strategy, name, attributes }
    };
    names(config).into_iter().map(study).collect()
}

/// A study that is open for running. As long as it lives no other process can open it so.
pub struct Study {
    folder: PathBuf,
    config: StudyConfig,
    terms: Terms,
    storage: Box<dyn Storage>,
    /// The baseline and the given architectures where there are any, then the strategies in the order of the
    /// configuration.
    tracks: Vec<Track>,
    /// Numbers of the failed trials of each track that are to be tried again.
    retries: Vec<VecDeque<usize>>,
    /// Kinds of hardware that trained, in order.
    hardware: Vec<Hardware>,
    allows_mixed_hardware: bool,
    kept_aside: Option<PathBuf>,
    _lock: Option<StudyLock>,
}

impl Study {
    /// Begins a study in `folder`, which is made if need be and must not hold one.
    pub fn create(folder: &Path, config: StudyConfig) -> Result<Self> {
        config.check("the study")?;
        config.check_data("the study")?;
        check_free(folder)?;
        files::make_folder(folder)?;
        let lock = StudyLock::take(folder, JOURNAL_FILE)?;
        // Somebody may have been quicker.
        check_free(folder)?;
        config.save(&folder.join(CONFIG_FILE))?;
        Self::open(folder, config, lock)
    }

    /// Opens the study in `folder` to go on with it. A journal that was cut off in the middle of a line is
    /// mended, and what a killed search left unfinished is removed.
    ///
    /// # Errors
    /// If what decides the result is another than when the study began, or the journal is not as it was written.
    pub fn resume(folder: &Path) -> Result<Self> {
        let config = load_config(folder)?;
        let lock = StudyLock::take(folder, JOURNAL_FILE)?;
        check_journal(folder)?;
        drafts::collect(folder);
        Self::open(folder, config, lock)
    }

    /// Reads the study in `folder` without opening it: other processes may, one of them may be running it. What is
    /// damaged is left out and said.
    pub fn read(folder: &Path) -> Result<StudyRecord> {
        let config = load_config(folder)?;
        let (terms, names) = (terms(&config)?, names(&config));
        let path = folder.join(JOURNAL_FILE);
        let contents = journal::read(&path, reader(&terms, &names))?;
        check_unchanged(folder, &config, &contents)?;
        let place = |line: usize| journal::place(&path, line);
        let damage = contents
            .damage
            .into_iter()
            .map(|(line, problem)| format!("{}: {problem}", place(line)))
            .collect();
        let deleted = contents.deleted.iter().map(|name| format!("{}: {}", place(0), journal::deleted(name)));
        let hardware = hardware(&contents.attributes);
        let remarks = deleted.chain(remarks(&config, &hardware)).collect();
        let mut trials = contents.trials.concat();
        trials.sort_by_key(|trial| trial.id);
        learn_measured(&mut trials, &MeasuredNetworks::read(folder)?, &terms.sought.objective);
        Ok(StudyRecord { config, trials, hardware, damage, remarks })
    }

    fn open(folder: &Path, config: StudyConfig, lock: StudyLock) -> Result<Self> {
        let (terms, names) = (terms(&config)?, names(&config));
        let path = folder.join(JOURNAL_FILE);
        let mut journal = Journal::open(&path)?;
        let contents = journal.contents(reader(&terms, &names));
        check_unchanged(folder, &config, &contents)?;
        if let Some((line, problem)) = contents.damage.first() {
            return Err(Error::input(
                journal::place(&path, *line),
                format!("{problem}; {}", journal::ADVICE),
            ));
        }
        let attributes = names.iter().zip(&contents.attributes).map(|((strategy, name), before)| {
            (name.clone(), began::attributes(&config, strategy, before.as_ref()))
        });
        let studies = journal.studies(attributes.collect())?;
        let hardware = hardware(&contents.attributes);
        let measured = MeasuredNetworks::read(folder)?;
        let tracks = strategies(&config).into_iter().zip(contents.trials);
        let track = |((proposer, strategy), mut trials): ((Proposer, Box<dyn Strategy>), Vec<Trial>)| {
            learn_measured(&mut trials, &measured, &terms.sought.objective);
            Track::new(proposer, strategy, trials)
        };
        let tracks: Vec<Track> = tracks.map(track).collect();
        Ok(Self {
            folder: folder.to_owned(),
            kept_aside: journal.kept_aside().map(Path::to_owned),
            storage: Box::new(JournalStorage {
                journal,
                space: config.space.clone(),
                names: names.into_iter().map(|(_, name)| name).collect(),
                studies,
            }),
            terms,
            config,
            retries: vec![VecDeque::new(); tracks.len()],
            tracks,
            hardware,
            allows_mixed_hardware: false,
            _lock: Some(lock),
        })
    }

    /// A study whose trials are kept by `storage`, with what trainings leave in `folder`. Any number of processes may be at it,
    /// if the storage is for several: the trials are a function of the configuration, whoever makes them.
    ///
    /// # Errors
    /// If the configuration is not one to run.
    pub fn over(folder: &Path, config: StudyConfig, storage: Box<dyn Storage>) -> Result<Self> {
        config.check("the study")?;
        config.check_data("the study")?;
        files::make_folder(folder)?;
        let tracks: Vec<Track> = strategies(&config)
            .into_iter()
            .map(|(name, strategy)| Track::new(name, strategy, vec![]))
            .collect();
        Ok(Self {
            folder: folder.to_owned(),
            kept_aside: None,
            storage,
            terms: terms(&config)?,
            config,
            retries: vec![VecDeque::new(); tracks.len()],
            tracks,
            hardware: vec![],
            allows_mixed_hardware: false,
            _lock: None,
        })
    }

    /// Has the failed trials tried again, before any new one. What was proposed since stays as it is.
    pub fn retry_failed(&mut self) {
        self.retries = self.tracks.iter().map(|track| track.failed().collect()).collect();
    }

    /// Lets trainings go on with another kind of hardware than the study began with, as the record says then.
    pub fn allow_mixed_hardware(&mut self) {
        self.allows_mixed_hardware = true;
    }

    /// Where the end of the journal was put that was no line of it, if that was so when the study was opened.
    pub fn kept_aside(&self) -> Option<&Path> {
        self.kept_aside.as_deref()
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

    /// Takes in what boards said of networks since their trials ended, as [`Study::resume`] does.
    ///
    /// # Errors
    /// As [`MeasuredNetworks::read`].
    pub fn learn_measured(&mut self) -> Result<()> {
        let measured = MeasuredNetworks::read(&self.folder)?;
        self.tracks.iter_mut().for_each(|track| track.learn_measured(&measured, &self.terms));
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
        let (config, hardware) = (self.config.clone(), self.hardware.clone());
        let remarks = remarks(&config, &hardware).collect();
        StudyRecord { config, trials, hardware, damage: vec![], remarks }
    }
}

/// What a reader should know who compares a study's numbers.
fn remarks(config: &StudyConfig, hardware: &[Hardware]) -> impl Iterator<Item = String> {
    began::mixed(hardware).into_iter().chain(config.emulated())
}

/// Refuses a folder that holds a study. A journal in which nothing stands is what a search leaves that was killed before
/// it began.
fn check_free(folder: &Path) -> Result<()> {
    let is_begun = |file: &str| std::fs::metadata(folder.join(file)).is_ok_and(|data| data.len() > 0);
    match [CONFIG_FILE, JOURNAL_FILE].into_iter().find(|file| is_begun(file)) {
        None => Ok(()),
        Some(file) => {
            let problem =
                format!("holds a study already ({file}); go on with --resume, or choose another folder");
            Err(Error::file(folder, problem))
        }
    }
}

/// Refuses a study whose journal is gone: to begin again would write over what was trained.
fn check_journal(folder: &Path) -> Result<()> {
    let path = folder.join(JOURNAL_FILE);
    let is_empty = std::fs::metadata(&path).is_ok_and(|data| data.len() == 0);
    let is_trained =
        std::fs::read_dir(folder.join(TRIALS_FOLDER)).is_ok_and(|mut trials| trials.next().is_some());
    if is_empty && is_trained {
        let problem =
            format!("is empty or gone, and {TRIALS_FOLDER}/ holds what was trained; restore it from a copy");
        return Err(Error::file(&path, problem));
    }
    Ok(())
}

/// Refuses a configuration that was changed since the study began.
fn check_unchanged(folder: &Path, config: &StudyConfig, contents: &Contents) -> Result<()> {
    let known = contents.attributes.iter().flatten();
    match known.map(|attributes| began::changes(config, attributes)).find(|changes| !changes.is_empty()) {
        None => Ok(()),
        Some(changes) => {
            let problem = format!(
                "what decides the result is another than when the study began: {}; put it back, or start a new study",
                changes.join(", ")
            );
            Err(Error::file(&folder.join(CONFIG_FILE), problem))
        }
    }
}

fn hardware(attributes: &[Option<Attributes>]) -> Vec<Hardware> {
    attributes.iter().flatten().map(began::hardware).find(|kinds| !kinds.is_empty()).unwrap_or_default()
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
    Ok(Terms {
        sought: config.sought_with_ratings()?,
        seed: config.seed,
        workers: config.workers,
        pruning: config.prune.clone(),
        skips: config.objective.skip,
    })
}

/// Who proposes in a study: the baseline and the given architectures where there are any, then the strategies.
fn strategies(config: &StudyConfig) -> Vec<(Proposer, Box<dyn Strategy>)> {
    let mut strategies: Vec<(Proposer, Box<dyn Strategy>)> = Vec::new();
    if config.baseline {
        strategies.push((Proposer::Baseline, Box::new(Smallest)));
    }
    if !config.architectures.is_empty() {
        strategies.push((Proposer::Given, Box::new(Given { architectures: config.architectures.clone() })));
    }
    strategies.extend(config.strategies.iter().map(|kind| (kind.proposer(), kind.build())));
    strategies
}

/// Each of them with the name of its Optuna study.
fn names(config: &StudyConfig) -> Vec<(String, String)> {
    let name = |proposer: &Proposer| (proposer.to_string(), format!("{}-{proposer}", config.name));
    strategies(config).iter().map(|(proposer, _)| name(proposer)).collect()
}

fn reader<'a>(terms: &'a Terms, studies: &'a [(String, String)]) -> Reader<'a> {
    Reader { space: &terms.sought.space, objective: &terms.sought.objective, studies }
}
