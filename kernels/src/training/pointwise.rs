//! Convolutions of batches with kernels of 1 × 1, and their gradients: products of matrices, by the panels of the other convolutions.

use super::element::Element;
use super::gradient::Correlate;
use super::routines::{self, Correlation};
use super::{CHANNELS, for_channels, share, side_by_side};
use crate::InstructionSet;
use crate::direct::Direct;
use crate::finish::Target;
use crate::memory::{Lines, Place, Source};
use crate::plan::{choice, pack};
use crate::routines::{self as inference, Panel};

/// Numbers of images and outputs together that are worked on at once: what a core's first cache holds while they are read once for
/// each block of channels.
const BLOCK_VALUES: usize = 6 * 1024;

/// Fewer pixels at once would bring the weights too often.
const FEWEST_PIXELS: usize = 48;

/// A batch of images and a kernel of 1 × 1 between its channels. Images are `stride` times as high and wide as outputs, and only the
/// first pixel of each square is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointwise {
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
    /// Rows and columns of an image from one output to the next.
    pub stride: usize,
}

impl Pointwise {
    /// Whether steps are 1 or 2, and channels come in multiples of [`CHANNELS`].
    pub fn is_supported(&self) -> bool {
        let channels = [self.input_channels, self.output_channels];
        matches!(self.stride, 1 | 2)
            && channels.iter().all(|count| *count > 0 && count.is_multiple_of(CHANNELS))
    }

    /// Writes the outputs of `images` to `outputs`, with this many threads. Weights are ordered output channel × input channel.
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
        let product = Product::new(set, weights, self.output_channels);
        let [of_images, of_outputs] = self.row_lengths();
        let each = share(self.rows(), threads);
        let parts = images.chunks(each * of_images).zip(outputs.chunks_mut(each * of_outputs));
        side_by_side(parts, |(images, outputs)| {
            let rows = images.chunks(self.rows_at_once() * of_images);
            for (images, outputs) in rows.zip(outputs.chunks_mut(self.rows_at_once() * of_outputs)) {
                let images = E::numbers(images);
                let at = images.as_ptr();
                let source = Source { at, row: of_images, pixel: self.stride * self.input_channels };
                E::write(outputs, |outputs| {
                    let at = outputs.as_mut_ptr();
                    let place = Place { at, row: of_outputs, pixel: self.output_channels };
                    // SAFETY: both have so many rows, of an output's columns at these distances.
                    unsafe { product.run(source, place, [outputs.len() / of_outputs, self.width]) };
                });
            }
        });
    }

    /// Writes the gradient with respect to the images, given the one with respect to the outputs.
    ///
    /// # Panics
    /// As [`Pointwise::forward`].
    pub fn images_gradient<E: Element>(
        &self,
        set: InstructionSet,
        weights: &[f32],
        outputs_gradient: &[E],
        gradient: &mut [E],
        threads: usize,
    ) {
        self.assert_sizes(gradient, weights, outputs_gradient);
        let turned = transposed(weights, self.input_channels);
        let product = Product::new(set, &turned, self.input_channels);
        let [of_images, of_outputs] = self.row_lengths();
        let each = share(self.rows(), threads);
        let parts = outputs_gradient.chunks(each * of_outputs).zip(gradient.chunks_mut(each * of_images));
        side_by_side(parts, |(outputs, images)| {
            let rows = outputs.chunks(self.rows_at_once() * of_outputs);
            for (outputs, images) in rows.zip(images.chunks_mut(self.rows_at_once() * of_images)) {
                let outputs = E::numbers(outputs);
                let at = outputs.as_ptr();
                let source = Source { at, row: of_outputs, pixel: self.output_channels };
                E::write(images, |images| {
                    if self.stride > 1 {
                        images.fill(0.0);
                    }
                    let at = images.as_mut_ptr();
                    let place = Place { at, row: of_images, pixel: self.stride * self.input_channels };
                    // SAFETY: as in `forward`.
                    unsafe { product.run(source, place, [outputs.len() / of_outputs, self.width]) };
                });
            }
        });
    }

    /// Writes the gradient with respect to the weights, given the one with respect to the outputs. The last digits depend on the number
    /// of threads.
    ///
    /// # Panics
    /// As [`Pointwise::forward`].
    pub fn weights_gradient<E: Element>(
        &self,
        set: InstructionSet,
        images: &[E],
        outputs_gradient: &[E],
        gradient: &mut [f32],
        threads: usize,
    ) {
        self.assert_sizes(images, gradient, outputs_gradient);
        let correlation = self.correlation(set);
        let [of_images, of_outputs] = self.row_lengths();
        let each = share(self.rows(), threads);
        let parts = images.chunks(each * of_images).zip(outputs_gradient.chunks(each * of_outputs));
        let parts =
            side_by_side(parts, |(images, gradients)| self.correlated(correlation, images, gradients));
        gradient.fill(0.0);
        for part in parts {
            let sums = &part.as_slice()[..gradient.len()];
            for (input, values) in sums.chunks_exact(self.output_channels).enumerate() {
                for (output, value) in values.iter().enumerate() {
                    gradient[output * self.input_channels + input] += value;
                }
            }
        }
    }

    /// Sums over some rows: input channel × output channel.
    fn correlated<E: Element>(&self, correlation: &Correlation, images: &[E], gradients: &[E]) -> Lines {
        let Self { input_channels, output_channels, stride, .. } = *self;
        let [of_images, of_outputs] = self.row_lengths();
        let at_once = self.rows_at_once();
        let mut sums = Lines::zeros(input_channels * output_channels);
        let mut pixels = vec![];
        for (images, gradients) in
            images.chunks(at_once * of_images).zip(gradients.chunks(at_once * of_outputs))
        {
            let (images, gradients) = (E::numbers(images), E::numbers(gradients));
            let images = if stride == 1 {
                &images[..]
            } else {
                pixels.clear();
                for row in images.chunks_exact(of_images) {
                    let read = &row[..of_images / stride];
                    let of_row = read.chunks_exact(stride * input_channels);
                    pixels.extend(of_row.flat_map(|square| &square[..input_channels]));
                }
                &pixels
            };
            let task = Correlate {
                tiles: gradients.len() / output_channels,
                points: 1,
                input_channels,
                output_channels,
                images: images.as_ptr(),
                together: 1,
                input_group: input_channels,
                gradients: gradients.as_ptr(),
                output_group: output_channels,
                sums: sums.as_mut_ptr(),
            };
            // SAFETY: `for_channels` has looked for the instructions; both slices hold so many pixels, whose channels are whole vectors.
            unsafe { (correlation.run)(&task) };
        }
        sums
    }

    fn correlation(&self, set: InstructionSet) -> &'static Correlation {
        let set = for_channels(set, &[self.input_channels, self.output_channels]);
        let routines = routines::of(set).expect("an instruction set that is available has kernels");
        routines.correlation(self.output_channels)
    }

    /// Rows of all outputs.
    fn rows(&self) -> usize {
        self.images * self.height
    }

    /// Numbers of the images and of the outputs for a row of outputs.
    fn row_lengths(&self) -> [usize; 2] {
        let of_images = self.width * self.stride * self.stride * self.input_channels;
        [of_images, self.width * self.output_channels]
    }

    fn rows_at_once(&self) -> usize {
        let of_row: usize = self.row_lengths().iter().sum();
        (BLOCK_VALUES / of_row).max(FEWEST_PIXELS.div_ceil(self.width))
    }

    fn assert_sizes<E>(&self, images: &[E], weights: &[f32], outputs: &[E]) {
        assert!(self.is_supported() && self.images > 0, "{self:?} is not supported");
        let [of_images, of_outputs] = self.row_lengths().map(|of_row| of_row * self.rows());
        assert!(of_outputs > 0, "{self:?} has no pixels");
        assert_eq!(images.len(), of_images, "the images of {self:?}");
        assert_eq!(outputs.len(), of_outputs, "the outputs of {self:?}");
        assert_eq!(weights.len(), self.input_channels * self.output_channels, "the weights of {self:?}");
    }
}

/// Weights, and how pixels are multiplied by them.
struct Product {
    panel: &'static Panel,
    weights: Lines,
    zeros: Lines,
    input_channels: usize,
    blocks: usize,
}

impl Product {
    /// With weights ordered output channel × input channel.
    fn new(set: InstructionSet, weights: &[f32], output_channels: usize) -> Self {
        let input_channels = weights.len() / output_channels;
        let set = for_channels(set, &[output_channels]);
        let routines = inference::of(set).expect("an instruction set that is available has kernels");
        let vectors = output_channels / routines.lanes;
        let (panel, _) = choice::cheapest(routines.panels.iter().map(|panel| panel.sums), vectors, |_| 1.0);
        let panel = &routines.panels[panel];
        let width = panel.sums.vectors * routines.lanes;
        Self {
            panel,
            weights: pack::direct(width, weights, output_channels, 1),
            zeros: Lines::zeros(output_channels),
            input_channels,
            blocks: output_channels / width,
        }
    }

    /// Multiplies pixels, of so many rows and columns, by the weights.
    ///
    /// # Safety
    /// Both images must have these pixels.
    unsafe fn run(&self, source: Source, place: Place, [rows, columns]: [usize; 2]) {
        // Rows without gaps between them are one.
        let has_gaps = |row: usize, pixel: usize| row != columns * pixel;
        let is_one = !has_gaps(source.row, source.pixel) && !has_gaps(place.row, place.pixel);
        let (rows, columns) = if is_one { (1, rows * columns) } else { (rows, columns) };
        let task = Direct {
            source,
            stride: [1, 1],
            lines: 1,
            runs: 1,
            run_length: self.input_channels,
            run_distance: 0,
            rows,
            columns,
            blocks: self.blocks,
            weights: self.weights.as_ptr(),
            bias: self.zeros.as_ptr(),
            target: Target::of(place),
        };
        // SAFETY: `for_channels` has looked for the instructions; the pixels are the caller's promise.
        unsafe { (self.panel.direct)(&task) };
    }
}

/// Weights as input channel × output channel.
fn transposed(weights: &[f32], input_channels: usize) -> Vec<f32> {
    let output_channels = weights.len() / input_channels;
    let mut result = vec![0.0; weights.len()];
    for (output, values) in weights.chunks_exact(input_channels).enumerate() {
        for (input, weight) in values.iter().enumerate() {
            result[input * output_channels + output] = *weight;
        }
    }
    result
}
