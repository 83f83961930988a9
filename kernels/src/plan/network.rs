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

/// One step: an operation, rounding, the sum with an earlier value, an activation, and rounding again.
#[derive(Debug, Clone)]
pub struct Layer<'a> {
    /// Number of the value that it reads.
    pub source: usize,
    /// What is computed.
    pub operation: Operation<'a>,
    /// The eight bits that what is computed is rounded to before anything else.
    pub rounded: Option<Grid>,
    /// Number of the value that is then added.
    pub sum_with: Option<usize>,
    /// What is done then.
    pub activation: Activation,
    /// The eight bits that what comes out is rounded to.
    pub stored: Option<Grid>,
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
    /// Each channel times its number in another value, which has one pixel.
    Scale(usize),
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

/// The steepest function of single values that is let through.
const MOST_SLOPE: f32 = 1e9;

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
    /// min(max(slope · x + shift, 0), 1)
    HardSigmoid {
        /// What x is multiplied by.
        slope: f32,
        /// What is added to that.
        shift: f32,
    },
}

/// Numbers that are stored in eight bits: (q − `zero_point`) · `step`, where q is an integer from 0 to 255. What is rounded to them goes
/// to the nearest, halves to an even distance from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// From a number to the next; more than 0.
    pub step: f32,
    /// The integer that stands for 0.
    pub zero_point: u8,
}

impl Grid {
    /// Smallest and largest number, in steps.
    pub(crate) fn bounds(self) -> [f32; 2] {
        let zero_point = f32::from(self.zero_point);
        [-zero_point, 255.0 - zero_point]
    }

    /// The largest magnitude.
    pub(crate) fn largest(self) -> f32 {
        let [least, most] = self.bounds();
        self.step * most.max(-least)
    }

    /// Whether the step is one.
    pub(crate) fn is_sound(self) -> bool {
        self.step.is_normal() && self.step > 0.0 && self.step.recip().is_finite()
    }
}

impl Activation {
    /// Smallest and largest value that a kernel lets through, before what is done on top of that.
    pub(crate) fn bounds(self) -> [f32; 2] {
        match self {
            Self::None | Self::HardSwish | Self::HardSigmoid { .. } => [f32::NEG_INFINITY, f32::INFINITY],
            Self::Relu => [0.0, f32::INFINITY],
            Self::Relu6 => [0.0, 6.0],
        }
    }

    /// The largest magnitude that comes out of it, whatever goes in.
    pub(crate) fn largest(self) -> f32 {
        match self {
            Self::None | Self::Relu | Self::HardSwish => f32::INFINITY,
            Self::Relu6 => 6.0,
            Self::HardSigmoid { .. } => 1.0,
        }
    }

    /// Whether its numbers are what they must be.
    pub(crate) fn is_sound(self) -> bool {
        match self {
            Self::HardSigmoid { slope, shift } => slope.abs() <= MOST_SLOPE && shift.abs() <= MOST_SLOPE,
            _ => true,
        }
    }
}
