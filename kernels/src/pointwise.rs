//! What touches each value once: sums and products of images, what no kernel before can finish, and means over all pixels.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use crate::finish::{Finish, Target};
use crate::integer::Stored;
use crate::memory::{Place, Source};
use crate::vector::Vector;

/// An image that is read, and one of the same size that is written; both may be the same.
pub(crate) struct Pointwise {
    pub source: Values,
    pub rows: usize,
    pub columns: usize,
    /// Channels, in whole vectors.
    pub channels: usize,
    /// What values are multiplied by before any are added, one number a channel, if it is not null.
    pub gate: *const f32,
    pub sum_with: Option<Values>,
    pub finish: Finish,
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
    let mut values: [[T; 1]; 1] = [[load(&task.source, row, column, channel)]];
    task.finish.before(&mut values);
    let [[mut value]] = values;
    if !task.gate.is_null() {
        value = value.mul(T::load(task.gate.add(channel)));
    }
    if let Some(other) = &task.sum_with {
        value = value.add(load(other, row, column, channel));
    }
    values = [[value]];
    task.finish.after(&mut values);
    let [[value]] = values;
    match task.target {
        Destination::Numbers(place) => value.store(place.of(row, column, channel)),
        Destination::Bytes(place, offset) => value.store_bytes(offset, place.of(row, column, channel)),
    }
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
        task.target.write([[sum.mul(share)]], 1, [0, 0, channel]);
    }
}
