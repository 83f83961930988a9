//! An architecture as a list of named, shaped layers. Cost, training and export all walk this list;
//! nothing else knows what a residual block is.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
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

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Operation {
    /// The normalised image.
    Image,
    /// 2-D convolution without bias, square kernel, zero padding.
    Convolution {
        /// Input channels.
        input_channels: usize,
        /// Output channels.
        output_channels: usize,
        /// Kernel size.
        kernel: usize,
        /// Stride in both directions.
        stride: usize,
        /// Zero padding on every side.
        padding: usize,
    },
    /// Batch normalisation over channels, with scale and shift. Always reads a convolution that
    /// nothing else reads, so that it can be folded into it.
    BatchNorm {
        /// Channels.
        channels: usize,
    },
    /// max(x, 0).
    Relu,
    /// Sum of two layers of the same shape.
    Add,
    /// Mean over rows and columns.
    GlobalAveragePool,
    /// Fully connected with bias.
    Linear {
        /// Input features.
        input_features: usize,
        /// Output features.
        output_features: usize,
    },
}

/// A tensor that a layer owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Full name as in the weights file: `stage1.block1.bn1.running_mean`.
    pub name: String,
    /// Shape; convolutions are output × input × rows × columns, linear is output × input.
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
        let tensor = |suffix: &str, shape: Vec<usize>, trainable| TensorSpec {
            name: format!("{}.{suffix}", self.name),
            shape,
            trainable,
        };
        match self.operation {
            Operation::Convolution { input_channels, output_channels, kernel, .. } => {
                vec![tensor("weight", vec![output_channels, input_channels, kernel, kernel], true)]
            }
            Operation::BatchNorm { channels } => vec![
                tensor("weight", vec![channels], true),
                tensor("bias", vec![channels], true),
                tensor("running_mean", vec![channels], false),
                tensor("running_var", vec![channels], false),
            ],
            Operation::Linear { input_features, output_features } => vec![
                tensor("weight", vec![output_features, input_features], true),
                tensor("bias", vec![output_features], true),
            ],
            Operation::Image | Operation::Relu | Operation::Add | Operation::GlobalAveragePool => vec![],
        }
    }

    /// Multiply-accumulates for one image. Only convolutions and linear layers count, as is the
    /// custom of the field.
    pub fn macs(&self) -> u64 {
        match self.operation {
            Operation::Convolution { input_channels, output_channels, kernel, .. } => {
                let per_pixel = input_channels * output_channels * kernel * kernel;
                (per_pixel * self.output.height * self.output.width) as u64
            }
            Operation::Linear { input_features, output_features } => {
                (input_features * output_features) as u64
            }
            _ => 0,
        }
    }
}

impl SearchSpace {
    /// Lowers an architecture to its layers: stem, residual blocks with projection shortcuts where the
    /// shape changes (He et al. 2015, option B), global average pool, linear.
    ///
    /// # Panics
    /// If the architecture does not belong to this space; [`SearchSpace::check`] tells beforehand.
    pub fn lower(&self, architecture: &Architecture) -> Vec<Layer> {
        self.check(architecture).expect("only architectures of the space are lowered");
        let mut network = Network::new(self.image());
        let stem = self.stem();
        let mut top = network.convolution(0, ["stem.conv", "stem.bn"], stem.width, stem.kernel, 1);
        top = network.push("stem.relu", Operation::Relu, vec![top]);
        for (number, (stage, kernels)) in (1..).zip(self.stages().iter().zip(architecture.stages())) {
            for (block, kernel) in (1..).zip(kernels) {
                let stride = if block == 1 { stage.stride } else { 1 };
                let name = format!("stage{number}.block{block}");
                top = network.block(&name, top, stage.width, usize::from(*kernel), stride);
            }
        }
        let features = network.layers[top].output.channels;
        top = network.push("pool", Operation::GlobalAveragePool, vec![top]);
        let linear = Operation::Linear { input_features: features, output_features: self.classes() };
        network.push("linear", linear, vec![top]);
        network.layers
    }
}

/// Layers under construction.
struct Network {
    layers: Vec<Layer>,
}

impl Network {
    fn new(image: ImageShape) -> Self {
        let layer =
            Layer { name: "image".to_owned(), operation: Operation::Image, inputs: vec![], output: image };
        Self { layers: vec![layer] }
    }

    /// Appends a layer and returns its position.
    fn push(&mut self, name: &str, operation: Operation, inputs: Vec<usize>) -> usize {
        let input = self.layers[inputs[0]].output;
        let output = match operation {
            Operation::Convolution { output_channels, kernel, stride, padding, .. } => ImageShape {
                channels: output_channels,
                height: (input.height + 2 * padding - kernel) / stride + 1,
                width: (input.width + 2 * padding - kernel) / stride + 1,
            },
            Operation::GlobalAveragePool => ImageShape { height: 1, width: 1, ..input },
            Operation::Linear { output_features, .. } => {
                ImageShape { channels: output_features, height: 1, width: 1 }
            }
            Operation::Image | Operation::BatchNorm { .. } | Operation::Relu | Operation::Add => input,
        };
        self.layers.push(Layer { name: name.to_owned(), operation, inputs, output });
        self.layers.len() - 1
    }

    /// Convolution that keeps the size at stride 1, and its batch norm.
    fn convolution(
        &mut self,
        input: usize,
        names: [&str; 2],
        width: usize,
        kernel: usize,
        stride: usize,
    ) -> usize {
        let channels = self.layers[input].output.channels;
        let operation = Operation::Convolution {
            input_channels: channels,
            output_channels: width,
            kernel,
            stride,
            padding: kernel / 2,
        };
        let convolution = self.push(names[0], operation, vec![input]);
        self.push(names[1], Operation::BatchNorm { channels: width }, vec![convolution])
    }

    /// A basic residual block; `kernel` is that of its first convolution.
    fn block(&mut self, name: &str, input: usize, width: usize, kernel: usize, stride: usize) -> usize {
        let named = |part: &str| format!("{name}.{part}");
        let mut top = self.convolution(input, [&named("conv1"), &named("bn1")], width, kernel, stride);
        top = self.push(&named("relu1"), Operation::Relu, vec![top]);
        top = self.convolution(top, [&named("conv2"), &named("bn2")], width, 3, 1);
        let shortcut = if stride == 1 && self.layers[input].output.channels == width {
            input
        } else {
            self.convolution(input, [&named("shortcut.conv"), &named("shortcut.bn")], width, 1, stride)
        };
        top = self.push(&named("add"), Operation::Add, vec![top, shortcut]);
        self.push(&named("relu2"), Operation::Relu, vec![top])
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
