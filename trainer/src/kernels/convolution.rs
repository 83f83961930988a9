//! The convolutions that can be computed here, each in its own way, and their gradients.

use kernels::training::{Depthwise, Element, Filter, Pointwise};
use mfactor::layers::Operation;

use super::{instructions, vectors};

/// A convolution of a batch, of f32 or of bfloat16, whose products and sums are of f32 either way. Weights are f32, ordered output channel × row × column × input channel of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convolution {
    /// By the minimal filtering algorithm.
    Filtered(Filter),
    /// With a kernel of 1 × 1, as a product.
    Pointwise(Pointwise),
    /// With channels apart.
    Depthwise(Depthwise),
}

impl Convolution {
    /// The way that an operation is computed for `images` images and outputs of this height and width, where it is one of the three:
    /// on a processor with vectors, for channels in multiples of 8. A kernel of 1 × 1 in steps of 1 is a product of two matrices,
    /// for which libtorch takes as long.
    pub fn of(operation: &Operation, images: usize, [height, width]: [usize; 2]) -> Option<Self> {
        let Operation::Convolution { input_channels, output_channels, kernel, stride, padding, groups } =
            *operation
        else {
            return None;
        };
        instructions()?;
        if padding != kernel / 2 {
            return None;
        }
        let channels = output_channels;
        if groups == channels && groups == input_channels {
            let own = Depthwise { images, height, width, channels, kernel, stride };
            return own.is_supported().then_some(Self::Depthwise(own));
        }
        if groups != 1 {
            return None;
        }
        if kernel == 1 {
            if stride == 1 {
                return None;
            }
            let own = Pointwise { images, height, width, input_channels, output_channels, stride };
            return own.is_supported().then_some(Self::Pointwise(own));
        }
        let own = Filter { images, height, width, input_channels, output_channels, kernel, stride };
        own.is_supported().then_some(Self::Filtered(own))
    }

    /// Writes the outputs of `images` to `outputs`, with this many threads.
    ///
    /// # Panics
    /// If a slice has not its size.
    pub fn forward<E: Element>(&self, images: &[E], weights: &[f32], outputs: &mut [E], threads: usize) {
        match self {
            Self::Filtered(own) => own.forward(vectors(), images, weights, outputs, threads),
            Self::Pointwise(own) => own.forward(vectors(), images, weights, outputs, threads),
            Self::Depthwise(own) => own.forward(vectors(), images, weights, outputs, threads),
        }
    }

    /// Writes the gradient with respect to the images, given the one with respect to the outputs.
    ///
    /// # Panics
    /// As [`Convolution::forward`].
    pub fn images_gradient<E: Element>(
        &self,
        weights: &[f32],
        outputs_gradient: &[E],
        gradient: &mut [E],
        threads: usize,
    ) {
        match self {
            Self::Filtered(own) => {
                own.images_gradient(vectors(), weights, outputs_gradient, gradient, threads)
            }
            Self::Pointwise(own) => {
                own.images_gradient(vectors(), weights, outputs_gradient, gradient, threads);
            }
            Self::Depthwise(own) => {
                own.images_gradient(vectors(), weights, outputs_gradient, gradient, threads);
            }
        }
    }

    /// Writes the gradient with respect to the weights, given the one with respect to the outputs. The last digits
    /// depend on the number of threads.
    ///
    /// # Panics
    /// As [`Convolution::forward`].
    pub fn weights_gradient<E: Element>(
        &self,
        images: &[E],
        outputs_gradient: &[E],
        gradient: &mut [f32],
        threads: usize,
    ) {
        match self {
            Self::Filtered(own) => {
                own.weights_gradient(vectors(), images, outputs_gradient, gradient, threads)
            }
            Self::Pointwise(own) => {
                own.weights_gradient(vectors(), images, outputs_gradient, gradient, threads);
            }
            Self::Depthwise(own) => {
                own.weights_gradient(vectors(), images, outputs_gradient, gradient, threads);
            }
        }
    }

    /// Images, rows, columns and channels of what it reads.
    pub fn images_shape(&self) -> [usize; 4] {
        let ([images, height, width, _], stride) = (self.outputs_shape(), self.stride());
        let channels = match *self {
            Self::Filtered(Filter { input_channels, .. })
            | Self::Pointwise(Pointwise { input_channels, .. }) => input_channels,
            Self::Depthwise(Depthwise { channels, .. }) => channels,
        };
        [images, height * stride, width * stride, channels]
    }

    /// Images, rows, columns and channels of what it writes.
    pub fn outputs_shape(&self) -> [usize; 4] {
        match *self {
            Self::Filtered(Filter { images, height, width, output_channels, .. })
            | Self::Pointwise(Pointwise { images, height, width, output_channels, .. }) => {
                [images, height, width, output_channels]
            }
            Self::Depthwise(Depthwise { images, height, width, channels, .. }) => {
                [images, height, width, channels]
            }
        }
    }

    /// Output channels, rows, columns and input channels of a group.
    pub fn weights_shape(&self) -> [usize; 4] {
        match *self {
            Self::Filtered(Filter { input_channels, output_channels, kernel, .. }) => {
                [output_channels, kernel, kernel, input_channels]
            }
            Self::Pointwise(Pointwise { input_channels, output_channels, .. }) => {
                [output_channels, 1, 1, input_channels]
            }
            Self::Depthwise(Depthwise { channels, kernel, .. }) => [channels, kernel, kernel, 1],
        }
    }

    fn stride(&self) -> usize {
        match *self {
            Self::Filtered(Filter { stride, .. })
            | Self::Pointwise(Pointwise { stride, .. })
            | Self::Depthwise(Depthwise { stride, .. }) => stride,
        }
    }
}
