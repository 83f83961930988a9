//! Which values are stored in bytes, and which convolutions therefore multiply bytes.
//!
//! A file in eight bits says f32 everywhere, with rounding to 255 steps in between. A convolution between two such roundings whose weights
//! are whole multiples of a step for each output channel, is one of integers; that the weights are such multiples is found out from
//! the weights themselves, each of which must come out again in every digit.

use super::magnitude::MOST;
use super::network::{Activation, Convolution, Grid, Groups, Image, Layer, Network, Operation, Shape};
use crate::finish::Rounded;
use crate::integer::Routines;

/// Largest scale or bias of a sum, in steps of what is stored.
const MOST_SCALE: f32 = 1e9;

/// A convolution of bytes, before its weights are packed.
pub(super) struct Quantized {
    /// Output channel × input channel × row × column.
    pub weights: Vec<i8>,
    /// What sums begin with, one an output channel.
    pub first: Vec<i32>,
    /// One an output channel; see `integer::Output`.
    pub scale: Vec<f32>,
    pub bias: Vec<f32>,
    pub rounded: Option<Rounded>,
    /// What a step of the value that is added is worth.
    pub added: f32,
    pub hard_swish: Option<f32>,
    pub bounds: [f32; 2],
    /// What a step of the values that come out is worth.
    pub step: f32,
}

/// The grid of each value that is stored in bytes, and what each layer is that multiplies bytes.
pub(super) struct Storage {
    pub grids: Vec<Option<Grid>>,
    pub layers: Vec<Option<Quantized>>,
}

/// Decides; without routines everything is stored in numbers.
pub(super) fn decide(network: &Network<'_>, shapes: &[Shape], routines: Option<&Routines>) -> Storage {
    let nothing =
        || Storage { grids: vec![None; shapes.len()], layers: network.layers.iter().map(|_| None).collect() };
    let Some(routines) = routines else { return nothing() };
    let stored = network.layers.iter().map(|layer| layer.stored.filter(|grid| grid.largest() <= MOST));
    let grids: Vec<_> = std::iter::once(of_image(&network.image)).chain(stored).collect();
    let layers: Vec<_> = network.layers.iter().map(|layer| quantized(layer, &grids, routines)).collect();
    let mut storage = Storage { grids, layers };
    while storage.takes_back(network) {}
    storage
}

impl Storage {
    /// Takes back what a reader cannot read as bytes, and says whether there was anything. Whatever a value is stored in, its layer can write it.
    fn takes_back(&mut self, network: &Network<'_>) -> bool {
        let before = self.grids.iter().flatten().count();
        for (number, layer) in network.layers.iter().enumerate() {
            let grids = &mut self.grids;
            let is_sum_in_bytes = layer.sum_with.is_none_or(|other| grids[other].is_some());
            if grids[layer.source].is_none() || !is_sum_in_bytes {
                self.layers[number] = None;
            }
            let is_read = match layer.operation {
                Operation::Convolution(_) => self.layers[number].is_some(),
                Operation::Mean | Operation::Copy => layer.source != 0,
                Operation::Scale(gate) => {
                    grids[gate] = None;
                    layer.source != 0
                }
            };
            if !is_read {
                grids[layer.source] = None;
            }
            // The image's pixels are not filled up to vectors.
            if layer.sum_with == Some(0) {
                grids[0] = None;
            }
        }
        self.grids.iter().flatten().count() < before
    }
}

/// The image's bytes as they are, if all channels have one scale and an integer for 0.
fn of_image(image: &Image) -> Option<Grid> {
    let (step, shift) = (*image.scale.first()?, *image.shift.first()?);
    let zero_point = (-shift / step).round_ties_even();
    let is_byte = (0.0..=255.0).contains(&zero_point);
    let grid = Grid { step, zero_point: zero_point as u8 };
    let is_same = image.scale.iter().all(|scale| *scale == step)
        && image.shift.iter().all(|shift| *shift == -step * zero_point);
    (is_byte && is_same && grid.is_sound()).then_some(grid)
}

/// A layer as a convolution of bytes, if it can be one.
fn quantized(layer: &Layer<'_>, grids: &[Option<Grid>], routines: &Routines) -> Option<Quantized> {
    let Operation::Convolution(of) = &layer.operation else { return None };
    let (source, stored) = (grids[layer.source]?, layer.stored?);
    let is_first = layer.source == 0;
    if of.groups == Groups::Each && (is_first || routines.depthwise(of.kernel, of.stride).is_none()) {
        return None;
    }
    let (weights, steps) = integers(of)?;
    let first = first_sums(&weights, of, source, routines.byte_zero)?;
    let hard_swish = match layer.activation {
        Activation::HardSigmoid { .. } => return None,
        Activation::HardSwish => Some(stored.step.recip()),
        Activation::None | Activation::Relu | Activation::Relu6 => None,
    };
    // What values are counted in when they are added, and before.
    let last = if hard_swish.is_some() { 1.0 } else { f64::from(stored.step) };
    let unit = layer.rounded.map_or(last, |grid| f64::from(grid.step));
    let scale: Vec<f32> =
        steps.iter().map(|step| (f64::from(source.step) * f64::from(*step) / unit) as f32).collect();
    let bias: Vec<f32> = of.bias.iter().map(|bias| (f64::from(*bias) / unit) as f32).collect();
    let rounded = layer
        .rounded
        .map(|grid| Rounded { bounds: grid.bounds(), step: (f64::from(grid.step) / last) as f32 });
    let added = match layer.sum_with {
        Some(other) => (f64::from(grids[other]?.step) / last) as f32,
        None => 1.0,
    };
    let worth = [added, rounded.map_or(1.0, |rounded| rounded.step), hard_swish.unwrap_or(1.0)];
    let is_sound = |value: &f32| value.is_finite() && value.abs() <= MOST_SCALE;
    if !scale.iter().chain(&bias).chain(&worth).all(is_sound) {
        return None;
    }
    let bounds = bounds(layer.activation, stored);
    Some(Quantized { weights, first, scale, bias, rounded, added, hard_swish, bounds, step: stored.step })
}

/// Between what a value is held, in steps of what is stored.
fn bounds(activation: Activation, stored: Grid) -> [f32; 2] {
    let [least, most] = stored.bounds();
    let [low, high] = activation.bounds();
    [least.max(low / stored.step), most.min(high / stored.step)]
}

/// What sums must begin with, lest they count from the stored byte 0; `None` if sums could overflow.
fn first_sums(weights: &[i8], of: &Convolution<'_>, source: Grid, byte_zero: u8) -> Option<Vec<i32>> {
    // Channels apart are summed up in f32, which holds integers up to 2²⁴ exactly.
    let most = if of.groups == Groups::Each { 1 << 24 } else { i64::from(i32::MAX) };
    let zero = i32::from(byte_zero) - i32::from(source.zero_point);
    let sums = weights.chunks_exact(weights.len() / of.output_channels).map(|kernel| {
        let magnitude: i64 = kernel.iter().map(|weight| i64::from(weight.unsigned_abs())).sum();
        let sum: i32 = kernel.iter().map(|weight| i32::from(*weight)).sum();
        (magnitude * 2 * 255 < most).then_some(zero * sum)
    });
    sums.collect()
}

/// The weights as integers, and the step of each output channel.
fn integers(of: &Convolution<'_>) -> Option<(Vec<i8>, Vec<f32>)> {
    let mut integers = vec![0; of.weights.len()];
    let volume = of.weights.len() / of.output_channels;
    let channels = of.weights.chunks_exact(volume).zip(integers.chunks_exact_mut(volume));
    let steps = channels.map(|(weights, integers)| step_of(weights, integers)).collect::<Option<Vec<_>>>()?;
    Some((integers, steps))
}

/// A step of which all weights are whole multiples, from −128 to 127, in every digit.
fn step_of(weights: &[f32], integers: &mut [i8]) -> Option<f32> {
    let largest = weights.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
    if largest == 0.0 {
        return Some(1.0);
    }
    let near = |multiple: u8| {
        let step = largest / f32::from(multiple);
        [step, step.next_down(), step.next_up()]
    };
    // The largest is most often 127 steps.
    let steps = near(127).into_iter().chain((1..=128).rev().flat_map(near));
    let mut steps = steps.filter(|step| step.is_normal() && step.recip().is_normal());
    steps.find(|step| are_multiples(weights, *step, integers))
}

/// Whether all weights are whole multiples of a step, and of how many.
fn are_multiples(weights: &[f32], step: f32, integers: &mut [i8]) -> bool {
    /// Added and taken away again, it leaves a small number rounded.
    const ROUND: f32 = 12_582_912.0;
    let inverse = step.recip();
    // Most wrong steps are found out by the first few.
    const FEW: usize = 8;
    [weights.len().min(FEW), weights.len()].into_iter().all(|count| {
        let mut are = true;
        for (weight, integer) in weights[..count].iter().zip(&mut *integers) {
            let multiple = (weight * inverse + ROUND) - ROUND;
            are &= multiple * step == *weight && (-128.0..=127.0).contains(&multiple);
            *integer = multiple as i8;
        }
        are
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(integers: &[i8], step: f32) {
        let weights: Vec<f32> = integers.iter().map(|integer| f32::from(*integer) * step).collect();
        let mut found = vec![0; integers.len()];
        let own = step_of(&weights, &mut found).unwrap();
        for (weight, integer) in weights.iter().zip(found) {
            assert_eq!(f32::from(integer) * own, *weight, "{step}, {own}");
        }
    }

    #[test]
    fn integers_come_out_of_their_products_with_a_step() {
        for place in 1..2000 {
            let step = (place as f32 * 0.618_034).fract() * 1e-3 + 1e-5;
            check(&[127, -3, 0, 5, 64, -127, 1, 2, 9, -90], step);
            check(&[-128, 77, 3], step);
            check(&[1, -1, 0], step);
            check(&[93, -50, 12, 11, 8, 7, 31, 0, 0, -92], step);
            check(&[0, 0], step);
        }
    }

    #[test]
    fn weights_of_no_step_are_none() {
        let mut integers = [0; 3];
        for weights in
            [[0.1, 0.2, 0.35001], [1.0, f32::NAN, 0.5], [f32::INFINITY, 1.0, 2.0], [1e-44, 3e-44, 0.0]]
        {
            assert_eq!(step_of(&weights, &mut integers), None, "{weights:?}");
        }
    }

    #[test]
    fn an_image_has_one_scale_and_an_integer_for_0() {
        let image = |scale: [f32; 2], shift: [f32; 2]| Image {
            shape: Shape { channels: 2, rows: 1, columns: 1 },
            scale: scale.to_vec(),
            shift: shift.to_vec(),
        };
        let step = 0.017f32;
        let found = of_image(&image([step; 2], [-step * 121.0; 2]));
        assert_eq!(found, Some(Grid { step, zero_point: 121 }));
        assert_eq!(of_image(&image([1.0; 2], [0.0; 2])), Some(Grid { step: 1.0, zero_point: 0 }));
        for (scale, shift) in [
            ([1.0, 2.0], [0.0; 2]),
            ([1.0; 2], [-3.5; 2]),
            ([1.0; 2], [1.0; 2]),
            ([0.0; 2], [0.0; 2]),
            ([1.0; 2], [-256.0; 2]),
            ([f32::NAN; 2], [0.0; 2]),
        ] {
            assert_eq!(of_image(&image(scale, shift)), None, "{scale:?} {shift:?}");
        }
    }
}
