//! `edge-runner board`: what this machine is, and the state it is in.

use clap::Args;
use edge_runner::board;
use edge_runner::sensors::Sensors;
use edge_runner::system::SystemTree;
use mfactor::columns::facts;
use mfactor::measurement::{Board, Conditions};
use mfactor::numbers::bytes;
use mfactor::{Result, exit};
use release::SensorChoice;
use serde::Serialize;

use crate::output::Output;

/// Show what this machine is and the state it is in
#[derive(Args)]
#[command(after_help = "Example:\n  edge-runner board --json")]
pub struct Arguments {}

#[derive(Serialize)]
struct Report {
    board: Board,
    conditions: Conditions,
}

/// Runs the command.
pub fn run(output: &Output) -> Result<u8> {
    let tree = SystemTree::live();
    let conditions = board::conditions(&tree, &Sensors::find(&tree, &SensorChoice::default()), None);
    let report = Report { board: board::facts(&tree), conditions };
    output.result(&report, || text(&report))?;
    Ok(exit::DONE)
}

fn temperature(conditions: &Conditions) -> String {
    match (conditions.temperature_celsius, conditions.temperature_sensor.as_deref()) {
        (None, _) => "unknown".to_owned(),
        (Some(celsius), None | Some("")) => format!("{celsius:.0} °C"),
        (Some(celsius), Some(sensor)) => format!("{celsius:.0} °C ({sensor})"),
    }
}

fn text(Report { board, conditions }: &Report) -> String {
    let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let number = |value: Option<f64>, unit: &str| {
        value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.0} {unit}"))
    };
    let megahertz = |khz: Option<u64>| number(khz.map(|khz| khz as f64 / 1000.0), "MHz");
    facts([
        ("board", board.name.clone()),
        ("processor", format!("{}, {}, {} cores", board.architecture, told(&board.processor), board.cores)),
        ("kernel", told(&board.kernel)),
        ("memory", board.memory_bytes.map_or_else(|| "unknown".to_owned(), bytes)),
        ("governor", told(&conditions.governor)),
        (
            "frequency",
            format!(
                "{}, at most {}",
                megahertz(conditions.frequency_khz),
                megahertz(conditions.maximum_frequency_khz)
            ),
        ),
        ("temperature", temperature(conditions)),
        (
            "throttle bits",
            conditions.throttle_bits.map_or_else(|| "unknown".to_owned(), |bits| format!("{bits:#x}")),
        ),
        ("emulated", if board.emulated { "yes: times mean nothing" } else { "no" }.to_owned()),
    ])
}
