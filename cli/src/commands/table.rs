//! `mfactor table`: what the parts of a space's networks cost on a board, and how well whole networks are told from them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use engines::{EngineChoice, EngineKind, EngineOptions};
use mfactor::columns::wrapped;
use mfactor::cost_table::CostTable;
use mfactor::{Error, Quantity, files, numbers};
use serde::Serialize;
use targets::keys::{self, Signer};
use targets::{BoardName, Folder, Host};

use super::export::PrecisionName;
use super::flash::Reach;
use super::targets::runner;
use crate::cost_tables::board::OnBoard;
use crate::cost_tables::{self, Records, Wanted, here};
use crate::output::{Output, table, thousands};

/// What this machine is called, as a target.
pub const HOST: &str = "host";

/// What the networks of a space cost on a board, told from their parts
#[derive(Args)]
pub struct Table {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(Box<Build>),
    Show(Show),
}

/// Measure every part of a space's networks, and try on whole networks how well they are told from it
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor table build --space edge32
  mfactor table build --space edge32 --engine all --precision f32,int8 --out tables
  mfactor table build --space edge32 --target rpi4 --host pi@raspberrypi.local
  mfactor search --space edge32 --data cifar10 --budget latency_p50=2ms --cost-table tables/host.edge32.tract.f32.toml

Untrained models are measured: one a part, and 50 whole networks, 20 of them for a line and 30 to try it on. A table whose
predictions of these are off by more than 5 % in the median, 10 % in nine cases of ten, or rank them with a tau below 0.93 is
written all the same, and not relied on. What was measured before a cut is kept in a folder beside the tables, and the same
command goes on with it. A board gets the models as a signed release in a folder of its own, beside that of its models.")]
struct Build {
    /// Search space: a TOML file, or the name of one that ships; the paper's if not given
    #[arg(long, value_name = "FILE|NAME")]
    space: Option<PathBuf>,
    /// A kind of board: a name from `mfactor targets list`, or the path of a board file; this machine if not given
    #[arg(long, value_name = "NAME", requires = "host")]
    target: Option<String>,
    /// The board as ssh knows it: USER@HOST, an alias, or ssh://USER@HOST:PORT
    #[arg(long, value_name = "USER@HOST", requires = "target")]
    host: Option<Host>,
    /// The runner, if it is not to be built
    #[arg(long, value_name = "FILE", requires = "target")]
    runner: Option<PathBuf>,
    /// The key that signs the release
    #[arg(long, value_name = "FILE", env = "MFACTOR_KEY")]
    key: Option<PathBuf>,
    /// Have the board trust your key from now on
    #[arg(long, requires = "target")]
    repin: bool,
    /// Folder on the board, below the user's home if it does not begin with /
    #[arg(long, value_name = "PATH", default_value = "mfactor-table")]
    folder: Folder,
    /// A configuration file for ssh, in place of your own
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// Inference engine
    #[arg(long, value_enum, default_value_t = EngineChoice::Tract)]
    engine: EngineChoice,
    /// Type of weights and activations; several with a comma between them, a table each
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [PrecisionName::F32])]
    precision: Vec<PrecisionName>,
    /// Threads of one inference
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Folder for the tables
    #[arg(long, value_name = "DIR", default_value = "tables")]
    out: PathBuf,
    /// ONNX Runtime's library; that for the board's processor, if it is measured on one; else looked for in the Python
    /// environment if not given
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    ort_library: Option<PathBuf>,
}

/// Say what a table holds, and how far it can be relied on
#[derive(Args)]
#[command(after_help = "\
Example:
  mfactor table show tables/host.edge32.tract.f32.toml")]
struct Show {
    /// The table
    file: PathBuf,
}

/// What `--json` prints of a table.
#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    #[serde(flatten)]
    table: &'a CostTable,
    /// Quantity by quantity, why the table is not relied on; empty where it is.
    shortcomings: BTreeMap<Quantity, Vec<String>>,
}

impl Table {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        match self.command {
            Command::Build(command) => command.run(output),
            Command::Show(command) => command.run(output),
        }
    }
}

impl Show {
    fn run(self, output: &Output) -> anyhow::Result<()> {
        let table = CostTable::read(&self.file)?;
        output.result(&shown(&self.file, &table), || text(&self.file, &table))
    }
}

impl Build {
    fn run(self, output: &Output) -> anyhow::Result<()> {
        let space = super::space::load(self.space.as_deref())?;
        let target = self.target.as_deref().map(targets::load).transpose()?;
        let place = target.as_ref().map_or(HOST, |target| target.name.as_str());
        let work = self.out.join(format!("{place}.{}.work", space.name()));
        let of = |precision| cost_tables::wanted(&space, precision, &work);
        let precisions: BTreeSet<PrecisionName> = self.precision.iter().copied().collect();
        let lists: Vec<Vec<Wanted>> =
            precisions.into_iter().map(|name| of(name.into())).collect::<mfactor::Result<_>>()?;
        let models = lists.concat();
        files::check_room(&work, models.iter().map(Wanted::bytes).sum())?;
        let mut records = Records::read(&work, &models, self.engine.kinds());
        if records.len() > 0 {
            let kept = thousands(records.len() as u64);
            output.say(format!("{kept} measurements of a build that was cut are kept"));
        }
        match &target {
            None => here::measure(&mut records, &models, &self.engines(), output)?,
            Some(target) => self.on_board(target, &mut records, space.name(), &models, output)?,
        }
        let mut built = vec![];
        for (engine, models) in
            self.engine.kinds().iter().flat_map(|engine| lists.iter().map(move |models| (engine, models)))
        {
            let table = records.table(place, &space, models, *engine)?;
            let path = self.out.join(table.file_name());
            table.write(&path)?;
            built.push((path, table));
        }
        // What it holds is in the tables now.
        let _ = std::fs::remove_dir_all(&work);
        let shown: Vec<Shown<'_>> = built.iter().map(|(path, table)| shown(path, table)).collect();
        output.result(&shown, || {
            let texts: Vec<String> = built.iter().map(|(path, table)| text(path, table)).collect();
            texts.join("\n")
        })?;
        check(&built)
    }

    fn engines(&self) -> Vec<EngineOptions> {
        let options = |kind: &EngineKind| EngineOptions {
            kind: *kind,
            threads: self.threads,
            library: self.ort_library.clone(),
        };
        self.engine.kinds().iter().map(options).collect()
    }

    /// The library that goes along to a board; one that the environment names is for those that want it.
    fn library_for_board(&self) -> mfactor::Result<Option<PathBuf>> {
        let wants = self.engine.kinds().contains(&EngineKind::Ort);
        super::flash::library(self.engine, self.ort_library.as_deref().filter(|_| wants))
    }

    fn on_board(
        &self,
        target: &targets::Target,
        records: &mut Records,
        space: &str,
        models: &[Wanted],
        output: &Output,
    ) -> anyhow::Result<()> {
        let host = self.host.as_ref().ok_or_else(|| Error::Usage("--target needs a --host".to_owned()))?;
        let reach = Reach { folder: self.folder.clone(), ssh_config: self.ssh_config.clone() };
        let name: BoardName = host.board_name().map_err(Error::Usage)?;
        let signer = Signer::load(&self.key.clone().map_or_else(keys::default_path, Ok)?)?;
        let runner = runner(self.runner.as_deref(), target, output)?;
        let on = OnBoard {
            target,
            board: &reach.board(host, name),
            ssh: reach.ssh(1)?,
            signer: &signer,
            runner: &runner,
            engine: self.engine,
            library: self.library_for_board()?,
            threads: self.threads,
            repin: self.repin,
        };
        Ok(on.measure(records, space, models, output)?)
    }
}

fn shown<'a>(file: &'a Path, table: &'a CostTable) -> Shown<'a> {
    let shortcomings = table.lines.iter().map(|(quantity, line)| (*quantity, table.shortcomings(line)));
    Shown { file, table, shortcomings: shortcomings.collect() }
}

/// A table that cannot be relied on for latency is no result.
fn check(built: &[(PathBuf, CostTable)]) -> anyhow::Result<()> {
    let problems: Vec<String> = built
        .iter()
        .filter_map(|(path, table)| {
            let line = table.lines.get(&Quantity::LatencyP50);
            let problems = line.map_or_else(
                || vec!["latency does not rise with the sum over the parts".to_owned()],
                |line| table.shortcomings(line),
            );
            (!problems.is_empty()).then(|| format!("{}: {}", path.display(), problems.join("; ")))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems.join("; ")).into()) }
}

fn text(path: &Path, built: &CostTable) -> String {
    let headers = ["quantity", ">median error", ">90 % within", ">tau", "95 % of tau", "relied on"];
    let rows = built.lines.iter().map(|(quantity, line)| {
        let test = &line.test;
        let interval = test.tau_interval.map(|[low, high]| format!("{low:.2} to {high:.2}"));
        let is_relied_on = built.shortcomings(line).is_empty();
        [
            quantity.label().to_owned(),
            numbers::percent(test.median_error),
            numbers::percent(test.p90_error),
            test.tau.map_or_else(|| "-".to_owned(), |tau| format!("{tau:.2}")),
            interval.unwrap_or_else(|| "-".to_owned()),
            if is_relied_on { "yes" } else { "no" }.to_owned(),
        ]
    });
    let held_out = built.networks.iter().filter(|network| network.held_out).count();
    let facts = format!(
        "{} parts of {} on {} ({}), {} {}, {}; tried on {held_out} whole networks.",
        thousands(built.parts.len() as u64),
        built.space,
        built.target,
        built.board.name,
        built.engine.name,
        built.engine.version,
        built.precision,
    );
    let emulated =
        if built.board.emulated { "The processor is emulated, so that times mean nothing.\n" } else { "" };
    let tested = table(&headers, rows);
    format!("{}\n{}{emulated}\n{tested}\n{}", path.display(), wrapped("", &facts, 0), speeds(built))
}

/// Which blocks the engine likes there.
fn speeds(built: &CostTable) -> String {
    let rows = built.speeds().into_iter().map(|(block, speed, places)| {
        [block, numbers::significant(speed, 3).to_string(), places.to_string()]
    });
    table(&["block", ">million MACs a ms", ">places"], rows)
}
