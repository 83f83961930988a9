//! Networks computed as they are written down, in f64; random weights; and what a plan makes of a network.

use std::sync::Arc;

use kernels::training::Bfloat16;
use kernels::{
    Activation, Convolution, Grid, Groups, Image, InstructionSet, Layer, Network, Operation, Plan, Shape,
    Workspace,
};

/// Numbers that look random, the same for the same seed.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// From −1 to 1.
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        (((self.next() + 1.0) / 2.0 * end as f32) as usize).min(end - 1)
    }

    pub fn many(&mut self, count: usize, size: f32) -> Vec<f32> {
        (0..count).map(|_| size * self.next()).collect()
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// The nearest numbers of 16 bits.
pub fn halves(values: &[f32]) -> Vec<Bfloat16> {
    values.iter().map(|value| Bfloat16::nearest(*value)).collect()
}

/// The same numbers.
pub fn numbers(halves: &[Bfloat16]) -> Vec<f32> {
    halves.iter().map(|half| half.number()).collect()
}

/// A convolution that owns its weights.
#[derive(Debug, Clone)]
pub struct Owned {
    pub output_channels: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: [usize; 4],
    pub groups: Groups,
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Owned {
    /// Random weights such that outputs are about as large as inputs.
    pub fn random(
        numbers: &mut Numbers,
        inputs: usize,
        output_channels: usize,
        kernel: usize,
        stride: usize,
        groups: Groups,
    ) -> Self {
        let inputs = if groups == Groups::Each { 1 } else { inputs };
        let fan = inputs * kernel * kernel;
        let weights = numbers.many(output_channels * fan, (3.0 / fan as f32).sqrt());
        let bias = numbers.many(output_channels, 0.3);
        Self { output_channels, kernel, stride, padding: [kernel / 2; 4], groups, weights, bias }
    }

    pub fn operation(&self) -> Operation<'_> {
        let Self { output_channels, kernel, stride, padding, groups, .. } = *self;
        let (weights, bias) = (&self.weights, &self.bias);
        Operation::Convolution(Convolution {
            output_channels,
            kernel,
            stride,
            padding,
            groups,
            weights,
            bias,
        })
    }
}

/// A layer that reads the value before it.
pub fn layer(source: usize, operation: Operation<'_>, activation: Activation) -> Layer<'_> {
    Layer { source, operation, rounded: None, sum_with: None, activation, stored: None }
}

/// Bytes around 0, as large as activations.
pub fn image(channels: usize, rows: usize, columns: usize) -> Image {
    let shape = Shape { channels, rows, columns };
    Image { shape, scale: vec![1.0 / 64.0; channels], shift: vec![-2.0; channels] }
}

/// What a plan answers.
pub fn answer(network: &Network<'_>, set: InstructionSet, image: &[u8]) -> Vec<f32> {
    let plan = Plan::new(network, set).unwrap();
    let mut output = vec![f32::NAN; plan.output().values()];
    let mut workspace = Workspace::new(Arc::new(plan));
    // Twice: nothing of the first run may be left.
    workspace.run(image, &mut output).unwrap();
    workspace.run(image, &mut output).unwrap();
    output
}

/// Checks the answers of all instruction sets: each against f64 within `error` of the largest value, or of what the last layer has added,
/// which may leave little of each other, and all whose layers are computed by the same kernels alike in every digit.
pub fn check(network: &Network<'_>, pixels: &[u8], error: f64) {
    let expected = exact(network, pixels);
    let last = network.layers.last().expect("a network has layers");
    let before =
        |value: usize| Network { image: network.image.clone(), layers: network.layers[..value].to_vec() };
    let added = last.sum_with.into_iter().flat_map(|other| [last.source, other]).filter(|value| *value > 0);
    let added = added.flat_map(|value| exact(&before(value), pixels));
    let largest = expected.iter().copied().chain(added).fold(1e-3f64, |most, value| most.max(value.abs()));
    let plain = answer(network, InstructionSet::Plain, pixels);
    for (place, (value, exact)) in plain.iter().zip(&expected).enumerate() {
        assert!((f64::from(*value) - exact).abs() <= error * largest, "{place}: {value}, not {exact}");
    }
    assert_eq!(plain.len(), expected.len());
    for set in InstructionSet::available() {
        let other = answer(network, set, pixels);
        assert_eq!(other.len(), plain.len());
        let kinds = |set| Plan::new(network, set).unwrap().kernel_of_each().collect::<Vec<_>>();
        let same_kernels = kinds(set) == kinds(InstructionSet::Plain);
        for (place, (value, plain)) in other.iter().zip(&plain).enumerate() {
            let exact = expected[place];
            assert!(
                (f64::from(*value) - exact).abs() <= error * largest,
                "{set}, {place}: {value}, not {exact}"
            );
            assert!(!same_kernels || value == plain, "{set}, {place}: {value}, in arrays {plain}");
        }
    }
}

/// The last value of a network, channel × row × column.
pub fn exact(network: &Network<'_>, pixels: &[u8]) -> Vec<f64> {
    let shape = network.image.shape;
    let area = shape.rows * shape.columns;
    let first = pixels.iter().enumerate().map(|(place, byte)| {
        let channel = place / area;
        f64::from(f32::from(*byte) * network.image.scale[channel] + network.image.shift[channel])
    });
    let mut values = vec![(shape, first.collect::<Vec<f64>>())];
    for layer in &network.layers {
        let (shape, source) = &values[layer.source];
        let (shape, mut output) = match &layer.operation {
            Operation::Convolution(of) => convolved(of, *shape, source),
            Operation::Mean => {
                let planes = source.chunks(shape.rows * shape.columns);
                let means = planes.map(|plane| plane.iter().sum::<f64>() / plane.len() as f64).collect();
                (Shape { rows: 1, columns: 1, ..*shape }, means)
            }
            Operation::Copy => (*shape, source.clone()),
            Operation::Scale(gate) => {
                let area = shape.rows * shape.columns;
                let gate = &values[*gate].1;
                let scaled = source.iter().enumerate().map(|(place, value)| value * gate[place / area]);
                (*shape, scaled.collect())
            }
        };
        let round = |grid: Option<Grid>, values: &mut [f64]| {
            if let Some(grid) = grid {
                values.iter_mut().for_each(|value| *value = rounded(grid, *value));
            }
        };
        round(layer.rounded, &mut output);
        if let Some(other) = layer.sum_with {
            output.iter_mut().zip(&values[other].1).for_each(|(value, other)| *value += other);
        }
        output.iter_mut().for_each(|value| *value = activated(layer.activation, *value));
        round(layer.stored, &mut output);
        values.push((shape, output));
    }
    values.pop().unwrap().1
}

fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::HardSigmoid { slope, shift } => (f64::from(slope) * x + f64::from(shift)).clamp(0.0, 1.0),
    }
}

/// The nearest number of a grid.
fn rounded(grid: Grid, x: f64) -> f64 {
    let zero_point = f64::from(grid.zero_point);
    let integer = (x / f64::from(grid.step)).round_ties_even();
    integer.clamp(-zero_point, 255.0 - zero_point) * f64::from(grid.step)
}

fn convolved(of: &Convolution<'_>, from: Shape, source: &[f64]) -> (Shape, Vec<f64>) {
    let [above, left, below, right] = of.padding;
    let rows = (from.rows + above + below - of.kernel) / of.stride + 1;
    let columns = (from.columns + left + right - of.kernel) / of.stride + 1;
    let inputs = if of.groups == Groups::Each { 1 } else { from.channels };
    let at = |channel: usize, row: usize, column: usize| {
        let inside =
            (above..above + from.rows).contains(&row) && (left..left + from.columns).contains(&column);
        let place = || (channel * from.rows + row - above) * from.columns + column - left;
        if inside { source[place()] } else { 0.0 }
    };
    let mut output = vec![];
    for channel in 0..of.output_channels {
        for place in 0..rows * columns {
            let (row, column) = (place / columns * of.stride, place % columns * of.stride);
            let mut sum = f64::from(of.bias[channel]);
            for tap in 0..inputs * of.kernel * of.kernel {
                let (input, y, x) =
                    (tap / of.kernel / of.kernel, tap / of.kernel % of.kernel, tap % of.kernel);
                let input = if of.groups == Groups::Each { channel } else { input };
                let weight = f64::from(of.weights[channel * inputs * of.kernel * of.kernel + tap]);
                sum += weight * at(input, row + y, column + x);
            }
            output.push(sum);
        }
    }
    (Shape { channels: of.output_channels, rows, columns }, output)
}
