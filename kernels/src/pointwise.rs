//! What touches each value once: sums of images, activations that are no mere bounds, and means over all pixels.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use crate::direct::write;
use crate::memory::{Source, Target};
use crate::vector::Vector;

/// An image that is read, and one of the same size that is written; both may be the same.
pub(crate) struct Pointwise {
    pub source: Source,
    pub rows: usize,
    pub columns: usize,
    /// Channels, in whole vectors.
    pub channels: usize,
    pub target: Target,
    /// For [`GRID`]: from a value to the next, and the smallest and largest integer.
    pub grid: [f32; 3],
}

/// What [`copy`] does to each value: nothing, x · min(max(x / 6 + 1/2, 0), 1), or rounding to a grid.
pub(crate) const NOTHING: u8 = 0;
pub(crate) const HARD_SWISH: u8 = 1;
pub(crate) const GRID: u8 = 2;

/// Copies, with a function, a sum and bounds on the way.
///
/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn copy<T: Vector, const FUNCTION: u8>(task: &Pointwise) {
    let source = &task.source;
    let [step, least, most] = task.grid;
    let (inverse, step) = (T::splat(step.recip()), T::splat(step));
    let (least, most) = (T::splat(least), T::splat(most));
    for row in 0..task.rows {
        for column in 0..task.columns {
            for channel in (0..task.channels).step_by(T::LANES) {
                let mut value = T::load(source.at.add(row * source.row + column * source.pixel + channel));
                if FUNCTION == HARD_SWISH {
                    let gate = T::splat(0.5).fma(value, T::splat(1.0 / 6.0));
                    value = value.mul(gate.at_least(T::splat(0.0)).at_most(T::splat(1.0)));
                } else if FUNCTION == GRID {
                    value = value.mul(inverse).round().at_least(least).at_most(most).mul(step);
                }
                write::<T, 1>(&task.target, [value], row, column, channel);
            }
        }
    }
}

/// The mean of all pixels, as an image of one.
///
/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn mean<T: Vector>(task: &Pointwise) {
    let source = &task.source;
    let share = T::splat(1.0 / (task.rows * task.columns) as f32);
    for channel in (0..task.channels).step_by(T::LANES) {
        let mut sum = T::splat(0.0);
        for row in 0..task.rows {
            for column in 0..task.columns {
                sum = sum.add(T::load(source.at.add(row * source.row + column * source.pixel + channel)));
            }
        }
        write::<T, 1>(&task.target, [sum.mul(share)], 0, 0, channel);
    }
}
