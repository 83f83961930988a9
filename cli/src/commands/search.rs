//! `mfactor search`: run or resume a study.

mod asked;

use std::path::{Path, PathBuf};

use clap::Args;
use mfactor::{AccuracyKind, Error, Quantity, name};
use report::confirm::Confirmation;
use search::config::EvaluatorConfig;
use search::events::StudyEvent;
use search::{Outcome, StrategyKind, Study, StudyConfig, StudyRecord};
use serde::Serialize;

use super::shared::SharedOptions;
use crate::boards_in_search::{self, BoardOptions, Measuring, Pool};
use crate::confirm::{self, Confirm};
use crate::output::Output;
use crate::progress::SearchProgress;
use crate::signals;
use crate::summary::{self, Summary};
use crate::trainers::TrainerOptions;
use crate::workers::Workers;

/// Run or resume a study: propose architectures, train them, keep a journal
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor search --data digits --epochs 3 --trials 12 --out runs/first
  mfactor search --data cifar10 --workers auto --prune --out runs/cifar10
  mfactor search --data cifar10 --budget macs=60M          the most accurate network within a budget
  mfactor search --evaluator constant:0.75 --trials 50     a dry run, without libtorch
  mfactor search --data cifar10 --workers 8 --launch 'srun -N1 -n1 --gres=gpu:1' --out runs/cluster
  mfactor search --data cifar10 --workers 32 --name cifar10 --database postgresql://mfactor@db/optuna \
                 --artifacts file:///shared/mfactor --detach      for any number of `mfactor worker cifar10`
  mfactor search --resume --out runs/first
  mfactor search --resume --retry-failed --out runs/first  try again what failed
  mfactor search --architecture 353-533-333,333-333-333 --epochs 30 --data cifar10 --out runs/final
                                                           no search: train what was found, for longer")]
pub struct Search {
    #[arg(long, value_name = "NAME", help = strategies())]
    strategy: Option<String>,
    /// Train these architectures, several with commas between; without --strategy, nothing is searched
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    architecture: Vec<String>,
    /// Trials of each strategy [default: 50]
    #[arg(long, value_name = "N")]
    trials: Option<u64>,
    /// Seed from which all randomness derives [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Weight of the M-factor: above 1 favours small models, below 1 accurate ones [default: 1]
    #[arg(long, allow_negative_numbers = true)]
    alpha: Option<f64>,
    /// A budget, as in macs=20M or parameters=100k: within it accuracy decides; several have equal parts of alpha
    ///
    /// It takes the place of the smallest model's parameters, the paper's reference: S' = min(1, budget / cost). A study file
    /// can say more: see docs/formats.md.
    #[arg(long, value_name = "COST=AMOUNT")]
    budget: Vec<String>,
    /// Ratings of untrained networks, from which --strategy guided learns too: a file that `mfactor naswot` wrote
    #[arg(long, value_name = "FILE")]
    naswot: Option<PathBuf>,
    /// Never propose what costs more than this, as in macs=30M
    #[arg(long, value_name = "COST=AMOUNT")]
    limit: Vec<String>,
    /// A cost table, for budgets, limits and fronts of what a board alone can tell: latency_p50=2ms. `mfactor table build`
    /// makes one
    #[arg(long, value_name = "FILE")]
    cost_table: Option<PathBuf>,
    /// Take the cost table although it missed what it must reach to be relied on
    #[arg(long, requires = "cost_table")]
    force_cost_table: bool,
    /// Which accuracy decides: plain, or balanced, the mean of the classes' recalls [default: plain]
    #[arg(long, value_name = "KIND", value_parser = AccuracyKind::parse)]
    accuracy: Option<AccuracyKind>,
    /// Seek the front of accuracy against one or two costs, as in macs or macs,parameters, and not one network
    #[arg(long, value_name = "COSTS", value_delimiter = ',', value_parser = Quantity::parse)]
    front: Vec<Quantity>,
    /// Skip proposals that could not win even with accuracy 1: they cost too much against what is known
    #[arg(long)]
    skip: bool,
    #[arg(long, value_name = "NAME|DIR", help = format!("Data set: {}, or a folder", datasets::names().join(", ")))]
    data: Option<String>,
    /// Epochs of each training [default: 3]
    #[arg(long, value_name = "E")]
    epochs: Option<u32>,
    /// Search space: a TOML file, or the name of one that ships (see `mfactor space --help`); the paper's if not given
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
    /// train; or without training: constant:A, or table:FILE, a published table that was fetched, or a file as `mfactor trials
    /// --format csv` writes it, with the columns architecture and accuracy
    #[arg(long, value_name = "KIND")]
    evaluator: Option<String>,
    /// Trials that run at once: auto (one a GPU, or one a core, four at the most) or a number [default: 1]
    ///
    /// The result of a study depends on it, for a strategy proposes a trial without knowing how those end that
    /// run beside it. It does not depend on which of them is the quicker one.
    #[arg(long, value_name = "auto|N")]
    workers: Option<Workers>,
    /// Stop trials early that are behind others (asynchronous successive halving)
    ///
    /// After the first epoch, and after each third, ninth and so on, the best third of a strategy's trials goes on. They
    /// are compared by the M-factor of the accuracy so far. Where a front is sought, a trial stops that is less accurate than
    /// one that costs no more. A study file can say more: see docs/training.md.
    #[arg(long)]
    prune: bool,
    /// Folder in which trainings are kept and found again, or none [default: cache in the study's folder]
    ///
    /// The same architecture, recipe, seed and data are trained once, whichever strategies propose them. Studies
    /// that differ in strategy or α alone can share a folder.
    #[arg(long, value_name = "DIR|none")]
    cache: Option<PathBuf>,
    /// A trial that takes longer fails, and the search goes on
    #[arg(long, value_name = "SECONDS")]
    trial_timeout: Option<u64>,
    /// A study as a file, study.toml of another study say; options given beside it win
    #[arg(long, value_name = "FILE")]
    study: Option<PathBuf>,
    /// Folder of the study [default: runs/NAME with the name in --study, else runs/study]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Then train the best N again, with R other seeds each, and say which of them chance cannot tell apart
    ///
    /// Each seed is a study of its own, in the folder confirm of the study.
    #[arg(long, value_name = "NxR")]
    confirm: Option<Confirm>,
    /// Go on with the study in --out
    #[arg(long)]
    resume: bool,
    /// With --resume: try failed trials again, before any new ones
    #[arg(long, requires = "resume")]
    retry_failed: bool,
    /// Let several kinds of hardware train one study: another device, precision or libtorch than it began with
    ///
    /// Accuracies of one kind of hardware differ from those of another by that alone. The study and its report say that
    /// several trained it.
    #[arg(long)]
    mixed_hardware: bool,
    #[command(flatten)]
    boards: BoardOptions,
    #[command(flatten)]
    trainers: TrainerOptions,
    #[command(flatten)]
    shared: SharedOptions,
}

/// What `--strategy` may be.
fn strategies() -> String {
    let names = |kinds: &mut dyn Iterator<Item = StrategyKind>| {
        kinds.map(StrategyKind::name).collect::<Vec<_>>().join(", ")
    };
    let papers = names(&mut StrategyKind::PAPER.into_iter());
    let others = names(&mut StrategyKind::ALL.into_iter().filter(|kind| !StrategyKind::PAPER.contains(kind)));
    format!(
        "Strategies: {papers} (the paper's), {others}; several with commas between, or all, or paper [default: paper]"
    )
}

/// What a search begins with.
enum Start {
    Old(Box<Study>),
    New(Box<StudyConfig>),
}

impl Start {
    fn config(&self) -> &StudyConfig {
        match self {
            Self::Old(study) => study.config(),
            Self::New(config) => config,
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct SearchResult<'a> {
    study: &'a Path,
    finished: bool,
    #[serde(flatten)]
    summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmation: Option<&'a Confirmation>,
}

impl Search {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        if self.shared.is_asked_for() {
            let config = self.configured(self.shared.name())?;
            boards_in_search::refuse(&config)?;
            return self.shared.run(config, &self.trainers, output);
        }
        let start = match self.resume {
            true => Start::Old(Box::new(self.resumed()?)),
            false => Start::New(Box::new(self.configured(None)?)),
        };
        let costs = start.config().objective.cost.clone();
        let sought = boards_in_search::Sought::of(&costs)?;
        self.boards.check(sought.as_ref())?;
        let boards = sought.as_ref().map(|sought| self.boards.boards(sought, output)).transpose()?;
        let pool = boards.as_ref().zip(sought.as_ref());
        let pool =
            pool.map(|(boards, sought)| boards.pool(sought, &start.config().space, &signals::stop_flag()));
        let mut study = self.begun(start, sought.as_ref().zip(pool.as_ref()), output)?;
        if self.mixed_hardware {
            study.allow_mixed_hardware();
        }
        let folder = study.folder().to_owned();
        output.say(format!("Study {}", folder.display()));
        if let Some(aside) = study.kept_aside() {
            output.say(format!(
                "note: the journal ended in half a line of another program; it is kept in {}",
                aside.display()
            ));
        }
        if let Some(emulated) = study.config().emulated() {
            output.say(format!("note: {emulated}"));
        }
        let outcome = self.searched(&mut study, pool.as_ref(), output);
        let record = study.record();
        let finished = match outcome {
            Ok(outcome) => outcome == Outcome::Finished,
            Err(error) if !self.resume && study.discard()? => return Err(error),
            // What a file or the trainer says would be said again.
            Err(error) if is_input(&error) => return Err(error),
            Err(error) => return Err(error.context(go_on(&folder))),
        };
        let confirmation = match self.confirm {
            Some(confirm) if finished => {
                confirm.run(&record, &folder, output, |study| self.searched(study, pool.as_ref(), output))
            }
            _ => Ok(None),
        };
        show(output, &folder, finished, &record, confirmation.as_ref().ok().and_then(Option::as_ref))?;
        confirmation?;
        if !finished {
            let problem = format!("stopped, and everything known is written; {}", go_on(&folder));
            return Err(Error::Interrupted(problem).into());
        }
        if record.is_fruitless() { Err(fruitless(&folder, &record).into()) } else { Ok(()) }
    }

    /// Runs the study until it ends or a signal stops it.
    fn searched(
        &self,
        study: &mut Study,
        pool: Option<&Pool<'_>>,
        output: &Output,
    ) -> anyhow::Result<Outcome> {
        let stop = signals::stop_flag();
        let cache = self.cache.clone().unwrap_or_else(|| study.folder().join("cache"));
        let cache = (cache != Path::new("none")).then_some(&*cache);
        let mut evaluators = study
            .config()
            .evaluators(&self.trainers.commands(study.config(), study.config().workers)?, cache)?;
        let mut progress = SearchProgress::new(output, study.config())?;
        let mut observer = |event: &StudyEvent| progress.show(event);
        let outcome = match pool {
            None => study.run(&mut evaluators, &mut observer, &stop),
            Some(pool) => {
                pool.keep_in(study.folder())?;
                let measuring = evaluators.into_iter().map(|evaluator| Measuring::new(evaluator, pool));
                study.run(&mut measuring.collect::<Vec<_>>(), &mut observer, &stop)
            }
        };
        progress.finish();
        if let (Some(pool), Ok(Outcome::Finished)) = (pool, &outcome) {
            boards_in_search::catch_up(study, pool, output)?;
        }
        Ok(outcome?)
    }

    /// The study: as it was, or a new one, once it is known what the least of a cost is.
    fn begun(
        &self,
        start: Start,
        boards: Option<(&boards_in_search::Sought<'_>, &Pool<'_>)>,
        output: &Output,
    ) -> anyhow::Result<Study> {
        let mut config = match start {
            Start::Old(study) => return Ok(*study),
            Start::New(config) => config,
        };
        if let Some((sought, pool)) = boards {
            boards_in_search::measure_least(&mut config, sought, pool, output)?;
        }
        let folder = self.out.clone().unwrap_or_else(|| Path::new("runs").join(&config.name));
        Ok(Study::create(&folder, *config)?)
    }

    /// The configuration of a new study. Before anything is written all that it needs is looked for: a search that cannot
    /// start leaves nothing behind.
    fn configured(&self, name: Option<&str>) -> anyhow::Result<StudyConfig> {
        let mut config = match &self.study {
            Some(path) => StudyConfig::load(path)?,
            None => StudyConfig::new(self.name_of_folder()),
        };
        if let Some(name) = name {
            name.clone_into(&mut config.name);
        }
        self.lay_over(&mut config)?;
        if let (EvaluatorConfig::Train, None) = (&config.evaluator, &config.data) {
            let names = datasets::names().join(", ");
            let problem =
                format!("is needed to train: {names}, or a folder (or pass --evaluator constant:A)");
            return Err(Error::input("--data", problem).into());
        }
        if !self.shared.is_asked_for() {
            self.trainers.commands(&config, config.workers)?;
        }
        config.check_inputs()?;
        Ok(config)
    }

    fn resumed(&self) -> anyhow::Result<Study> {
        let folder = self.out.as_ref().ok_or_else(|| Error::Usage("--resume needs --out DIR".to_owned()))?;
        let mut study = Study::resume(folder)?;
        let mut asked = match &self.study {
            Some(path) => StudyConfig::load(path)?,
            None => study.config().clone(),
        };
        self.lay_over(&mut asked)?;
        asked.check_inputs()?;
        study.reconcile(&asked)?;
        if self.retry_failed {
            study.retry_failed();
        }
        Ok(study)
    }

    /// What the folder's name allows.
    fn name_of_folder(&self) -> String {
        let folder = self.out.as_ref().and_then(|folder| std::path::absolute(folder).ok());
        let text = folder.as_ref().and_then(|folder| folder.file_name()).map(|name| name.to_string_lossy());
        text.and_then(|text| name::derived(&text)).unwrap_or_else(|| "study".to_owned())
    }
}

/// Whether it takes another input to go on.
fn is_input(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(|error| error.exit_code() == mfactor::exit::INPUT)
}

fn go_on(folder: &Path) -> String {
    format!("to go on, run: mfactor search --resume --out {}", folder.display())
}

fn show(
    output: &Output,
    folder: &Path,
    finished: bool,
    record: &StudyRecord,
    confirmation: Option<&Confirmation>,
) -> anyhow::Result<()> {
    let result = SearchResult { study: folder, finished, summary: Summary::of(record)?, confirmation };
    output.result(&result, || {
        let summary = summary::text(&result.summary, record);
        let accuracy = record.config.objective.accuracy.label();
        confirmation.map_or(summary.clone(), |of| format!("{summary}\n\n{}", confirm::text(of, accuracy)))
    })
}

/// That nothing came of a search, and why.
fn fruitless(folder: &Path, record: &StudyRecord) -> Error {
    let reason = record
        .trials
        .iter()
        .rev()
        .find_map(|trial| trial.failure.as_deref())
        .unwrap_or("no reason was given");
    Error::Fruitless(format!(
        "every trial failed, the last one because: {reason}; mend that, then run: mfactor search --resume --retry-failed \
         --out {}",
        folder.display()
    ))
}
