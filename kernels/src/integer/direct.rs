//! Convolutions of bytes as they are written down. A row of a kernel is a run of bytes that lie together in the image.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use super::GROUP;
use super::dots::Dots;
use super::output::Output;
use crate::memory::Source;
use crate::vector::{Vector, multiples};

/// A convolution.
pub(crate) struct Direct {
    /// From the first tap of the first output on.
    pub source: Source<u8>,
    /// Rows and columns of the image from one output to the next.
    pub stride: usize,
    /// As those of `crate::direct`, in bytes.
    pub lines: usize,
    pub runs: usize,
    /// Groups of four bytes of a run, and bytes from one run to the next.
    pub run_groups: usize,
    pub run_distance: usize,
    /// Rows and columns of the output.
    pub rows: usize,
    pub columns: usize,
    /// Blocks of output channels.
    pub blocks: usize,
    /// Block × row × column × group of four input channels × output channel of the block × input channel of the group.
    pub weights: *const i8,
    /// What sums begin with, one an output channel.
    pub first: *const i32,
    pub output: Output,
}

/// Computes `M` outputs of a row and `N` vectors of channels at once.
///
/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn direct<T: Dots, const M: usize, const N: usize>(task: &Direct) {
    if task.stride * task.source.pixel == T::NEAR {
        blocks::<T, M, N, true>(task);
    } else {
        blocks::<T, M, N, false>(task);
    }
}

#[inline(always)]
unsafe fn blocks<T: Dots, const M: usize, const N: usize, const ARE_NEAR: bool>(task: &Direct) {
    for block in 0..task.blocks {
        for row in 0..task.rows {
            if task.columns < M {
                for column in 0..task.columns {
                    part::<T, 1, N, ARE_NEAR>(task, block, row, column);
                }
                continue;
            }
            for column in (0..task.columns).step_by(M) {
                // The last ones may be computed twice.
                part::<T, M, N, ARE_NEAR>(task, block, row, column.min(task.columns - M));
            }
        }
    }
}

#[inline(always)]
unsafe fn part<T: Dots, const M: usize, const N: usize, const ARE_NEAR: bool>(
    task: &Direct,
    block: usize,
    row: usize,
    column: usize,
) {
    let lanes = T::Float::LANES;
    let source = &task.source;
    let step = task.stride * source.pixel;
    let pixels = if ARE_NEAR { multiples(T::NEAR) } else { T::Float::distances(step) };
    let run_weights = task.run_groups * GROUP * lanes * N;
    let mut weights = task.weights.add(block * task.lines * task.runs * run_weights);
    let mut first = [T::load(task.first); N];
    for n in 0..N {
        first[n] = T::load(task.first.add((block * N + n) * lanes));
    }
    let mut sums = [first; M];
    let mut line = source.at.add(row * task.stride * source.row + column * step);
    for _ in 0..task.lines {
        let mut run = line;
        for _ in 0..task.runs {
            T::panel(&mut sums, run, &pixels, weights, task.run_groups);
            weights = weights.wrapping_add(run_weights);
            run = run.wrapping_add(task.run_distance);
        }
        line = line.wrapping_add(source.row);
    }
    let mut numbers = [[T::Float::splat(0.0); N]; M];
    for m in 0..M {
        for n in 0..N {
            numbers[m][n] = sums[m][n].to_float();
        }
    }
    task.output.write(numbers, [row, column, block * N * lanes]);
}
