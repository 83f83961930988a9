//! The one table of operations: what each owns, gives, costs, and is called in ONNX. A new one is a variant here; the
//! compiler names every place that must answer for it.

use serde::{Deserialize, Serialize};

use crate::onnx_operators::OnnxOperator;
use crate::space::ImageShape;

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Operation {
    /// The normalised image.
    Image,
    /// 2-D convolution without bias, square kernel, zero padding. Always read by a batch norm alone.
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
        /// Groups of channels that are convolved apart: 1, or as many as there are channels (depthwise).
        groups: usize,
    },
    /// Batch normalisation over channels, with scale and shift. Always reads a convolution that
    /// nothing else reads, so that it can be folded into it.
    BatchNorm {
        /// Channels.
        channels: usize,
    },
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x · hard-sigmoid(x).
    HardSwish,
    /// min(max(x + 3, 0), 6) / 6.
    HardSigmoid,
    /// Sum of two layers of the same shape.
    Add,
    /// The first layer, each channel multiplied by the value that the second one, a vector, has for it.
    Scale,
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

impl Operation {
    /// Suffixes and shapes of its tensors and whether training changes them by gradient, in the order PyTorch lists them.
    pub fn tensors(&self) -> Vec<(&'static str, Vec<usize>, bool)> {
        match *self {
            Self::Convolution { input_channels, output_channels, kernel, groups, .. } => {
                vec![("weight", vec![output_channels, input_channels / groups, kernel, kernel], true)]
            }
            Self::BatchNorm { channels } => vec![
                ("weight", vec![channels], true),
                ("bias", vec![channels], true),
                ("running_mean", vec![channels], false),
                ("running_var", vec![channels], false),
            ],
            Self::Linear { input_features, output_features } => {
                vec![
                    ("weight", vec![output_features, input_features], true),
                    ("bias", vec![output_features], true),
                ]
            }
            Self::Image
            | Self::Relu
            | Self::Relu6
            | Self::HardSwish
            | Self::HardSigmoid
            | Self::Add
            | Self::Scale
            | Self::GlobalAveragePool => vec![],
        }
    }

    /// Shape of the output, given that of the first input.
    pub fn output(&self, input: ImageShape) -> ImageShape {
        match *self {
            Self::Convolution { output_channels, kernel, stride, padding, .. } => ImageShape {
                channels: output_channels,
                height: (input.height + 2 * padding - kernel) / stride + 1,
                width: (input.width + 2 * padding - kernel) / stride + 1,
            },
            Self::GlobalAveragePool => ImageShape { height: 1, width: 1, ..input },
            Self::Linear { output_features, .. } => {
                ImageShape { channels: output_features, height: 1, width: 1 }
            }
            Self::Image
            | Self::BatchNorm { .. }
            | Self::Relu
            | Self::Relu6
            | Self::HardSwish
            | Self::HardSigmoid
            | Self::Add
            | Self::Scale => input,
        }
    }

    /// Multiply-accumulates for an output of this shape. Only convolutions and linear layers count, as is the custom
    /// of the field.
    pub fn macs(&self, output: ImageShape) -> u64 {
        match *self {
            Self::Convolution { input_channels, output_channels, kernel, groups, .. } => {
                let per_pixel = input_channels / groups * output_channels * kernel * kernel;
                (per_pixel * output.height * output.width) as u64
            }
            Self::Linear { input_features, output_features } => (input_features * output_features) as u64,
            Self::Image
            | Self::BatchNorm { .. }
            | Self::Relu
            | Self::Relu6
            | Self::HardSwish
            | Self::HardSigmoid
            | Self::Add
            | Self::Scale
            | Self::GlobalAveragePool => 0,
        }
    }

    /// Trainable values: P of this layer.
    pub fn parameters(&self) -> u64 {
        let trainable = self.tensors().into_iter().filter(|(.., trainable)| *trainable);
        trainable.map(|(_, shape, _)| shape.iter().product::<usize>() as u64).sum()
    }

    /// Values that remain once batch norm was folded away, which leaves a bias for each channel.
    pub fn folded_values(&self) -> u64 {
        match *self {
            Self::BatchNorm { channels } => channels as u64,
            _ => self.parameters(),
        }
    }

    /// Whether its output can take the place of its first input in memory.
    pub fn works_in_place(&self) -> bool {
        match self {
            Self::BatchNorm { .. }
            | Self::Relu
            | Self::Relu6
            | Self::HardSwish
            | Self::HardSigmoid
            | Self::Add
            | Self::Scale => true,
            Self::Image | Self::Convolution { .. } | Self::GlobalAveragePool | Self::Linear { .. } => false,
        }
    }

    /// What it is written as in an exported f32 model; `None` for what is part of another node or no node at all. A linear
    /// layer that is not the last is a 1×1 convolution and a sum, for what reads it has rows and columns.
    pub fn onnx(&self) -> Option<OnnxOperator> {
        match self {
            Self::Image | Self::BatchNorm { .. } => None,
            Self::Convolution { .. } => Some(OnnxOperator::Conv),
            Self::Relu => Some(OnnxOperator::Relu),
            Self::Relu6 => Some(OnnxOperator::Clip),
            Self::HardSwish => Some(OnnxOperator::HardSwish),
            Self::HardSigmoid => Some(OnnxOperator::HardSigmoid),
            Self::Add => Some(OnnxOperator::Add),
            Self::Scale => Some(OnnxOperator::Mul),
            Self::GlobalAveragePool => Some(OnnxOperator::GlobalAveragePool),
            Self::Linear { .. } => Some(OnnxOperator::Gemm),
        }
    }

    /// Whether it gives no value below 0.
    pub fn rectifies(&self) -> bool {
        matches!(self, Self::Relu | Self::Relu6)
    }

    /// What it is called in tables.
    pub fn title(&self) -> String {
        match self {
            Self::Image => "image".to_owned(),
            Self::Convolution { kernel, stride, groups, .. } => {
                let name = if *groups > 1 { "depthwise" } else { "conv" };
                let stride = if *stride > 1 { format!(" /{stride}") } else { String::new() };
                format!("{name} {kernel}×{kernel}{stride}")
            }
            Self::BatchNorm { .. } => "batch norm".to_owned(),
            Self::Relu => "relu".to_owned(),
            Self::Relu6 => "relu6".to_owned(),
            Self::HardSwish => "hard-swish".to_owned(),
            Self::HardSigmoid => "hard-sigmoid".to_owned(),
            Self::Add => "add".to_owned(),
            Self::Scale => "scale".to_owned(),
            Self::GlobalAveragePool => "average pool".to_owned(),
            Self::Linear { .. } => "linear".to_owned(),
        }
    }
}
