//! `mfactor targets`: the boards, and the runner built for one.

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;
use targets::{BuildEvent, BuildOptions, Target, Way};

use crate::output::{Output, table, thousands};

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
        }
    }
}

fn build(name: &str, output: &Output) -> anyhow::Result<()> {
    let target = targets::load(name)?;
    let options = BuildOptions { workspace: targets::find_workspace(Path::new("."))? };
    let built = targets::build(&target, &options, &mut |event| match event {
        BuildEvent::Way { description, .. } => output.say(format!("Building with {description}")),
        BuildEvent::Command { line } => output.say(line),
        BuildEvent::Line { text } => output.detail(text),
    })?;
    output.result(&built, || {
        let glibc = built.glibc.as_ref().map_or(String::new(), |glibc| format!(", needs glibc {glibc}"));
        let bytes = thousands(built.bytes);
        format!("{}\n{bytes} bytes, {}{glibc}\n", built.path.display(), built.architecture)
    })
}

fn list_text(boards: &[Target]) -> String {
    let rows = boards.iter().map(|board| {
        let cores = board.processor.as_ref().map_or(String::new(), |processor| {
            format!("{} × {} at {} MHz", processor.cores, processor.name, processor.clock_mhz)
        });
        [board.name.clone(), board.title.clone(), board.triple.clone(), cores]
    });
    table(&["name", "board", "triple", "processor"], rows)
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
    let mut text: String = rows.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect();
    for note in &target.notes {
        text.push_str(&format!("note            {note}\n"));
    }
    text.push_str("\nWays to build the runner here, preferred first:\n");
    for way in &shown.ways {
        let state = if way.is_possible() { "possible" } else { "not here" };
        text.push_str(&format!("  {state}  {}\n", way.name.description()));
        for obstacle in &way.obstacles {
            text.push_str(&format!("            {}; run: {}\n", obstacle.problem, obstacle.install));
        }
    }
    text
}
