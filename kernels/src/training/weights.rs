//! The weights of filters on their way to the domain, and their gradients on the way back, by several threads: with 64 channels this
//! takes as long as the convolution of some images.

use super::filter::{Filter, Tools};
use super::gradient::Gather;
use super::{share, side_by_side};
use crate::memory::Lines;
use crate::winograd::Weigh;

/// From images to outputs, or from the outputs' gradients to those of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    There,
    Back,
}

/// Memory whose parts several threads write to, each its own.
struct Shared(*mut f32);

// SAFETY: what is written where, and that it is there, is said wherever `at` is used.
unsafe impl Sync for Shared {}

impl Shared {
    fn at(&self, place: usize) -> *mut f32 {
        self.0.wrapping_add(place)
    }
}

impl Filter {
    /// For each of the images that one is taken for, where the taps of its kernel lie among the weights of an output channel, row by row; none
    /// for those that would lie beside the kernel.
    fn taps(&self) -> Vec<Option<usize>> {
        let (stride, kernel) = (self.stride, self.kernel_apart());
        // The kernel's row that a row of the smaller kernel is, over those images that have every second row from `from` on.
        let met = |row: usize, from: usize| {
            let tap = (row * stride + from + self.kernel / 2).checked_sub(kernel / 2 * stride);
            tap.filter(|tap| *tap < self.kernel)
        };
        let of_image = |image: usize| {
            (0..kernel * kernel).map(move |tap| {
                let [row, column] = [met(tap / kernel, image / stride)?, met(tap % kernel, image % stride)?];
                Some((row * self.kernel + column) * self.input_channels)
            })
        };
        (0..stride * stride).flat_map(of_image).collect()
    }

    /// Numbers of weights from an output channel to the next.
    fn of_output(&self) -> usize {
        self.kernel * self.kernel * self.input_channels
    }

    /// Weights for products in the domain.
    pub(super) fn weights_at_points(
        &self,
        tools: &Tools,
        way: Way,
        weights: &[f32],
        threads: usize,
    ) -> Lines {
        let [read, written] = tools.sides;
        let vectors = tools.panel.sums.vectors;
        let width = vectors * tools.routines.lanes;
        let block = read.all_channels() * width;
        let point = written.all_channels() / width * block;
        let area = tools.transforms.kernel * tools.transforms.kernel;
        let mut taps = self.taps();
        if way == Way::Back {
            taps.chunks_exact_mut(area).for_each(<[_]>::reverse);
        }
        let mut lines = Lines::zeros(tools.points() * point);
        let to = Shared(lines.as_mut_ptr());
        let each = share(read.channels, threads);
        side_by_side((0..read.channels).step_by(each), |first| {
            let input_channels = each.min(read.channels - first);
            for (image, taps) in taps.chunks_exact(area).enumerate() {
                let (from, distances, outputs, input) = match way {
                    Way::There => {
                        let input = image * read.channels + first;
                        (first, [self.of_output(), 1], 0..written.channels, input)
                    }
                    Way::Back => {
                        let outputs = image * written.channels..(image + 1) * written.channels;
                        (first * self.of_output(), [1, self.of_output()], outputs, first)
                    }
                };
                let (weights, to) = (&weights[from..], to.at(input * width));
                let task =
                    Weigh { weights, distances, taps, input_channels, outputs, vectors, block, point, to };
                // SAFETY: `Tools` has looked for the instructions; at all points and in all blocks there is room for these input channels,
                // which no other thread writes.
                unsafe { (tools.transforms.weigh)(&task) };
            }
        });
        lines
    }

    /// Writes the gradient with respect to the weights, given what each thread has summed up at the points.
    pub(super) fn gather_weights(&self, tools: &Tools, sums: &[Lines], gradient: &mut [f32], threads: usize) {
        let [read, written] = tools.sides;
        let area = tools.transforms.kernel * tools.transforms.kernel;
        let taps = self.taps();
        let to = Shared(gradient.as_mut_ptr());
        let each = share(read.channels, threads);
        side_by_side((0..read.channels).step_by(each), |first| {
            let count = each.min(read.channels - first);
            for (image, taps) in taps.chunks_exact(area).enumerate() {
                let input = image * read.channels + first;
                let task = Gather {
                    input_channels: read.all_channels(),
                    output_channels: written.channels,
                    sums,
                    inputs: input..input + count,
                    taps,
                    distance: self.of_output(),
                    to: to.at(first),
                };
                // SAFETY: `Tools` has looked for the instructions; the gradient has these input channels' taps for every output channel,
                // which no other thread writes, and so has what was summed up.
                unsafe { (tools.of_kernel.gather)(&task) };
            }
        });
    }
}
