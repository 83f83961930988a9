//! `mfactor space`: the search space, or one architecture of it.

use std::path::PathBuf;

use clap::Args;
use mfactor::cost::Count;
use mfactor::layers::Layer;
use mfactor::space::Stage;
use mfactor::{Architecture, Cost, Objective, SearchSpace, cost};
use serde::Serialize;

use crate::output::{Output, table, thousands, wrapped};

/// Show a search space and its exact extremes, or one architecture of it: layers, parameters, MACs, bytes, S'
#[derive(Args)]
#[command(
    after_help = "Example:\n  mfactor space\n  mfactor space 357-333-377\n  mfactor space --space edge32\n  mfactor space --space edge32 s16-w16.b3-w32.i3e4.i3e4-w64.i5e4.i3e6"
)]
pub struct Space {
    /// Architecture to show, for example 357-333-377
    id: Option<String>,
    /// Search space: a TOML file, or paper, width32, edge32, edge96, nas-bench-macro or resnet8-mlperf-tiny, which ship;
    /// the paper's if not given
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
}

/// What `--json` prints of a space.
#[derive(Serialize)]
struct SpaceFacts<'a> {
    space: &'a SearchSpace,
    architectures: u128,
    smallest: ArchitectureFacts,
    largest: ArchitectureFacts,
    extremes: Vec<CountExtremes>,
}

/// What `--json` prints of one cost over the whole space.
#[derive(Serialize)]
struct CountExtremes {
    count: Count,
    least: u64,
    least_of: Architecture,
    most: u64,
    most_of: Architecture,
}

/// What `--json` prints of an architecture.
#[derive(Serialize)]
struct ArchitectureFacts {
    architecture: Architecture,
    #[serde(flatten)]
    cost: Cost,
    peak_activation_bytes: u64,
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
                extremes: Count::ALL.map(|count| extremes(&space, count)).into(),
            };
            return output.result(&facts, || space_text(&facts));
        };
        let architecture: Architecture = id.parse()?;
        space.check(&architecture)?;
        let facts = ArchitectureFacts { layers: space.lower(&architecture), ..facts(&space, architecture) };
        output.result(&facts, || architecture_text(&facts))
    }
}

/// The least and the most of one cost over the whole space.
fn extremes(space: &SearchSpace, count: Count) -> CountExtremes {
    let (least, most) = (space.minimum(count), space.maximum(count));
    CountExtremes {
        count,
        least: least.value,
        least_of: least.architecture,
        most: most.value,
        most_of: most.architecture,
    }
}

/// The space in the file or of the name, or the paper's.
pub fn load(path: Option<&std::path::Path>) -> mfactor::Result<SearchSpace> {
    path.map_or_else(|| Ok(SearchSpace::paper()), SearchSpace::load)
}

fn facts(space: &SearchSpace, architecture: Architecture) -> ArchitectureFacts {
    let cost = space.cost(&architecture);
    let objective = Objective::new(1.0, space.minimum_parameters()).expect("1 is a valid alpha");
    let size_score = objective.size_score(cost.parameters);
    let peak_activation_bytes = Count::PeakActivations.of(&space.lower(&architecture));
    ArchitectureFacts { architecture, cost, peak_activation_bytes, size_score, layers: vec![] }
}

fn space_text(facts: &SpaceFacts) -> String {
    let image = facts.space.image();
    let stages = stages_text(facts.space);
    let ends = [("smallest", &facts.smallest), ("largest", &facts.largest)];
    let ends = if facts.space.names_kernels_alone() {
        let row = |(name, facts): (&str, &ArchitectureFacts)| {
            let [parameters, macs, bytes] =
                [facts.cost.parameters, facts.cost.macs, facts.cost.model_bytes].map(thousands);
            let size_score = format!("{:.4}", facts.size_score);
            [name.to_owned(), facts.architecture.to_string(), parameters, macs, bytes, size_score]
        };
        table(&["", "architecture", ">parameters", ">MACs", ">bytes", ">S'"], ends.map(row))
    } else {
        // Ids are too long for a table.
        let line = |(name, facts): (&str, &ArchitectureFacts)| format!("{name}: {}\n", facts.architecture);
        ends.map(line).concat()
    };
    let counts = table(
        &["over the space", ">least", ">most"],
        facts.extremes.iter().map(|extremes| {
            let [least, most] = [extremes.least, extremes.most].map(thousands);
            [extremes.count.title().to_owned(), least, most]
        }),
    );
    format!(
        "Space {}: {} architectures, images {}×{}×{}, {} classes\n\n{stages}\n{ends}\n{counts}",
        facts.space.name(),
        thousands(facts.architectures),
        image.channels,
        image.height,
        image.width,
        facts.space.classes(),
    )
}

/// What there is to choose, stage by stage.
fn stages_text(space: &SearchSpace) -> String {
    if space.names_kernels_alone() {
        let row = |(stage, number): (&Stage, usize)| {
            let kernels: Vec<String> = stage.options.iter().map(|option| option.kernel.to_string()).collect();
            let [blocks, widths] = [&stage.depths, &stage.widths].map(|values| words(values));
            [format!("stage{number}"), blocks, widths, stage.stride.to_string(), kernels.join(", ")]
        };
        let header = ["stage", ">blocks", ">width", ">stride", "kernels of conv1"];
        return table(&header, space.stages().iter().zip(1..).map(row));
    }
    let end = |name: &str, widths: &[usize], stride: usize| {
        [name.to_owned(), String::new(), words(widths), stride.to_string(), String::new()]
    };
    let rows = space.stages().iter().zip(1..).map(|(stage, number)| {
        let [depths, widths] = [&stage.depths, &stage.widths].map(|values| words(values));
        [format!("stage{number}"), depths, widths, stage.stride.to_string(), words(&stage.options)]
    });
    let rows = [end("stem", &space.stem().widths, space.stem().stride)].into_iter().chain(rows);
    let rows = rows.chain([end("head", space.head(), 1)]);
    let sides = match space.sides() {
        [] => String::new(),
        sides => format!("\nsides of the image that networks see: {}\n", words(sides)),
    };
    table(&["stage", "depth", "width", ">stride", "blocks"], rows) + &sides
}

/// Values side by side, with spaces, so that eight of them fit into a line.
fn words<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn architecture_text(facts: &ArchitectureFacts) -> String {
    let shown = facts.layers.iter().filter(|layer| !layer.tensors().is_empty());
    let layers = table(
        &["layer", "operation", ">output", ">parameters", ">MACs"],
        shown.map(|layer| {
            let output = layer.output;
            [
                layer.name.clone(),
                layer.operation.title(),
                format!("{}×{}×{}", output.channels, output.height, output.width),
                thousands(cost::parameters(layer)),
                thousands(layer.macs()),
            ]
        }),
    );
    let sum = format!(
        "{} parameters, {} MACs, {} bytes of f32 weights, {} of activations at once, S' {:.4}",
        thousands(facts.cost.parameters),
        thousands(facts.cost.macs),
        thousands(facts.cost.model_bytes),
        thousands(facts.peak_activation_bytes),
        facts.size_score,
    );
    format!("{layers}\n{}", wrapped(&format!("{}: ", facts.architecture), &sum, 2))
}
