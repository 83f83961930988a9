//! What a convolution sees of an image.

use super::layout::{Border, Buffer};
use super::network::Convolution;

/// A kernel that moves over an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub kernel: usize,
    pub stride: usize,
    /// Above and to the left.
    pub padding: [usize; 2],
}

impl Window {
    pub(super) fn new(of: &Convolution<'_>) -> Self {
        let [above, left, ..] = of.padding;
        Self { kernel: of.kernel, stride: of.stride, padding: [above, left] }
    }

    /// How far it reaches beyond the image, if outputs are computed by tiles of so many rows and columns.
    pub(super) fn reach(&self, from: &Buffer, to: &Buffer, tile: usize) -> Border {
        let [above, left] = self.padding;
        let beyond = |outputs: usize, before: usize, values: usize| {
            let outputs = outputs.next_multiple_of(tile);
            ((outputs - 1) * self.stride + self.kernel).saturating_sub(before + values)
        };
        let below = beyond(to.shape.rows, above, from.shape.rows);
        [above, left, below, beyond(to.shape.columns, left, from.shape.columns)]
    }
}
