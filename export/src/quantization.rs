//! From f32 to eight bits: weights to int8 with a scale for each output channel, activations to uint8.
//!
//! real = scale · (quantized − zero point), as in ONNX's QuantizeLinear. Weights are symmetric (zero point 0) in
//! [−127, 127], so that no product of −128 · −128 can overflow an engine's 16-bit sums. An activation after a ReLU has
//! zero point 0: quantizing it is then the ReLU itself.

use crate::folding::Folded;

/// Range of an activation; it always holds 0, for zero padding must be exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Smallest value that is kept.
    pub low: f32,
    /// Largest value that is kept.
    pub high: f32,
}

/// How an activation is quantized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Step.
    pub scale: f32,
    /// What 0 becomes.
    pub zero_point: u8,
}

impl Affine {
    /// The finest steps that cover a range.
    pub fn of(range: Range) -> Self {
        let (low, high) = (f64::from(range.low.min(0.0)), f64::from(range.high.max(0.0)));
        // A value that is always 0 may have any scale.
        let scale = if high > low { (high - low) / 255.0 } else { 1.0 };
        Self { scale: scale as f32, zero_point: (-low / scale).round_ties_even().clamp(0.0, 255.0) as u8 }
    }
}

/// Quantized weights of a convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedWeights {
    /// Weights, in the layer's order.
    pub weight: Vec<i8>,
    /// Step of each output channel's weights.
    pub scales: Vec<f32>,
    /// Bias in steps of input scale · weight scale.
    pub bias: Vec<i32>,
}

impl QuantizedWeights {
    /// Quantizes weights with `outputs` output channels whose input has steps of `input_scale`.
    pub fn new(folded: &Folded, outputs: usize, input_scale: f32) -> Self {
        let planes = folded.weight.chunks_exact(folded.weight.len() / outputs);
        let scales: Vec<f32> = planes
            .clone()
            .map(|plane| {
                let largest = plane.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                if largest > 0.0 { largest / 127.0 } else { 1.0 }
            })
            .collect();
        let weight = planes
            .zip(&scales)
            .flat_map(|(plane, scale)| plane.iter().map(move |value| (value / scale).round_ties_even() as i8))
            .collect();
        let steps = |(bias, scale): (&f32, &f32)| {
            (f64::from(*bias) / (f64::from(input_scale) * f64::from(*scale))).round_ties_even() as i32
        };
        let bias = folded.bias.iter().zip(&scales).map(steps).collect();
        Self { weight, scales, bias }
    }
}

/// Folds the subtraction of the pixels' mean into the convolution that reads them, so that it can read the image's own
/// bytes: one zero point for all channels, and what a channel's mean differs from it in the bias.
///
/// That is exact but at the border, where padding stands for the mean of all channels rather than each channel's own.
pub fn shift_pixels(folded: &Folded, pixel_mean: &[f32]) -> (Folded, Affine) {
    let mean = pixel_mean.iter().sum::<f32>() / pixel_mean.len() as f32;
    let zero_point = mean.round().clamp(0.0, 255.0) as u8;
    let plane = folded.weight.len() / folded.bias.len();
    let window = plane / pixel_mean.len();
    let shift = |weights: &[f32]| -> f64 {
        let channels = weights.chunks_exact(window).zip(pixel_mean);
        channels
            .map(|(weights, mean)| {
                let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
                sum * (f64::from(zero_point) - f64::from(*mean))
            })
            .sum()
    };
    let biases = folded.bias.iter().zip(folded.weight.chunks_exact(plane));
    let bias = biases.map(|(bias, weights)| (f64::from(*bias) + shift(weights)) as f32).collect();
    (Folded { weight: folded.weight.clone(), bias }, Affine { scale: 1.0, zero_point })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_covered_and_zero_is_exact() {
        assert_eq!(Affine::of(Range { low: 0.0, high: 25.5 }), Affine { scale: 0.1, zero_point: 0 });
        assert_eq!(Affine::of(Range { low: -1.0, high: 1.55 }), Affine { scale: 0.01, zero_point: 100 });
        assert_eq!(Affine::of(Range { low: 3.0, high: 5.1 }).zero_point, 0, "0 is in every range");
        assert_eq!(Affine::of(Range { low: 0.0, high: 0.0 }), Affine { scale: 1.0, zero_point: 0 });
    }

    #[test]
    fn each_channel_has_its_own_step() {
        let folded =
            Folded { weight: vec![1.27, -0.01, 0.0, 0.0, 127.0, -127.0], bias: vec![0.1, 0.1, -3.0] };
        let quantized = QuantizedWeights::new(&folded, 3, 0.5);
        assert_eq!(quantized.weight, [127, -1, 0, 0, 127, -127]);
        assert!((quantized.scales[0] - 0.01).abs() < 1e-8 && quantized.scales[2] == 1.0);
        assert_eq!(quantized.bias, [20, 0, -6]);
    }

    #[test]
    fn shifted_pixels_give_the_same_sums() {
        // Two channels of one pixel each, one output.
        let folded = Folded { weight: vec![2.0, -3.0], bias: vec![0.5] };
        let (shifted, affine) = shift_pixels(&folded, &[100.0, 110.0]);
        assert_eq!(affine, Affine { scale: 1.0, zero_point: 105 });
        let by_mean = 2.0 * (7.0 - 100.0) - 3.0 * (9.0 - 110.0) + 0.5;
        let by_zero_point = 2.0 * (7.0 - 105.0) - 3.0 * (9.0 - 105.0) + shifted.bias[0];
        assert!((by_mean - by_zero_point).abs() < 1e-4f32);
    }
}
