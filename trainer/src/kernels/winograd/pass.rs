//! Whole batches: tiles are carried over, multiplied and carried back, as many at once as the processor's cache
//! holds.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::{share, side_by_side};
use super::Filter;
use super::block::Block;
use super::transform::{Collect, Evaluate, Line, OUTPUTS, Points, Spread};

/// Values of a block of tiles, of images and outputs together: what half of a core's cache of 512 KiB or more holds.
const BLOCK_VALUES: usize = 96 * 1024;
/// Fewer tiles than this at once would read the weights too often.
const FEWEST_TILES: usize = 16;
/// The outputs of `images` with `weights` (input channel × row × column × output channel).
pub fn forward<const PAIRS: usize, const POINTS: usize, const TAPS: usize>(
    filter: &Filter,
    points: &Points<PAIRS>,
    images: &[f32],
    weights: &[f32],
    outputs: &mut [f32],
    threads: usize,
) {
    let at_points = weights_at_points::<PAIRS, POINTS, TAPS>(filter, points, weights);
    let share = share(filter.images, threads);
    let pixels = share * filter.height * filter.width;
    let parts = images
        .chunks(pixels * filter.input_channels)
        .zip(outputs.chunks_mut(pixels * filter.output_channels));
    let work = parts.map(|(images, outputs)| Forward::<PAIRS, POINTS> {
        tiles: Tiles::new(filter, images.len() / filter.input_channels),
        points,
        images,
        weights: &at_points,
        outputs,
    });
    side_by_side(work);
}

/// The gradient with respect to the weights, input channel × row × column × output channel.
pub fn weights_gradient<const PAIRS: usize, const POINTS: usize, const TAPS: usize>(
    filter: &Filter,
    points: &Points<PAIRS>,
    images: &[f32],
    outputs_gradient: &[f32],
    threads: usize,
) -> Vec<f32> {
    let share = share(filter.images, threads);
    let pixels = share * filter.height * filter.width;
    let parts = images
        .chunks(pixels * filter.input_channels)
        .zip(outputs_gradient.chunks(pixels * filter.output_channels));
    let work = parts.map(|(images, outputs_gradient)| WeightsGradient::<PAIRS, POINTS> {
        tiles: Tiles::new(filter, images.len() / filter.input_channels),
        points,
        images,
        outputs_gradient,
    });
    let mut sums = vec![0.0; POINTS * POINTS * filter.input_channels * filter.output_channels];
    for part in side_by_side(work) {
        for (sum, value) in sums.iter_mut().zip(part) {
            *sum += value;
        }
    }
    weights_from_points::<PAIRS, POINTS, TAPS>(filter, points, &sums)
}

/// Where the tiles of some images lie.
#[derive(Clone, Copy)]
struct Tiles {
    height: usize,
    width: usize,
    across: usize,
    of_image: usize,
    /// All of them.
    count: usize,
    input_channels: usize,
    output_channels: usize,
    padding: usize,
}

impl Tiles {
    fn new(filter: &Filter, pixels: usize) -> Self {
        let Filter { height, width, input_channels, output_channels, kernel, .. } = *filter;
        let across = width.div_ceil(OUTPUTS);
        let of_image = across * height.div_ceil(OUTPUTS);
        let count = pixels / (height * width) * of_image;
        Self { height, width, across, of_image, count, input_channels, output_channels, padding: kernel / 2 }
    }

    /// Tiles at once, for `points` × `points` values a tile and channel.
    fn in_block(&self, points: usize) -> usize {
        let of_tile = points * points * (self.input_channels + self.output_channels);
        (BLOCK_VALUES / of_tile).next_multiple_of(4).max(FEWEST_TILES).min(self.count)
    }

    /// First pixel of a tile's image, and row and column of its first output.
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (image, within) = (tile / self.of_image, tile % self.of_image);
        let first = image * self.height * self.width;
        (first, within / self.across * OUTPUTS, within % self.across * OUTPUTS)
    }
}

/// Fills in tiles of `pixels`, which begin `before` pixels above and left of their outputs.
#[inline(always)]
fn spread<S: Simd, const FROM: usize, const POINTS: usize>(
    simd: S,
    transform: &impl Line<FROM, POINTS>,
    tiles: &Tiles,
    range: Range<usize>,
    pixels: &[f32],
    before: usize,
    block: &mut Block<S>,
) {
    let (pixels, _) = S::as_simd_f32s(pixels);
    let lanes = block.lanes;
    let zero = simd.splat_f32s(0.0);
    // Outside the loop, for filling it with zeros takes as long as a transform.
    let mut rows = [[zero; POINTS]; FROM];
    for (number, tile) in range.enumerate() {
        let (image, row, column) = tiles.place(tile);
        // Above and left of the image these wrap around to numbers that no image is as large as.
        let (top, left) = (row.wrapping_sub(before), column.wrapping_sub(before));
        let is_inside = left < tiles.width && left + FROM <= tiles.width;
        for lane in 0..lanes {
            for (down, line) in rows.iter_mut().enumerate() {
                let y = top.wrapping_add(down);
                let mut values = [zero; FROM];
                if y < tiles.height {
                    let of_row = &pixels[(image + y * tiles.width) * lanes..][..tiles.width * lanes];
                    if is_inside {
                        let inside = of_row[left * lanes + lane..].iter().step_by(lanes);
                        for (value, pixel) in values.iter_mut().zip(inside) {
                            *value = *pixel;
                        }
                    } else {
                        for (right, value) in values.iter_mut().enumerate() {
                            let x = left.wrapping_add(right);
                            if x < tiles.width {
                                *value = of_row[x * lanes + lane];
                            }
                        }
                    }
                }
                *line = transform.line(simd, values);
            }
            let (values, _) = block.at_mut(number, lane).as_chunks_mut::<POINTS>();
            for column in 0..POINTS {
                let at_points = transform.line(simd, column_of(&rows, column));
                for (row, value) in values.iter_mut().zip(at_points) {
                    row[column] = value;
                }
            }
        }
    }
}

/// Writes the outputs of tiles, as far as they lie in the image.
#[inline(always)]
fn collect<S: Simd, const PAIRS: usize, const POINTS: usize>(
    simd: S,
    points: &Points<PAIRS>,
    tiles: &Tiles,
    range: Range<usize>,
    block: &Block<S>,
    outputs: &mut [f32],
) {
    let (outputs, _) = S::as_mut_simd_f32s(outputs);
    let lanes = block.lanes;
    let mut rows = [[simd.splat_f32s(0.0); OUTPUTS]; POINTS];
    for (number, tile) in range.enumerate() {
        let (image, row, column) = tiles.place(tile);
        for lane in 0..lanes {
            let (values, _) = block.at(number, lane).as_chunks::<POINTS>();
            for (line, at_points) in rows.iter_mut().zip(values) {
                *line = Collect(points).line(simd, *at_points);
            }
            for (x, column) in (column..tiles.width).zip(0..OUTPUTS) {
                let of_column: [S::f32s; OUTPUTS] = Collect(points).line(simd, column_of(&rows, column));
                for (y, value) in (row..tiles.height).zip(of_column) {
                    outputs[(image + y * tiles.width + x) * lanes + lane] = value;
                }
            }
        }
    }
}

/// A column of vectors.
#[inline(always)]
fn column_of<V: Copy, const ROWS: usize, const COLUMNS: usize>(
    rows: &[[V; COLUMNS]; ROWS],
    column: usize,
) -> [V; ROWS] {
    let mut values = [rows[0][column]; ROWS];
    for (value, row) in values.iter_mut().zip(rows) {
        *value = row[column];
    }
    values
}

struct Forward<'a, const PAIRS: usize, const POINTS: usize> {
    tiles: Tiles,
    points: &'a Points<PAIRS>,
    images: &'a [f32],
    /// Point × input channel × output channel.
    weights: &'a [f32],
    outputs: &'a mut [f32],
}

impl<const PAIRS: usize, const POINTS: usize> WithSimd for Forward<'_, PAIRS, POINTS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tiles = self.tiles;
        let at_once = tiles.in_block(POINTS);
        let (inputs, outputs) = (tiles.input_channels, tiles.output_channels);
        let mut from = Block::new(simd, at_once, inputs, POINTS * POINTS);
        let mut to = Block::new(simd, at_once, outputs, POINTS * POINTS);
        for first in (0..tiles.count).step_by(at_once) {
            let range = first..(first + at_once).min(tiles.count);
            let transform = Spread(self.points);
            spread::<S, POINTS, POINTS>(
                simd,
                &transform,
                &tiles,
                range.clone(),
                self.images,
                tiles.padding,
                &mut from,
            );
            for (point, weights) in self.weights.chunks_exact(inputs * outputs).enumerate() {
                let (weights, _) = S::as_simd_f32s(weights);
                to.set_products(simd, range.len(), point, &from, weights);
            }
            collect::<S, PAIRS, POINTS>(simd, self.points, &tiles, range, &to, self.outputs);
        }
    }
}

struct WeightsGradient<'a, const PAIRS: usize, const POINTS: usize> {
    tiles: Tiles,
    points: &'a Points<PAIRS>,
    images: &'a [f32],
    outputs_gradient: &'a [f32],
}

impl<const PAIRS: usize, const POINTS: usize> WithSimd for WeightsGradient<'_, PAIRS, POINTS> {
    /// Point × input channel × output channel.
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let tiles = self.tiles;
        let at_once = tiles.in_block(POINTS);
        let (inputs, outputs) = (tiles.input_channels, tiles.output_channels);
        let mut images = Block::new(simd, at_once, inputs, POINTS * POINTS);
        let mut gradients = Block::new(simd, at_once, outputs, POINTS * POINTS);
        let mut sums = vec![0.0; POINTS * POINTS * inputs * outputs];
        for first in (0..tiles.count).step_by(at_once) {
            let range = first..(first + at_once).min(tiles.count);
            let transform = Spread(self.points);
            spread::<S, POINTS, POINTS>(
                simd,
                &transform,
                &tiles,
                range.clone(),
                self.images,
                tiles.padding,
                &mut images,
            );
            let transform = Evaluate(self.points);
            spread::<S, OUTPUTS, POINTS>(
                simd,
                &transform,
                &tiles,
                range.clone(),
                self.outputs_gradient,
                0,
                &mut gradients,
            );
            for (point, sums) in sums.chunks_exact_mut(inputs * outputs).enumerate() {
                let (sums, _) = S::as_mut_simd_f32s(sums);
                images.add_products(simd, range.len(), point, &gradients, sums);
            }
        }
        sums
    }
}

/// G g Gᵀ for each pair of channels: point × input channel × output channel.
fn weights_at_points<const PAIRS: usize, const POINTS: usize, const TAPS: usize>(
    filter: &Filter,
    points: &Points<PAIRS>,
    weights: &[f32],
) -> Vec<f32> {
    let of_taps = points.of_taps::<POINTS, TAPS>();
    let outputs = filter.output_channels;
    let pairs = filter.input_channels * outputs;
    let mut at_points = vec![0.0; POINTS * POINTS * pairs];
    let mut rows = vec![0.0; POINTS * TAPS * outputs];
    for (input, weights) in weights.chunks_exact(TAPS * TAPS * outputs).enumerate() {
        rows.fill(0.0);
        for (row, factors) in rows.chunks_exact_mut(TAPS * outputs).zip(&of_taps) {
            for (factor, weights) in factors.iter().zip(weights.chunks_exact(TAPS * outputs)) {
                add_scaled(row, *factor, weights);
            }
        }
        for (y, row) in rows.chunks_exact(TAPS * outputs).enumerate() {
            for (x, factors) in of_taps.iter().enumerate() {
                let target = &mut at_points[(y * POINTS + x) * pairs + input * outputs..][..outputs];
                for (factor, values) in factors.iter().zip(row.chunks_exact(outputs)) {
                    add_scaled(target, *factor, values);
                }
            }
        }
    }
    at_points
}

/// Gᵀ u G for each pair of channels: what [`weights_at_points`] does, transposed.
fn weights_from_points<const PAIRS: usize, const POINTS: usize, const TAPS: usize>(
    filter: &Filter,
    points: &Points<PAIRS>,
    at_points: &[f32],
) -> Vec<f32> {
    let of_taps = points.of_taps::<POINTS, TAPS>();
    let outputs = filter.output_channels;
    let pairs = filter.input_channels * outputs;
    let mut weights = vec![0.0; TAPS * TAPS * pairs];
    let mut rows = vec![0.0; POINTS * TAPS * outputs];
    for (input, weights) in weights.chunks_exact_mut(TAPS * TAPS * outputs).enumerate() {
        rows.fill(0.0);
        for (y, row) in rows.chunks_exact_mut(TAPS * outputs).enumerate() {
            for (x, factors) in of_taps.iter().enumerate() {
                let values = &at_points[(y * POINTS + x) * pairs + input * outputs..][..outputs];
                for (factor, row) in factors.iter().zip(row.chunks_exact_mut(outputs)) {
                    add_scaled(row, *factor, values);
                }
            }
        }
        for (row, factors) in rows.chunks_exact(TAPS * outputs).zip(&of_taps) {
            for (factor, weights) in factors.iter().zip(weights.chunks_exact_mut(TAPS * outputs)) {
                add_scaled(weights, *factor, row);
            }
        }
    }
    weights
}

#[inline(always)]
fn add_scaled(sums: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}
