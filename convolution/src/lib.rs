//! Convolutions of float32 images on a CPU, and their gradients, with a fraction of the multiplications.
//!
//! A minimal filtering algorithm (Winograd 1980; in two dimensions Lavin and Gray 2016, arXiv:1509.09308): images, weights and
//! gradients are carried over to another domain, tile by tile, where a convolution is one product of matrices for
//! each of its positions. For 4 × 4 outputs a 3 × 3 kernel then takes a quarter of the multiplications, a 7 × 7 kernel an eighth.
//! [`transform`] knows the domain, [`block`] holds tiles and multiplies, [`pass`] walks over the tiles of a batch.

mod block;
mod pass;
mod transform;

use crate::transform::Points;

/// A batch of images and a square kernel that moves over them in steps of 1, with zeros around them: outputs are as
/// high and wide as images. Images lie in memory as image × row × column × channel, weights as output channel × row × column × input
/// channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// Images in the batch.
    pub images: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Channels of an image.
    pub input_channels: usize,
    /// Channels of an output.
    pub output_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
}

/// Channels come in multiples of this, which is a multiple of any processor's vectors.
pub const CHANNELS: usize = 16;

impl Convolution {
    /// Whether this crate computes it: kernels of 3, 5 and 7, channels in multiples of [`CHANNELS`].
    pub fn is_supported(&self) -> bool {
        matches!(self.kernel, 3 | 5 | 7)
            && self.input_channels.is_multiple_of(CHANNELS)
            && self.output_channels.is_multiple_of(CHANNELS)
    }

    /// Writes the outputs of `images` to `outputs`, with this many threads.
    ///
    /// # Panics
    /// If the convolution is not supported, or a slice has not its size.
    pub fn forward(&self, images: &[f32], weights: &[f32], outputs: &mut [f32], threads: usize) {
        self.assert_sizes(images, weights, outputs);
        let weights = self.with_input_channels_first(weights);
        match self.kernel {
            3 => pass::forward::<2, 6, 3>(self, &Points::OF_3, images, &weights, outputs, threads),
            5 => pass::forward::<3, 8, 5>(self, &Points::OF_5, images, &weights, outputs, threads),
            _ => pass::forward::<4, 10, 7>(self, &Points::OF_7, images, &weights, outputs, threads),
        }
    }

    /// Writes the gradient with respect to the images, given the one with respect to the outputs.
    ///
    /// # Panics
    /// As [`Convolution::forward`].
    pub fn images_gradient(
        &self,
        weights: &[f32],
        outputs_gradient: &[f32],
        gradient: &mut [f32],
        threads: usize,
    ) {
        self.assert_sizes(gradient, weights, outputs_gradient);
        // It is a convolution itself: of the outputs' gradient, with the kernel turned by half a turn.
        let turned = self.turned(weights);
        let of_gradient =
            Self { input_channels: self.output_channels, output_channels: self.input_channels, ..*self };
        match self.kernel {
            3 => pass::forward::<2, 6, 3>(
                &of_gradient,
                &Points::OF_3,
                outputs_gradient,
                &turned,
                gradient,
                threads,
            ),
            5 => pass::forward::<3, 8, 5>(
                &of_gradient,
                &Points::OF_5,
                outputs_gradient,
                &turned,
                gradient,
                threads,
            ),
            _ => pass::forward::<4, 10, 7>(
                &of_gradient,
                &Points::OF_7,
                outputs_gradient,
                &turned,
                gradient,
                threads,
            ),
        }
    }

    /// Writes the gradient with respect to the weights, given the one with respect to the outputs. The last digits
    /// depend on the number of threads.
    ///
    /// # Panics
    /// As [`Convolution::forward`].
    pub fn weights_gradient(
        &self,
        images: &[f32],
        outputs_gradient: &[f32],
        gradient: &mut [f32],
        threads: usize,
    ) {
        self.assert_sizes(images, gradient, outputs_gradient);
        let mut input_channels_first = vec![0.0; gradient.len()];
        let target = &mut input_channels_first;
        match self.kernel {
            3 => pass::weights_gradient::<2, 6, 3>(
                self,
                &Points::OF_3,
                images,
                outputs_gradient,
                target,
                threads,
            ),
            5 => pass::weights_gradient::<3, 8, 5>(
                self,
                &Points::OF_5,
                images,
                outputs_gradient,
                target,
                threads,
            ),
            _ => pass::weights_gradient::<4, 10, 7>(
                self,
                &Points::OF_7,
                images,
                outputs_gradient,
                target,
                threads,
            ),
        }
        let taps = self.kernel * self.kernel;
        let (inputs, outputs) = (self.input_channels, self.output_channels);
        for (output, gradient) in gradient.chunks_exact_mut(taps * inputs).enumerate() {
            for tap in 0..taps {
                for input in 0..inputs {
                    gradient[tap * inputs + input] =
                        input_channels_first[(input * taps + tap) * outputs + output];
                }
            }
        }
    }

    /// Weights as input channel × row × column × output channel.
    fn with_input_channels_first(&self, weights: &[f32]) -> Vec<f32> {
        let taps = self.kernel * self.kernel;
        let (inputs, outputs) = (self.input_channels, self.output_channels);
        let mut first = vec![0.0; weights.len()];
        for (output, weights) in weights.chunks_exact(taps * inputs).enumerate() {
            for tap in 0..taps {
                for input in 0..inputs {
                    first[(input * taps + tap) * outputs + output] = weights[tap * inputs + input];
                }
            }
        }
        first
    }

    /// Weights with rows and columns from last to first.
    fn turned(&self, weights: &[f32]) -> Vec<f32> {
        let of_output = self.kernel * self.kernel * self.input_channels;
        weights
            .chunks_exact(of_output)
            .flat_map(|kernel| kernel.chunks_exact(self.input_channels).rev())
            .flatten()
            .copied()
            .collect()
    }

    fn assert_sizes(&self, images: &[f32], weights: &[f32], outputs: &[f32]) {
        assert!(self.is_supported(), "{self:?} is not supported");
        let pixels = self.images * self.height * self.width;
        assert_eq!(images.len(), pixels * self.input_channels, "the images of {self:?}");
        assert_eq!(outputs.len(), pixels * self.output_channels, "the outputs of {self:?}");
        let weights_of_tap = self.input_channels * self.output_channels;
        assert_eq!(weights.len(), self.kernel * self.kernel * weights_of_tap, "the weights of {self:?}");
    }
}
