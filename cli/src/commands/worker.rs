//! `mfactor worker`: work at a study in a database, beside any number of others.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use cluster::registry::{self, Registered};
use cluster::trainings::Shared;
use cluster::{DatabaseStorage, Link, Store};
use mfactor::{Error, Result, name};
use search::config::EvaluatorConfig;
use search::evaluators::TrainerCommand;
use search::{Evaluator, Outcome, Study, StudyConfig, StudyEvent};
use serde::Serialize;

use super::shared::{DatabaseOptions, PlaceOptions, Pushed, patience, seconds};
use crate::output::Output;
use crate::progress::SearchProgress;
use crate::signals;
use crate::trainers::TrainerOptions;
use crate::workers::Workers;

/// Work at a study in a database, beside any number of others
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor worker cifar10                         until the study is done or stopped
  mfactor worker cifar10 --trainers auto         one trainer for each GPU, or core
  srun -N8 -n8 mfactor worker cifar10            on eight nodes

The database and the store are named by MFACTOR_DATABASE and MFACTOR_ARTIFACTS, or by options. Ctrl-C, SIGTERM and SIGHUP hand
back what this worker is at, and another takes it over at once; if the worker is killed, after its lease. A database that is
gone is waited for. Exit code 0 means that the study is done or was stopped by `mfactor cluster stop`.")]
pub struct Worker {
    /// The study
    study: String,
    #[command(flatten)]
    database: DatabaseOptions,
    /// Trials at once on this machine: auto (one a GPU, or one a core, four at the most) or a number
    #[arg(long, value_name = "auto|N", default_value = "1")]
    trainers: Workers,
    #[command(flatten)]
    options: TrainerOptions,
    #[command(flatten)]
    places: PlaceOptions,
    /// Folder in which trainings are kept on this machine as well, or none [default: they are shared by the store]
    ///
    /// Whatever one worker has trained no other trains again, in any study of the database: they wait for each other. With
    /// none this worker trains for itself.
    #[arg(long, value_name = "DIR|none")]
    cache: Option<PathBuf>,
    /// What this worker is called [default: the machine's name and the process's number]
    #[arg(long, value_name = "NAME", env = "MFACTOR_WORKER_NAME")]
    name: Option<String>,
    /// How long a database or store that is gone is waited for [default: for ever]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    patience: Option<f64>,
    /// Let several kinds of hardware train one study: another device, precision or libtorch than it began with
    #[arg(long)]
    mixed_hardware: bool,
}

/// All that a worker needs.
pub struct Work {
    pub link: Link,
    pub study: Registered,
    /// The study's, with where data lie here.
    pub config: StudyConfig,
    pub store: Option<Store>,
    pub trainers: Vec<TrainerCommand>,
    pub stop: Arc<AtomicBool>,
    pub cache: Option<PathBuf>,
    pub name: String,
    pub mixed_hardware: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Worked {
    study: String,
    worker: String,
    /// Whether the study is done; if not, somebody stopped it.
    finished: bool,
    /// Trials that ended here.
    trials: u64,
}

impl Worker {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let (patience, stop) = patience(self.patience);
        let mut link = self.database.open(patience, output)?;
        let study = registry::find(&mut link, &self.study)?;
        study.check_version()?;
        if study.is_stopping {
            output.say(format!(
                "Study {0} is stopped; to let it go on, run: mfactor cluster extend {0}",
                study.name
            ));
            return Ok(());
        }
        let store = self.database.store(&mut link)?;
        study.check_store(store.is_some())?;
        let pushed = Pushed::of(&mut link, &study, store.as_ref())?;
        let config = self.places.lay_over(&study, pushed.as_ref())?;
        config.check_inputs()?;
        let trainers = match self.trainers {
            Workers::Count(trainers) => trainers,
            Workers::Auto => self.options.most()?,
        };
        let trainers = self.options.commands(&config, trainers)?;
        let name = self.name.as_deref().map_or_else(|| Ok(own_name()), checked)?;
        let (cache, mixed_hardware) = (self.cache, self.mixed_hardware);
        work(Work { link, study, config, store, trainers, stop, cache, name, mixed_hardware }, output)
    }
}

/// The machine's name and the process's number.
pub fn own_name() -> String {
    let machine = rustix::system::uname();
    let machine = name::derived(&machine.nodename().to_string_lossy()).unwrap_or_else(|| "worker".to_owned());
    format!("{}-{}", &machine[..machine.len().min(50)], std::process::id())
}

fn checked(text: &str) -> Result<String> {
    if name::is_name(text) { Ok(text.to_owned()) } else { Err(Error::input("--name", name::RULE)) }
}

/// A worker's life.
pub fn work(work: Work, output: &Output) -> anyhow::Result<()> {
    let folder = signals::undone_at_end(|| {
        let folder = tempfile::Builder::new().prefix("mfactor-worker-").tempdir()?;
        let path = folder.path().to_owned();
        Ok::<_, std::io::Error>((folder, move || drop(std::fs::remove_dir_all(path))))
    })?;
    let name = work.study.name.clone();
    output.say(format!("Worker {} at study {name} in the {}", work.name, work.link.address()));
    let (worked, stop) = run(work, folder.path(), output)?;
    if !worked.finished && stop.load(Ordering::Relaxed) {
        let problem = format!("stopped, and what ran was handed back; to go on, run: mfactor worker {name}");
        return Err(Error::Interrupted(problem).into());
    }
    output.result(&worked, || {
        let end = if worked.finished { "is done" } else { "was stopped" };
        format!("study {name} {end}; {} trials ended here\n", worked.trials)
    })
}

fn run(work: Work, folder: &Path, output: &Output) -> anyhow::Result<(Worked, Arc<AtomicBool>)> {
    let Work { link, study, config, store, trainers, stop, cache, name, mixed_hardware } = work;
    let storage = DatabaseStorage::new(link, &study, &config, &name, store, folder)?;
    let is_for_itself = cache.as_deref() == Some(Path::new("none"));
    let trainings = storage.trainings().filter(|_| !is_for_itself);
    let folder_of_trainings = cache.as_deref().filter(|_| !is_for_itself);
    let mut evaluators = config.evaluators(&trainers, folder_of_trainings)?;
    if let (Some(trainings), EvaluatorConfig::Train) = (trainings, &config.evaluator) {
        let shared =
            |evaluator| -> Box<dyn Evaluator> { Box::new(Shared::new(evaluator, Arc::clone(&trainings))) };
        evaluators = evaluators.into_iter().map(shared).collect();
    }
    let mut progress = SearchProgress::new(output, &config)?;
    let mut shared = Study::over(folder, config, Box::new(storage))?;
    if mixed_hardware {
        shared.allow_mixed_hardware();
    }
    let mut trials = 0;
    let mut observer = |event: &StudyEvent| {
        let has_ended = matches!(
            event,
            StudyEvent::Finished { .. } | StudyEvent::Pruned { .. } | StudyEvent::Failed { .. }
        );
        trials += u64::from(has_ended);
        progress.show(event);
    };
    let outcome = shared.run(&mut evaluators, &mut observer, &stop);
    progress.finish();
    let finished = outcome? == Outcome::Finished;
    Ok((Worked { study: study.name, worker: name, finished, trials }, stop))
}
