//! `mfactor targets`: the boards, and the runner built for one.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use targets::keys::{self, NewKeys};
use targets::{BuildEvent, BuildOptions, Target, Way};

use crate::output::{Output, table, thousands, wrapped};

/// List the boards, show one, or build the runner for one
#[derive(Args)]
pub struct Targets {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the boards that mfactor knows
    #[command(after_help = "Example:\n  mfactor targets list")]
    List,
    /// Show one board, and the ways in which this machine could build the runner for it
    #[command(after_help = "Example:\n  mfactor targets show rpi4")]
    Show(Named),
    /// Build the edge-runner for a board, and check that the program fits it
    #[command(after_help = "Example:\n  mfactor targets build generic-aarch64")]
    Build(Named),
    /// Make the key that signs what is flashed
    #[command(after_help = "Example:\n  mfactor targets keygen")]
    Keygen {
        /// Where the secret key goes; the public one goes beside it
        #[arg(long, value_name = "FILE", env = "MFACTOR_KEY")]
        key: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Named {
    /// Name of a board, or the path of a board file
    name: String,
}

/// What `show --json` prints.
#[derive(Serialize)]
struct Shown {
    target: Target,
    ways: Vec<Way>,
}

impl Targets {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        match self.action {
            Action::List => {
                let boards = targets::list();
                output.result(&boards, || list_text(&boards))
            }
            Action::Show(named) => {
                let target = targets::load(&named.name)?;
                let ways = targets::ways(&target, &targets::find_workspace(Path::new("."))?);
                let shown = Shown { target, ways };
                output.result(&shown, || show_text(&shown))
            }
            Action::Build(named) => build(&named.name, output),
            Action::Keygen { key } => {
                let keys = keys::generate(&key.map_or_else(keys::default_path, Ok)?)?;
                output.result(&keys, || keys_text(&keys))
            }
        }
    }
}

fn build(name: &str, output: &Output) -> anyhow::Result<()> {
    let target = targets::load(name)?;
    let options = BuildOptions { workspace: targets::find_workspace(Path::new("."))? };
    let built = targets::build(&target, &options, &mut |event| show_build(event, output))?;
    output.result(&built, || {
        let glibc = built.glibc.as_ref().map_or(String::new(), |glibc| format!(", needs glibc {glibc}"));
        let bytes = thousands(built.bytes);
        format!("{}\n{bytes} bytes, {}{glibc}\n", built.path.display(), built.architecture)
    })
}

/// The runner for a target: the one that is given, or one that is built.
///
/// # Errors
/// As [`targets::build`].
pub fn runner(given: Option<&Path>, target: &Target, output: &Output) -> mfactor::Result<PathBuf> {
    if let Some(runner) = given {
        return Ok(runner.to_owned());
    }
    let options = BuildOptions { workspace: targets::find_workspace(Path::new("."))? };
    Ok(targets::build(target, &options, &mut |event| show_build(event, output))?.path)
}

/// Says how a build goes on.
fn show_build(event: BuildEvent, output: &Output) {
    match event {
        BuildEvent::Way { description, .. } => output.say(format!("Building with {description}")),
        BuildEvent::Command { line } => output.say(line),
        BuildEvent::Line { text } => output.detail(text),
    }
}

fn keys_text(keys: &NewKeys) -> String {
    format!(
        "{}\n{}\nThe first signs what you flash: keep it, and keep it secret. A board takes no other key once it was flashed with it.\n",
        keys.secret.display(),
        keys.public.display()
    )
}

fn list_text(boards: &[Target]) -> String {
    let rows = boards.iter().map(|board| {
        let cores = board.processor.as_ref().map_or(String::new(), |processor| {
            format!("{} × {} at {} MHz", processor.cores, processor.name, processor.clock_mhz)
        });
        [board.name.clone(), board.title.clone(), cores]
    });
    table(&["name", "board", "processor"], rows)
}

/// What a model must keep to.
fn limits(target: &Target) -> Vec<(&'static str, String)> {
    let limits = &target.limits;
    let bytes = |limit: Option<u64>| limit.map(|bytes| format!("at most {} bytes", thousands(bytes)));
    let rows = [
        ("latency", limits.latency_ms.map(|limit| format!("at most {limit} ms (p90)"))),
        ("peak memory", bytes(limits.memory_bytes)),
        ("model file", bytes(limits.model_bytes)),
        ("accuracy", limits.accuracy.map(|limit| format!("at least {limit}"))),
    ];
    rows.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect()
}

fn show_text(shown: &Shown) -> String {
    let target = &shown.target;
    let mut rows = vec![
        ("board", target.title.clone()),
        ("triple", target.triple.clone()),
        ("glibc at least", target.glibc.as_ref().map_or("any".to_owned(), ToString::to_string)),
    ];
    if let Some(processor) = &target.processor {
        rows.push(("processor", format!("{} × {}", processor.cores, processor.name)));
        rows.push(("clock", format!("{} MHz", processor.clock_mhz)));
    }
    if !target.memory_mib.is_empty() {
        let sizes: Vec<String> = target.memory_mib.iter().map(ToString::to_string).collect();
        rows.push(("memory", format!("{} MiB", sizes.join(", "))));
    }
    let sensors = [
        ("temperature", &target.sensors.temperature),
        ("throttling", &target.sensors.throttle),
        ("power", &target.sensors.power),
    ];
    rows.extend(sensors.into_iter().filter_map(|(name, sensor)| sensor.clone().map(|sensor| (name, sensor))));
    rows.extend(limits(target));
    let mut text: String =
        rows.iter().map(|(name, value)| wrapped(&format!("{name:<15} "), value, 16)).collect();
    for note in &target.notes {
        text += &wrapped("note            ", note, 16);
    }
    text.push_str("\nWays to build the runner here, preferred first:\n");
    for way in &shown.ways {
        let state = if way.is_possible() { "possible" } else { "not here" };
        text += &wrapped(&format!("  {state}  "), way.name.description(), 12);
        for obstacle in &way.obstacles {
            let sentence = format!("{}; run: {}", obstacle.problem, obstacle.install);
            text += &wrapped("            ", &sentence, 12);
        }
    }
    text
}
