//! Weights in the order in which kernels read them: made once, when a plan is.

use super::network::Convolution;
use crate::integer::GROUP;
use crate::memory::Lines;
use crate::routines::{Panel, Routines, Transforms};
use crate::winograd::Weigh;

/// Numbers, filled up with zeros to whole vectors.
pub(super) fn filled(values: &[f32], length: usize) -> Lines {
    let mut lines = Lines::zeros(length);
    lines.as_mut_slice()[..values.len()].copy_from_slice(values);
    lines
}

/// For products in the domain of the minimal filtering algorithm.
pub(super) fn at_points(
    routines: &Routines,
    transforms: &Transforms,
    panel: &Panel,
    weights: &[f32],
    output_channels: usize,
) -> Lines {
    let area = transforms.kernel * transforms.kernel;
    let input_channels = weights.len() / (output_channels * area);
    let vectors = panel.sums.vectors;
    let width = routines.lanes * vectors;
    let block = input_channels * width;
    let point = output_channels.div_ceil(width) * block;
    let mut lines = Lines::zeros(transforms.points * transforms.points * point);
    let taps: Vec<_> = (0..area).map(Some).collect();
    let task = Weigh {
        weights,
        distances: [input_channels * area, area],
        taps: &taps,
        input_channels,
        outputs: 0..output_channels,
        vectors,
        block,
        point,
        to: lines.as_mut_ptr(),
    };
    // SAFETY: a plan is made only for instructions that the processor has; there is room for all points and blocks.
    unsafe { (transforms.weigh)(&task) };
    lines
}

/// Kernels in steps of 2, taken apart for the four images that have every second row and column: output channel × image × input
/// channel × row × column, with zeros where channels are filled up to `inputs`, and kernels to so many rows and columns.
pub(super) fn apart(of: &Convolution<'_>, inputs: usize, rows: usize) -> Vec<f32> {
    let area = of.kernel * of.kernel;
    let input_channels = of.weights.len() / (of.output_channels * area);
    let mut to = vec![0.0; of.output_channels * inputs * rows * rows];
    for (number, kernel) in of.weights.chunks_exact(area).enumerate() {
        let (output, channel) = (number / input_channels, number % input_channels);
        for (tap, weight) in kernel.iter().enumerate() {
            let (row, column) = (tap / of.kernel, tap % of.kernel);
            let image = row % 2 * 2 + column % 2;
            let first = (output * inputs + image * (inputs / 4) + channel) * rows * rows;
            to[first + row / 2 * rows + column / 2] = *weight;
        }
    }
    to
}

/// For a direct convolution: block × row × column × input channel × output channel of the block.
pub(crate) fn direct(width: usize, weights: &[f32], output_channels: usize, area: usize) -> Lines {
    let input_channels = weights.len() / (output_channels * area);
    let volume = input_channels * area;
    let mut lines = Lines::zeros(output_channels.next_multiple_of(width) * volume);
    let to = lines.as_mut_slice();
    for (output, kernel) in weights.chunks_exact(volume).enumerate() {
        let block = output / width * volume * width + output % width;
        for (channel, taps) in kernel.chunks_exact(area).enumerate() {
            for (tap, weight) in taps.iter().enumerate() {
                to[block + (tap * input_channels + channel) * width] = *weight;
            }
        }
    }
    lines
}

/// For a direct convolution of bytes: block × row × column × group of four input channels × output channel of the block × input channel of
/// the group.
pub(super) fn bytes(width: usize, weights: &[i8], input_channels: usize, of: &Convolution<'_>) -> Lines {
    let area = of.kernel * of.kernel;
    let groups = input_channels.div_ceil(GROUP);
    let block_length = area * groups * GROUP * width;
    let length = of.output_channels.div_ceil(width) * block_length;
    let mut lines = Lines::zeros(length.div_ceil(size_of::<f32>()));
    let to = lines.as_mut_bytes();
    for (output, kernel) in weights.chunks_exact(input_channels * area).enumerate() {
        let block = output / width * block_length + output % width * GROUP;
        for (channel, taps) in kernel.chunks_exact(area).enumerate() {
            let within = block + channel / GROUP * width * GROUP + channel % GROUP;
            for (tap, weight) in taps.iter().enumerate() {
                to[within + tap * groups * width * GROUP] = *weight as u8;
            }
        }
    }
    lines
}
