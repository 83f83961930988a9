//! `mfactor table`: what the parts of a space's networks cost on a board, and how well whole networks are told from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::{Args, Subcommand};
use edge_runner::rounds::{self, Event, LiveMachine, Order, Subject};
use engines::{EngineChoice, EngineKind, EngineOptions};
use mfactor::columns::wrapped;
use mfactor::cost_table::CostTable;
use mfactor::measurement::{Measurement, Preset};
use mfactor::numbers::duration;
use mfactor::{Error, Quantity, Result, files, numbers};
use release::SensorChoice;
use serde::Serialize;

use crate::cost_tables::{self, Records, Wanted};
use crate::output::{Output, table, thousands};
use crate::programs::RUNNER;
use crate::progress::Line;
use crate::signals;

/// What this machine is called, as a target.
const HOST: &str = "host";
/// Models that are measured together: as many as a few minutes can hold on a slow board.
const BATCH: usize = 40;
/// How far the probe of a batch may be from that of the others, a share of 1.
const DRIFT: f64 = 0.05;
/// How far a model's windows may be from each other, a share of 1.
const DISTURBED: f64 = 0.10;
/// How often what was disturbed is measured again.
const RETRIES: usize = 2;

/// What the networks of a space cost on a board, told from their parts
#[derive(Args)]
pub struct Table {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(Build),
    Show(Show),
}

/// Measure every part of a space's networks, and try on whole networks how well they are told from it
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor table build --space edge32
  mfactor table build --space edge32 --engine all --out tables
  mfactor search --space edge32 --data cifar10 --budget latency_p50=2ms --table tables/host.edge32.tract.f32.toml

Untrained models are measured: one a part, and 50 whole networks, 20 of them for a line and 30 to try it on. A table whose
predictions of these are off by more than 5 % in the median, 10 % in nine cases of ten, or rank them with a tau below 0.93 is
written all the same, and not relied on. What was measured before a cut is kept in a folder beside the tables, and the same
command goes on with it.")]
struct Build {
    /// Search space: a TOML file, or the name of one that ships; the paper's if not given
    #[arg(long, value_name = "FILE|NAME")]
    space: Option<PathBuf>,
    /// Inference engine
    #[arg(long, value_enum, default_value_t = EngineChoice::Tract)]
    engine: EngineChoice,
    /// Threads of one inference
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Folder for the tables
    #[arg(long, value_name = "DIR", default_value = "tables")]
    out: PathBuf,
    /// ONNX Runtime's library; looked for in the Python environment if not given
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
        let work = self.out.join(format!("{HOST}.{}.work", space.name()));
        let models = cost_tables::wanted(&space, &work)?;
        files::check_room(&work, models.iter().map(Wanted::bytes).sum())?;
        let mut bench = Bench {
            records: Records::read(&work, &models, self.engine.kinds()),
            program: RUNNER.find()?,
            line: Line::new(output),
            begun: Instant::now(),
            build: &self,
            models: &models,
        };
        let kept = models.len() * self.engine.kinds().len() - bench.missing().len();
        if kept > 0 {
            output.say(format!("{} measurements of a build that was cut are kept", thousands(kept as u64)));
        }
        bench.measure()?;
        bench.line.finish();
        let mut built = vec![];
        for engine in self.engine.kinds() {
            let table = bench.records.table(HOST, &space, &models, *engine)?;
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
}

/// The measuring of what is missing.
struct Bench<'a> {
    build: &'a Build,
    models: &'a [Wanted],
    records: Records,
    program: PathBuf,
    line: Line,
    begun: Instant,
}

/// A batch of models with one engine, and what the probe took meanwhile.
struct Measured {
    models: Vec<PathBuf>,
    engine: EngineKind,
    probe_ms: f64,
}

impl Bench<'_> {
    fn missing(&self) -> Vec<(Wanted, EngineKind)> {
        let missing = self.records.missing(self.models, self.build.engine.kinds());
        missing.map(|(model, engine)| (model.clone(), engine)).collect()
    }

    /// Measures what is missing in batches, each with the same network beside it as a probe; and again those in whose time
    /// the machine was not what it was in the others', and models whose own windows do not agree. What is disturbed every
    /// time counts as it is: the trial on whole networks will tell.
    fn measure(&mut self) -> Result<()> {
        let mut batches: Vec<Measured> = vec![];
        for attempt in 0..=RETRIES {
            batches.extend(self.batches()?);
            let (kept, off) = apart(batches);
            batches = kept;
            for batch in &off {
                self.records.forget(batch.models.iter().map(PathBuf::as_path), batch.engine);
            }
            if off.is_empty() && (attempt == RETRIES || !self.records.forget_disturbed(DISTURBED)) {
                return Ok(());
            }
        }
        Err(Error::Invalid(format!(
            "the machine did not hold still: the same network took more than {:.0} % longer or shorter at one time than at \
             another, in each of {} attempts; stop what else runs here and call this again, it goes on with what was measured",
            100.0 * DRIFT,
            RETRIES + 1
        )))
    }

    /// Measures what is missing.
    fn batches(&mut self) -> Result<Vec<Measured>> {
        let missing = self.missing();
        let mut batches = vec![];
        for engine in self.build.engine.kinds() {
            let of_engine: Vec<&Wanted> =
                missing.iter().filter(|(_, of)| of == engine).map(|(model, _)| model).collect();
            for batch in of_engine.chunks(BATCH) {
                batches.push(self.batch(batch, *engine)?);
            }
        }
        Ok(batches)
    }

    fn batch(&mut self, models: &[&Wanted], engine: EngineKind) -> Result<Measured> {
        let stop = signals::stop_flag();
        let is_stopped = || stop.load(Ordering::Relaxed);
        let probe = &self.models[self.models.len() - 1];
        for model in models.iter().copied().chain([probe]) {
            if is_stopped() {
                return Err(self.stopped());
            }
            self.line.show(&format!("writing {}", model.model.display()));
            model.write()?;
        }
        let options = EngineOptions {
            kind: engine,
            threads: self.build.threads,
            library: self.build.ort_library.clone(),
        };
        // The probe comes last, so that places among the models are those among the subjects.
        let subject =
            |model: &Wanted| Subject { model: model.model.clone(), contents: None, engine: options.clone() };
        let subjects: Vec<Subject> = models.iter().copied().chain([probe]).map(subject).collect();
        let order = Order { subjects, data: vec![], preset: Preset::Brief };
        let (line, mut unfiled) = (&self.line, None);
        let left = self.missing().len();
        let (records, begun) = (&mut self.records, self.begun);
        let mut probe_ms = None;
        let mut on_event = |number: usize, event: Event<'_>| match event {
            Event::Complete(record) if number < models.len() => {
                let filed = records.add(&models[number].model, engine, record.clone());
                unfiled = unfiled.take().or(filed.err());
            }
            Event::Complete(record) => probe_ms = Some(record.latency.window_p50_ms),
            Event::Progress { round, of, .. } => {
                line.show(&progress(engine, (round, of), [number + 1, models.len()], left, begun));
            }
            _ => {}
        };
        let mut machine = LiveMachine::new(&self.program, &SensorChoice::default(), &is_stopped);
        let results = rounds::measure(&order, &mut machine, &mut on_event);
        if is_stopped() {
            return Err(self.stopped());
        }
        if let Some(error) =
            unfiled.or_else(|| results.into_iter().find_map(|result: Result<Measurement>| result.err()))
        {
            return Err(error);
        }
        let probe_ms = probe_ms.ok_or_else(|| Error::Defect("a probe without a time".to_owned()))?;
        Ok(Measured { models: models.iter().map(|model| model.model.clone()).collect(), engine, probe_ms })
    }

    fn stopped(&self) -> Error {
        self.line.finish();
        Error::Interrupted("stopped; the same command goes on with what was measured".to_owned())
    }
}

fn progress(
    engine: EngineKind,
    (round, of): (usize, usize),
    [number, batch]: [usize; 2],
    left: usize,
    begun: Instant,
) -> String {
    format!(
        "{}: model {number} of {batch}, round {round} of {of}; {} to go, {} so far",
        engine.name(),
        thousands(left as u64),
        duration(begun.elapsed().as_secs_f64())
    )
}

/// Batches, and those of them whose probe was off what it was in most of the same engine's.
fn apart(batches: Vec<Measured>) -> (Vec<Measured>, Vec<Measured>) {
    let typical = |engine: EngineKind| {
        let mut times: Vec<f64> =
            batches.iter().filter(|batch| batch.engine == engine).map(|batch| batch.probe_ms).collect();
        times.sort_unstable_by(f64::total_cmp);
        mfactor::statistics::quantile(&times, 0.5)
    };
    let is_off = |batch: &Measured| {
        typical(batch.engine).is_some_and(|typical| (batch.probe_ms / typical - 1.0).abs() > DRIFT)
    };
    let off: Vec<bool> = batches.iter().map(is_off).collect();
    let (off, kept): (Vec<_>, Vec<_>) = batches.into_iter().zip(off).partition(|(_, is_off)| *is_off);
    let bare = |pairs: Vec<(Measured, bool)>| pairs.into_iter().map(|(batch, _)| batch).collect();
    (bare(kept), bare(off))
}

fn shown<'a>(file: &'a Path, table: &'a CostTable) -> Shown<'a> {
    let shortcomings = table.lines.iter().map(|(quantity, line)| (*quantity, line.test.shortcomings()));
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
                |line| line.test.shortcomings(),
            );
            (!problems.is_empty()).then(|| format!("{}: {}", path.display(), problems.join("; ")))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems.join("; ")).into()) }
}

fn text(path: &Path, built: &CostTable) -> String {
    let headers = ["quantity", ">median error", ">90 % within", ">tau", "95 % of tau", "relied on"];
    let percent = |share: f64| numbers::percent(share);
    let rows = built.lines.iter().map(|(quantity, line)| {
        let test = &line.test;
        let interval = test.tau_interval.map(|[low, high]| format!("{low:.2} to {high:.2}"));
        let is_relied_on = test.shortcomings().is_empty() && !built.board.emulated;
        [
            quantity.label().to_owned(),
            percent(test.median_error),
            percent(test.p90_error),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_in_which_the_machine_was_another_is_set_apart() {
        let batch = |engine, probe_ms| Measured { models: vec![], engine, probe_ms };
        let batches = vec![
            batch(EngineKind::Tract, 1.0),
            batch(EngineKind::Tract, 1.04),
            batch(EngineKind::Tract, 1.2),
            batch(EngineKind::Ort, 3.0),
            batch(EngineKind::Ort, 3.1),
        ];
        let (kept, off) = apart(batches);
        assert_eq!((kept.len(), off.len()), (4, 1));
        assert_eq!(off[0].probe_ms, 1.2);
    }
}
