//! Where the tiles of a batch lie, and the pixels that they read.

use std::ops::Range;

use crate::memory::{Lines, Source};

/// Outputs of a tile in one dimension.
pub(super) const OUTPUTS: usize = 4;

/// Numbers of a block of tiles, of images and outputs together: what half of a core's cache of 512 KiB or more holds.
const BLOCK_VALUES: usize = 96 * 1024;

/// Fewer tiles than this at once would read the weights too often.
const FEWEST_TILES: usize = 16;

/// The tiles of some images of one size.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    height: usize,
    width: usize,
    across: usize,
    of_image: usize,
    /// All of them.
    pub count: usize,
}

/// A tile's image and its place there.
pub(super) struct Place {
    /// Pixels of the images before.
    pub first_pixel: usize,
    pub row: usize,
    pub column: usize,
}

/// Pixels that tiles read: those around an output, from so many rows above and columns to the left of it on.
pub(super) struct Window {
    pub before: usize,
    /// Rows and columns.
    pub size: usize,
    pub channels: usize,
}

impl Tiles {
    pub(super) fn new(images: usize, height: usize, width: usize) -> Self {
        let across = width.div_ceil(OUTPUTS);
        let of_image = across * height.div_ceil(OUTPUTS);
        Self { height, width, across, of_image, count: images * of_image }
    }

    /// Tiles at once, for so many numbers a tile: a multiple of `step`.
    pub(super) fn at_once(&self, of_tile: usize, step: usize) -> usize {
        (BLOCK_VALUES / of_tile).max(FEWEST_TILES).min(self.count).next_multiple_of(step)
    }

    pub(super) fn place(&self, tile: usize) -> Place {
        let within = tile % self.of_image;
        Place {
            first_pixel: tile / self.of_image * self.height * self.width,
            row: within / self.across * OUTPUTS,
            column: within % self.across * OUTPUTS,
        }
    }

    /// Rows and columns of a tile that lie in the image.
    pub(super) fn inside(&self, place: &Place) -> [usize; 2] {
        [OUTPUTS.min(self.height - place.row), OUTPUTS.min(self.width - place.column)]
    }

    /// What a tile reads of `pixels`: there, or where it reaches beyond its image, from `patch`, with zeros for what is not there.
    pub(super) fn source(&self, pixels: &[f32], tile: usize, window: &Window, patch: &mut Lines) -> Source {
        let Window { before, size, channels } = *window;
        let place = self.place(tile);
        let is_inside = place.row >= before
            && place.column >= before
            && place.row - before + size <= self.height
            && place.column - before + size <= self.width;
        if is_inside {
            let first = place.first_pixel + (place.row - before) * self.width + place.column - before;
            let at = pixels[first * channels..].as_ptr();
            return Source { at, row: self.width * channels, pixel: channels };
        }
        let columns = before.saturating_sub(place.column)..size.min(self.width + before - place.column);
        for (down, to) in patch.as_mut_slice().chunks_exact_mut(size * channels).take(size).enumerate() {
            let row = (place.row + down).checked_sub(before).filter(|row| *row < self.height);
            let first =
                row.map(|row| place.first_pixel + row * self.width + place.column + columns.start - before);
            let from = first.map(|first| &pixels[first * channels..][..columns.len() * channels]);
            fill(to, from, &columns, channels);
        }
        Source { at: patch.as_ptr(), row: size * channels, pixel: channels }
    }
}

/// Copies a row of pixels to these columns, and fills the rest with zeros.
fn fill(to: &mut [f32], from: Option<&[f32]>, columns: &Range<usize>, channels: usize) {
    let Some(from) = from else { return to.fill(0.0) };
    to[..columns.start * channels].fill(0.0);
    to[columns.start * channels..columns.end * channels].copy_from_slice(from);
    to[columns.end * channels..].fill(0.0);
}
