//! Convolutions of batches in steps of 1 and 2, and their gradients.
//!
//! In steps of 2, an output reads pixels whose rows and columns are even and odd alike, and for each of the four kinds it is a
//! convolution in steps of 1. So an image is taken for four, which have every second row and column, the kernel is taken apart in the same
//! way, and the channels of all four are summed over.

use std::ops::Range;

use super::domain::{Enter, Leave};
use super::element::Element;
use super::gradient::Correlate;
use super::routines::{self, Correlation, OfKernel};
use super::tiles::{OUTPUTS, Side, Tiles, Window};
use super::weights::Way;
use super::{CHANNELS, for_channels, share, side_by_side};
use crate::InstructionSet;
use crate::memory::Lines;
use crate::plan::choice;
use crate::routines::{self as inference, Panel, Routines, Transforms};
use crate::winograd::{Layout, Products};

/// A batch of images and a square kernel that moves over them, with zeros around them: images are `stride` times as high and wide as
/// outputs, and the centre of the first kernel is on an image's first pixel. Images and outputs are of f32 or of
/// [`Bfloat16`](super::Bfloat16), and computed with is f32 either way. Weights are ordered output channel × row × column × input channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
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
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Rows and columns of an image from one output to the next.
    pub stride: usize,
}

impl Filter {
    /// Whether it can be computed: kernels of 3, 5 and 7 in steps of 1, of 5 and 7 in steps of 2, and channels in multiples of [`CHANNELS`].
    pub fn is_supported(&self) -> bool {
        let channels = [self.input_channels, self.output_channels];
        matches!((self.stride, self.kernel), (1, 3 | 5 | 7) | (2, 5 | 7))
            && channels.iter().all(|count| *count > 0 && count.is_multiple_of(CHANNELS))
    }

    /// Writes the outputs of `images` to `outputs`, with this many threads.
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
        self.assert_sizes(images, weights, outputs);
        self.convolve(set, Way::There, images, weights, outputs, threads);
    }

    /// Writes the gradient with respect to the images, given the one with respect to the outputs: a convolution too, with the kernel turned
    /// by half a turn.
    ///
    /// # Panics
    /// As [`Filter::forward`].
    pub fn images_gradient<E: Element>(
        &self,
        set: InstructionSet,
        weights: &[f32],
        outputs_gradient: &[E],
        gradient: &mut [E],
        threads: usize,
    ) {
        self.assert_sizes(gradient, weights, outputs_gradient);
        self.convolve(set, Way::Back, outputs_gradient, weights, gradient, threads);
    }

    /// What is read and what is written.
    pub(super) fn sides(&self, way: Way) -> [Side; 2] {
        let images = Side { channels: self.input_channels, stride: self.stride };
        let outputs = Side { channels: self.output_channels, stride: 1 };
        match way {
            Way::There => [images, outputs],
            Way::Back => [outputs, images],
        }
    }

    /// Rows and columns of the kernel that moves over each of the images that one is taken for.
    pub(super) fn kernel_apart(&self) -> usize {
        // There are ways to the domain for odd numbers.
        if self.stride == 1 { self.kernel } else { self.kernel.div_ceil(2) | 1 }
    }

    fn convolve<E: Element>(
        &self,
        set: InstructionSet,
        way: Way,
        images: &[E],
        weights: &[f32],
        outputs: &mut [E],
        threads: usize,
    ) {
        let tools = Tools::new(self, set, way);
        let weights = self.weights_at_points(&tools, way, weights, threads);
        let pixels = share(self.images, threads) * self.height * self.width;
        let [read, written] = tools.sides.map(|side| pixels * side.all_channels());
        let parts = images.chunks(read).zip(outputs.chunks_mut(written));
        side_by_side(parts, |(images, outputs)| self.convolve_part(&tools, &weights, images, outputs));
    }

    fn convolve_part<E: Element>(&self, tools: &Tools, weights: &Lines, images: &[E], outputs: &mut [E]) {
        let mut work = Block::new(self, tools, images.len());
        let window = Window { before: self.kernel_apart() / 2, size: tools.transforms.points };
        for tiles in work.runs() {
            work.read.enter(&work.tiles, E::ways(tools.of_kernel).spread, images, window, tiles.clone());
            let products = Products {
                tiles: tiles.len(),
                points: tools.points(),
                input_channels: work.read.side.all_channels(),
                blocks: work.written.side.all_channels() / (tools.routines.lanes * tools.panel.sums.vectors),
                values: work.read.values.as_ptr(),
                input_group: work.read.layout.group,
                weights: weights.as_ptr(),
                next: weights.as_ptr(),
                sums: work.written.values.as_mut_ptr(),
                output_group: work.written.layout.group,
            };
            // SAFETY: `Tools` has looked for the instructions; both blocks have room for a multiple of the panel's rows of tiles.
            unsafe { (tools.panel.products)(&products) };
            work.written.leave(&work.tiles, E::ways(tools.of_kernel).collect, outputs, tiles);
        }
    }

    /// Writes the gradient with respect to the weights, given the one with respect to the outputs. The last digits depend on the number of
    /// threads.
    ///
    /// # Panics
    /// As [`Filter::forward`].
    pub fn weights_gradient<E: Element>(
        &self,
        set: InstructionSet,
        images: &[E],
        outputs_gradient: &[E],
        gradient: &mut [f32],
        threads: usize,
    ) {
        self.assert_sizes(images, gradient, outputs_gradient);
        let tools = Tools::new(self, set, Way::There);
        let pixels = share(self.images, threads) * self.height * self.width;
        let [read, written] = tools.sides.map(|side| pixels * side.all_channels());
        let parts = images.chunks(read).zip(outputs_gradient.chunks(written));
        let sums = side_by_side(parts, |(images, gradients)| self.correlate_part(&tools, images, gradients));
        self.gather_weights(&tools, &sums, gradient, threads);
    }

    /// The sums at all points.
    fn correlate_part<E: Element>(&self, tools: &Tools, images: &[E], gradients: &[E]) -> Lines {
        let mut work = Block::new(self, tools, images.len());
        let [input_channels, output_channels] = tools.sides.map(Side::all_channels);
        let of_images = Window { before: self.kernel_apart() / 2, size: tools.transforms.points };
        let of_gradients = Window { before: 0, size: OUTPUTS };
        let ways = E::ways(tools.of_kernel);
        let mut sums = Lines::zeros(tools.points() * input_channels * output_channels);
        for tiles in work.runs() {
            work.read.enter(&work.tiles, ways.spread, images, of_images, tiles.clone());
            work.written.enter(&work.tiles, ways.evaluate, gradients, of_gradients, tiles.clone());
            let task = Correlate {
                tiles: tiles.len(),
                points: tools.points(),
                input_channels,
                output_channels,
                images: work.read.values.as_ptr(),
                together: tools.routines.tiles_together,
                input_group: work.read.layout.group,
                gradients: work.written.values.as_ptr(),
                output_group: work.written.layout.group,
                sums: sums.as_mut_ptr(),
            };
            // SAFETY: `Tools` has looked for the instructions; both blocks hold so many tiles, whose channels are whole vectors.
            unsafe { (tools.correlation.run)(&task) };
        }
        sums
    }

    fn assert_sizes<E>(&self, images: &[E], weights: &[f32], outputs: &[E]) {
        assert!(self.is_supported() && self.images > 0, "{self:?} is not supported");
        let pixels = self.images * self.height * self.width;
        assert!(pixels > 0, "{self:?} has no pixels");
        let [of_images, of_outputs] = self.sides(Way::There).map(|side| pixels * side.all_channels());
        assert_eq!(images.len(), of_images, "the images of {self:?}");
        assert_eq!(outputs.len(), of_outputs, "the outputs of {self:?}");
        let of_tap = self.input_channels * self.output_channels;
        assert_eq!(weights.len(), self.kernel * self.kernel * of_tap, "the weights of {self:?}");
    }
}

/// The kernels for a filter on this processor.
pub(super) struct Tools {
    /// What is read and what is written.
    pub sides: [Side; 2],
    pub routines: &'static Routines,
    pub transforms: &'static Transforms,
    pub panel: &'static Panel,
    pub of_kernel: &'static OfKernel,
    correlation: &'static Correlation,
}

impl Tools {
    fn new(filter: &Filter, set: InstructionSet, way: Way) -> Self {
        let set = for_channels(set, &[filter.input_channels, filter.output_channels]);
        let routines = inference::of(set).expect("an instruction set that is available has kernels");
        let training = routines::of(set).expect("an instruction set that is available has kernels");
        let sides = filter.sides(way);
        let kernel = filter.kernel_apart();
        let mut transforms = routines.transforms.iter();
        let fits = |of: &&Transforms| (of.kernel, of.outputs) == (kernel, OUTPUTS);
        let channels = sides[1].all_channels();
        let vectors = channels / routines.lanes;
        let (panel, _) = choice::cheapest(routines.panels.iter().map(|panel| panel.sums), vectors, |_| 1.0);
        let of_kernel = training.kernels.iter().find(|of| of.kernel == kernel);
        Self {
            sides,
            routines,
            transforms: transforms.find(fits).expect("a supported filter has its transforms"),
            panel: &routines.panels[panel],
            of_kernel: of_kernel.expect("a supported filter has its transforms"),
            correlation: training.correlation(channels),
        }
    }

    /// In two dimensions.
    pub(super) fn points(&self) -> usize {
        self.transforms.points * self.transforms.points
    }
}

/// Some tiles in the domain: of what is read, and of what is written or its gradient.
struct Block {
    tiles: Tiles,
    /// How many there is room for.
    at_once: usize,
    read: Domain,
    written: Domain,
}

impl Block {
    /// For so many numbers of images.
    fn new(filter: &Filter, tools: &Tools, numbers: usize) -> Self {
        let Filter { height, width, .. } = *filter;
        let pixels = numbers / tools.sides[0].all_channels();
        let tiles = Tiles::new(pixels / (height * width), height, width);
        let points = tools.transforms.points;
        let layout = |side: Side| Layout::new(tools.routines, points, side.all_channels());
        // A multiple of the rows of all panels.
        let step = tools.routines.tiles;
        let of_step: usize = tools.sides.map(|side| layout(side).room(step)).iter().sum();
        let at_once = tiles.at_once(of_step / step, step);
        let [read, written] = tools.sides.map(|side| {
            let layout = layout(side);
            Domain { side, points, layout, values: Lines::zeros(layout.room(at_once)) }
        });
        Self { tiles, at_once, read, written }
    }

    /// All tiles, as many at once as there is room for.
    fn runs(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (count, at_once) = (self.tiles.count, self.at_once);
        (0..count).step_by(at_once).map(move |first| first..count.min(first + at_once))
    }
}

/// The tiles of one side.
struct Domain {
    side: Side,
    /// In one dimension.
    points: usize,
    layout: Layout,
    values: Lines,
}

impl Domain {
    fn enter<E>(
        &mut self,
        tiles: &Tiles,
        way: unsafe fn(&Enter<E>),
        pixels: &[E],
        window: Window,
        range: Range<usize>,
    ) {
        let channels = self.side.channels;
        let of_image = self.layout.channel(self.points, channels);
        for (number, tile) in range.enumerate() {
            for image in 0..self.side.images() {
                let pixels = tiles.source(pixels, self.side, image, tile, window);
                let first = self.layout.of(number) + image * of_image;
                let values = self.values.as_mut_slice()[first..].as_mut_ptr();
                // SAFETY: the pixels that are said to be in the image are, and there is room for the tile; `Tools` has looked for the
                // instructions.
                unsafe { way(&Enter { pixels, channels, values }) };
            }
        }
    }

    /// Writes outputs of tiles, as far as they lie in the image.
    fn leave<E>(&self, tiles: &Tiles, way: unsafe fn(&Leave<E>), pixels: &mut [E], range: Range<usize>) {
        let channels = self.side.channels;
        let of_image = self.layout.channel(self.points, channels);
        for (number, tile) in range.enumerate() {
            let [rows, columns] = tiles.inside(tile);
            for image in 0..self.side.images() {
                let first = self.layout.of(number) + image * of_image;
                let sums = self.values.as_slice()[first..].as_ptr();
                let target = tiles.target(pixels, self.side, image, tile);
                // SAFETY: the image has all these rows and columns from there on; the rest as above.
                unsafe { way(&Leave { sums, channels, target, rows, columns }) };
            }
        }
    }
}
