//! Convolutions of float32 images on a CPU, and their gradients, with a fraction of the multiplications.
//!
//! A minimal filtering algorithm (Winograd 1980; in two dimensions Lavin and Gray 2016, arXiv:1509.09308): images, weights and
//! gradients are carried over to another domain, tile by tile, where a convolution is one product of matrices for
//! each of its positions. For 4 × 4 outputs a 3 × 3 kernel then takes a quarter of the multiplications, a 7 × 7 kernel an eighth.
//! [`transform`] knows the domain, [`block`] holds tiles and multiplies, [`pass`] walks over the tiles of a batch.

mod block;
mod pass;
pub mod tensors;
#[cfg(test)]
mod tests;
mod transform;

use pulp::Arch;

use self::block::CHANNELS;
use self::transform::Points;

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

impl Convolution {
    /// Whether it can be computed here: kernels of 3, 5 and 7, channels in multiples of 16, and a processor with vectors.
    pub fn is_supported(&self) -> bool {
        matches!(self.kernel, 3 | 5 | 7)
            && self.input_channels.is_multiple_of(CHANNELS)
            && self.output_channels.is_multiple_of(CHANNELS)
            && !matches!(Arch::new(), Arch::Scalar)
    }

    /// Writes the outputs of `images` to `outputs`, with this many threads.
    ///
    /// # Panics
    /// If the convolution is not supported, or a slice has not its size.
    pub fn forward(&self, images: &[f32], weights: &[f32], outputs: &mut [f32], threads: usize) {
        self.assert_sizes(images, weights, outputs);
        let weights = swapped(weights, self.output_channels, self.input_channels);
        self.convolve(images, &weights, outputs, threads);
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
        let of_output = self.kernel * self.kernel * self.input_channels;
        let kernels = weights.chunks_exact(of_output);
        let turned = kernels.flat_map(|kernel| kernel.chunks_exact(self.input_channels).rev());
        let turned: Vec<f32> = turned.flatten().copied().collect();
        let of_gradient =
            Self { input_channels: self.output_channels, output_channels: self.input_channels, ..*self };
        of_gradient.convolve(outputs_gradient, &turned, gradient, threads);
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
        let result = match self.kernel {
            3 => pass::weights_gradient::<2, 6, 3>(self, &Points::OF_3, images, outputs_gradient, threads),
            5 => pass::weights_gradient::<3, 8, 5>(self, &Points::OF_5, images, outputs_gradient, threads),
            _ => pass::weights_gradient::<4, 10, 7>(self, &Points::OF_7, images, outputs_gradient, threads),
        };
        gradient.copy_from_slice(&swapped(&result, self.input_channels, self.output_channels));
    }

    /// As [`Convolution::forward`], with weights as input channel × row × column × output channel.
    fn convolve(&self, images: &[f32], weights: &[f32], outputs: &mut [f32], threads: usize) {
        match self.kernel {
            3 => pass::forward::<2, 6, 3>(self, &Points::OF_3, images, weights, outputs, threads),
            5 => pass::forward::<3, 8, 5>(self, &Points::OF_5, images, weights, outputs, threads),
            _ => pass::forward::<4, 10, 7>(self, &Points::OF_7, images, weights, outputs, threads),
        }
    }

    fn assert_sizes(&self, images: &[f32], weights: &[f32], outputs: &[f32]) {
        assert!(self.is_supported(), "{self:?} is not supported");
        let pixels = self.images * self.height * self.width;
        assert_eq!(images.len(), pixels * self.input_channels, "the images of {self:?}");
        assert_eq!(outputs.len(), pixels * self.output_channels, "the outputs of {self:?}");
        let of_tap = self.input_channels * self.output_channels;
        assert_eq!(weights.len(), self.kernel * self.kernel * of_tap, "the weights of {self:?}");
    }
}

/// Weights whose first dimension, of `first` channels, and last one, of `last`, change places.
fn swapped(weights: &[f32], first: usize, last: usize) -> Vec<f32> {
    let taps = weights.len() / (first * last);
    let mut result = vec![0.0; weights.len()];
    for (channel, kernel) in weights.chunks_exact(taps * last).enumerate() {
        for (place, weight) in kernel.iter().enumerate() {
            let (tap, other) = (place / last, place % last);
            result[(other * taps + tap) * first + channel] = *weight;
        }
    }
    result
}
