//! Convolutions of images of float32 or bfloat16 on a CPU, and their gradients, computed in float32 with a fraction of the multiplications: see [`Filter`].
//!
//! With steps of 2, an output reads pixels whose rows and columns are even and odd alike, and for each of the four kinds it is a
//! convolution with steps of 1. So the four pixels of each square of an image become the channels of one, the kernel's weights are
//! sorted in the same way, and a convolution with a kernel half as large remains.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use kernels::InstructionSet;
use kernels::training::{Element, Filter};

use super::convolution::vectors;

/// A batch of images and a square kernel that moves over them, with zeros around them: images are `stride` times as high and wide
/// as outputs. Weights are ordered output channel × row × column × input channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filtered {
    /// Images in the batch.
    pub images: usize,
    /// Rows of an output.
    pub height: usize,
    /// Columns of an output.
    pub width: usize,
    /// Channels of an image.
    pub input_channels: usize,
    /// Channels of an output.
    pub output_channels: usize,
    /// Rows and columns of the kernel; the centre of the first is on an image's first pixel.
    pub kernel: usize,
    /// Rows and columns of an image from one output to the next.
    pub stride: usize,
}

impl Filtered {
    /// Whether it can be computed here: kernels of 3, 5 and 7 in steps of 1, of 5 and 7 in steps of 2, channels in multiples of 8,
    /// and a processor with vectors.
    pub fn is_supported(&self) -> bool {
        matches!((self.stride, self.kernel), (1, 3 | 5 | 7) | (2, 5 | 7))
            && self.filter().is_supported()
            && InstructionSet::best().is_some()
    }

    /// Writes the outputs of `images` to `outputs`, with this many threads.
    ///
    /// # Panics
    /// If the convolution is not supported, or a slice has not its size.
    pub fn forward<E: Element>(&self, images: &[E], weights: &[f32], outputs: &mut [E], threads: usize) {
        self.assert_sizes(images, weights, outputs);
        let filter = self.filter();
        let weights = by_channel(&self.sorted(weights), filter.input_channels, filter.kernel);
        filter.forward(vectors(), &self.gathered(images), &weights, outputs, threads);
    }

    /// Writes the gradient with respect to the images, given the one with respect to the outputs.
    ///
    /// # Panics
    /// As [`Filtered::forward`].
    pub fn images_gradient<E: Element>(
        &self,
        weights: &[f32],
        outputs_gradient: &[E],
        gradient: &mut [E],
        threads: usize,
    ) {
        self.assert_sizes(gradient, weights, outputs_gradient);
        let filter = self.filter();
        // It is a convolution itself: of the outputs' gradient, with the kernel turned by half a turn.
        let turned = turned(&self.sorted(weights), filter);
        let of_gradient = Filter {
            input_channels: filter.output_channels,
            output_channels: filter.input_channels,
            ..filter
        };
        if self.stride == 1 {
            of_gradient.forward(vectors(), outputs_gradient, &turned, gradient, threads);
        } else {
            let mut gathered = gradient.to_vec();
            of_gradient.forward(vectors(), outputs_gradient, &turned, &mut gathered, threads);
            self.for_each_square(|squares, image| {
                gradient[image].copy_from_slice(&gathered[squares]);
            });
        }
    }

    /// Writes the gradient with respect to the weights, given the one with respect to the outputs. The last digits
    /// depend on the number of threads.
    ///
    /// # Panics
    /// As [`Filtered::forward`].
    pub fn weights_gradient<E: Element>(
        &self,
        images: &[E],
        outputs_gradient: &[E],
        gradient: &mut [f32],
        threads: usize,
    ) {
        self.assert_sizes(images, gradient, outputs_gradient);
        let filter = self.filter();
        let result = filter.weights_gradient(vectors(), &self.gathered(images), outputs_gradient, threads);
        let sorted = swapped(&result, filter.input_channels, filter.output_channels);
        self.for_each_weight(|place, weight| {
            gradient[weight].copy_from_slice(&sorted[place]);
        });
    }

    /// What remains of it in steps of 1.
    fn filter(&self) -> Filter {
        let Self { images, height, width, input_channels, output_channels, kernel, stride } = *self;
        let (input_channels, kernel) = match stride {
            1 => (input_channels, kernel),
            _ => (4 * input_channels, kernel.div_ceil(2) | 1),
        };
        Filter { images, height, width, input_channels, output_channels, kernel }
    }

    /// Images whose pixels are the squares of the given ones.
    fn gathered<'a, E: Element>(&self, images: &'a [E]) -> Cow<'a, [E]> {
        if self.stride == 1 {
            return Cow::Borrowed(images);
        }
        let mut gathered = images.to_vec();
        self.for_each_square(|squares, image| {
            gathered[squares].copy_from_slice(&images[image]);
        });
        Cow::Owned(gathered)
    }

    /// Calls `visit` for each half of a square, a row of two pixels, with where it lies among the squares and in the images.
    fn for_each_square(&self, mut visit: impl FnMut(Range<usize>, Range<usize>)) {
        let half = 2 * self.input_channels;
        for row in 0..self.images * self.height {
            for (lower, column) in (0..2).flat_map(|lower| (0..self.width).map(move |column| (lower, column)))
            {
                let square = ((row * self.width + column) * 2 + lower) * half;
                let image = ((2 * row + lower) * self.width + column) * half;
                visit(square..square + half, image..image + half);
            }
        }
    }

    /// The weights of what remains in steps of 1: output channel × row × column × pixel of a square × input channel.
    fn sorted<'a>(&self, weights: &'a [f32]) -> Cow<'a, [f32]> {
        if self.stride == 1 {
            return Cow::Borrowed(weights);
        }
        let Filter { kernel, input_channels, output_channels, .. } = self.filter();
        let mut sorted = vec![0.0; output_channels * kernel * kernel * input_channels];
        self.for_each_weight(|place, weight| {
            sorted[place].copy_from_slice(&weights[weight]);
        });
        Cow::Owned(sorted)
    }

    /// Calls `visit` for the weights of each output channel, row and column, with where they lie among the sorted ones and among the
    /// weights.
    fn for_each_weight(&self, mut visit: impl FnMut(Range<usize>, Range<usize>)) {
        let (channels, kernel) = (self.input_channels, self.filter().kernel);
        // The row of the weights that meets an image's row of a square, of which there are `stride`; the same for columns.
        let met = |square: usize, within: usize| {
            (square * self.stride + within + self.kernel / 2).checked_sub(kernel / 2 * self.stride)
        };
        let taps = || {
            let squares = (0..kernel).flat_map(|square| (0..self.stride).map(move |within| (square, within)));
            squares.filter_map(|(square, within)| {
                Some((square, within, met(square, within).filter(|tap| *tap < self.kernel)?))
            })
        };
        for output in 0..self.output_channels {
            for (row, lower, down) in taps() {
                for (column, righter, right) in taps() {
                    let square = (output * kernel + row) * kernel + column;
                    let place = ((square * self.stride + lower) * self.stride + righter) * channels;
                    let weight = ((output * self.kernel + down) * self.kernel + right) * channels;
                    visit(place..place + channels, weight..weight + channels);
                }
            }
        }
    }

    fn assert_sizes<E>(&self, images: &[E], weights: &[f32], outputs: &[E]) {
        assert!(self.is_supported(), "{self:?} is not supported");
        let pixels = self.images * self.height * self.width;
        let of_images = pixels * self.stride * self.stride * self.input_channels;
        assert_eq!(images.len(), of_images, "the images of {self:?}");
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

/// Weights of a kernel whose channels lie together, as output channel × input channel × row × column.
fn by_channel(weights: &[f32], input_channels: usize, kernel: usize) -> Vec<f32> {
    let area = kernel * kernel;
    let mut result = vec![0.0; weights.len()];
    let of_outputs = result.chunks_exact_mut(area * input_channels);
    for (to, from) in of_outputs.zip(weights.chunks_exact(area * input_channels)) {
        for (tap, values) in from.chunks_exact(input_channels).enumerate() {
            for (channel, weight) in values.iter().enumerate() {
                to[channel * area + tap] = *weight;
            }
        }
    }
    result
}

/// The weights of the way back: input channel × output channel × row × column, turned by half a turn.
fn turned(weights: &[f32], filter: Filter) -> Vec<f32> {
    let Filter { input_channels, output_channels, kernel, .. } = filter;
    let area = kernel * kernel;
    let mut result = vec![0.0; weights.len()];
    for (output, from) in weights.chunks_exact(area * input_channels).enumerate() {
        for (tap, values) in from.chunks_exact(input_channels).enumerate() {
            for (channel, weight) in values.iter().enumerate() {
                result[(channel * output_channels + output) * area + area - 1 - tap] = *weight;
            }
        }
    }
    result
}
