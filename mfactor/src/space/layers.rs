//! An architecture as a list of named, shaped layers. Cost, training and export all walk this list;
//! nothing else knows what a block is.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
pub use crate::operation::Operation;
use crate::space::network::Network;
use crate::space::plan::Plan;
use crate::space::{ImageShape, SearchSpace};

/// One layer. Layer 0 of a list is the image; every other layer reads earlier layers only, and the last
/// one gives the logits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Unique name, the prefix of its tensors: `stage1.block1.conv1`.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
    /// Positions in the list of the layers it reads.
    pub inputs: Vec<usize>,
    /// Shape of its output for one image. A vector of n values is n × 1 × 1.
    pub output: ImageShape,
}

/// A tensor that a layer owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Full name as in the weights file: `stage1.block1.bn1.running_mean`.
    pub name: String,
    /// Shape; convolutions are output × input of a group × rows × columns, linear is output × input.
    pub shape: Vec<usize>,
    /// Whether training changes it by gradient; running statistics are not trainable.
    pub trainable: bool,
}

impl TensorSpec {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Layer {
    /// The tensors of this layer, in the order PyTorch lists them.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let named = |(suffix, shape, trainable)| TensorSpec {
            name: format!("{}.{suffix}", self.name),
            shape,
            trainable,
        };
        self.operation.tensors().into_iter().map(named).collect()
    }

    /// Multiply-accumulates for one image. Only convolutions and linear layers count, as is the
    /// custom of the field.
    pub fn macs(&self) -> u64 {
        self.operation.macs(self.output)
    }
}

impl SearchSpace {
    /// Lowers an architecture to its layers: stem, blocks, head if it has one, global average pool, linear.
    ///
    /// # Panics
    /// If the architecture does not belong to this space; [`SearchSpace::check`] tells beforehand.
    pub fn lower(&self, architecture: &Architecture) -> Vec<Layer> {
        let point = self.point(architecture).expect("only architectures of the space are lowered");
        self.layers(&self.plan(&point))
    }

    /// The layers of a plan of this space.
    pub(super) fn layers(&self, plan: &Plan) -> Vec<Layer> {
        let mut network = Network::new(plan.image);
        let mut top = self.lower_stem(&mut network, plan.stem);
        for (number, stage) in (1..).zip(&plan.stages) {
            for (position, block) in (1..).zip(&stage.blocks) {
                let stride = if position == 1 { stage.stride } else { 1 };
                top =
                    network.block(&format!("stage{number}.block{position}"), top, stage.width, block, stride);
            }
        }
        self.lower_head(&mut network, top, plan.head);
        network.layers
    }

    pub(super) fn lower_stem(&self, network: &mut Network, width: usize) -> usize {
        let stem = self.stem();
        network.end("stem", 0, width, [stem.kernel, stem.stride], stem.activation)
    }

    pub(super) fn lower_head(&self, network: &mut Network, mut top: usize, width: usize) {
        if width > 0 {
            top = network.end("head", top, width, [1, 1], self.stem().activation);
        }
        network.classify(top, self.classes());
    }
}
#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_inputs_come_earlier() {
        let space = SearchSpace::paper();
        let layers = space.lower(&"357-753-375".parse().unwrap());
        let names: BTreeSet<_> = layers.iter().map(|layer| &layer.name).collect();
        assert_eq!(names.len(), layers.len());
        for (position, layer) in layers.iter().enumerate() {
            assert!(layer.inputs.iter().all(|input| *input < position), "{}", layer.name);
        }
    }

    #[test]
    fn every_batch_norm_can_be_folded() {
        let layers = SearchSpace::paper().lower(&SearchSpace::paper().smallest());
        for layer in layers.iter().filter(|layer| matches!(layer.operation, Operation::BatchNorm { .. })) {
            let input = layer.inputs[0];
            assert!(matches!(layers[input].operation, Operation::Convolution { .. }), "{}", layer.name);
            assert_eq!(layers.iter().filter(|other| other.inputs.contains(&input)).count(), 1);
        }
    }

    #[test]
    fn added_layers_have_one_shape() {
        let layers = SearchSpace::paper().lower(&SearchSpace::paper().largest());
        for layer in layers.iter().filter(|layer| layer.operation == Operation::Add) {
            assert_eq!(layers[layer.inputs[0]].output, layers[layer.inputs[1]].output, "{}", layer.name);
        }
        assert_eq!(layers.last().unwrap().output, ImageShape { channels: 10, height: 1, width: 1 });
    }

    #[test]
    fn odd_images_and_strides_are_rounded_up() {
        let text = include_str!("../../../spaces/paper.toml").replace("height = 32", "height = 29").replacen(
            "stride = 2",
            "stride = 3",
            1,
        );
        let space = SearchSpace::parse(&text, "odd").unwrap();
        let layers = space.lower(&space.largest());
        let heights: BTreeSet<usize> = layers.iter().map(|layer| layer.output.height).collect();
        assert_eq!(heights, BTreeSet::from([1, 5, 10, 29]));
    }
}
