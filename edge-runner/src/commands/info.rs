//! `edge-runner info`: what a model file says about itself, and what is counted in it.

use std::path::PathBuf;

use clap::Args;
use engines::ModelFile;
use engines::graph::GraphFacts;
use mfactor::columns::facts;
use mfactor::numbers::{bytes, percent, thousands};
use mfactor::{ModelMetadata, Result, exit};
use serde::Serialize;

use crate::output::Output;

/// Show what a model file says about itself, and what is counted in it
#[derive(Args)]
#[command(after_help = "Example:\n  edge-runner info models/357-333-377.onnx")]
pub struct Arguments {
    /// The model
    model: PathBuf,
}

#[derive(Serialize)]
struct Report {
    file: String,
    sha256: String,
    model_bytes: usize,
    /// Recounted from the graph.
    counted: GraphFacts,
    metadata: ModelMetadata,
}

/// Runs the command.
pub fn run(arguments: &Arguments, output: &Output) -> Result<u8> {
    let model = ModelFile::read(&arguments.model)?;
    let report = Report {
        file: model.name(),
        model_bytes: model.bytes.len(),
        sha256: model.sha256(),
        counted: model.graph,
        metadata: model.metadata,
    };
    output.result(&report, || text(&report))?;
    Ok(exit::DONE)
}

fn text(Report { file, sha256, model_bytes, counted, metadata }: &Report) -> String {
    let image = counted.signature.image;
    let compared = |counted: u64, told: u64| match counted == told {
        true => thousands(counted),
        false => format!("{counted} counted, {told} in the metadata: they should be the same"),
    };
    let operators: Vec<String> =
        counted.operators.iter().map(|(operator, count)| format!("{count} {operator}")).collect();
    facts([
        ("file", format!("{file}, {}", bytes(*model_bytes as u64))),
        ("sha256", sha256.clone()),
        ("architecture", format!("{} of space {}", metadata.architecture, metadata.space.name())),
        ("parameters", compared(counted.parameters, metadata.parameters)),
        ("macs", compared(counted.macs, metadata.macs)),
        ("input", format!("image, u8 [batch, {}, {}, {}]", image.channels, image.height, image.width)),
        ("classes", metadata.classes.join(", ")),
        (
            "accuracy",
            format!(
                "{} validation, {} test",
                percent(metadata.validation_accuracy),
                percent(metadata.test_accuracy)
            ),
        ),
        ("M-factor", format!("{:.4} (α = {})", metadata.m_factor, metadata.alpha)),
        (
            "trained",
            format!(
                "on {}, {} epochs, seed {}, trial {} of study {} ({})",
                metadata.data,
                metadata.recipe.epochs,
                metadata.seed,
                metadata.trial,
                metadata.study,
                metadata.strategy
            ),
        ),
        ("weights", metadata.precision.clone()),
        ("operators", format!("{} (opset {})", operators.join(", "), counted.opset)),
        ("written by", format!("mfactor {}", metadata.tool_version)),
    ])
}
