//! Convolutions of batches that keep channels apart, and their gradients.

use super::depthwise_passes::{Forward, ImagesGradient, Sizes, WeightsGradient};
use super::routines::{self, DepthwiseOf};
use super::{CHANNELS, Element, for_channels, share, side_by_side};
use crate::InstructionSet;

/// A batch of images and a square kernel for each channel that moves over it, with zeros around the images. Images are `stride` times
/// as high and wide as outputs; the centre of the first kernel is on an image's first pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depthwise {
    /// Images in the batch.
    pub images: usize,
    /// Rows of an output.
    pub height: usize,
    /// Columns of an output.
    pub width: usize,
    /// Channels of an image and of an output.
    pub channels: usize,
    /// Rows and columns of the kernels.
    pub kernel: usize,
    /// Rows and columns of an image from one output to the next.
    pub stride: usize,
}

impl Depthwise {
    /// Whether kernels have 3, 5 or 7 rows, steps are 1 or 2, and channels come in multiples of [`CHANNELS`].
    pub fn is_supported(&self) -> bool {
        matches!((self.kernel, self.stride), (3 | 5 | 7, 1 | 2))
            && self.channels > 0
            && self.channels.is_multiple_of(CHANNELS)
    }

    /// Writes the outputs of `images` to `outputs`, with this many threads. Weights are ordered channel × row × column.
    ///
    /// # Panics
    /// If the convolution is not supported, the processor has not the instructions, or a slice has not its size.
    pub fn forward<E: Element>(
        &self,
        set: InstructionSet,
        images: &[E],
        weights: &[f32],
        outputs: &mut [E],
        threads: usize,
    ) {
        self.assert_sizes(images, weights, outputs);
        let weights = self.by_tap(weights);
        self.slide(self.routines(set), images, &weights, outputs, threads);
    }

    /// Writes the gradient with respect to the images, given the one with respect to the outputs.
    ///
    /// # Panics
    /// As [`Depthwise::forward`].
    pub fn images_gradient<E: Element>(
        &self,
        set: InstructionSet,
        weights: &[f32],
        outputs_gradient: &[E],
        gradient: &mut [E],
        threads: usize,
    ) {
        self.assert_sizes(gradient, weights, outputs_gradient);
        let routines = self.routines(set);
        let mut weights = self.by_tap(weights);
        let Some(run) = routines.images_gradient else {
            // In steps of 1 it is such a convolution itself, with kernels turned by half a turn.
            reverse(&mut weights, self.channels);
            return self.slide(routines, outputs_gradient, &weights, gradient, threads);
        };
        let [of_images, of_outputs] = self.shares(threads);
        let parts = outputs_gradient.chunks(of_outputs).zip(gradient.chunks_mut(of_images));
        side_by_side(parts, |(outputs_gradient, gradient)| {
            let (sizes, weights) = (self.sizes(), &weights[..]);
            let mut task = ImagesGradient { sizes, outputs_gradient, weights, gradient };
            // SAFETY: `routines` has looked for the instructions; sizes are asserted.
            unsafe { run(&mut task) };
        });
    }

    /// Writes the gradient with respect to the weights, given the one with respect to the outputs. The last digits depend on the number
    /// of threads.
    ///
    /// # Panics
    /// As [`Depthwise::forward`].
    pub fn weights_gradient<E: Element>(
        &self,
        set: InstructionSet,
        images: &[E],
        outputs_gradient: &[E],
        gradient: &mut [f32],
        threads: usize,
    ) {
        self.assert_sizes(images, gradient, outputs_gradient);
        let run = self.routines::<E>(set).weights_gradient;
        let [of_images, of_outputs] = self.shares(threads);
        let parts = images.chunks(of_images).zip(outputs_gradient.chunks(of_outputs));
        let parts = side_by_side(parts, |(images, outputs_gradient)| {
            let (sizes, zeros) = (self.sizes(), vec![0.0; self.weights()]);
            let (gradient, of_image) = (zeros.clone(), zeros);
            let mut task = WeightsGradient { sizes, images, outputs_gradient, gradient, of_image };
            // SAFETY: as in `images_gradient`.
            unsafe { run(&mut task) };
            task.gradient
        });
        let area = self.kernel * self.kernel;
        gradient.fill(0.0);
        for part in parts {
            for (tap, values) in part.chunks_exact(self.channels).enumerate() {
                for (channel, value) in values.iter().enumerate() {
                    gradient[channel * area + tap] += value;
                }
            }
        }
    }

    /// Moves the kernels over some images in its own steps.
    fn slide<E: Element>(
        &self,
        routines: &DepthwiseOf<E>,
        images: &[E],
        weights: &[f32],
        outputs: &mut [E],
        threads: usize,
    ) {
        let [of_images, of_outputs] = self.shares(threads);
        let parts = images.chunks(of_images).zip(outputs.chunks_mut(of_outputs));
        side_by_side(parts, |(images, outputs)| {
            let mut task = Forward { sizes: self.sizes(), images, weights, outputs };
            // SAFETY: as in `images_gradient`.
            unsafe { (routines.forward)(&mut task) };
        });
    }

    /// Numbers of images and of outputs that a thread works on.
    fn shares(&self, threads: usize) -> [usize; 2] {
        let of_outputs = share(self.images, threads) * self.height * self.width * self.channels;
        [of_outputs * self.stride * self.stride, of_outputs]
    }

    fn sizes(&self) -> Sizes {
        Sizes { height: self.height, width: self.width, channels: self.channels }
    }

    /// Numbers of all kernels.
    fn weights(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    /// Weights as row × column × channel.
    fn by_tap(&self, weights: &[f32]) -> Vec<f32> {
        let area = self.kernel * self.kernel;
        let mut result = vec![0.0; weights.len()];
        for (channel, kernel) in weights.chunks_exact(area).enumerate() {
            for (tap, weight) in kernel.iter().enumerate() {
                result[tap * self.channels + channel] = *weight;
            }
        }
        result
    }

    fn routines<E: Element>(&self, set: InstructionSet) -> &'static DepthwiseOf<E> {
        let fits = |of: &&DepthwiseOf<E>| (of.kernel, of.stride) == (self.kernel, self.stride);
        let routines = routines::of(for_channels(set, &[self.channels]));
        let routines = routines.expect("an instruction set that is available has kernels");
        E::passes(routines)
            .depthwise
            .iter()
            .flatten()
            .find(fits)
            .expect("a supported convolution has its passes")
    }

    fn assert_sizes<E>(&self, images: &[E], weights: &[f32], outputs: &[E]) {
        assert!(self.is_supported() && self.images > 0, "{self:?} is not supported");
        let of_outputs = self.images * self.height * self.width * self.channels;
        assert!(of_outputs > 0, "{self:?} has no pixels");
        assert_eq!(images.len(), of_outputs * self.stride * self.stride, "the images of {self:?}");
        assert_eq!(outputs.len(), of_outputs, "the outputs of {self:?}");
        assert_eq!(weights.len(), self.weights(), "the weights of {self:?}");
    }
}

/// Turns kernels, row × column × channel, by half a turn.
fn reverse(weights: &mut [f32], channels: usize) {
    let taps = weights.len() / channels;
    for tap in 0..taps / 2 {
        let (first, last) = weights.split_at_mut((taps - 1 - tap) * channels);
        first[tap * channels..][..channels].swap_with_slice(&mut last[..channels]);
    }
}
