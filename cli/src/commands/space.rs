//! `mfactor space`: the search space, or one architecture of it.

use std::path::PathBuf;

use clap::Args;
use mfactor::cost::Count;
use mfactor::layers::Layer;
use mfactor::space::Stage;
use mfactor::{Architecture, Cost, Error, Objective, SearchSpace, cost};
use serde::Serialize;

use crate::output::{Output, table, thousands, wrapped};

/// Show a search space and its exact extremes, or one architecture of it: layers, parameters, MACs, bytes, S'
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor space
  mfactor space 357-333-377
  mfactor space --space edge32
  mfactor space --space edge32 s16-w16.b3-w32.i3e4.i3e4-w64.i5e4.i3e6
  mfactor space --accuracy 0.75        what could win, where the smallest reaches 75 %")]
pub struct Space {
    /// Architecture to show, for example 357-333-377
    id: Option<String>,
    #[arg(long, value_name = "FILE", help = format!("Search space: a TOML file, or one that ships: {}; the paper's if not given", shipped()))]
    space: Option<PathBuf>,
    /// Say what could win by M if the smallest architecture reaches this accuracy, a fraction of 1
    #[arg(long, value_name = "A", conflicts_with = "id", allow_negative_numbers = true)]
    accuracy: Option<f64>,
    /// Weight of the M-factor
    #[arg(long, requires = "accuracy", default_value_t = 1.0, allow_negative_numbers = true)]
    alpha: f64,
}

/// Names of the spaces that ship.
fn shipped() -> String {
    mfactor::space::shipped::names().collect::<Vec<_>>().join(", ")
}

/// Largest space that is counted one by one.
const MOST_COUNTED: u128 = 1_000_000;

/// What `--json` prints of a space.
#[derive(Serialize)]
struct SpaceFacts<'a> {
    space: &'a SearchSpace,
    architectures: u128,
    smallest: ArchitectureFacts,
    largest: ArchitectureFacts,
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<Reach>,
    extremes: Vec<CountExtremes>,
}

/// What could win by the paper's M at all.
#[derive(Serialize)]
struct Reach {
    /// Of the smallest architecture.
    accuracy: f64,
    alpha: f64,
    /// R: nothing with more than R times the parameters of the smallest can win.
    reach: f64,
    /// R times the parameters of the smallest.
    most_parameters: f64,
    /// Architectures within; `None` where the space is too large to count.
    #[serde(skip_serializing_if = "Option::is_none")]
    architectures: Option<u64>,
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
                reach: self.accuracy.map(|accuracy| reach(&space, accuracy, self.alpha)).transpose()?,
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
    let objective = Objective::paper(1.0, space.minimum_parameters()).expect("1 is a valid alpha");
    let size_score = objective.exact_size_score(&cost);
    ArchitectureFacts { architecture, cost, size_score, layers: vec![] }
}

/// What could win where the smallest architecture has this accuracy.
fn reach(space: &SearchSpace, accuracy: f64, alpha: f64) -> mfactor::Result<Reach> {
    if !(accuracy > 0.0 && accuracy <= 1.0) {
        return Err(Error::input(
            "accuracy",
            format!("is {accuracy}; it is a fraction above 0 and at most 1"),
        ));
    }
    let objective = Objective::paper(alpha, space.minimum_parameters())?;
    let reach = objective.reach(accuracy);
    let most_parameters = reach * space.minimum_parameters() as f64;
    let is_within =
        |architecture: &Architecture| space.cost(architecture).parameters as f64 <= most_parameters;
    let count = || space.architectures().filter(is_within).count() as u64;
    let architectures = (space.size() <= MOST_COUNTED).then(count);
    Ok(Reach { accuracy, alpha, reach, most_parameters, architectures })
}

fn reach_text(reach: &Reach, size: u128) -> String {
    let count = reach.architectures.map_or(String::new(), |count| {
        format!(" {} of {} architectures have no more.", thousands(count), thousands(size))
    });
    let text = format!(
        "If the smallest reaches accuracy {}, nothing with more than {:.3} times its parameters ({}) can have a larger M at \
         α = {}.{count}",
        reach.accuracy,
        reach.reach,
        thousands(reach.most_parameters as u64),
        reach.alpha
    );
    format!("\n{}", wrapped("Reach: ", &text, 2))
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
    let reach = facts.reach.as_ref().map_or(String::new(), |reach| reach_text(reach, facts.architectures));
    format!(
        "Space {}: {} architectures, images {}×{}×{}, {} classes\n\n{stages}\n{ends}\n{counts}{reach}",
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
        thousands(facts.cost.peak_activations),
        facts.size_score,
    );
    format!("{layers}\n{}", wrapped(&format!("{}: ", facts.architecture), &sum, 2))
}
