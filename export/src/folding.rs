//! Batch norm folded into the convolution before it, and the deviation of the pixels into the first one.
//!
//! At inference batch norm is y = γ·(x − μ)/√(σ² + ε) + β (Ioffe and Szegedy 2015): a scale and a shift for each
//! channel, which the convolution can do itself. Folding is done in f64 and rounded once.

use std::collections::BTreeMap;

use mfactor::layers::Operation;
use mfactor::protocol::{DEVIATION_TENSOR, MEAN_TENSOR};
use mfactor::{Error, Layer, Result};

use crate::weights::Weights;

/// ε of batch norm: PyTorch's default, which the trainer uses.
pub const EPSILON: f64 = 1e-5;
/// Pixel values are divided by this before they are normalised.
const PIXEL_SCALE: f64 = 255.0;

/// A convolution or linear layer, ready for inference.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// Weights in the layer's shape.
    pub weight: Vec<f32>,
    /// A value for each output.
    pub bias: Vec<f32>,
}

/// Everything a graph needs beside its layers.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldedWeights {
    /// What is subtracted from the pixels of each channel: 255 · mean.
    pub pixel_mean: Vec<f32>,
    /// By position in the list of layers: convolutions at their batch norm's position, and linear layers.
    pub layers: BTreeMap<usize, Folded>,
}

/// Folds the weights of `layers`.
///
/// A normalised pixel is (x/255 − mean)/deviation = (x − 255·mean) · 1/(255·deviation). The factor goes into the
/// convolutions that read the image, which is exact; the subtraction cannot, for zero padding comes after it.
///
/// # Errors
/// [`Error::Input`] if a running variance is negative or folding leaves the range of f32; [`Error::Defect`] if a
/// batch norm does not follow a convolution.
pub fn fold(layers: &[Layer], weights: &Weights) -> Result<FoldedWeights> {
    let mean = weights.get(MEAN_TENSOR)?;
    let deviation = weights.get(DEVIATION_TENSOR)?;
    let pixel_factors: Vec<f64> = deviation.iter().map(|d| 1.0 / (PIXEL_SCALE * f64::from(*d))).collect();
    let mut folded = BTreeMap::new();
    for (position, layer) in layers.iter().enumerate() {
        let result = match layer.operation {
            Operation::BatchNorm { .. } => {
                let convolution = &layers[layer.inputs[0]];
                let reads_image = convolution.inputs.first() == Some(&0);
                batch_norm(convolution, layer, weights, reads_image.then_some(&pixel_factors))?
            }
            Operation::Linear { .. } => linear(layer, weights)?,
            _ => continue,
        };
        if !result.weight.iter().chain(&result.bias).all(|value| value.is_finite()) {
            return Err(Error::input(
                &layer.name,
                "its weights leave the range of f32 when batch norm is folded",
            ));
        }
        folded.insert(position, result);
    }
    let pixel_mean = mean.iter().map(|mean| (PIXEL_SCALE * f64::from(*mean)) as f32).collect();
    Ok(FoldedWeights { pixel_mean, layers: folded })
}

fn tensor<'a>(weights: &'a Weights, layer: &Layer, suffix: &str) -> Result<&'a [f32]> {
    weights.get(&format!("{}.{suffix}", layer.name))
}

fn linear(layer: &Layer, weights: &Weights) -> Result<Folded> {
    Ok(Folded {
        weight: tensor(weights, layer, "weight")?.to_vec(),
        bias: tensor(weights, layer, "bias")?.to_vec(),
    })
}

fn batch_norm(
    convolution: &Layer,
    norm: &Layer,
    weights: &Weights,
    input_factors: Option<&Vec<f64>>,
) -> Result<Folded> {
    let Operation::Convolution { input_channels, kernel, groups, .. } = convolution.operation else {
        return Err(Error::Defect(format!("{} does not follow a convolution", norm.name)));
    };
    let [gamma, beta] = [tensor(weights, norm, "weight")?, tensor(weights, norm, "bias")?];
    let [mean, variance] = [tensor(weights, norm, "running_mean")?, tensor(weights, norm, "running_var")?];
    if let Some(negative) = variance.iter().find(|variance| **variance < 0.0) {
        return Err(Error::input(
            format!("{}.running_var", norm.name),
            format!("holds the variance {negative}"),
        ));
    }
    let scales: Vec<f64> = gamma
        .iter()
        .zip(variance)
        .map(|(gamma, variance)| f64::from(*gamma) / (f64::from(*variance) + EPSILON).sqrt())
        .collect();
    let shifts = beta.iter().zip(mean).zip(&scales);
    let bias =
        shifts.map(|((beta, mean), scale)| (f64::from(*beta) - f64::from(*mean) * scale) as f32).collect();
    let (window, planes) = (kernel * kernel, input_channels / groups);
    // An image has too few channels for groups, so a convolution that reads it has all of them in each output.
    let weight = tensor(weights, convolution, "weight")?
        .chunks_exact(window)
        .enumerate()
        .flat_map(|(plane, values)| {
            let factor = input_factors.map_or(1.0, |factors| factors[plane % planes]);
            let scale = scales[plane / planes] * factor;
            values.iter().map(move |value| (f64::from(*value) * scale) as f32)
        })
        .collect();
    Ok(Folded { weight, bias })
}
