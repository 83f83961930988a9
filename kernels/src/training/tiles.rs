//! Where the tiles of a batch lie, and the pixels that they read.

use super::domain::Pixels;
use crate::memory::{Place, Source};

/// Outputs of a tile in one dimension.
pub(super) const OUTPUTS: usize = 4;

/// Numbers of a block of tiles, of images and outputs together: what half of a core's cache of 512 KiB or more holds.
const BLOCK_VALUES: usize = 96 * 1024;

/// Fewer tiles than this at once would read the weights too often.
const FEWEST_TILES: usize = 16;

/// The tiles of some images of one size, in pixels of the smaller side of a convolution: its outputs.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    height: usize,
    width: usize,
    across: usize,
    of_image: usize,
    /// All of them.
    pub count: usize,
}

/// What lies on one side of a convolution. In steps of 2 the larger side's images are read and written as four each, which have every
/// second row and column.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub channels: usize,
    pub stride: usize,
}

impl Side {
    /// How many images each is taken for.
    pub(super) fn images(self) -> usize {
        self.stride * self.stride
    }

    /// Channels of all of them.
    pub(super) fn all_channels(self) -> usize {
        self.images() * self.channels
    }
}

/// Pixels that tiles read: those around an output, from so many rows above and columns to the left of it on.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub before: usize,
    /// Rows and columns.
    pub size: usize,
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

    /// A tile's image, and its first row and column.
    fn place(&self, tile: usize) -> [usize; 3] {
        let within = tile % self.of_image;
        [tile / self.of_image, within / self.across * OUTPUTS, within % self.across * OUTPUTS]
    }

    /// Rows and columns of a tile that lie in the image.
    pub(super) fn inside(&self, tile: usize) -> [usize; 2] {
        let [_, row, column] = self.place(tile);
        [OUTPUTS.min(self.height - row), OUTPUTS.min(self.width - column)]
    }

    /// Where a tile begins in one of the images that a side's are taken for.
    fn first(&self, side: Side, image: usize, tile: usize) -> usize {
        let [number, row, column] = self.place(tile);
        let [below, beside] = self.distances(side);
        let apart = image / side.stride * (below / side.stride) + image % side.stride * side.channels;
        number * self.height * below + apart + row * below + column * beside
    }

    /// Numbers from a row to the next, and from a pixel to the next.
    fn distances(&self, side: Side) -> [usize; 2] {
        [self.width * side.all_channels(), side.stride * side.channels]
    }

    /// What a tile reads of one of the images that a side's are taken for.
    pub(super) fn source<E>(
        &self,
        pixels: &[E],
        side: Side,
        image: usize,
        tile: usize,
        Window { before, size }: Window,
    ) -> Pixels<E> {
        let [_, first_row, first_column] = self.place(tile);
        let [row, pixel] = self.distances(side);
        // Of the first pixel, which may not be there.
        let first = self.first(side, image, tile).wrapping_sub(before * (row + pixel));
        let inside =
            |first: usize, count: usize| [before.saturating_sub(first), size.min(count + before - first)];
        Pixels {
            source: Source { at: pixels.as_ptr().wrapping_add(first), row, pixel },
            rows: inside(first_row, self.height),
            columns: inside(first_column, self.width),
        }
    }

    /// Where the outputs of a tile are written, in one of the images that a side's are taken for.
    pub(super) fn target<E>(&self, pixels: &mut [E], side: Side, image: usize, tile: usize) -> Place<E> {
        let [row, pixel] = self.distances(side);
        Place { at: pixels[self.first(side, image, tile)..].as_mut_ptr(), row, pixel }
    }
}
