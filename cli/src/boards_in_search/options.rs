//! Which boards take part in a search: as the study says what is to be measured, and the command line where.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use engines::{EngineChoice, EngineKind, EngineOptions};
use export::Precision;
use mfactor::cost_model::CostModel;
use mfactor::costs::{CostTerm, Reference, Source};
use mfactor::measurement::Preset;
use mfactor::{Architecture, Error, Quantity, Result, SearchSpace, text};
use targets::keys::{self, Signer};
use targets::{Board, Folder, Host, SshOptions, Target};

use super::bench::{Away, Bench, Here};
use super::pool::{Pool, Terms};
use crate::commands::flash::{Reach, library as library_for};
use crate::commands::table::HOST;
use crate::commands::targets::runner;
use crate::cost_tables::board::OnBoard;
use crate::output::Output;
use crate::programs::RUNNER;

/// Networks beside that which the table tells to be the cheapest, which are measured before one is taken to be.
const NEIGHBOURS: usize = 10;
/// How thoroughly networks are measured while others train.
const PRESET: Preset = Preset::Quick;
/// Threads of one inference, as in a cost table.
const THREADS: usize = 1;

/// Which boards measure what a search trains.
#[derive(Args)]
pub struct BoardOptions {
    /// Have each network measured while it trains, on the kind of board that the cost table is of, and count as it was measured
    #[arg(long)]
    pub measure: bool,
    /// A board that measures, as ssh knows it: USER@HOST, an alias, or ssh://USER@HOST:PORT; several of a kind if given often
    #[arg(long, value_name = "USER@HOST")]
    board: Vec<Host>,
    /// The runner for the boards, if it is not to be built
    #[arg(long, value_name = "FILE", requires = "board")]
    runner: Option<PathBuf>,
    /// The key that signs what boards are sent
    #[arg(long, value_name = "FILE", env = "MFACTOR_KEY")]
    key: Option<PathBuf>,
    /// Have the boards trust your key from now on
    #[arg(long, requires = "board")]
    repin: bool,
    /// Folder on the boards, below the user's home if it does not begin with /
    #[arg(long, value_name = "PATH", default_value = "mfactor-search")]
    board_folder: Folder,
    /// A configuration file for ssh, in place of your own
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// ONNX Runtime's library, where networks are measured with it: that for the boards' processor, if there are boards; else
    /// looked for in the Python environment if not given
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    ort_library: Option<PathBuf>,
}

/// What a study wants measured.
pub struct Sought<'a> {
    costs: Vec<(&'a CostTerm, &'a CostModel)>,
    precision: Precision,
}

impl<'a> Sought<'a> {
    /// Of these costs; `None` where nothing is to be measured.
    ///
    /// # Errors
    /// [`Error::Input`] where they are of several kinds of boards, engines or precisions, or of one that there is not.
    pub fn of(costs: &'a [CostTerm]) -> Result<Option<Self>> {
        let measured = costs.iter().filter(|cost| cost.is_measured);
        let model = |cost: &'a CostTerm| match &cost.source {
            Source::Model(model) => Ok((cost, model.as_ref())),
            Source::Exact | Source::File { .. } => {
                Err(Error::Defect("a measured cost whose table was not read".to_owned()))
            }
        };
        let costs: Vec<_> = measured.map(model).collect::<Result<_>>()?;
        let Some((first, told)) = costs.first() else { return Ok(None) };
        let place = |model: &CostModel| [&model.target, &model.engine, &model.precision].map(Clone::clone);
        if let Some((other, _)) = costs.iter().find(|(_, model)| place(model) != place(told)) {
            let problem = format!(
                "is measured elsewhere than {}: what a search measures is of one kind of board, engine and precision",
                first.quantity.name()
            );
            return Err(Error::input(other.quantity.name(), problem));
        }
        let Some(precision) = Precision::named(&told.precision) else {
            let problem = format!("is of {}, which is no precision", text::name(&told.precision));
            return Err(Error::input(first.quantity.name(), problem));
        };
        Ok(Some(Self { costs, precision }))
    }

    fn model(&self) -> &'a CostModel {
        self.costs[0].1
    }

    /// The costs whose minimum is to be measured before a study begins.
    pub fn without_least(&self) -> Vec<Quantity> {
        let lacks = |cost: &CostTerm| cost.reference == Reference::Minimum && cost.least.is_none();
        self.costs.iter().filter(|(cost, _)| lacks(cost)).map(|(cost, _)| cost.quantity).collect()
    }

    /// The network that the table tells to cost the least, and those that it tells to be the cheapest of those that differ from
    /// it in one choice.
    pub fn candidates(&self, quantity: Quantity, space: &SearchSpace) -> Vec<Architecture> {
        let model = self.costs.iter().find(|(cost, _)| cost.quantity == quantity).map(|(_, model)| *model);
        let Some(model) = model else { return vec![] };
        let (cheapest, _) = model.cheapest(quantity, space);
        let mut neighbours = space.neighbours(&cheapest);
        neighbours
            .sort_by(|a, b| model.predict(quantity, space, a).total_cmp(&model.predict(quantity, space, b)));
        neighbours.truncate(NEIGHBOURS);
        neighbours.insert(0, cheapest);
        neighbours
    }

    fn terms(&self, space: &SearchSpace, models: &Path, is_here: bool) -> Terms {
        let least = |(cost, _): &(&CostTerm, &CostModel)| Some((cost.quantity, cost.least?));
        Terms {
            space: space.clone(),
            target: self.model().target.clone(),
            precision: self.precision,
            emulated: self.model().emulated,
            models: models.to_owned(),
            is_here,
            has_limit: self.costs.iter().any(|(cost, _)| cost.limit.is_some()),
            least: self.costs.iter().filter_map(least).collect(),
        }
    }
}

/// What boards are reached with, for as long as a search runs.
pub struct Boards {
    models: tempfile::TempDir,
    way: Way,
}

enum Way {
    /// This machine.
    Here { program: PathBuf, engine: EngineOptions },
    /// Boards of one kind.
    Away(Box<Fleet>),
    /// None is named.
    Nowhere,
}

/// Boards of one kind, and what they are sent.
struct Fleet {
    target: Target,
    boards: Vec<(Board, SshOptions)>,
    signer: Signer,
    runner: PathBuf,
    engine: EngineChoice,
    library: Option<PathBuf>,
    repin: bool,
}

impl BoardOptions {
    /// Refuses boards for a study that wants nothing measured.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is so.
    pub fn check(&self, sought: Option<&Sought<'_>>) -> Result<()> {
        if sought.is_none() && !self.board.is_empty() {
            let problem = "--board names a board, and nothing is to be measured: say what, with --measure";
            return Err(Error::Usage(problem.to_owned()));
        }
        Ok(())
    }

    /// What the boards are reached with that a study wants.
    ///
    /// # Errors
    /// [`Error::Missing`] without a runner or key; what building the runner says.
    pub fn boards(&self, sought: &Sought<'_>, output: &Output) -> anyhow::Result<Boards> {
        let model = sought.model();
        let models = tempfile::Builder::new()
            .prefix("mfactor-search-")
            .tempdir()
            .map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
        let way = match (model.target.as_str(), self.board.is_empty()) {
            (HOST, true) => Way::Here { program: RUNNER.find()?, engine: self.engine(&model.engine)? },
            (_, true) => {
                output.say(format!(
                    "note: no board is named (--board): costs are what the table of {} tells, until one measures them",
                    model.target
                ));
                Way::Nowhere
            }
            (target, false) => self.away(target, &model.engine, output)?,
        };
        Ok(Boards { models, way })
    }

    fn engine(&self, name: &str) -> Result<EngineOptions> {
        let kind = EngineKind::named(name)
            .ok_or_else(|| Error::input("engine", format!("{name} is none that there is")))?;
        Ok(EngineOptions { kind, threads: THREADS, library: self.ort_library.clone() })
    }

    fn away(&self, target: &str, engine: &str, output: &Output) -> anyhow::Result<Way> {
        let target = targets::load(target)?;
        let reach = Reach { folder: self.board_folder.clone(), ssh_config: self.ssh_config.clone() };
        let mut boards: Vec<(Board, SshOptions)> = vec![];
        for host in &self.board {
            let name = host.board_name().map_err(Error::Usage)?;
            if boards.iter().any(|(board, _)| board.name.is_like(&name)) {
                return Err(Error::Usage(format!("two boards are called {name}")).into());
            }
            boards.push((reach.board(host, name), reach.ssh(self.board.len())?));
        }
        let signer = Signer::load(&self.key.clone().map_or_else(keys::default_path, Ok)?)?;
        let runner = runner(self.runner.as_deref(), &target, output)?;
        let engine = EngineChoice::from(self.engine(engine)?.kind);
        let library = self.ort_library.as_deref().filter(|_| engine == EngineChoice::Ort);
        let library = library_for(engine, library)?;
        let fleet = Fleet { target, boards, signer, runner, engine, library, repin: self.repin };
        Ok(Way::Away(Box::new(fleet)))
    }
}

impl Boards {
    /// The boards as a pool, which writes down nothing yet.
    pub fn pool<'a>(&'a self, sought: &Sought<'_>, space: &SearchSpace, stop: &Arc<AtomicBool>) -> Pool<'a> {
        let benches: Vec<Box<dyn Bench + 'a>> = match &self.way {
            Way::Here { program, engine } => vec![Box::new(Here {
                program: program.clone(),
                engine: engine.clone(),
                preset: PRESET,
                stop: Arc::clone(stop),
            })],
            Way::Away(fleet) => fleet.boards.iter().map(|(board, ssh)| fleet.bench(board, ssh)).collect(),
            Way::Nowhere => vec![],
        };
        Pool::new(sought.terms(space, self.models.path(), matches!(self.way, Way::Here { .. })), benches)
    }
}

impl Fleet {
    fn bench<'a>(&'a self, board: &'a Board, ssh: &SshOptions) -> Box<dyn Bench + 'a> {
        let on = OnBoard {
            target: &self.target,
            board,
            ssh: ssh.clone(),
            signer: &self.signer,
            runner: &self.runner,
            engine: self.engine,
            library: self.library.clone(),
            threads: THREADS,
            repin: self.repin,
        };
        Box::new(Away { on, preset: PRESET })
    }
}
