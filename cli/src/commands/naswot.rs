//! `mfactor naswot`: ratings of untrained networks, for a search that is guided.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use clap::Args;
use mfactor::dataset::DataSet;
use mfactor::lines::{self, Line};
use mfactor::protocol::{Rating, Untrained};
use mfactor::{Architecture, Error, Result, files, process};
use search::strategies::drawn;
use serde::Serialize;

use crate::output::{Output, thousands};
use crate::programs::{TRAINER, patient_threads};
use crate::progress;

/// Most bytes of an answer, and of what a trainer says of a failure.
const LONGEST_ANSWER: usize = 4096;
/// Bytes of a line of the file, about.
const BYTES_A_LINE: u64 = 128;

/// Rate untrained networks, so that --strategy guided learns from fewer trainings
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor naswot --space edge32 --data cifar10 --out edge32.naswot.csv
  mfactor search --space edge32 --data cifar10 --strategy guided --naswot edge32.naswot.csv --out runs/edge

The rating (NASWOT: neural architecture search without training) says how well a network with random weights tells 64 training \
images apart. On the networks of NAS-Bench-Macro it ranks about as well as twenty trainings do, and tells nothing new beside them.")]
pub struct Naswot {
    /// Search space: a TOML file, or the name of one that ships; the paper's if not given
    #[arg(long, value_name = "FILE|NAME")]
    space: Option<PathBuf>,
    /// Data set: its name, or a folder
    #[arg(long, value_name = "NAME|DIR")]
    data: String,
    /// The file to write: comma-separated values with the columns architecture and naswot
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Networks to draw and rate; a regression over them tells what the others would have
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = count)]
    count: usize,
    /// Seed of the weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
}

/// A line of the file.
#[derive(Serialize)]
struct Row<'a> {
    architecture: &'a Architecture,
    naswot: Option<f64>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Rated<'a> {
    file: &'a std::path::Path,
    networks: usize,
    /// Those of them that did not tell all images apart.
    without_rating: usize,
}

impl Naswot {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let space = super::space::load(self.space.as_deref())?;
        let data = datasets::resolve(&self.data)?;
        DataSet::open(&data)?.check_fits(&space)?;
        let architectures = drawn(&space, self.count);
        files::check_target(&self.out, BYTES_A_LINE * architectures.len() as u64)?;
        let request = Untrained { space, data, seed: self.seed, architectures };
        let line = progress::Line::new(output);
        let ratings = self.rate(&request, &mut |done| {
            line.show(&format!(
                "{} of {} networks rated",
                thousands(done),
                thousands(request.architectures.len() as u64)
            ));
        });
        line.finish();
        let ratings = ratings?;
        files::write(&self.out, &table(&request.architectures, &ratings)?)?;
        let without_rating = ratings.iter().filter(|rating| rating.naswot.is_none()).count();
        let rated = Rated { file: &self.out, networks: ratings.len(), without_rating };
        output.result(&rated, || {
            let nothing = match without_rating {
                0 => String::new(),
                count => format!("; {} of them do not tell all images apart", thousands(count as u64)),
            };
            format!("{}: {} networks rated{nothing}", self.out.display(), thousands(ratings.len() as u64))
        })
    }

    fn rate(&self, request: &Untrained, on_rated: &mut dyn FnMut(u64)) -> Result<Vec<Rating>> {
        let mut child = self.trainer()?;
        let broken = || Error::Defect("a pipe to the trainer is missing".to_owned());
        let mut input = child.stdin.take().ok_or_else(broken)?;
        // It reads all of this before it answers. If it ends before that, it says why.
        let _ = input.write_all(&lines::json(request)?);
        drop(input);
        let mut answers = BufReader::new(child.stdout.take().ok_or_else(broken)?);
        let mut ratings = vec![];
        while let Some(rating) = next(&mut answers)? {
            ratings.push(rating);
            on_rated(ratings.len() as u64);
        }
        let mut said = String::new();
        if let Some(errors) = child.stderr.take() {
            // What cannot be read is not said.
            let _ = errors.take(LONGEST_ANSWER as u64).read_to_string(&mut said);
        }
        let status = child.wait().map_err(Error::io("wait for", TRAINER.name().as_ref()))?;
        if status.success() && ratings.len() == request.architectures.len() {
            return Ok(ratings);
        }
        let last = said.lines().last().unwrap_or("it gave no reason").trim_start_matches("mfactor-trainer: ");
        Err(Error::input(
            "the trainer",
            format!("rated {} networks and ended ({status}): {last}", ratings.len()),
        ))
    }

    fn trainer(&self) -> Result<Child> {
        let program = TRAINER.find()?;
        let mut command = Command::new(&program);
        command
            .arg("--naswot")
            .envs(patient_threads())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(device) = &self.device {
            command.args([OsString::from("--device"), device.into()]);
        }
        process::end_with_parent(&mut command).spawn().map_err(Error::io("start", &program))
    }
}

fn count(text: &str) -> std::result::Result<usize, String> {
    let count = text.parse().ok().filter(|count| (50..=100_000).contains(count));
    count.ok_or_else(|| "must be from 50 to 100000".to_owned())
}

/// The next rating; `None` at the end.
fn next(answers: &mut impl BufRead) -> Result<Option<Rating>> {
    let line =
        lines::next(answers, LONGEST_ANSWER).map_err(Error::io("read from", TRAINER.name().as_ref()))?;
    match line {
        Line::Whole(line) => match serde_json::from_slice(&line) {
            Ok(rating) => Ok(Some(rating)),
            Err(error) => {
                Err(Error::input("the trainer", format!("answered with what is no rating: {error}")))
            }
        },
        Line::TooLong(_) => {
            let problem = format!(
                "says more than {LONGEST_ANSWER} bytes without an end of line; is {} a trainer?",
                TRAINER.find()?.display()
            );
            Err(Error::input("the trainer", problem))
        }
        // What it had begun to say is no answer.
        Line::Torn(_) | Line::End => Ok(None),
    }
}

fn table(architectures: &[Architecture], ratings: &[Rating]) -> Result<Vec<u8>> {
    let defect =
        |error: &dyn std::fmt::Display| Error::Defect(format!("ratings cannot be written as CSV: {error}"));
    let mut writer = csv::Writer::from_writer(vec![]);
    for (architecture, Rating { naswot }) in architectures.iter().zip(ratings) {
        writer.serialize(Row { architecture, naswot: *naswot }).map_err(|error| defect(&error))?;
    }
    writer.into_inner().map_err(|error| defect(&error))
}
