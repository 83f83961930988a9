//! `mfactor space`: the search space, or one architecture of it.

use std::path::PathBuf;

use clap::Args;
use mfactor::layers::{Layer, Operation};
use mfactor::{Architecture, Cost, Objective, SearchSpace, cost};
use serde::Serialize;

use crate::output::{Output, table, thousands, wrapped};

/// Show the search space, or one architecture of it: layers, parameters, MACs, bytes, S'
#[derive(Args)]
#[command(after_help = "Example:\n  mfactor space\n  mfactor space 357-333-377")]
pub struct Space {
    /// Architecture to show, for example 357-333-377
    id: Option<String>,
    /// Search space, a TOML file; the paper's if not given
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
}

/// What `--json` prints of a space.
#[derive(Serialize)]
struct SpaceFacts<'a> {
    space: &'a SearchSpace,
    architectures: u64,
    smallest: ArchitectureFacts,
    largest: ArchitectureFacts,
}

/// What `--json` prints of an architecture.
#[derive(Serialize)]
struct ArchitectureFacts {
    architecture: Architecture,
    #[serde(flatten)]
    cost: Cost,
    size_score: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer>,
}

impl Space {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let space = load(self.space.as_deref())?;
        let Some(id) = self.id else {
            let facts = SpaceFacts {
                space: &space,
                architectures: space.size(),
                smallest: facts(&space, space.smallest()),
                largest: facts(&space, space.largest()),
            };
            return output.result(&facts, || space_text(&facts));
        };
        let architecture: Architecture = id.parse()?;
        space.check(&architecture)?;
        let facts = ArchitectureFacts { layers: space.lower(&architecture), ..facts(&space, architecture) };
        output.result(&facts, || architecture_text(&facts))
    }
}

/// The space in the file, or the paper's.
pub fn load(path: Option<&std::path::Path>) -> mfactor::Result<SearchSpace> {
    path.map_or_else(|| Ok(SearchSpace::paper()), SearchSpace::load)
}

fn facts(space: &SearchSpace, architecture: Architecture) -> ArchitectureFacts {
    let cost = space.cost(&architecture);
    let objective = Objective::new(1.0, space.minimum_parameters()).expect("1 is a valid alpha");
    let size_score = objective.size_score(cost.parameters);
    ArchitectureFacts { architecture, cost, size_score, layers: vec![] }
}

fn space_text(facts: &SpaceFacts) -> String {
    let image = facts.space.image();
    let stages = table(
        &["stage", ">blocks", ">width", ">stride", "kernels of conv1"],
        facts.space.stages().iter().zip(1..).map(|(stage, number)| {
            let kernels: Vec<String> = stage.kernels.iter().map(ToString::to_string).collect();
            [
                format!("stage{number}"),
                stage.blocks.to_string(),
                stage.width.to_string(),
                stage.stride.to_string(),
                kernels.join(", "),
            ]
        }),
    );
    let extremes = table(
        &["", "architecture", ">parameters", ">MACs", ">bytes", ">S'"],
        [("smallest", &facts.smallest), ("largest", &facts.largest)].map(|(name, facts)| {
            let [parameters, macs, bytes] =
                [facts.cost.parameters, facts.cost.macs, facts.cost.model_bytes].map(thousands);
            let size_score = format!("{:.4}", facts.size_score);
            [name.to_owned(), facts.architecture.to_string(), parameters, macs, bytes, size_score]
        }),
    );
    format!(
        "Space {}: {} architectures, images {}×{}×{}, {} classes\n\n{stages}\n{extremes}",
        facts.space.name(),
        thousands(facts.architectures),
        image.channels,
        image.height,
        image.width,
        facts.space.classes(),
    )
}

fn architecture_text(facts: &ArchitectureFacts) -> String {
    let shown = facts.layers.iter().filter(|layer| !layer.tensors().is_empty());
    let layers = table(
        &["layer", "operation", ">output", ">parameters", ">MACs"],
        shown.map(|layer| {
            let output = layer.output;
            [
                layer.name.clone(),
                operation_text(&layer.operation),
                format!("{}×{}×{}", output.channels, output.height, output.width),
                thousands(cost::parameters(layer)),
                thousands(layer.macs()),
            ]
        }),
    );
    let sum = format!(
        "{} parameters, {} MACs, {} bytes of f32 weights, S' {:.4}",
        thousands(facts.cost.parameters),
        thousands(facts.cost.macs),
        thousands(facts.cost.model_bytes),
        facts.size_score,
    );
    format!("{layers}\n{}", wrapped(&format!("{}: ", facts.architecture), &sum, 2))
}

fn operation_text(operation: &Operation) -> String {
    match operation {
        Operation::Convolution { kernel, stride: 1, .. } => format!("conv {kernel}×{kernel}"),
        Operation::Convolution { kernel, stride, .. } => format!("conv {kernel}×{kernel} /{stride}"),
        Operation::BatchNorm { .. } => "batch norm".to_owned(),
        Operation::Linear { .. } => "linear".to_owned(),
        Operation::Image => "image".to_owned(),
        Operation::Relu => "relu".to_owned(),
        Operation::Add => "add".to_owned(),
        Operation::GlobalAveragePool => "average pool".to_owned(),
    }
}
