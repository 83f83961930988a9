//! Convolutions of batches, and their gradients, in steps of 1.

use super::domain::{Enter, Leave};
use super::element::Element;
use super::gradient::{Correlate, Gather};
use super::routines::{self, Correlation, OfKernel};
use super::tiles::{OUTPUTS, Tiles, Window};
use super::{CHANNELS, for_channels, share, side_by_side};
use crate::InstructionSet;
use crate::memory::{Lines, Place};
use crate::plan::{choice, pack};
use crate::routines::{self as inference, Panel, Routines, Transforms};
use crate::winograd::{self, Products};

/// A batch of images and a square kernel of 3, 5 or 7 that moves over them in steps of 1, with zeros around them: outputs are as
/// high and wide as images.
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
    /// Whether there is a kernel of its size, and channels come in multiples of [`CHANNELS`].
    pub fn is_supported(&self) -> bool {
        let channels = [self.input_channels, self.output_channels];
        matches!(self.kernel, 3 | 5 | 7)
            && channels.iter().all(|count| *count > 0 && count.is_multiple_of(CHANNELS))
    }

    /// Writes the outputs of `images` to `outputs`, both of f32 or of [`Bfloat16`](super::Bfloat16), with this many threads; computed
    /// with is f32 either way. Weights are ordered output channel × input channel × row ×
    /// column.
    ///
    /// # Panics
    /// If the filter is not supported, the processor has not the instructions, or a slice has not its size.
    pub fn forward<E: Element>(
        &self,
        set: InstructionSet,
        images: &[E],
        weights: &[f32],
        outputs: &mut [E],
        threads: usize,
    ) {
        self.assert_sizes(images, outputs);
        let tools = Tools::new(self, set);
        let at_points =
            pack::at_points(tools.routines, tools.transforms, tools.panel, weights, self.output_channels);
        let of_image = self.height * self.width;
        let images_each = share(self.images, threads);
        let parts = images
            .chunks(images_each * of_image * self.input_channels)
            .zip(outputs.chunks_mut(images_each * of_image * self.output_channels));
        side_by_side(parts, |(images, outputs)| self.forward_part(&tools, &at_points, images, outputs));
    }

    fn forward_part<E: Element>(&self, tools: &Tools, weights: &Lines, images: &[E], outputs: &mut [E]) {
        let mut work = Block::new(self, tools, images.len() / self.input_channels);
        let lanes = tools.routines.lanes;
        for first in (0..work.tiles.count).step_by(work.at_once) {
            let count = work.at_once.min(work.tiles.count - first);
            work.spread_images(self, tools, images, first, count);
            let products = Products {
                tiles: count,
                points: tools.transforms.points * tools.transforms.points,
                input_channels: self.input_channels,
                blocks: self.output_channels / (lanes * tools.panel.sums.vectors),
                values: work.images.as_ptr(),
                input_tile: work.input_tile,
                weights: weights.as_ptr(),
                next: weights.as_ptr(),
                sums: work.outputs.as_mut_ptr(),
                output_tile: work.output_tile,
            };
            // SAFETY: `Tools` has looked for the instructions; both blocks have room for a multiple of the panel's rows of tiles.
            unsafe { (tools.panel.products)(&products) };
            for number in 0..count {
                self.collect(tools, &work, [first, number], outputs);
            }
        }
    }

    /// Writes a tile's outputs, as far as they lie in the image.
    fn collect<E: Element>(
        &self,
        tools: &Tools,
        work: &Block,
        [first, number]: [usize; 2],
        outputs: &mut [E],
    ) {
        let place = work.tiles.place(first + number);
        let [rows, columns] = work.tiles.inside(&place);
        let (row, pixel) = (self.width * self.output_channels, self.output_channels);
        let first = place.first_pixel * pixel + place.row * row + place.column * pixel;
        let task = Leave {
            sums: work.outputs.as_slice()[number * work.output_tile..].as_ptr(),
            channels: self.output_channels,
            target: Place { at: outputs[first..].as_mut_ptr(), row, pixel },
            rows,
            columns,
        };
        // SAFETY: the image has all these rows and columns from there on.
        unsafe { (E::ways(tools.of_kernel).collect)(&task) };
    }

    /// The gradient with respect to the weights, input channel × row × column × output channel, given the one with respect to the
    /// outputs.
    ///
    /// # Panics
    /// As [`Filter::forward`].
    pub fn weights_gradient<E: Element>(
        &self,
        set: InstructionSet,
        images: &[E],
        outputs_gradient: &[E],
        threads: usize,
    ) -> Vec<f32> {
        self.assert_sizes(images, outputs_gradient);
        let tools = Tools::new(self, set);
        let of_image = self.height * self.width;
        let images_each = share(self.images, threads);
        let parts = images
            .chunks(images_each * of_image * self.input_channels)
            .zip(outputs_gradient.chunks(images_each * of_image * self.output_channels));
        let parts = side_by_side(parts, |(images, gradients)| self.gradient_part(&tools, images, gradients));
        let add = |mut total: Lines, part: Lines| {
            for (total, value) in total.as_mut_slice().iter_mut().zip(part.as_slice()) {
                *total += value;
            }
            total
        };
        let sums = parts.into_iter().reduce(add).expect("there are images, so there is a part");
        let mut to = vec![0.0; self.kernel * self.kernel * self.input_channels * self.output_channels];
        let (input_channels, output_channels) = (self.input_channels, self.output_channels);
        let mut task = Gather { input_channels, output_channels, sums: sums.as_slice(), to: &mut to };
        // SAFETY: `Tools` has looked for the instructions; the function asserts the sizes.
        unsafe { (tools.of_kernel.gather)(&mut task) };
        to
    }

    /// The sums at all points.
    fn gradient_part<E: Element>(&self, tools: &Tools, images: &[E], gradients: &[E]) -> Lines {
        let mut work = Block::new(self, tools, images.len() / self.input_channels);
        let points = tools.transforms.points * tools.transforms.points;
        let mut sums = Lines::zeros(points * self.input_channels * self.output_channels);
        for first in (0..work.tiles.count).step_by(work.at_once) {
            let count = work.at_once.min(work.tiles.count - first);
            work.spread_images(self, tools, images, first, count);
            work.spread_gradients(self, tools, gradients, first, count);
            let task = Correlate {
                tiles: count,
                points,
                input_channels: self.input_channels,
                output_channels: self.output_channels,
                images: work.images.as_ptr(),
                input_tile: work.input_tile,
                gradients: work.outputs.as_ptr(),
                output_tile: work.output_tile,
                sums: sums.as_mut_ptr(),
            };
            // SAFETY: `Tools` has looked for the instructions; both blocks hold so many tiles, whose channels are whole vectors.
            unsafe { (tools.correlation.run)(&task) };
        }
        sums
    }

    fn assert_sizes<E>(&self, images: &[E], outputs: &[E]) {
        assert!(self.is_supported() && self.images > 0, "{self:?} is not supported");
        let pixels = self.images * self.height * self.width;
        assert!(pixels > 0, "{self:?} has no pixels");
        assert_eq!(images.len(), pixels * self.input_channels, "the images of {self:?}");
        assert_eq!(outputs.len(), pixels * self.output_channels, "the outputs of {self:?}");
    }
}

/// The kernels for a filter on this processor.
struct Tools {
    routines: &'static Routines,
    transforms: &'static Transforms,
    panel: &'static Panel,
    of_kernel: &'static OfKernel,
    correlation: &'static Correlation,
}

impl Tools {
    fn new(filter: &Filter, set: InstructionSet) -> Self {
        let set = for_channels(set, &[filter.input_channels, filter.output_channels]);
        let routines = inference::of(set).expect("an instruction set that is available has kernels");
        let training = routines::of(set).expect("an instruction set that is available has kernels");
        let mut transforms = routines.transforms.iter();
        let fits = |of: &&Transforms| (of.kernel, of.outputs) == (filter.kernel, OUTPUTS);
        let vectors = filter.output_channels / routines.lanes;
        let (panel, _) = choice::cheapest(routines.panels.iter().map(|panel| panel.sums), vectors, |_| 1.0);
        let of_kernel = training.kernels.iter().find(|of| of.kernel == filter.kernel);
        Self {
            routines,
            transforms: transforms.find(fits).expect("a supported filter has its transforms"),
            panel: &routines.panels[panel],
            of_kernel: of_kernel.expect("a supported filter has its transforms"),
            correlation: training.correlation(filter.output_channels),
        }
    }
}

/// Some tiles in the domain: of images, and of outputs or their gradients.
struct Block {
    tiles: Tiles,
    /// How many there is room for.
    at_once: usize,
    images: Lines,
    outputs: Lines,
    /// Numbers from a tile to the next.
    input_tile: usize,
    output_tile: usize,
}

impl Block {
    fn new(filter: &Filter, tools: &Tools, pixels: usize) -> Self {
        let Filter { height, width, input_channels, output_channels, .. } = *filter;
        let tiles = Tiles::new(pixels / (height * width), height, width);
        let points = tools.transforms.points;
        let [input_tile, output_tile] =
            [input_channels, output_channels].map(|channels| winograd::tile_length(points, channels));
        // A multiple of the rows of all panels.
        let at_once = tiles.at_once(input_tile + output_tile, tools.routines.tiles);
        Self {
            tiles,
            at_once,
            images: Lines::zeros(at_once * input_tile),
            outputs: Lines::zeros(at_once * output_tile),
            input_tile,
            output_tile,
        }
    }

    fn spread_images<E: Element>(
        &mut self,
        filter: &Filter,
        tools: &Tools,
        images: &[E],
        first: usize,
        count: usize,
    ) {
        let channels = filter.input_channels;
        let window = Window { before: filter.kernel / 2, size: tools.transforms.points, channels };
        for number in 0..count {
            let pixels = self.tiles.source(images, first + number, &window);
            let values = self.images.as_mut_slice()[number * self.input_tile..].as_mut_ptr();
            // SAFETY: the pixels that are said to be in the image are, and the block has room for the tile.
            unsafe { (E::ways(tools.of_kernel).spread)(&Enter { pixels, channels, values }) };
        }
    }

    fn spread_gradients<E: Element>(
        &mut self,
        filter: &Filter,
        tools: &Tools,
        gradients: &[E],
        first: usize,
        count: usize,
    ) {
        let channels = filter.output_channels;
        let window = Window { before: 0, size: OUTPUTS, channels };
        for number in 0..count {
            let pixels = self.tiles.source(gradients, first + number, &window);
            let values = self.outputs.as_mut_slice()[number * self.output_tile..].as_mut_ptr();
            // SAFETY: as above.
            unsafe { (E::ways(tools.of_kernel).evaluate)(&Enter { pixels, channels, values }) };
        }
    }
}
