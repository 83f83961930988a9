//! `mfactor flash`: the models of a study to a board, and numbers back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use edge_runner::figures;
use edge_runner::record::file_name;
use engines::{EngineChoice, EngineKind};
use mfactor::dataset::DataSet;
use mfactor::measurement::Measurement;
use mfactor::numbers::bytes;
use mfactor::{Error, files};
use search::StudyRecord;
use serde::Serialize;
use targets::inventory::{self, Listed};
use targets::keys::{self, Signer};
use targets::{
    Assignment, Board, BoardName, Bundle, Contents, FlashEvent, FlashOptions, Flashed, Folder, Host,
    MeasureOptions, SshOptions, Target, flash_all,
};

use super::measure::{self, Thoroughness, measurements_folder, models};
use super::targets::runner;
use crate::flash_progress::FlashProgress;
use crate::output::{Output, table};
use crate::{signals, studies};

/// Bring a study's models to a board, check and activate them there, measure, and fetch the numbers
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor flash runs/first --target rpi4 --host pi@raspberrypi.local
  mfactor flash runs/first --target rpi4 --host pi@kitchen --host pi@roof
  mfactor flash runs/first --inventory boards.toml --preset quick
  mfactor flash runs/first --target rpi4 --host pi@raspberrypi.local --engine all --ort-library libonnxruntime.so.1.32.0
  mfactor flash runs/first --target rpi4 --host pi@raspberrypi.local --dry-run

The board needs nothing but Linux and an ssh server. It always holds one whole release: the new one only after every file of
it was verified there and every model gave the answers that it gave here. Records are filed under measurements/NAME/ of the study. The
key that signs releases is made once with `mfactor targets keygen`. What a board holds: mfactor board status.")]
pub struct Flash {
    /// Folder of the study
    dir: PathBuf,
    /// What the boards are: a name from `mfactor targets list`, or the path of a board file
    #[arg(long, value_name = "NAME", required_unless_present = "inventory")]
    target: Option<String>,
    /// A board as ssh knows it: USER@HOST, an alias, or ssh://USER@HOST:PORT; may be repeated
    #[arg(long, value_name = "USER@HOST", required_unless_present = "inventory")]
    host: Vec<Host>,
    /// A file that lists boards
    #[arg(long, value_name = "FILE", conflicts_with = "host")]
    inventory: Option<PathBuf>,
    /// Name of the board, of one --host; else made of the host. Letters, digits, `.`, `_`, `-`
    #[arg(long, value_name = "NAME", conflicts_with = "inventory")]
    name: Option<BoardName>,
    /// The runner, if it is not to be built
    #[arg(long, value_name = "FILE")]
    runner: Option<PathBuf>,
    /// Say what would be sent, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Flash this release although the board took a newer one before
    #[arg(long)]
    allow_downgrade: bool,
    /// Have the board trust your key from now on, where it trusts another or has lost the one that it trusted
    #[arg(long)]
    repin: bool,
    /// Do not measure
    #[arg(long)]
    no_measure: bool,
    /// How thoroughly the board measures
    #[arg(long, value_enum, default_value_t = Thoroughness::Full)]
    preset: Thoroughness,
    /// Inference engine: one is measured, or both in the same rounds
    #[arg(long, value_enum, default_value_t = EngineChoice::Tract)]
    engine: EngineChoice,
    /// ONNX Runtime's library for the boards' processor, which goes along, signed, with --engine ort or all
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
    /// Threads of one inference
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// The key that signs the release
    #[arg(long, value_name = "FILE", env = "MFACTOR_KEY")]
    key: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// How boards are reached.
#[derive(Args)]
pub struct Reach {
    /// Folder on the board, below the user's home if it does not begin with /
    #[arg(long, value_name = "PATH", default_value = targets::host::DEFAULT_FOLDER)]
    pub folder: Folder,
    /// A configuration file for ssh, in place of your own
    #[arg(long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
}

impl Reach {
    /// One board.
    pub fn board(&self, host: &Host, name: BoardName) -> Board {
        Board { name, host: host.clone(), folder: self.folder.clone() }
    }

    /// How ssh is started; it asks nothing on the terminal where several boards would ask at once. From now on Ctrl-C
    /// ends this program: a board keeps what it had, and what was sent so far is not sent again.
    pub fn ssh(&self, boards: usize) -> anyhow::Result<SshOptions> {
        signals::undone_at_end(|| {
            let options = SshOptions::new(self.ssh_config.clone(), boards > 1)?;
            let sockets = options.sockets().to_owned();
            // Nothing can be done about a folder that does not go away.
            Ok((options, move || drop(std::fs::remove_dir_all(sockets))))
        })
    }
}

/// One board of the result.
#[derive(Serialize)]
struct Line {
    board: BoardName,
    host: Host,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Flashed(Box<Flashed>),
    Failed { error: String, exit_code: u8 },
}

impl Flash {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let record = studies::read(&self.dir, output)?;
        let listed = self.boards()?;
        let signer = Signer::load(&self.key.clone().map_or_else(keys::default_path, Ok)?)?;
        let targets = targets_of(&listed)?;
        let bundles = self.bundles(&record, &targets, &signer, output)?;
        let assignments: Vec<Assignment<'_>> = listed
            .iter()
            .filter_map(|listed| {
                let name = listed.target.as_deref()?;
                let (target, bundle) = (targets.get(name)?, bundles.get(name)?);
                Some(Assignment { board: &listed.board, target, bundle })
            })
            .collect();
        let (results, unfiled) = self.flash(&assignments, output)?;
        let finished = self.finish(&assignments, results, output);
        unfiled.map_or(finished, |error| Err(error.into()))
    }

    /// The boards, each with its target.
    fn boards(&self) -> anyhow::Result<Vec<Listed>> {
        let mut listed = match &self.inventory {
            Some(path) => inventory::load(path)?,
            None => {
                if self.name.is_some() && self.host.len() > 1 {
                    return Err(
                        Error::Usage("--name is for one --host; an --inventory names many".into()).into()
                    );
                }
                self.host.iter().map(|host| self.listed(host)).collect::<anyhow::Result<_>>()?
            }
        };
        for entry in &mut listed {
            entry.target = entry.target.take().or_else(|| self.target.clone());
            if entry.target.is_none() {
                let problem = "has no target; give it one, or use --target for all that have none";
                return Err(Error::input(format!("board {}", entry.board.name), problem).into());
            }
        }
        for (place, entry) in listed.iter().enumerate() {
            if listed[..place].iter().any(|other| other.board.name.is_like(&entry.board.name)) {
                let problem =
                    format!("two boards are called {}; name them in an --inventory", entry.board.name);
                return Err(Error::Usage(problem).into());
            }
        }
        Ok(listed)
    }

    /// The board of one --host.
    fn listed(&self, host: &Host) -> anyhow::Result<Listed> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => host.board_name().map_err(Error::Usage)?,
        };
        Ok(Listed { board: self.reach.board(host, name), target: None })
    }

    /// A signed release for each target.
    fn bundles(
        &self,
        record: &StudyRecord,
        targets: &BTreeMap<String, Target>,
        signer: &Signer,
        output: &Output,
    ) -> anyhow::Result<BTreeMap<String, Bundle>> {
        let mut contents = Contents {
            study: record.config.name.clone(),
            runner: PathBuf::new(),
            models: models(&self.dir)?,
            records: self.records(record, output)?,
            library: library(self.engine, self.ort_library.as_deref())?,
        };
        let mut bundles = BTreeMap::new();
        for (name, target) in targets {
            contents.runner = runner(self.runner.as_deref(), target, output)?;
            bundles.insert(name.clone(), Bundle::make(target, &contents, signer)?);
        }
        Ok(bundles)
    }

    /// The test records of the study's data set, if the board is to measure with them and they are here.
    fn records(&self, record: &StudyRecord, output: &Output) -> anyhow::Result<Vec<PathBuf>> {
        let Some(data) = record.config.data.as_ref().filter(|_| !self.no_measure) else { return Ok(vec![]) };
        if !data.folder.is_dir() {
            let folder = data.folder.display();
            output.say(format!("{folder} is not here, so no accuracy will be measured"));
            return Ok(vec![]);
        }
        Ok(DataSet::open(&data.folder)?.test_files())
    }

    /// Flashes, and files every measurement as soon as it is there.
    fn flash(
        &self,
        assignments: &[Assignment<'_>],
        output: &Output,
    ) -> anyhow::Result<(Vec<mfactor::Result<Flashed>>, Option<Error>)> {
        let measure = MeasureOptions {
            preset: self.preset.preset(),
            threads: self.threads,
            engines: self.engine.names(),
        };
        let options = FlashOptions {
            ssh: self.reach.ssh(assignments.len())?,
            measure: (!self.no_measure).then_some(measure),
            allow_downgrade: self.allow_downgrade,
            repin: self.repin,
            dry_run: self.dry_run,
        };
        let names: Vec<&str> = assignments.iter().map(|assignment| assignment.board.name.as_str()).collect();
        let mut progress = FlashProgress::new(output, &names);
        let mut unfiled = None;
        let results = flash_all(assignments, &options, &mut |place, event| {
            if let FlashEvent::Measured(measurement) = &event {
                // Both names are the host's own: of the board, and of the model in the release.
                let folder = measurements_folder(&self.dir).join(names[place]);
                let filed = files::write_json(&folder.join(file_name(measurement)), measurement.as_ref());
                unfiled = unfiled.take().or(filed.err());
            }
            progress.show(place, &event);
        });
        progress.finish();
        Ok((results, unfiled))
    }

    /// Shows what came of it. The first board that failed decides the exit code, then a measurement that is not valid.
    fn finish(
        &self,
        assignments: &[Assignment<'_>],
        results: Vec<mfactor::Result<Flashed>>,
        output: &Output,
    ) -> anyhow::Result<()> {
        let (mut lines, mut errors) = (vec![], vec![]);
        for (assignment, result) in assignments.iter().zip(results) {
            let (board, host) = (assignment.board.name.clone(), assignment.board.host.clone());
            let outcome = match result {
                Ok(flashed) => Outcome::Flashed(Box::new(flashed)),
                Err(error) => {
                    let failed = Outcome::Failed { error: error.to_string(), exit_code: error.exit_code() };
                    errors.push(error);
                    failed
                }
            };
            lines.push(Line { board, host, outcome });
        }
        if !(errors.len() == lines.len() && lines.len() == 1) {
            output.result(&lines, || text(&lines, assignments))?;
        }
        let failed = errors.len();
        if let Some(first) = errors.into_iter().next() {
            let error = anyhow::Error::from(first);
            return Err(if lines.len() == 1 {
                error
            } else {
                error.context(format!("{failed} of {} boards failed", lines.len()))
            });
        }
        let measurements: Vec<Measurement> =
            lines.into_iter().flat_map(|line| line.outcome.measurements()).collect();
        measure::check(&measurements)
    }
}

impl Outcome {
    fn measurements(self) -> Vec<Measurement> {
        match self {
            Self::Flashed(flashed) => flashed.measurements,
            Self::Failed { .. } => vec![],
        }
    }
}

/// The library that goes along to a board for its engines.
///
/// # Errors
/// [`Error::Usage`] where one is lacking, or is for nothing.
pub fn library(engine: EngineChoice, given: Option<&Path>) -> mfactor::Result<Option<PathBuf>> {
    match (engine.kinds().contains(&EngineKind::Ort), given) {
        (true, Some(library)) => Ok(Some(library.to_owned())),
        (false, None) => Ok(None),
        (true, None) => Err(Error::Usage(
            "ONNX Runtime is a library that boards do not have: name the one for their processor with --ort-library FILE \
             (docs/boards.md says where it comes from)"
                .to_owned(),
        )),
        (false, Some(_)) => Err(Error::Usage("--ort-library is for --engine ort or all".to_owned())),
    }
}

/// The targets by the name under which they were asked for.
fn targets_of(listed: &[Listed]) -> anyhow::Result<BTreeMap<String, Target>> {
    let mut targets = BTreeMap::new();
    for name in listed.iter().filter_map(|listed| listed.target.as_ref()) {
        targets.insert(name.clone(), targets::load(name)?);
    }
    Ok(targets)
}

fn text(lines: &[Line], assignments: &[Assignment<'_>]) -> String {
    let headers = ["board", "release", ">sent", ">there", ">seconds", "outcome"];
    let rows = lines.iter().map(|line| match &line.outcome {
        Outcome::Flashed(flashed) => {
            let outcome = match (flashed.dry_run, &flashed.previous) {
                (true, _) => "nothing changed".to_owned(),
                (false, None) => "active".to_owned(),
                (false, Some(previous)) => format!("active, before it {}", short(previous)),
            };
            let seconds = if flashed.dry_run { "-".to_owned() } else { format!("{:.1}", flashed.seconds) };
            let [sent, held] = [flashed.sent_bytes, flashed.held_bytes].map(bytes);
            [line.board.to_string(), short(&flashed.release), sent, held, seconds, outcome]
        }
        Outcome::Failed { error, .. } => {
            let reason = error.lines().next().unwrap_or_default();
            [
                line.board.to_string(),
                "-".into(),
                "-".into(),
                "-".into(),
                "-".into(),
                format!("FAILED {reason}"),
            ]
        }
    });
    let mut text = table(&headers, rows);
    for (line, assignment) in lines.iter().zip(assignments) {
        let Outcome::Flashed(flashed) = &line.outcome else { continue };
        if !flashed.measurements.is_empty() {
            text.push_str(&format!("\n{}\n{}", line.board, figures::text(&flashed.measurements)));
        }
        for measurement in &flashed.measurements {
            for violation in assignment.target.limits.violations(measurement) {
                let (model, target) = (&measurement.model.file, &assignment.target.name);
                text.push_str(&format!("{model} breaks a limit of {target}: {violation}\n"));
            }
        }
    }
    text
}

/// An id as people read it.
pub(super) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
