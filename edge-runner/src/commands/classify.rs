//! `edge-runner classify`: what a model sees in one image.

use std::path::PathBuf;

use clap::Args;
use edge_runner::classify::{Classification, classify};
use mfactor::text::visible;
use mfactor::{Result, exit};

use crate::commands::EngineArguments;
use crate::output::Output;

/// Say what a model sees in one image
#[derive(Args)]
#[command(after_help = "Examples:\n  edge-runner classify models/357-333-377.onnx cat.jpg\n  \
                  edge-runner classify models/357-333-377.onnx test_batch.bin --record 7")]
pub struct Arguments {
    /// The model
    model: PathBuf,
    /// A PNG, JPEG, WebP or BMP picture, of which the middle with the proportions of the model's input is resized to it, as
    /// `mfactor data import` does; with --record, a file of records
    image: PathBuf,
    /// Number of a record in the file, from 0
    #[arg(long, value_name = "N")]
    record: Option<usize>,
    /// Number of classes to print
    #[arg(long, value_name = "N", default_value_t = 3)]
    top: usize,
    #[command(flatten)]
    engine: EngineArguments,
}

/// Runs the command.
pub fn run(arguments: &Arguments, output: &Output) -> Result<u8> {
    let options = arguments.engine.options();
    let mut answer = classify(&arguments.model, &arguments.image, arguments.record, &options)?;
    answer.classes.truncate(arguments.top);
    output.result(&answer, || text(&answer))?;
    Ok(exit::DONE)
}

fn text(answer: &Classification) -> String {
    let mut text: String = answer
        .classes
        .iter()
        .map(|class| format!("{:>6.2} %  {}\n", 100.0 * class.probability, visible(&class.class)))
        .collect();
    if let Some(label) = &answer.label {
        text.push_str(&format!("label     {}\n", visible(label)));
    }
    text
}
