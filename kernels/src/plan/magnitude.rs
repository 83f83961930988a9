//! How large values can become. Sums in the domain of the minimal filtering algorithm overflow before those of a plain convolution
//! do, and an infinity that a rectification then hides would be a wrong answer without a trace.
//!
//! So a bound is carried from layer to layer. It is a product over layers, far beyond what occurs, and passes what is safe
//! after a dozen layers even in ordinary networks; there the values are looked at in each run, and the bound begins anew.

use super::network::{Grid, Image, Layer, Operation};
use super::{Unsupported, refused};

/// The largest value, and the largest sum of the magnitudes of an output's weights, that are let through: their product, times the
/// 5·10⁵ by which sums in the domain exceed it at the most (kernels of 7: 10³ for Bᵀ and 480 for Aᵀ, in two dimensions), is below
/// the largest f32.
pub(super) const MOST: f32 = 1e22;
const MOST_GAIN: f32 = 1e9;

/// A bound of each layer's values so far.
pub(super) struct Bounds(Vec<f32>);

impl Bounds {
    pub(super) fn of_image(image: &Image) -> Result<Self, Unsupported> {
        let (scale, shift) = (largest(&image.scale), largest(&image.shift));
        let bound = 255.0 * scale + shift;
        if is_beyond(bound, MOST) {
            return refused("the image's scale or shift is too large or not a number");
        }
        Ok(Self(vec![bound]))
    }

    /// Takes in the next layer, and says whether its values must be looked at in each run.
    pub(super) fn next(&mut self, layer: &Layer<'_>) -> Result<bool, Unsupported> {
        let source = self.0[layer.source];
        let mut bound = match &layer.operation {
            Operation::Convolution(convolution) => {
                let outputs = convolution.weights.len() / convolution.output_channels;
                let sums = convolution.weights.chunks_exact(outputs).map(sum_of_magnitudes);
                let gain = sums.fold(0.0, larger);
                let bias = largest(convolution.bias);
                if is_beyond(gain, MOST_GAIN) || is_beyond(bias, MOST) {
                    return refused("its weights are too large or not numbers");
                }
                source * gain + bias
            }
            Operation::Mean | Operation::Copy => source,
            Operation::Scale(gate) => {
                let product = source * self.0[*gate];
                if is_beyond(product, MOST * MOST_GAIN) {
                    return refused("its products could be too large");
                }
                product
            }
        };
        if let Some(grid) = layer.rounded {
            bound = bound.min(grid.largest());
        }
        if let Some(other) = layer.sum_with {
            bound += self.0[other];
        }
        let stored = layer.stored.map_or(f32::INFINITY, Grid::largest);
        let most = layer.activation.largest().min(stored);
        let looked_at = is_beyond(bound.min(most), MOST);
        self.0.push(bound.min(most).min(MOST));
        Ok(looked_at)
    }
}

/// Whether a value is larger, or not a number.
fn is_beyond(value: f32, most: f32) -> bool {
    value.is_nan() || value > most
}

/// The larger of two; not a number if either is not.
fn larger(a: f32, b: f32) -> f32 {
    if a >= b || a.is_nan() { a } else { b }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| larger(most, value.abs()))
}

/// Eight sums side by side: one alone would wait for each addition.
fn sum_of_magnitudes(values: &[f32]) -> f32 {
    let chunks = values.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().map(|value| value.abs()).sum();
    let mut sums = [0.0f32; 8];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value.abs();
        }
    }
    rest + sums.iter().sum::<f32>()
}
