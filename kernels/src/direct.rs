//! Convolutions as they are written down: for the stem, steps of 2 and more, and kernels of 1.
//!
//! A row of a kernel is a run of numbers that lie together in the image, so each output is a few dot products.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use crate::finish::Target;
use crate::memory::Source;
use crate::vector::Vector;

/// A convolution.
pub(crate) struct Direct {
    /// From the first tap of the first output on.
    pub source: Source,
    /// Rows and columns of the image from one output to the next.
    pub stride: [usize; 2],
    /// Times that so many runs of numbers are read, a row of the image further down each time: if pixels have no gaps between them, all rows
    /// of the kernel are runs of one; else each column of a row is a run.
    pub lines: usize,
    pub runs: usize,
    /// Numbers of a run, and from one to the next.
    pub run_length: usize,
    pub run_distance: usize,
    /// Rows and columns of the output.
    pub rows: usize,
    pub columns: usize,
    /// Blocks of output channels.
    pub blocks: usize,
    /// Block × row × column × input channel × output channel of the block.
    pub weights: *const f32,
    pub bias: *const f32,
    pub target: Target,
}

/// Computes `M` outputs of a row and `N` vectors of channels at once.
///
/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn direct<T: Vector, const M: usize, const N: usize>(task: &Direct) {
    for block in 0..task.blocks {
        for row in 0..task.rows {
            if task.columns < M {
                for column in 0..task.columns {
                    part::<T, 1, N>(task, block, row, column);
                }
                continue;
            }
            for column in (0..task.columns).step_by(M) {
                // The last ones may be computed twice.
                part::<T, M, N>(task, block, row, column.min(task.columns - M));
            }
        }
    }
}

#[inline(always)]
unsafe fn part<T: Vector, const M: usize, const N: usize>(
    task: &Direct,
    block: usize,
    row: usize,
    column: usize,
) {
    let width = T::LANES * N;
    let source = &task.source;
    let step = task.stride[1] * source.pixel;
    let pixels = T::distances(step);
    let mut weights = task.weights.add(block * task.lines * task.runs * task.run_length * width);
    let mut bias = [T::splat(0.0); N];
    for n in 0..N {
        bias[n] = T::load(task.bias.add(block * width + n * T::LANES));
    }
    let mut sums = [bias; M];
    let mut line = source.at.add(row * task.stride[0] * source.row + column * step);
    for _ in 0..task.lines {
        let mut run = line;
        for _ in 0..task.runs {
            T::panel(&mut sums, run, &pixels, weights, task.run_length);
            weights = weights.add(task.run_length * width);
            run = run.wrapping_add(task.run_distance);
        }
        line = line.wrapping_add(source.row);
    }
    task.target.write(sums, M, [row, column, block * width]);
}
