//! Convolutions that keep channels apart, with kernels of 3, 5 and 7 in steps of 1 and 2.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use crate::finish::Target;
use crate::integer::Output;
use crate::memory::Source;
use crate::vector::{Element, Vector};

/// Outputs of a row that are computed at once.
const OUTPUTS: usize = 4;

/// Columns of the image that they read at the most: with a kernel of 7 in steps of 2.
const MOST_COLUMNS: usize = (OUTPUTS - 1) * 2 + 7;

/// A convolution: of f32 to f32, or of stored bytes to stored bytes. Sums of products of bytes are whole numbers that f32 holds
/// exactly, so they may be computed in f32 too.
pub(crate) struct Depthwise<E = f32, O = Target> {
    /// From the first tap of the first output on.
    pub source: Source<E>,
    /// Rows and columns of the output.
    pub rows: usize,
    pub columns: usize,
    /// Channels, in whole vectors.
    pub channels: usize,
    /// Vector × row × column × channel of the vector.
    pub weights: *const f32,
    pub bias: *const f32,
    pub target: O,
}

/// Where sums are written.
pub(crate) trait Written {
    /// From a row, column and channel on.
    unsafe fn put<T: Vector, const M: usize>(&self, sums: [[T; 1]; M], at: [usize; 3]);
}

impl Written for Target {
    #[inline(always)]
    unsafe fn put<T: Vector, const M: usize>(&self, sums: [[T; 1]; M], at: [usize; 3]) {
        self.write(sums, M, at);
    }
}

impl Written for Output {
    #[inline(always)]
    unsafe fn put<T: Vector, const M: usize>(&self, sums: [[T; 1]; M], at: [usize; 3]) {
        self.write(sums, at);
    }
}

/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn depthwise<
    T: Vector,
    E: Element,
    O: Written,
    const KERNEL: usize,
    const STRIDE: usize,
>(
    task: &Depthwise<E, O>,
) {
    for channel in (0..task.channels).step_by(T::LANES) {
        for row in 0..task.rows {
            if task.columns < OUTPUTS {
                for column in 0..task.columns {
                    part::<T, E, O, KERNEL, STRIDE, 1>(task, channel, row, column);
                }
                continue;
            }
            for column in (0..task.columns).step_by(OUTPUTS) {
                let column = column.min(task.columns - OUTPUTS);
                part::<T, E, O, KERNEL, STRIDE, OUTPUTS>(task, channel, row, column);
            }
        }
    }
}

#[inline(always)]
unsafe fn part<
    T: Vector,
    E: Element,
    O: Written,
    const KERNEL: usize,
    const STRIDE: usize,
    const M: usize,
>(
    task: &Depthwise<E, O>,
    channel: usize,
    row: usize,
    column: usize,
) {
    let source = &task.source;
    let weights = task.weights.add(channel * KERNEL * KERNEL);
    let mut sums = [[T::load(task.bias.add(channel))]; M];
    let mut from = source.of(row * STRIDE, column * STRIDE, channel);
    for y in 0..KERNEL {
        let mut values = [T::splat(0.0); MOST_COLUMNS];
        for x in 0..(M - 1) * STRIDE + KERNEL {
            values[x] = E::load(from.add(x * source.pixel));
        }
        for x in 0..KERNEL {
            let weight = T::load(weights.add((y * KERNEL + x) * T::LANES));
            for m in 0..M {
                sums[m][0] = sums[m][0].fma(values[m * STRIDE + x], weight);
            }
        }
        from = from.wrapping_add(source.row);
    }
    task.target.put(sums, [row, column, channel]);
}
