//! Where the tiles of a batch lie, and the pixels that they read.

use super::domain::Pixels;
use crate::memory::Source;

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

    /// What a tile reads of `pixels`.
    pub(super) fn source<E>(&self, pixels: &[E], tile: usize, window: &Window) -> Pixels<E> {
        let Window { before, size, channels } = *window;
        let place = self.place(tile);
        let (row, pixel) = (self.width * channels, channels);
        let of_image = &pixels[place.first_pixel * channels..];
        // Of the first pixel, which may not be there.
        let first = (place.row * row + place.column * pixel).wrapping_sub(before * (row + pixel));
        let inside =
            |first: usize, count: usize| [before.saturating_sub(first), size.min(count + before - first)];
        Pixels {
            source: Source { at: of_image.as_ptr().wrapping_add(first), row, pixel },
            rows: inside(place.row, self.height),
            columns: inside(place.column, self.width),
        }
    }
}
