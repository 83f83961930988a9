//! Convolutions of bytes: the same as integers say, bit for bit, on every instruction set that has dot products.

use kernels::{Activation, Grid, Groups, InstructionSet, Network, Operation, Plan, Shape};
use proptest::prelude::*;

use crate::cases;
use crate::reference::{Numbers, Owned, answer, check, image, layer};

/// Those of this processor that multiply bytes.
fn sets() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::available().filter(|set| {
        use InstructionSet::{Avx2Vnni, Avx512Vnni, NeonDot, Plain};
        matches!(set, Plain | Avx2Vnni | Avx512Vnni | NeonDot)
    })
}

/// A convolution whose weights are integers times a step for each output channel, and what becomes of its sums.
struct Quantized {
    source: usize,
    of: Owned,
    integers: Vec<i8>,
    steps: Vec<f32>,
    rounded: Option<Grid>,
    sum_with: Option<usize>,
    activation: Activation,
    stored: Grid,
}

impl Quantized {
    fn random(
        numbers: &mut Numbers,
        source: usize,
        (inputs, outputs): (usize, usize),
        (kernel, stride): (usize, usize),
        groups: Groups,
    ) -> Self {
        let mut of = Owned::random(numbers, inputs, outputs, kernel, stride, groups);
        let volume = of.weights.len() / outputs;
        let integers: Vec<i8> =
            (0..of.weights.len()).map(|_| (numbers.below(256) as i32 - 128) as i8).collect();
        // Steps of so few digits that products with integers are exact: of others a neighbour might do as well, and be found.
        let few_digits = |step: f32| f32::from_bits(step.to_bits() & !0xfff);
        let steps: Vec<f32> = (0..outputs)
            .map(|_| few_digits((numbers.next() + 1.5) * 0.02 / (volume as f32).sqrt()))
            .collect();
        of.weights = integers
            .iter()
            .enumerate()
            .map(|(place, integer)| f32::from(*integer) * steps[place / volume])
            .collect();
        let stored = grid(numbers);
        Self {
            source,
            of,
            integers,
            steps,
            rounded: None,
            sum_with: None,
            activation: Activation::None,
            stored,
        }
    }
}

fn grid(numbers: &mut Numbers) -> Grid {
    Grid { step: (numbers.next() + 1.2) * 0.02, zero_point: numbers.below(256) as u8 }
}

/// Integers of a value, and what they are worth.
type Value = (Shape, Grid, Vec<i32>);

/// A layer as its definition says, from the sums of integers on in f32.
fn reference(layer: &Quantized, values: &[Value]) -> Value {
    let (from, source, integers) = &values[layer.source];
    let [above, left, below, right] = layer.of.padding;
    let Owned { kernel, stride, output_channels, groups, .. } = layer.of;
    let rows = (from.rows + above + below - kernel) / stride + 1;
    let columns = (from.columns + left + right - kernel) / stride + 1;
    let inputs = if groups == Groups::Each { 1 } else { from.channels };
    let at = |channel: usize, row: usize, column: usize| {
        let inside =
            (above..above + from.rows).contains(&row) && (left..left + from.columns).contains(&column);
        let place = || (channel * from.rows + row - above) * from.columns + column - left;
        if inside { integers[place()] - i32::from(source.zero_point) } else { 0 }
    };
    let mut output = vec![];
    for channel in 0..output_channels {
        for place in 0..rows * columns {
            let (row, column) = (place / columns * stride, place % columns * stride);
            let sum: i32 = (0..inputs * kernel * kernel)
                .map(|tap| {
                    let (input, y, x) = (tap / kernel / kernel, tap / kernel % kernel, tap % kernel);
                    let input = if groups == Groups::Each { channel } else { input };
                    let weight = layer.integers[channel * inputs * kernel * kernel + tap];
                    i32::from(weight) * at(input, row + y, column + x)
                })
                .sum();
            let other = layer
                .sum_with
                .map(|value| (values[value].1, values[value].2[channel * rows * columns + place]));
            output.push(stored(layer, channel, *source, sum, other));
        }
    }
    (Shape { channels: output_channels, rows, columns }, layer.stored, output)
}

/// What becomes of a sum; see `integer::Output`.
fn stored(layer: &Quantized, channel: usize, source: Grid, sum: i32, other: Option<(Grid, i32)>) -> i32 {
    let is_swish = layer.activation == Activation::HardSwish;
    let last = if is_swish { 1.0 } else { f64::from(layer.stored.step) };
    let unit = layer.rounded.map_or(last, |grid| f64::from(grid.step));
    let scale = (f64::from(source.step) * f64::from(layer.steps[channel]) / unit) as f32;
    let bias = (f64::from(layer.of.bias[channel]) / unit) as f32;
    let mut value = (sum as f32).mul_add(scale, bias);
    if let Some(grid) = layer.rounded {
        let zero_point = f32::from(grid.zero_point);
        let rounded = value.clamp(-zero_point, 255.0 - zero_point).round_ties_even();
        value = rounded * (f64::from(grid.step) / last) as f32;
    }
    if let Some((grid, integer)) = other {
        let steps = (integer - i32::from(grid.zero_point)) as f32;
        value = steps.mul_add((f64::from(grid.step) / last) as f32, value);
    }
    let zero_point = f32::from(layer.stored.zero_point);
    let (mut least, mut most) = (-zero_point, 255.0 - zero_point);
    match layer.activation {
        Activation::Relu => least = least.max(0.0),
        Activation::Relu6 => (least, most) = (least.max(0.0), most.min(6.0 / layer.stored.step)),
        Activation::HardSwish => {
            let gate = value.mul_add(1.0 / 6.0, 0.5).clamp(0.0, 1.0);
            value = value * gate * layer.stored.step.recip();
        }
        Activation::None | Activation::HardSigmoid { .. } => {}
    }
    value.clamp(least, most).round_ties_even() as i32 + i32::from(layer.stored.zero_point)
}

/// Compares the last layer's values.
fn check_integers(size: [usize; 2], quantized: &[Quantized], pixels: &[u8]) {
    let mut image = image(3, size[0], size[1]);
    let of_image = Grid { step: 0.017, zero_point: 117 };
    (image.scale, image.shift) = (vec![of_image.step; 3], vec![-of_image.step * 117.0; 3]);
    let mut values = vec![(image.shape, of_image, pixels.iter().map(|byte| i32::from(*byte)).collect())];
    for layer in quantized {
        let value = reference(layer, &values);
        values.push(value);
    }
    let layers = quantized.iter().map(|of| {
        let mut layer = layer(of.source, of.of.operation(), of.activation);
        (layer.rounded, layer.sum_with, layer.stored) = (of.rounded, of.sum_with, Some(of.stored));
        layer
    });
    let network = Network { image, layers: layers.collect() };
    let (_, grid, expected) = values.pop().unwrap();
    for set in sets() {
        let plan = Plan::new(&network, set).unwrap();
        assert!(plan.kernel_of_each().all(|kind| kind.unwrap().ends_with("int8")), "{plan:?}");
        let found = answer(&network, set, pixels);
        assert_eq!(found.len(), expected.len());
        for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let expected = (expected - i32::from(grid.zero_point)) as f32 * grid.step;
            assert_eq!(*found, expected, "{set}, {place}");
        }
    }
}

const ACTIVATIONS: [Activation; 4] =
    [Activation::None, Activation::Relu, Activation::Relu6, Activation::HardSwish];

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn all_sizes_channels_and_strides_are_as_integers_say(
        seed: u64,
        size in prop::array::uniform2(1usize..20),
        channels in prop::array::uniform2(1usize..70),
        kernel in 1usize..8,
        stride in 1usize..4,
        activation in prop::sample::select(ACTIVATIONS.to_vec()),
    ) {
        let mut numbers = Numbers::new(seed);
        let stem = Quantized::random(&mut numbers, 0, (3, channels[0]), (3, 1), Groups::One);
        let mut of = Quantized::random(&mut numbers, 1, (channels[0], channels[1]), (kernel, stride), Groups::One);
        of.activation = activation;
        for (side, rows) in of.of.padding.iter_mut().enumerate() {
            let least = (kernel - 1).saturating_sub(size[side % 2] / 2).max(kernel / 2);
            *rows = least.min(kernel - 1) + numbers.below(kernel - least.min(kernel - 1));
        }
        check_integers(size, &[stem, of], &numbers.bytes(3 * size[0] * size[1]));
    }

    #[test]
    fn channels_apart_are_as_integers_say(
        seed: u64,
        size in prop::array::uniform2(1usize..14),
        channels in 1usize..40,
        kernel in prop::sample::select(vec![3usize, 5, 7]),
        stride in 1usize..3,
        activation in prop::sample::select(ACTIVATIONS.to_vec()),
    ) {
        let mut numbers = Numbers::new(seed);
        let stem = Quantized::random(&mut numbers, 0, (3, channels), (1, 1), Groups::One);
        let mut of = Quantized::random(&mut numbers, 1, (channels, channels), (kernel, stride), Groups::Each);
        of.activation = activation;
        check_integers(size, &[stem, of], &numbers.bytes(3 * size[0] * size[1]));
    }

    #[test]
    fn blocks_with_sums_are_as_integers_say(
        seed: u64,
        size in 2usize..19,
        width in 1usize..40,
        kernel in prop::sample::select(vec![3usize, 5, 7]),
        is_rounded: bool,
        activation in prop::sample::select(ACTIVATIONS.to_vec()),
    ) {
        let mut numbers = Numbers::new(seed);
        let mut layers = vec![Quantized::random(&mut numbers, 0, (3, width), (3, 1), Groups::One)];
        for source in 1..6 {
            let groups = if source == 3 { Groups::Each } else { Groups::One };
            layers.push(Quantized::random(&mut numbers, source, (width, width), (kernel, 1), groups));
        }
        for place in [2, 3, 5] {
            layers[place].sum_with = Some(place - 1);
            layers[place].activation = activation;
            layers[place].rounded = is_rounded.then(|| grid(&mut numbers));
        }
        check_integers([size, size + 1], &layers, &numbers.bytes(3 * size * (size + 1)));
    }
}

/// Not every layer of a network is made of bytes: some read or write numbers in between. With these weights no value lies in the
/// middle between two steps, where rounding errors would decide.
#[test]
fn numbers_and_bytes_stand_side_by_side() {
    for seed in 0..8 {
        let mut numbers = Numbers::new(seed);
        let width = 5 + 13 * seed as usize % 24;
        let of = |numbers: &mut Numbers, source, outputs, kernel| {
            let inputs = if source == 0 { 3 } else { width };
            Quantized::random(numbers, source, (inputs, outputs), (kernel, 1), Groups::One)
        };
        let quantized =
            [of(&mut numbers, 0, width, 3), of(&mut numbers, 1, width, 3), of(&mut numbers, 2, width, 1)];
        let own = Owned::random(&mut numbers, width, width, 3, 1, Groups::One);
        let head = Owned::random(&mut numbers, width, 7, 1, 1, Groups::One);
        let stored = Some(Grid { step: 0.0617, zero_point: 120 });
        let mut layers = vec![
            layer(0, quantized[0].of.operation(), Activation::Relu),
            layer(1, quantized[1].of.operation(), Activation::None),
            // Weights that are no multiples of a step, added to bytes.
            layer(2, own.operation(), Activation::None),
            layer(1, Operation::Copy, Activation::HardSwish),
            layer(4, quantized[2].of.operation(), Activation::None),
            layer(4, Operation::Mean, Activation::None),
            layer(5, Operation::Scale(6), Activation::None),
            layer(7, Operation::Mean, Activation::None),
            layer(8, head.operation(), Activation::None),
        ];
        for place in [0, 1, 2, 3, 4, 6] {
            layers[place].stored = stored;
        }
        layers[2].sum_with = Some(1);
        layers[6].sum_with = Some(3);
        layers[2].rounded = stored;
        let mut image = image(3, 6, 7);
        image.shift = vec![-2.0; 3];
        let network = Network { image, layers };
        let kinds: Vec<_> =
            Plan::new(&network, InstructionSet::Plain).unwrap().kernel_of_each().flatten().collect();
        let is_as_meant =
            kinds.iter().map(|kind| kind.ends_with("int8")).eq([true, true, false, true, false]);
        assert!(is_as_meant, "{kinds:?}");
        check(&network, &numbers.bytes(126), 1e-5);
    }
}

#[test]
fn what_is_no_integer_stays_in_numbers() {
    let kernels = |change: fn(&mut Quantized)| {
        let mut of = Quantized::random(&mut Numbers::new(3), 0, (3, 16), (3, 1), Groups::One);
        change(&mut of);
        let mut layers = vec![layer(0, of.of.operation(), of.activation)];
        layers[0].stored = Some(of.stored);
        let network = Network { image: image(3, 8, 8), layers };
        Plan::new(&network, InstructionSet::Plain).unwrap().kernels()
    };
    assert_eq!(kernels(|_| ()), "1 direct int8");
    assert_eq!(kernels(|of| of.of.weights[3] *= 1.01), "1 direct");
    assert_eq!(kernels(|of| of.of.bias[3] = 1e13), "1 direct");
    assert_eq!(kernels(|of| of.activation = Activation::HardSigmoid { slope: 1.0, shift: 0.0 }), "1 direct");
    assert_eq!(kernels(|of| of.stored.step = 1e-30), "1 direct");
}
