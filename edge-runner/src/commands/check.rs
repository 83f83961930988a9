//! `edge-runner check`: the golden inputs through models, which is also a release's health check.

use std::path::PathBuf;

use clap::Args;
use edge_runner::health::check_model;
use mfactor::text::visible;
use mfactor::{Result, exit};
use release::ModelHealth;

use crate::commands::EngineArguments;
use crate::output::Output;

/// Check that models give here the answers that they gave where they were exported
#[derive(Args)]
#[command(after_help = "Example:\n  edge-runner check models/*.onnx")]
pub struct Arguments {
    /// The models
    #[arg(required = true)]
    models: Vec<PathBuf>,
    #[command(flatten)]
    engine: EngineArguments,
}

/// Runs the command. The exit code is [`exit::INVALID`] if a model answers otherwise.
pub fn run(arguments: &Arguments, output: &Output) -> Result<u8> {
    let options = arguments.engine.options();
    let health: Vec<ModelHealth> =
        arguments.models.iter().map(|model| check_model(model, &options)).collect::<Result<_>>()?;
    output.result(&health, || health.iter().map(line).collect())?;
    Ok(if health.iter().all(|model| model.is_healthy) { exit::DONE } else { exit::INVALID })
}

fn line(health: &ModelHealth) -> String {
    let difference = health.golden_difference.map_or("no number".to_owned(), |value| format!("{value:.1e}"));
    let verdict = if health.is_healthy { "healthy" } else { "NOT HEALTHY" };
    format!("{:<32}difference {difference:<10}{verdict}\n", visible(&health.model))
}
