//! The ways of tensors to the domain of the minimal filtering algorithm and back. Tensors have no borders: what a tile reads beyond
//! its image are zeros, and no pixel is copied for that.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into slices whose sizes the filter has checked")]

use crate::memory::{Place, Source};
use crate::points::Points;
use crate::vector::{Element, Rounded, Vector};
use crate::winograd::point;

/// A tile's pixels.
pub(crate) struct Pixels<E> {
    /// From the first one on, whether or not it is in the image.
    pub source: Source<E>,
    /// From which row of the tile to which its pixels are in the image.
    pub rows: [usize; 2],
    pub columns: [usize; 2],
}

impl<E: Element> Pixels<E> {
    fn are_whole(&self, size: usize) -> bool {
        self.rows == [0, size] && self.columns == [0, size]
    }

    /// A row of them.
    #[inline(always)]
    unsafe fn row<T: Vector, const N: usize, const IS_WHOLE: bool>(
        &self,
        y: usize,
        channel: usize,
    ) -> [T; N] {
        let mut values = [T::splat(0.0); N];
        let mut at = self.source.at.wrapping_add(y * self.source.row + channel);
        if IS_WHOLE || (self.rows[0] <= y && y < self.rows[1]) {
            for x in 0..N {
                if IS_WHOLE || (self.columns[0] <= x && x < self.columns[1]) {
                    values[x] = E::load(at);
                }
                at = at.wrapping_add(self.source.pixel);
            }
        }
        values
    }
}

/// Tiles to the points.
pub(crate) struct Enter<E> {
    pub pixels: Pixels<E>,
    /// In whole vectors.
    pub channels: usize,
    /// Of the first vector of channels at the first point; see `winograd`.
    pub values: *mut f32,
}

/// Tiles of images.
///
/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn spread<T: Vector, E: Element, const PAIRS: usize, const POINTS: usize>(
    points: &Points<PAIRS>,
    task: &Enter<E>,
) {
    if task.pixels.are_whole(POINTS) {
        spread_rows::<T, E, PAIRS, POINTS, true>(points, task);
    } else {
        spread_rows::<T, E, PAIRS, POINTS, false>(points, task);
    }
}

#[inline(always)]
unsafe fn spread_rows<
    T: Vector,
    E: Element,
    const PAIRS: usize,
    const POINTS: usize,
    const IS_WHOLE: bool,
>(
    points: &Points<PAIRS>,
    task: &Enter<E>,
) {
    for channel in (0..task.channels).step_by(T::LANES) {
        let mut rows = [[T::splat(0.0); POINTS]; POINTS];
        for y in 0..POINTS {
            rows[y] = points.spread(task.pixels.row::<T, POINTS, IS_WHOLE>(y, channel));
        }
        let to = task.values.add(channel * POINTS * POINTS * T::TILES_TOGETHER);
        for x in 0..POINTS {
            let mut values = [T::splat(0.0); POINTS];
            for y in 0..POINTS {
                values[y] = rows[y][x];
            }
            let spread: [T; POINTS] = points.spread(values);
            for y in 0..POINTS {
                spread[y].store(to.add((x * POINTS + y) * point::<T>()));
            }
        }
    }
}

/// Tiles of outputs' gradients.
///
/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn evaluate<
    T: Vector,
    E: Element,
    const PAIRS: usize,
    const POINTS: usize,
    const OUTPUTS: usize,
>(
    points: &Points<PAIRS>,
    task: &Enter<E>,
) {
    if task.pixels.are_whole(OUTPUTS) {
        evaluate_rows::<T, E, PAIRS, POINTS, OUTPUTS, true>(points, task);
    } else {
        evaluate_rows::<T, E, PAIRS, POINTS, OUTPUTS, false>(points, task);
    }
}

#[inline(always)]
unsafe fn evaluate_rows<
    T: Vector,
    E: Element,
    const PAIRS: usize,
    const POINTS: usize,
    const OUTPUTS: usize,
    const IS_WHOLE: bool,
>(
    points: &Points<PAIRS>,
    task: &Enter<E>,
) {
    for channel in (0..task.channels).step_by(T::LANES) {
        let mut rows = [[T::splat(0.0); POINTS]; OUTPUTS];
        for y in 0..OUTPUTS {
            rows[y] = points.evaluate(task.pixels.row::<T, OUTPUTS, IS_WHOLE>(y, channel));
        }
        let to = task.values.add(channel * POINTS * POINTS * T::TILES_TOGETHER);
        for x in 0..POINTS {
            let mut values = [T::splat(0.0); OUTPUTS];
            for y in 0..OUTPUTS {
                values[y] = rows[y][x];
            }
            let evaluated: [T; POINTS] = points.evaluate(values);
            for y in 0..POINTS {
                evaluated[y].store(to.add((x * POINTS + y) * point::<T>()));
            }
        }
    }
}

/// Outputs of a tile from the points.
pub(crate) struct Leave<E> {
    /// Of the first vector of channels at the first point; see `winograd`.
    pub sums: *const f32,
    /// In whole vectors.
    pub channels: usize,
    /// The tile's first output.
    pub target: Place<E>,
    /// As much of the tile as lies in the image.
    pub rows: usize,
    pub columns: usize,
}

/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn collect<
    T: Vector,
    E: Rounded,
    const PAIRS: usize,
    const POINTS: usize,
    const OUTPUTS: usize,
>(
    points: &Points<PAIRS>,
    task: &Leave<E>,
) {
    for channel in (0..task.channels).step_by(T::LANES) {
        let from = task.sums.add(channel * POINTS * POINTS * T::TILES_TOGETHER);
        let mut columns = [[T::splat(0.0); OUTPUTS]; POINTS];
        for x in 0..POINTS {
            let mut values = [T::splat(0.0); POINTS];
            for y in 0..POINTS {
                values[y] = T::load(from.add((x * POINTS + y) * point::<T>()));
            }
            columns[x] = points.collect(values);
        }
        for y in 0..OUTPUTS {
            if y == task.rows {
                break;
            }
            let mut values = [T::splat(0.0); POINTS];
            for x in 0..POINTS {
                values[x] = columns[x][y];
            }
            let outputs: [T; OUTPUTS] = points.collect(values);
            let mut to = task.target.of(y, 0, channel);
            for x in 0..OUTPUTS {
                if x == task.columns {
                    break;
                }
                E::store(outputs[x], to);
                to = to.wrapping_add(task.target.pixel);
            }
        }
    }
}
