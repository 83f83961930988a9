//! A worker as a process that can be killed and frozen, and a study for it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cluster::registry::{self, Registered, Terms};
use cluster::{Address, DatabaseStorage, Link, Patience, pull, schema};
use mfactor::protocol::{Epoch, Evaluation, Job};
use mfactor::{Error, Result, Trial};
use search::config::EvaluatorConfig;
use search::storage::{Attributes, Beat, Hold, Storage};
use search::{Ended, Evaluator, Outcome, Pruning, Report, StrategyKind, Study, StudyConfig, Verdict};

use crate::pretend::Pretend;

/// What a process is told.
const URL: &str = "MFACTOR_TEST_DATABASE";
const NAME: &str = "MFACTOR_TEST_WORKER";
const STUDY: &str = "MFACTOR_TEST_STUDY";
const MODE: &str = "MFACTOR_TEST_MODE";

/// What a worker does with its trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// The same answers, whoever gives them.
    Plain,
    /// Answers that tell who gave them.
    Salted,
    /// Likewise, and what was lost is written all the same.
    Unfenced,
}

/// A study of three strategies that prune, with three trials at once; some trials fail.
pub fn config(name: &str, trials: u64) -> StudyConfig {
    let mut config = StudyConfig {
        strategies: StrategyKind::parse_list("random,evolution,tpe").unwrap(),
        trials,
        seed: 11,
        workers: 3,
        prune: Some(Pruning::default()),
        evaluator: EvaluatorConfig::Constant { accuracy: 0.75 },
        ..StudyConfig::new(name)
    };
    config.recipe.epochs = 4;
    config
}

pub fn terms(lease_ms: u64) -> Terms {
    Terms { lease: Duration::from_millis(lease_ms), most_attempts: 1000, keeps_files: false }
}

pub fn link(url: &str) -> Link {
    Link::open(&Address::parse(url, false).unwrap(), Patience::none()).unwrap()
}

/// A link that waits for the database as long as it takes, also for the first connection: it may be down just then.
pub fn patient(url: &str) -> Link {
    let patience = Patience { limit: None, stop: Arc::default(), say: Arc::new(|_| {}) };
    loop {
        match Link::open(&Address::parse(url, true).unwrap(), patience.clone()) {
            Err(Error::Board { .. }) => std::thread::sleep(Duration::from_millis(100)),
            link => return link.unwrap(),
        }
    }
}

/// Registers a study in a database that may have no tables yet.
pub fn register(url: &str, config: &StudyConfig, terms: Terms) -> Registered {
    let mut link = link(url);
    schema::make(&mut link).unwrap();
    registry::register(&mut link, config, terms).unwrap();
    registry::find(&mut link, &config.name).unwrap()
}

pub fn pretend(pause_ms: u64) -> Pretend {
    Pretend { failing: 5, pause: Duration::from_millis(pause_ms), ..Pretend::default() }
}

/// What the study comes to without a database.
pub fn alone(config: &StudyConfig) -> Vec<Trial> {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::create(folder.path(), config.clone()).unwrap();
    let outcome = study.run(&mut [pretend(0)], &mut |_| {}, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    found(study.record().trials)
}

/// What the database has of it, by way of a folder.
pub fn pulled(url: &str, name: &str) -> Vec<Trial> {
    let (folder, mut link) = (tempfile::tempdir().unwrap(), link(url));
    let study = registry::find(&mut link, name).unwrap();
    let config = study.config.clone();
    pull::pull(&mut link, &study, config, None, folder.path()).unwrap();
    let record = Study::read(folder.path()).unwrap();
    assert_eq!((&record.damage[..], &record.remarks[..]), (&[][..], &[][..]));
    found(record.trials)
}

/// What a study found, without ids: they tell who was quicker.
fn found(mut trials: Vec<Trial>) -> Vec<Trial> {
    trials.iter_mut().for_each(|trial| trial.id = 0);
    trials.sort_by_key(|trial| (trial.proposer.clone(), trial.number));
    trials
}

/// A worker's process.
pub fn process(url: &str, study: &str, name: &str, mode: Mode) -> Child {
    command(url, study, name, mode).spawn().unwrap()
}

/// How it is started.
pub fn command(url: &str, study: &str, name: &str, mode: Mode) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "worker::process_to_kill"])
        .env(URL, url)
        .env(NAME, name)
        .env(STUDY, study)
        .env(MODE, format!("{mode:?}"))
        .stdout(Stdio::null());
    command
}

#[test]
#[ignore = "a process for the tests of faults to kill"]
fn process_to_kill() {
    let variable = |name: &str| std::env::var(name).expect("it is started by the tests of faults");
    let (url, name) = (variable(URL), variable(NAME));
    let mode = [Mode::Plain, Mode::Salted, Mode::Unfenced]
        .into_iter()
        .find(|mode| format!("{mode:?}") == variable(MODE))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let outcome = work(&url, &variable(STUDY), &name, folder.path(), mode).unwrap();
    assert_eq!(outcome, Outcome::Finished);
}

/// A worker's life in this process.
pub fn work(url: &str, study: &str, name: &str, folder: &Path, mode: Mode) -> Result<Outcome> {
    let mut link = patient(url);
    let study = registry::find(&mut link, study)?;
    let storage = DatabaseStorage::new(link, &study, &study.config, name, None, folder)?;
    let storage: Box<dyn Storage> = match mode {
        Mode::Unfenced => Box::new(Unfenced {
            inner: storage,
            client: postgres::Client::connect(url, postgres::NoTls).unwrap(),
        }),
        _ => Box::new(storage),
    };
    let evaluator: Box<dyn Evaluator> = match mode {
        Mode::Plain => Box::new(pretend(20)),
        _ => Box::new(Salted { salt: salt(name), pause: Duration::from_millis(60) }),
    };
    let mut study = Study::over(folder, study.config, storage)?;
    study.run(&mut [evaluator], &mut |_| {}, &AtomicBool::new(false))
}

/// A number that tells a worker (FNV-1a).
pub fn salt(name: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// The accuracy that a worker gives after an epoch of a training by this seed.
pub fn salted(seed: u64, epoch: u32, salt: u64) -> f64 {
    let mixed = (seed ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12;
    0.1 * f64::from(epoch) + 0.5 * (mixed % 1_000_000) as f64 / 1e6
}

/// An evaluator whose answers tell who gave them: a write by the wrong worker shows.
struct Salted {
    salt: u64,
    pause: Duration,
}

impl Evaluator for Salted {
    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        for epoch in 1..=job.recipe.epochs {
            std::thread::sleep(self.pause);
            if stop.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(Error::Interrupted("stopped".to_owned()));
            }
            on_report(Report::Epoch(Epoch {
                trial: job.trial,
                epoch,
                epochs: job.recipe.epochs,
                loss: 1.0,
                accuracy: salted(job.seed, epoch, self.salt),
                images_per_second: 1.0,
                seconds_left: 0.0,
            }))?;
        }
        let accuracy = salted(job.seed, job.recipe.epochs, self.salt);
        Ok(Ended::Complete(Evaluation { accuracy, seconds: 1.0, images: 1 }))
    }
}

/// A storage without a fence: what it has lost it writes all the same.
struct Unfenced {
    inner: DatabaseStorage,
    client: postgres::Client,
}

impl Storage for Unfenced {
    fn study(&mut self, say: &mut dyn FnMut(Option<Attributes>) -> Result<Attributes>) -> Result<()> {
        self.inner.study(say)
    }

    fn trials(&mut self) -> Result<Vec<Vec<Trial>>> {
        self.inner.trials()
    }

    fn enqueue(
        &mut self,
        track: usize,
        retries: Option<u64>,
        propose: &mut dyn FnMut(Vec<Trial>) -> Option<Trial>,
    ) -> Result<Option<Trial>> {
        self.inner.enqueue(track, retries, propose)
    }

    fn claim(&mut self, track: usize, cut_off: Option<&Trial>) -> Result<Option<Trial>> {
        self.inner.claim(track, cut_off)
    }

    fn beat(&mut self) -> Result<Beat> {
        Ok(Beat { lost: vec![], ..self.inner.beat()? })
    }

    fn report(&mut self, trial: u64, epoch: u32, accuracy: f64) -> Result<Hold> {
        if self.inner.report(trial, epoch, accuracy)? == Hold::Lost {
            let (trial, step) = (trial as i32, epoch as i32);
            self.client
                .execute(
                    "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
                     VALUES ($1, $2, $3, 'FINITE') ON CONFLICT (trial_id, step)
                     DO UPDATE SET intermediate_value = excluded.intermediate_value",
                    &[&trial, &step, &accuracy],
                )
                .unwrap();
        }
        Ok(Hold::Held)
    }

    fn finish(&mut self, trial: &Trial) -> Result<Hold> {
        if self.inner.finish(trial)? == Hold::Lost {
            let (id, accuracy) = (trial.id as i32, trial.accuracy.map(|accuracy| accuracy.to_string()));
            self.client
                .execute(
                    "WITH a AS (UPDATE trial_user_attributes SET value_json = $2 WHERE trial_id = $1 AND key = 'accuracy')
                     UPDATE trial_values SET value = $3 WHERE trial_id = $1",
                    &[&id, &accuracy, &trial.m_factor],
                )
                .unwrap();
        }
        Ok(Hold::Held)
    }

    fn release(&mut self) -> Result<()> {
        self.inner.release()
    }

    fn is_shared(&self) -> bool {
        true
    }
}
