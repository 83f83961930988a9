//! What a caller describes: an image, and layers that read it and each other.

/// Channels, rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Values of a pixel.
    pub channels: usize,
    /// Rows.
    pub rows: usize,
    /// Pixels of a row.
    pub columns: usize,
}

impl Shape {
    /// How many values.
    pub fn values(self) -> usize {
        self.channels * self.rows * self.columns
    }
}

/// What goes in: bytes as channel × row × column, of which each becomes `scale` · byte + `shift` of its channel.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its size.
    pub shape: Shape,
    /// One a channel.
    pub scale: Vec<f32>,
    /// One a channel.
    pub shift: Vec<f32>,
}

/// Layers in the order in which they are computed. The last one's values come out.
#[derive(Debug, Clone)]
pub struct Network<'a> {
    /// What goes in: value 0.
    pub image: Image,
    /// Layer *n*, from 0, makes value *n* + 1.
    pub layers: Vec<Layer<'a>>,
}

/// One step: an operation, the sum with an earlier value, an activation.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// Number of the value that it reads.
    pub source: usize,
    /// What is computed.
    pub operation: Operation<'a>,
    /// Number of the value that is then added.
    pub sum_with: Option<usize>,
    /// What is done at last.
    pub activation: Activation,
}

/// What a layer computes.
#[derive(Debug, Clone)]
pub enum Operation<'a> {
    /// Weighted sums of neighbouring pixels. A linear layer is a convolution with a kernel of 1 of an image of one pixel.
    Convolution(Convolution<'a>),
    /// The mean over all pixels of each channel.
    Mean,
    /// Nothing: for sums and activations of what other layers read too.
    Copy,
}

/// A convolution with a square kernel, and zeros around its image.
#[derive(Debug, Clone)]
pub struct Convolution<'a> {
    /// Channels of the output.
    pub output_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Rows and columns of the image from one output to the next.
    pub stride: usize,
    /// Rows or columns of zeros above, to the left, below and to the right.
    pub padding: [usize; 4],
    /// Which channels see which.
    pub groups: Groups,
    /// Output channel × input channel of its group × row × column.
    pub weights: &'a [f32],
    /// One an output channel.
    pub bias: &'a [f32],
}

/// Which channels of an image an output channel sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// Every one.
    One,
    /// The one of the same number.
    Each,
}

/// A function of single values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// x
    None,
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6)
    Relu6,
    /// x · min(max(x / 6 + 1/2, 0), 1)
    HardSwish,
    /// What is left of a number that is stored in 8 bits: x / step rounded to the nearest integer, halves to the even one, held
    /// between two integers, and times step.
    Grid {
        /// From a value to the next; more than 0.
        step: f32,
        /// Smallest integer; 0 or less.
        least: f32,
        /// Largest integer; 0 or more.
        most: f32,
    },
}

impl Activation {
    /// Smallest and largest value that a kernel lets through, before what is done on top of that.
    pub(crate) fn bounds(self) -> [f32; 2] {
        match self {
            Self::None | Self::HardSwish | Self::Grid { .. } => [f32::NEG_INFINITY, f32::INFINITY],
            Self::Relu => [0.0, f32::INFINITY],
            Self::Relu6 => [0.0, 6.0],
        }
    }

    /// The largest magnitude that comes out of it, whatever goes in.
    pub(crate) fn largest(self) -> f32 {
        match self {
            Self::None | Self::Relu | Self::HardSwish => f32::INFINITY,
            Self::Relu6 => 6.0,
            Self::Grid { step, least, most } => step * most.max(-least),
        }
    }

    /// Whether its numbers are what they must be.
    pub(crate) fn is_sound(self) -> bool {
        match self {
            Self::Grid { step, least, most } => {
                step.is_normal() && step > 0.0 && (least..=most).contains(&0.0) && step.recip().is_finite()
            }
            _ => true,
        }
    }
}
