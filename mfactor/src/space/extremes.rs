//! The smallest and largest networks of a space, exactly, without lowering all of them.
//!
//! What a block costs depends on what it reads, on its width and its stride alone, and what a network costs is the sum
//! of its blocks (for activations the largest of them). So the best way to each shape between two stages is a best way to
//! a shape one stage before and the best blocks from there: a dynamic programme over stages and shapes.

use std::collections::{BTreeMap, HashMap};

use crate::architecture::Architecture;
use crate::layers::Layer;
use crate::space::block::Block;
use crate::space::cost::Count;
use crate::space::network::Network;
use crate::space::parts::Part;
use crate::space::point::Point;
use crate::space::{Choose, ImageShape, SearchSpace, Stage};

/// What parts of networks cost, where the cost of a network is made of theirs.
pub trait Additive {
    /// The cost of a part of a network, whose layers these are. Those of the last one hold the pool and the linear layer too,
    /// and there may be nothing else: then there is no part.
    fn of_part(&self, part: Option<&Part>, layers: &[Layer]) -> i64;

    /// The cost of two runs of parts, one after the other, given those of each.
    fn join(&self, one: i64, other: i64) -> i64;
}

impl Additive for Count {
    fn of_part(&self, _: Option<&Part>, layers: &[Layer]) -> i64 {
        self.of(layers) as i64
    }

    fn join(&self, one: i64, other: i64) -> i64 {
        match self {
            Self::Parameters | Self::Macs | Self::ModelBytes => one + other,
            Self::PeakActivations => one.max(other),
        }
    }
}

/// An architecture at one end of a space, and its cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extreme {
    /// One with this cost; the first by its point where several have it and costs are sums.
    pub architecture: Architecture,
    /// The cost.
    pub value: u64,
}

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Smallest,
    Largest,
}

/// The best way to a shape: its cost so far, and the options taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    value: i64,
    options: Vec<u8>,
}

/// What it costs, from which end, and what single blocks were found to cost.
struct Programme<'a> {
    space: &'a SearchSpace,
    costs: &'a dyn Additive,
    end: End,
    blocks: HashMap<Part, (i64, ImageShape)>,
}

impl SearchSpace {
    /// The architecture with the fewest parameters.
    pub fn smallest(&self) -> Architecture {
        self.minimum(Count::Parameters).architecture
    }

    /// The architecture with the most parameters.
    pub fn largest(&self) -> Architecture {
        self.maximum(Count::Parameters).architecture
    }

    /// P_min: trainable parameters of the smallest architecture.
    pub fn minimum_parameters(&self) -> u64 {
        self.minimum(Count::Parameters).value
    }

    /// An architecture with the least of a cost.
    pub fn minimum(&self, count: Count) -> Extreme {
        self.extreme(count, End::Smallest)
    }

    /// An architecture with the most of a cost.
    pub fn maximum(&self, count: Count) -> Extreme {
        self.extreme(count, End::Largest)
    }

    fn extreme(&self, count: Count, end: End) -> Extreme {
        let (architecture, value) = self.end(&count, end);
        Extreme { architecture, value: value as u64 }
    }

    /// The architecture that costs the least, and what it costs.
    pub fn cheapest(&self, costs: &dyn Additive) -> (Architecture, i64) {
        self.end(costs, End::Smallest)
    }

    /// The architecture that costs the most, and what it costs.
    pub fn dearest(&self, costs: &dyn Additive) -> (Architecture, i64) {
        self.end(costs, End::Largest)
    }

    fn end(&self, costs: &dyn Additive, end: End) -> (Architecture, i64) {
        let Way { value, options } = Programme { space: self, costs, end, blocks: HashMap::new() }.run();
        (self.architecture(&Point::new(options)), value)
    }
}

impl Programme<'_> {
    fn run(mut self) -> Way {
        let mut ways: BTreeMap<ImageShape, Way> = BTreeMap::new();
        for side in 0..self.space.sides.len().max(1) {
            let image = self.space.seen(side);
            for (width, channels) in self.space.stem.widths.iter().enumerate() {
                let mut network = Network::new(image);
                self.space.lower_stem(&mut network, *channels);
                let options = self
                    .chosen(side, self.space.sides.len())
                    .chain(self.chosen(width, self.space.stem.widths.len()));
                let part = Part::Stem { image, width: *channels };
                let value = self.costs.of_part(Some(&part), &network.layers);
                let way = Way { value, options: options.collect() };
                self.offer(&mut ways, shape(&network.layers), way);
            }
        }
        for number in 0..self.space.stages.len() {
            ways = self.stage(ways, number);
        }
        self.head(ways)
    }

    /// The option as part of a point, where there is a choice.
    fn chosen(&self, option: usize, count: usize) -> impl Iterator<Item = u8> + use<> {
        (count > 1).then_some(option as u8).into_iter()
    }

    /// The best ways to the shapes after a stage, given those before it.
    fn stage(&mut self, before: BTreeMap<ImageShape, Way>, number: usize) -> BTreeMap<ImageShape, Way> {
        let space = self.space;
        let stage = &space.stages[number];
        let mut after = BTreeMap::new();
        for (input, way) in before {
            for (width, channels) in stage.widths.iter().enumerate() {
                for (depth, blocks) in stage.depths.iter().enumerate() {
                    let (value, output, chosen) = self.blocks(stage, input, *channels, *blocks);
                    let mut options = way.options.clone();
                    options.extend(self.chosen(width, stage.widths.len()));
                    options.extend(self.chosen(depth, stage.depths.len()));
                    options.extend(chosen);
                    self.offer(&mut after, output, Way { value: self.costs.join(way.value, value), options });
                }
            }
        }
        after
    }

    /// The best blocks of a stage of this width and depth: their cost, what they give, and the options of their choices.
    fn blocks(
        &mut self,
        stage: &Stage,
        input: ImageShape,
        width: usize,
        depth: usize,
    ) -> (i64, ImageShape, Vec<u8>) {
        let costs = |programme: &mut Self, input: ImageShape, stride: usize| -> Vec<(i64, ImageShape)> {
            stage.options.iter().map(|option| programme.block(input, width, stride, option)).collect()
        };
        let first = costs(self, input, stage.stride);
        let output = first[0].1;
        // Where there is no later block, nothing may know what one would cost.
        let later = if depth > 1 { costs(self, output, 1) } else { first.clone() };
        let together = |this: &Self, first: i64, later: i64| {
            (1..depth).fold(first, |sum, _| this.costs.join(sum, later))
        };
        let (value, mut chosen) = match stage.choose {
            Choose::Block => {
                let [first_option, option] =
                    [&first, &later].map(|costs| self.best(costs.iter().map(|cost| cost.0)));
                let chosen = (0..depth)
                    .map(|block| if block == 0 { first_option } else { option })
                    .collect::<Vec<_>>();
                (together(self, first[first_option].0, later[option].0), chosen)
            }
            Choose::Stage => {
                let sums: Vec<i64> =
                    first.iter().zip(&later).map(|(first, later)| together(self, first.0, later.0)).collect();
                let option = self.best(sums.iter().copied());
                (sums[option], vec![option])
            }
        };
        chosen.resize(stage.block_choices(), 0);
        let is_choice = self.space.is_block_choice(stage);
        let options = chosen.into_iter().filter(|_| is_choice).map(|option| option as u8);
        (value, output, options.collect())
    }

    /// Position of the best value; the first of equal ones.
    fn best(&self, values: impl Iterator<Item = i64>) -> usize {
        let ranked = values.enumerate().min_by_key(|(_, value)| self.rank(*value));
        ranked.expect("a stage has blocks to choose from").0
    }

    /// The less, the better.
    fn rank(&self, value: i64) -> i64 {
        match self.end {
            End::Smallest => value,
            End::Largest => -value,
        }
    }

    /// Cost and output of one block.
    fn block(&mut self, input: ImageShape, width: usize, stride: usize, block: &Block) -> (i64, ImageShape) {
        let costs = self.costs;
        let part = Part::Block { input, width, stride, block: *block };
        *self.blocks.entry(part).or_insert_with(|| {
            let mut network = Network::new(input);
            network.block("block", 0, width, block, stride);
            (costs.of_part(Some(&part), &network.layers), shape(&network.layers))
        })
    }

    fn head(&self, ways: BTreeMap<ImageShape, Way>) -> Way {
        let mut ends = BTreeMap::new();
        for (input, way) in ways {
            for (width, channels) in self.space.head.iter().enumerate() {
                let mut network = Network::new(input);
                self.space.lower_head(&mut network, 0, *channels);
                let mut options = way.options.clone();
                options.extend(self.chosen(width, self.space.head.len()));
                let part = (*channels > 0).then_some(Part::Head { input, width: *channels });
                let value = self.costs.join(way.value, self.costs.of_part(part.as_ref(), &network.layers));
                self.offer(&mut ends, shape(&network.layers), Way { value, options });
            }
        }
        ends.into_values().next().expect("a validated space has a network")
    }

    /// Keeps the better of two ways to one shape.
    fn offer(&self, ways: &mut BTreeMap<ImageShape, Way>, shape: ImageShape, way: Way) {
        let rank = |way: &Way| (self.rank(way.value), way.options.clone());
        match ways.get_mut(&shape) {
            Some(best) if rank(&way) < rank(best) => *best = way,
            Some(_) => {}
            None => drop(ways.insert(shape, way)),
        }
    }
}

fn shape(layers: &[Layer]) -> ImageShape {
    layers[layers.len() - 1].output
}

/// Characters of the longest id of a space, which is that of the deepest network with the longest of all words.
pub(super) fn longest_id(space: &SearchSpace) -> usize {
    if space.names_kernels_alone {
        return 0;
    }
    let digits =
        |numbers: &[usize]| numbers.iter().map(|number| number.to_string().len() + 2).max().unwrap_or(0);
    let token =
        |stage: &Stage| stage.options.iter().map(|option| option.to_string().len() + 1).max().unwrap_or(0);
    let stages = space.stages.iter().map(|stage| digits(&stage.widths) + stage.deepest() * token(stage));
    digits(&space.sides) + digits(&space.stem.widths) + stages.sum::<usize>() + digits(&space.head)
}
