//! What touches each value once: sums and products of images, activations that are no mere bounds, rounding to eight bits, and means
//! over all pixels.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use crate::direct::write;
use crate::integer::{Rounded, Stored, held};
use crate::memory::{Place, Source, Target};
use crate::vector::Vector;

/// An image that is read, and one of the same size that is written; both may be the same. In this order:
pub(crate) struct Pointwise {
    pub source: Values,
    pub rows: usize,
    pub columns: usize,
    /// Channels, in whole vectors.
    pub channels: usize,
    /// What is read is rounded, value · `inverse` of a step.
    pub rounded: Option<Steps>,
    /// Multiplied by one number a channel, if it is not null.
    pub gate: *const f32,
    pub sum_with: Option<Values>,
    pub function: Function,
    pub bounds: [f32; 2],
    /// What is written is rounded.
    pub stored: Option<Steps>,
    pub target: Destination,
}

/// An image of numbers or of stored bytes.
#[derive(Clone, Copy)]
pub(crate) enum Values {
    Numbers(Source),
    Bytes(Stored),
}

/// The same to be written; bytes stand an offset above the integers that values were rounded to.
#[derive(Clone, Copy)]
pub(crate) enum Destination {
    Numbers(Place),
    Bytes(Place<u8>, i32),
}

/// Rounding to multiples of a step.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    pub inverse: f32,
    pub to: Rounded,
}

/// A function of single values: x, x · min(max(x / 6 + 1/2, 0), 1), or max(min(slope · x + shift, 1), 0).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Function {
    Identity,
    HardSwish,
    HardSigmoid { slope: f32, shift: f32 },
}

/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn pointwise<T: Vector>(task: &Pointwise) {
    for row in 0..task.rows {
        for column in 0..task.columns {
            for channel in (0..task.channels).step_by(T::LANES) {
                one::<T>(task, row, column, channel);
            }
        }
    }
}

#[inline(always)]
unsafe fn one<T: Vector>(task: &Pointwise, row: usize, column: usize, channel: usize) {
    let mut value: T = load(&task.source, row, column, channel);
    if let Some(Steps { inverse, to }) = task.rounded {
        value = held(value.mul(T::splat(inverse)).round(), to.bounds).mul(T::splat(to.step));
    }
    if !task.gate.is_null() {
        value = value.mul(T::load(task.gate.add(channel)));
    }
    if let Some(other) = &task.sum_with {
        value = value.add(load(other, row, column, channel));
    }
    value = match task.function {
        Function::Identity => value,
        Function::HardSwish => hard_swish(value),
        Function::HardSigmoid { slope, shift } => {
            held(T::splat(shift).fma(value, T::splat(slope)), [0.0, 1.0])
        }
    };
    value = held(value, task.bounds);
    if let Some(Steps { inverse, to }) = task.stored {
        value = held(value.mul(T::splat(inverse)).round(), to.bounds).mul(T::splat(to.step));
    }
    match task.target {
        Destination::Numbers(place) => value.store(place.of(row, column, channel)),
        Destination::Bytes(place, offset) => value.store_bytes(offset, place.of(row, column, channel)),
    }
}

/// x · min(max(x / 6 + 1/2, 0), 1)
#[inline(always)]
pub(crate) unsafe fn hard_swish<T: Vector>(value: T) -> T {
    value.mul(held(T::splat(0.5).fma(value, T::splat(1.0 / 6.0)), [0.0, 1.0]))
}

#[inline(always)]
unsafe fn load<T: Vector>(values: &Values, row: usize, column: usize, channel: usize) -> T {
    match values {
        Values::Numbers(source) => T::load(source.of(row, column, channel)),
        Values::Bytes(stored) => stored.load::<T>(row, column, channel).mul(T::splat(stored.step)),
    }
}

/// An image whose mean is asked for.
pub(crate) struct Mean {
    pub source: Values,
    pub rows: usize,
    pub columns: usize,
    /// Channels, in whole vectors.
    pub channels: usize,
    pub target: Target,
}

/// The mean of all pixels, as an image of one.
///
/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn mean<T: Vector>(task: &Mean) {
    let share = T::splat(1.0 / (task.rows * task.columns) as f32);
    for channel in (0..task.channels).step_by(T::LANES) {
        let mut sum = T::splat(0.0);
        for row in 0..task.rows {
            for column in 0..task.columns {
                sum = sum.add(load(&task.source, row, column, channel));
            }
        }
        write::<T, 1>(&task.target, [sum.mul(share)], 0, 0, channel);
    }
}
