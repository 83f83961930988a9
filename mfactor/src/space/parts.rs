//! What the networks of a space are put together from: so few parts that each can be measured, however many networks there are.

use std::collections::BTreeSet;
use std::fmt;

use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::space::block::Block;
use crate::space::network::Network;
use crate::space::plan::Plan;
use crate::space::point::Point;
use crate::space::{Choose, ImageShape, SearchSpace, Stage, Stem};

/// Least side of an image that a network may see.
const LEAST_SIDE: usize = 8;
/// Largest stride of a stem.
const LARGEST_STRIDE: usize = 4;
/// Name of the spaces of single parts.
const NAME: &str = "part";

/// A part of a network. Two parts that are equal compute the same, with other weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The first convolution.
    Stem {
        /// What it reads.
        image: ImageShape,
        /// What it gives.
        width: usize,
    },
    /// A block.
    Block {
        /// What it reads.
        input: ImageShape,
        /// Channels of the stage.
        width: usize,
        /// Stride.
        stride: usize,
        /// Which.
        block: Block,
    },
    /// The 1×1 convolution before the pool.
    Head {
        /// What it reads.
        input: ImageShape,
        /// What it gives; above 0.
        width: usize,
    },
    /// Nothing, at the seam between two parts: what it takes to bring an image to this shape, and to classify from there.
    Seam {
        /// The shape.
        shape: ImageShape,
    },
}

impl fmt::Display for Part {
    /// Its name in tables: `stem 3x32x32 w16`, `16x32x32 w24/2 i3e4`, `head 96x8x8 w128`, `seam 16x32x32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = |shape: &ImageShape| format!("{}x{}x{}", shape.channels, shape.height, shape.width);
        match self {
            Self::Stem { image, width } => write!(f, "stem {} w{width}", shape(image)),
            Self::Block { input, width, stride, block } => {
                write!(f, "{} w{width}/{stride} {block}", shape(input))
            }
            Self::Head { input, width } => write!(f, "head {} w{width}", shape(input)),
            Self::Seam { shape: at } => write!(f, "seam {}", shape(at)),
        }
    }
}

impl Part {
    /// What a network has beside this part where the part is measured, and what is taken off for it; `None` of a stem, which
    /// begins with the image, and of a seam.
    pub fn seam(&self) -> Option<Self> {
        match self {
            Self::Block { input, .. } | Self::Head { input, .. } => Some(Self::Seam { shape: *input }),
            Self::Stem { .. } | Self::Seam { .. } => None,
        }
    }

    /// The shape that it gives.
    fn output(&self, space: &SearchSpace) -> ImageShape {
        match self {
            Self::Stem { image, width } => {
                let mut network = Network::new(*image);
                let top = space.lower_stem(&mut network, *width);
                network.layers[top].output
            }
            Self::Block { input, width, stride, block } => {
                let mut network = Network::new(*input);
                let top = network.block("block", 0, *width, block, *stride);
                network.layers[top].output
            }
            Self::Head { input, width } => ImageShape { channels: *width, ..*input },
            Self::Seam { shape } => *shape,
        }
    }
}

impl SearchSpace {
    /// Every part of every network, with the seams between them, each once and in order.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = BTreeSet::new();
        let mut shapes = BTreeSet::new();
        for side in 0..self.sides.len().max(1) {
            let image = self.seen(side);
            for width in &self.stem.widths {
                let stem = Part::Stem { image, width: *width };
                parts.insert(stem);
                shapes.insert(stem.output(self));
            }
        }
        for stage in &self.stages {
            shapes = shapes.iter().flat_map(|input| self.stage_parts(stage, *input, &mut parts)).collect();
        }
        for input in shapes {
            let heads = self.head.iter().filter(|width| **width > 0);
            parts.extend(heads.map(|width| Part::Head { input, width: *width }));
        }
        let seams: Vec<Part> = parts.iter().filter_map(Part::seam).collect();
        parts.extend(seams);
        parts.into_iter().collect()
    }

    /// Adds the blocks of a stage that reads `input`; the shapes that the stage may give.
    fn stage_parts(&self, stage: &Stage, input: ImageShape, parts: &mut BTreeSet<Part>) -> Vec<ImageShape> {
        let mut add = |input: ImageShape, width: usize, stride: usize| {
            let part = |block: &Block| Part::Block { input, width, stride, block: *block };
            parts.extend(stage.options.iter().map(part));
            part(&stage.options[0]).output(self)
        };
        let shapes = stage.widths.iter().map(|width| {
            let output = add(input, *width, stage.stride);
            if stage.deepest() > 1 {
                add(output, *width, 1);
            }
            output
        });
        shapes.collect()
    }

    /// The parts of one network, from the image on.
    ///
    /// # Panics
    /// If the architecture is not of this space.
    pub fn parts_of(&self, architecture: &Architecture) -> Vec<Part> {
        let plan = self.plan_of(architecture).expect("only architectures of the space are taken apart");
        let Plan { image, stem, stages, head } = plan;
        let mut parts = vec![Part::Stem { image, width: stem }];
        let mut input = parts[0].output(self);
        for stage in stages {
            for (position, block) in stage.blocks.into_iter().enumerate() {
                let stride = if position == 0 { stage.stride } else { 1 };
                let part = Part::Block { input, width: stage.width, stride, block };
                input = part.output(self);
                parts.push(part);
            }
        }
        parts.extend((head > 0).then_some(Part::Head { input, width: head }));
        parts
    }

    /// A network that has this part and as little beside it as can be, in a space of its own: an image of one channel is
    /// brought to the shape that the part reads by a 1×1 convolution, and what the part gives is pooled and classified.
    /// A stem reads this space's image.
    ///
    /// What a whole network takes is the sum over its parts, less the seam of each part that has one: every pool, linear
    /// layer and image between two parts is in there once with either sign.
    ///
    /// # Errors
    /// [`Error::Input`] for a part that reads fewer than two rows or columns.
    pub fn network_of(&self, part: &Part) -> Result<(Self, Architecture)> {
        let nothing = Block::identity();
        let (shape, width, stride, block, head) = match *part {
            Part::Stem { image, width } => {
                let whole = self.alone(image, self.stem_of(width), (width, 1, nothing), 0);
                return Ok(named(whole));
            }
            Part::Block { input, width, stride, block } => (input, width, stride, block, 0),
            Part::Head { input, width } => (input, input.channels, 1, nothing, width),
            Part::Seam { shape } => (shape, shape.channels, 1, nothing, 0),
        };
        let reduction = (1..=LARGEST_STRIDE)
            .find(|stride| shape.height.min(shape.width) * stride >= LEAST_SIDE)
            .ok_or_else(|| {
                let problem =
                    "reads fewer than two rows or columns, and an image of them cannot be measured alone";
                Error::input(format!("part {part}"), problem)
            })?;
        let image =
            ImageShape { channels: 1, height: shape.height * reduction, width: shape.width * reduction };
        let stem = Stem { kernel: 1, stride: reduction, ..self.stem_of(shape.channels) };
        Ok(named(self.alone(image, stem, (width, stride, block), head)))
    }

    fn stem_of(&self, width: usize) -> Stem {
        Stem { widths: vec![width], ..self.stem.clone() }
    }

    /// A space around one block. Its networks have it once or twice, as a space needs something to choose.
    fn alone(
        &self,
        image: ImageShape,
        stem: Stem,
        (width, stride, block): (usize, usize, Block),
        head: usize,
    ) -> Self {
        let stage = Stage {
            depths: vec![1, 2],
            widths: vec![width],
            stride,
            choose: Choose::Stage,
            options: vec![block],
        };
        let mut space = Self {
            schema: 2,
            name: NAME.to_owned(),
            classes: self.classes,
            image,
            sides: vec![],
            stem,
            stages: vec![stage],
            head: vec![head],
            choices: vec![],
            names_kernels_alone: false,
        };
        space.choices = super::choices::all(&space);
        space
    }
}

/// The network of a space of [`SearchSpace::alone`] that has its block once.
fn named(space: SearchSpace) -> (SearchSpace, Architecture) {
    let architecture = space.architecture(&Point::new(vec![0]));
    (space, architecture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Count;
    use crate::space::shipped;

    fn spaces() -> Vec<SearchSpace> {
        let read = |name| SearchSpace::load(std::path::Path::new(name)).unwrap();
        shipped::names().map(read).collect()
    }

    #[test]
    fn so_many_parts_make_28_681_445_376_networks() {
        let space = SearchSpace::load(std::path::Path::new("edge32")).unwrap();
        let parts = space.parts();
        let count = |is: fn(&Part) -> bool| parts.iter().filter(|part| is(part)).count();
        assert_eq!(count(|part| matches!(part, Part::Block { .. })), 360);
        assert_eq!(count(|part| matches!(part, Part::Stem { .. })), 3);
        assert_eq!(count(|part| matches!(part, Part::Seam { .. })), 11);
        let names: BTreeSet<String> = parts.iter().map(Part::to_string).collect();
        assert_eq!(names.len(), parts.len());
        assert!(names.contains("16x32x32 w24/2 i3e4") && names.contains("seam 16x32x32"), "{names:?}");
    }

    #[test]
    fn every_network_is_made_of_the_parts() {
        let mut rng = <rand_chacha::ChaCha8Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(1);
        for space in spaces() {
            let parts: BTreeSet<Part> = space.parts().into_iter().collect();
            for architecture in (0..50).map(|_| space.sample(&mut rng)) {
                let own = space.parts_of(&architecture);
                assert!(own.iter().all(|part| parts.contains(part)), "{architecture}: {own:?}");
                assert!(own.iter().filter_map(Part::seam).all(|seam| parts.contains(&seam)));
            }
        }
    }

    /// What holds of a sum that is known exactly holds of what is measured.
    #[test]
    fn parts_less_their_seams_are_the_whole() {
        let mut rng = <rand_chacha::ChaCha8Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(2);
        for space in spaces() {
            let macs = |part: Part| {
                let (space, network) = space.network_of(&part).unwrap();
                space.cost(&network).macs as i64
            };
            for architecture in (0..10).map(|_| space.sample(&mut rng)) {
                let parts = space.parts_of(&architecture);
                let sum: i64 = parts.iter().map(|part| macs(*part) - part.seam().map_or(0, macs)).sum();
                assert_eq!(sum as u64, Count::Macs.of(&space.lower(&architecture)), "{architecture}");
            }
        }
    }

    #[test]
    fn the_network_of_a_part_is_read_back_as_any_other() {
        for space in spaces() {
            for part in space.parts() {
                let (alone, network) = space.network_of(&part).unwrap();
                let text = serde_json::to_string(&alone).unwrap();
                assert_eq!(serde_json::from_str::<SearchSpace>(&text).unwrap(), alone, "{part}");
                alone.check(&network).unwrap();
                assert!(alone.image().bytes() <= space.image().bytes().max(64 * 64), "{part}");
            }
        }
    }
}
