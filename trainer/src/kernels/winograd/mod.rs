//! A minimal filtering algorithm (Winograd 1980; in two dimensions Lavin and Gray 2016, arXiv:1509.09308): images, weights and
//! gradients are carried over to another domain, tile by tile, where a convolution is one product of matrices for
//! each of its positions. For 4 × 4 outputs a 3 × 3 kernel then takes a quarter of the multiplications, a 7 × 7 kernel an eighth.
//! [`transform`] knows the domain, [`block`] holds tiles and multiplies, [`pass`] walks over the tiles of a batch.

mod block;
mod pass;
mod transform;

use self::transform::Points;

/// A batch of images and a square kernel of 3, 5 or 7 that moves over them in steps of 1, with zeros around them: outputs are as
/// high and wide as images. Weights are ordered input channel × row × column × output channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
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

impl Filter {
    /// Writes the outputs of `images` to `outputs`, with this many threads.
    pub fn forward(&self, images: &[f32], weights: &[f32], outputs: &mut [f32], threads: usize) {
        match self.kernel {
            3 => pass::forward::<2, 6, 3>(self, &Points::OF_3, images, weights, outputs, threads),
            5 => pass::forward::<3, 8, 5>(self, &Points::OF_5, images, weights, outputs, threads),
            _ => pass::forward::<4, 10, 7>(self, &Points::OF_7, images, weights, outputs, threads),
        }
    }

    /// The gradient with respect to the weights, given the one with respect to the outputs.
    pub fn weights_gradient(&self, images: &[f32], outputs_gradient: &[f32], threads: usize) -> Vec<f32> {
        match self.kernel {
            3 => pass::weights_gradient::<2, 6, 3>(self, &Points::OF_3, images, outputs_gradient, threads),
            5 => pass::weights_gradient::<3, 8, 5>(self, &Points::OF_5, images, outputs_gradient, threads),
            _ => pass::weights_gradient::<4, 10, 7>(self, &Points::OF_7, images, outputs_gradient, threads),
        }
    }
}
