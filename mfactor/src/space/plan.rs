//! What a point stands for, every number filled in.

use crate::architecture::Architecture;
use crate::error::Result;
use crate::space::block::Block;
use crate::space::point::Point;
use crate::space::{ImageShape, SearchSpace, Stage};

/// What a network is made of, from image to classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Shape of the image that the network sees.
    pub image: ImageShape,
    /// Channels of the first convolution.
    pub stem: usize,
    /// Stages, first to last.
    pub stages: Vec<PlannedStage>,
    /// Channels of the convolution before the pool; 0 if there is none.
    pub head: usize,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStage {
    /// Channels of every block.
    pub width: usize,
    /// Stride of the first block.
    pub stride: usize,
    /// Blocks, first to last; at least one.
    pub blocks: Vec<Block>,
}

impl SearchSpace {
    /// What an architecture is made of.
    ///
    /// # Errors
    /// As [`SearchSpace::check`].
    pub fn plan_of(&self, architecture: &Architecture) -> Result<Plan> {
        Ok(self.plan(&self.point(architecture)?))
    }

    /// Shape of the image that the network of an architecture sees.
    ///
    /// # Errors
    /// As [`SearchSpace::check`].
    pub fn image_of(&self, architecture: &Architecture) -> Result<ImageShape> {
        Ok(self.plan_of(architecture)?.image)
    }

    /// What a point stands for.
    ///
    /// # Panics
    /// If the point is not one of this space: it has one valid option for every choice.
    pub fn plan(&self, point: &Point) -> Plan {
        let mut options = point.options().iter().map(|option| usize::from(*option));
        let mut next = |is_choice: bool| match is_choice {
            true => options.next().expect("one option for every choice"),
            false => 0,
        };
        let image = self.seen(next(self.sides.len() > 1));
        let stem = self.stem.widths[next(self.stem.widths.len() > 1)];
        let stages = self.stages.iter().map(|stage| self.planned(stage, &mut next)).collect();
        let head = self.head[next(self.head.len() > 1)];
        assert!(options.next().is_none(), "one option for every choice");
        Plan { image, stem, stages, head }
    }

    fn planned(&self, stage: &Stage, next: &mut dyn FnMut(bool) -> usize) -> PlannedStage {
        let width = stage.widths[next(stage.widths.len() > 1)];
        let depth = stage.depths[next(stage.depths.len() > 1)];
        let chosen: Vec<usize> =
            (0..stage.block_choices()).map(|_| next(self.is_block_choice(stage))).collect();
        let block = |position: usize| stage.options[chosen[position.min(chosen.len() - 1)]];
        PlannedStage { width, stride: stage.stride, blocks: (0..depth).map(block).collect() }
    }

    /// Shape of the image for one of the sides.
    pub(super) fn seen(&self, side: usize) -> ImageShape {
        match self.sides.get(side) {
            Some(side) => ImageShape { height: *side, width: *side, ..self.image },
            None => self.image,
        }
    }
}
