//! The gradient with respect to the weights, in the domain of the minimal filtering algorithm: at each point the products of images
//! and gradients of outputs, summed over all tiles.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the filter has checked")]

use std::ops::Range;

use crate::memory::{LINE, Lines};
use crate::points::Points;
use crate::vector::Vector;

/// Sums over some tiles.
pub(crate) struct Correlate {
    pub tiles: usize,
    /// In two dimensions.
    pub points: usize,
    /// Both in whole vectors.
    pub input_channels: usize,
    pub output_channels: usize,
    pub images: *const f32,
    /// Tiles of a group, which lie side by side.
    pub together: usize,
    /// Numbers from a group to the next.
    pub input_group: usize,
    pub gradients: *const f32,
    pub output_group: usize,
    /// Point × input channel × output channel: what is added to.
    pub sums: *mut f32,
}

/// Sums up `M` input channels and `N` vectors of output channels at once; `M` divides a vector.
///
/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn correlate<T: Vector, const M: usize, const N: usize>(task: &Correlate) {
    for point in 0..task.points {
        for output in (0..task.output_channels).step_by(N * T::LANES) {
            for input in (0..task.input_channels).step_by(M) {
                let mut sums = [[T::splat(0.0); N]; M];
                let (first, lane) = (input / T::LANES * T::LANES, input % T::LANES);
                let (of_channel, of_point) = (task.points * task.together, point * task.together * T::LANES);
                let mut images = task.images.add(first * of_channel + of_point + lane);
                let mut gradients = task.gradients.add(output * of_channel + of_point);
                for first in (0..task.tiles).step_by(task.together) {
                    for tile in 0..task.together.min(task.tiles - first) {
                        let mut row = [T::splat(0.0); N];
                        for n in 0..N {
                            row[n] = T::load(gradients.add((tile + n * of_channel) * T::LANES));
                        }
                        for m in 0..M {
                            let value = T::splat(*images.add(tile * T::LANES + m));
                            for n in 0..N {
                                sums[m][n] = sums[m][n].fma(value, row[n]);
                            }
                        }
                    }
                    images = images.wrapping_add(task.input_group);
                    gradients = gradients.wrapping_add(task.output_group);
                }
                let to = task.sums.add((point * task.input_channels + input) * task.output_channels + output);
                for m in 0..M {
                    for n in 0..N {
                        let to = to.add(m * task.output_channels + n * T::LANES);
                        T::load(to).add(sums[m][n]).store(to);
                    }
                }
            }
        }
    }
}

/// The sums at the points, to weights.
pub(crate) struct Gather<'a> {
    /// All of those that were summed.
    pub input_channels: usize,
    pub output_channels: usize,
    /// Parts of the sums: point × input channel × output channel.
    pub sums: &'a [Lines],
    /// The input channels whose weights are written.
    pub inputs: Range<usize>,
    /// Where the taps of a kernel lie, row by row; those that lie nowhere are left out.
    pub taps: &'a [Option<usize>],
    /// Numbers from the weights of an output channel to those of the next; those of the next input channel follow at once.
    pub distance: usize,
    /// The weights of the first of the input channels.
    pub to: *mut f32,
}

/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn gather<T: Vector, const PAIRS: usize, const POINTS: usize, const TAPS: usize>(
    points: &Points<PAIRS>,
    task: &Gather<'_>,
) {
    let pairs = task.input_channels * task.output_channels;
    let Some((first, others)) = task.sums.split_first() else { return };
    for (number, input) in task.inputs.clone().enumerate() {
        for output in (0..task.output_channels).step_by(T::LANES) {
            let from = input * task.output_channels + output;
            let mut columns = [[T::splat(0.0); TAPS]; POINTS];
            for x in 0..POINTS {
                let mut values = [T::splat(0.0); POINTS];
                for y in 0..POINTS {
                    let place = from + (x * POINTS + y) * pairs;
                    values[y] = T::load(first.as_ptr().add(place));
                    for part in others {
                        values[y] = values[y].add(T::load(part.as_ptr().add(place)));
                    }
                }
                columns[x] = points.gather(values);
            }
            let to = task.to.add(output * task.distance + number);
            for y in 0..TAPS {
                let mut values = [T::splat(0.0); POINTS];
                for x in 0..POINTS {
                    values[x] = columns[x][y];
                }
                let taps: [T; TAPS] = points.gather(values);
                for x in 0..TAPS {
                    let Some(place) = task.taps[y * TAPS + x] else { continue };
                    let mut of_outputs = [0.0f32; LINE];
                    taps[x].store(of_outputs.as_mut_ptr());
                    for lane in 0..T::LANES {
                        *to.add(lane * task.distance + place) = of_outputs[lane];
                    }
                }
            }
        }
    }
}
