//! `mfactor doctor`: what is installed, what is missing, and the command that mends it.

use std::process::Command;
use std::time::Duration;

use clap::Args;
use mfactor::process::{self, Trouble};
use mfactor::protocol::Event;
use mfactor::{Error, Result};
use serde::Serialize;

use crate::output::{Output, table, wrapped};
use crate::programs::{Program, RUNNER, TRAINER};

/// How long a program may take to say its version: libtorch is slow to load from a cold disk.
const LONGEST: Duration = Duration::from_secs(120);
/// Most bytes it may say.
const MOST_SAID: usize = 1 << 20;

/// Say what is installed, what is missing, and how to mend it
#[derive(Args)]
#[command(after_help = "Example:\n  mfactor doctor")]
pub struct Doctor {}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    part: &'static str,
    /// What for.
    needed_for: &'static str,
    /// Whether a search, an export and a measurement here need it.
    required: bool,
    found: bool,
    /// What was found, or what is wrong and how to mend it.
    detail: String,
}

impl Doctor {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let mut findings = vec![
            finding("mfactor-trainer", "training", true, trainer()),
            finding("edge-runner", "measuring here", true, runner()),
            finding("ONNX Runtime", "checking exports", true, onnx_runtime()),
            finding(
                "ssh",
                "flashing boards",
                false,
                version("ssh", "-V", "sudo apt-get install openssh-client"),
            ),
            finding("optuna-dashboard", "watching a study", false, dashboard()),
        ];
        let sets = datasets::names_to_fetch().into_iter();
        findings.extend(sets.map(|name| finding(name, "training on this data set", false, data_set(name))));
        output.result(&findings, || text(&findings))?;
        let missing: Vec<&str> =
            findings.iter().filter(|f| f.required && !f.found).map(|finding| finding.part).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let are = if missing.len() == 1 { "is" } else { "are" };
        Err(Error::missing(format!("{} {are} not usable here", missing.join(", ")), "scripts/setup").into())
    }
}

fn finding(part: &'static str, needed_for: &'static str, required: bool, outcome: Result<String>) -> Finding {
    let found = outcome.is_ok();
    let detail = outcome.unwrap_or_else(|error| error.to_string());
    Finding { part, needed_for, required, found, detail }
}

/// Starts the trainer with nothing to do: its first line says what it would train on.
fn trainer() -> Result<String> {
    let said = said(&TRAINER, &[])?;
    match serde_json::from_str(said.lines().next().unwrap_or_default()) {
        Ok(Event::Ready(facts)) => Ok(format!(
            "{} in {} with {} threads, libtorch {}",
            facts.device, facts.precision, facts.threads, facts.libtorch
        )),
        _ => Err(Error::missing("the trainer does not say what it is", "scripts/setup")),
    }
}

fn runner() -> Result<String> {
    said(&RUNNER, &["--version"]).map(|text| text.trim().to_owned())
}

fn said(program: &Program, arguments: &[&str]) -> Result<String> {
    let path = program.find()?;
    let ended = process::run(Command::new(&path).args(arguments), LONGEST, MOST_SAID)
        .map_err(|trouble| Error::missing(format!("{} {trouble}", path.display()), "scripts/setup"))?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&ended.stderr);
    let last = complaint.lines().last().unwrap_or("it says nothing").to_owned();
    Err(Error::missing(format!("{} does not start: {last}", program.name()), "scripts/setup"))
}

fn onnx_runtime() -> Result<String> {
    let options = engines::EngineOptions::new(engines::EngineKind::Ort);
    let facts = engines::engine::open(&options)?.facts();
    Ok(format!("{} in {}", facts.version, engines::library::find(None)?.display()))
}

fn data_set(name: &str) -> Result<String> {
    datasets::resolve(name).map(|folder| folder.display().to_string())
}

/// The set-up puts it into the project's Python environment, which need not be on PATH.
fn dashboard() -> Result<String> {
    let name = "optuna-dashboard";
    let inside = engines::library::environments().into_iter().map(|folder| folder.join("bin").join(name));
    match inside.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.display().to_string()),
        None => version(name, "--version", "scripts/venv"),
    }
}

/// What a program on PATH says about its version.
fn version(program: &'static str, option: &str, install: &str) -> Result<String> {
    let ended = process::run(Command::new(program).arg(option), LONGEST, MOST_SAID);
    let ended = ended.map_err(|trouble| match trouble {
        Trouble::Absent => Error::missing(format!("{program} is not on PATH"), install),
        other => Error::missing(format!("{program} {other}"), install),
    })?;
    let said = [ended.stdout, ended.stderr].concat();
    Ok(String::from_utf8_lossy(&said).lines().next().unwrap_or("installed").to_owned())
}

fn text(findings: &[Finding]) -> String {
    let rows = findings.iter().map(|finding| {
        let state = match (finding.found, finding.required) {
            (true, _) => "found",
            (false, true) => "MISSING",
            (false, false) => "not here",
        };
        [state.to_owned(), finding.part.to_owned(), finding.needed_for.to_owned()]
    });
    let headers = ["", "part", "needed for"];
    let mut text = table(&headers, rows);
    text.push('\n');
    for finding in findings {
        text += &wrapped(&format!("{}: ", finding.part), &finding.detail, 2);
    }
    text
}
