//! Whole batches: tiles are carried over, multiplied and carried back, as many at once as the processor's cache
//! holds.

use pulp::{Arch, Simd, WithSimd};

use crate::Convolution;
use crate::product::{Left, product};
use crate::transform::{Collect, Evaluate, Line, OUTPUTS, Points, Spread};

/// Values of a block of tiles, of images and outputs together: what half of a core's cache of 512 KiB or more holds.
const BLOCK_VALUES: usize = 96 * 1024;
/// Fewer tiles than this at once would read the weights too often.
const FEWEST_TILES: usize = 16;
/// Between the tiles' values at one point and at the next: planes whose distance is a power of two would compete for
/// the same lines of a cache.
const GAP: usize = 16;

/// The outputs of `images` with `weights` (input channel × row × column × output channel).
pub fn forward<const PAIRS: usize, const POINTS: usize, const TAPS: usize>(
    convolution: &Convolution,
    points: &Points<PAIRS>,
    images: &[f32],
    weights: &[f32],
    outputs: &mut [f32],
    threads: usize,
) {
    let at_points = weights_at_points::<PAIRS, POINTS, TAPS>(convolution, points, weights);
    let share = convolution.images.div_ceil(threads.max(1)).max(1);
    let pixels = share * convolution.height * convolution.width;
    let parts = images
        .chunks(pixels * convolution.input_channels)
        .zip(outputs.chunks_mut(pixels * convolution.output_channels));
    let work = parts.map(|(images, outputs)| Forward::<PAIRS, POINTS> {
        tiles: Tiles::new(convolution, images.len() / convolution.input_channels),
        points,
        images,
        weights: &at_points,
        outputs,
    });
    side_by_side(work);
}

/// The gradient with respect to the weights, input channel × row × column × output channel.
pub fn weights_gradient<const PAIRS: usize, const POINTS: usize, const TAPS: usize>(
    convolution: &Convolution,
    points: &Points<PAIRS>,
    images: &[f32],
    outputs_gradient: &[f32],
    gradient: &mut [f32],
    threads: usize,
) {
    let share = convolution.images.div_ceil(threads.max(1)).max(1);
    let pixels = share * convolution.height * convolution.width;
    let parts = images
        .chunks(pixels * convolution.input_channels)
        .zip(outputs_gradient.chunks(pixels * convolution.output_channels));
    let work = parts.map(|(images, outputs_gradient)| WeightsGradient::<PAIRS, POINTS> {
        tiles: Tiles::new(convolution, images.len() / convolution.input_channels),
        points,
        images,
        outputs_gradient,
    });
    let mut parts = side_by_side(work).into_iter();
    let mut at_points = parts.next().unwrap_or_default();
    for part in parts {
        for (sum, value) in at_points.iter_mut().zip(part) {
            *sum += value;
        }
    }
    if !at_points.is_empty() {
        weights_from_points::<PAIRS, POINTS, TAPS>(convolution, points, &at_points, gradient);
    }
}

/// Does all of `work`, each piece in a thread of its own.
fn side_by_side<W: WithSimd<Output: Send> + Send>(work: impl Iterator<Item = W>) -> Vec<W::Output> {
    let arch = Arch::new();
    let mut work: Vec<W> = work.collect();
    let Some(last) = work.pop() else { return vec![] };
    std::thread::scope(|scope| {
        let others: Vec<_> = work.into_iter().map(|piece| scope.spawn(move || arch.dispatch(piece))).collect();
        let last = arch.dispatch(last);
        let done = others.into_iter().map(|thread| thread.join().expect("a pass over tiles does not panic"));
        done.chain([last]).collect()
    })
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
    fn new(convolution: &Convolution, pixels: usize) -> Self {
        let Convolution { height, width, input_channels, output_channels, kernel, .. } = *convolution;
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

/// The values of a block of tiles at the points: point × tile × channel.
struct Block {
    values: Vec<f32>,
    plane: usize,
    channels: usize,
}

impl Block {
    fn new(points: usize, tiles: usize, channels: usize) -> Self {
        let plane = tiles * channels + GAP;
        Self { values: vec![0.0; points * points * plane], plane, channels }
    }

    /// The values of the first `tiles` tiles at a point.
    #[inline(always)]
    fn at(&self, point: usize, tiles: usize) -> &[f32] {
        &self.values[point * self.plane..][..tiles * self.channels]
    }

    #[inline(always)]
    fn at_mut(&mut self, point: usize, tiles: usize) -> &mut [f32] {
        &mut self.values[point * self.plane..][..tiles * self.channels]
    }

    /// Fills in tiles `first..first + tiles` of `pixels`, whose tiles begin `before` pixels above and left of the
    /// outputs.
    #[inline(always)]
    fn spread<S: Simd, const FROM: usize, const POINTS: usize>(
        &mut self,
        simd: S,
        transform: &impl Line<FROM, POINTS>,
        tiles: &Tiles,
        block: std::ops::Range<usize>,
        pixels: &[f32],
        before: usize,
    ) {
        let (pixels, _) = S::as_simd_f32s(pixels);
        let lanes = self.channels / S::F32_LANES;
        let plane = self.plane / S::F32_LANES;
        let (values, _) = S::as_mut_simd_f32s(&mut self.values);
        let zero = simd.splat_f32s(0.0);
        // Outside the loop, for filling it with zeros takes as long as a transform.
        let mut rows = [[zero; POINTS]; FROM];
        for (number, tile) in block.enumerate() {
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
                            let inside = &of_row[left * lanes + lane..][..(FROM - 1) * lanes + 1];
                            for (right, value) in values.iter_mut().enumerate() {
                                *value = inside[right * lanes];
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
                let values = &mut values[number * lanes + lane..][..(POINTS * POINTS - 1) * plane + 1];
                for column in 0..POINTS {
                    let at_points = transform.line(simd, column_of(&rows, column));
                    for (row, value) in at_points.into_iter().enumerate() {
                        values[(row * POINTS + column) * plane] = value;
                    }
                }
            }
        }
    }

    /// Writes the outputs of tiles that lie in the image.
    #[inline(always)]
    fn collect<S: Simd, const PAIRS: usize, const POINTS: usize>(
        &self,
        simd: S,
        points: &Points<PAIRS>,
        tiles: &Tiles,
        block: std::ops::Range<usize>,
        outputs: &mut [f32],
    ) {
        let (outputs, _) = S::as_mut_simd_f32s(outputs);
        let lanes = self.channels / S::F32_LANES;
        let plane = self.plane / S::F32_LANES;
        let (values, _) = S::as_simd_f32s(&self.values);
        let zero = simd.splat_f32s(0.0);
        let mut rows = [[zero; OUTPUTS]; POINTS];
        for (number, tile) in block.enumerate() {
            let (image, row, column) = tiles.place(tile);
            for lane in 0..lanes {
                let values = &values[number * lanes + lane..][..(POINTS * POINTS - 1) * plane + 1];
                for (row, line) in rows.iter_mut().enumerate() {
                    let mut at_points = [zero; POINTS];
                    for (column, value) in at_points.iter_mut().enumerate() {
                        *value = values[(row * POINTS + column) * plane];
                    }
                    *line = Collect(points).line(simd, at_points);
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
}

/// A column of vectors.
#[inline(always)]
fn column_of<V: Copy, const ROWS: usize, const COLUMNS: usize>(rows: &[[V; COLUMNS]; ROWS], column: usize) -> [V; ROWS] {
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
        let mut from = Block::new(POINTS, at_once, inputs);
        let mut to = Block::new(POINTS, at_once, outputs);
        for first in (0..tiles.count).step_by(at_once) {
            let block = first..(first + at_once).min(tiles.count);
            let count = block.len();
            from.spread::<S, POINTS, POINTS>(simd, &Spread(self.points), &tiles, block.clone(), self.images, tiles.padding);
            for (point, weights) in self.weights.chunks_exact(inputs * outputs).enumerate() {
                let left = Left::Plain(from.at(point, count));
                let (result, _) = S::as_mut_simd_f32s(to.at_mut(point, count));
                let (weights, _) = S::as_simd_f32s(weights);
                product::<S, false>(simd, left, weights, outputs / S::F32_LANES, result);
            }
            to.collect::<S, PAIRS, POINTS>(simd, self.points, &tiles, block, self.outputs);
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
        let mut images = Block::new(POINTS, at_once, inputs);
        let mut gradients = Block::new(POINTS, at_once, outputs);
        let mut sums = vec![0.0; POINTS * POINTS * inputs * outputs];
        for first in (0..tiles.count).step_by(at_once) {
            let block = first..(first + at_once).min(tiles.count);
            let count = block.len();
            images.spread::<S, POINTS, POINTS>(simd, &Spread(self.points), &tiles, block.clone(), self.images, tiles.padding);
            gradients.spread::<S, OUTPUTS, POINTS>(simd, &Evaluate(self.points), &tiles, block, self.outputs_gradient, 0);
            for (point, sums) in sums.chunks_exact_mut(inputs * outputs).enumerate() {
                let left = Left::Transposed(images.at(point, count));
                let (right, _) = S::as_simd_f32s(gradients.at(point, count));
                let (sums, _) = S::as_mut_simd_f32s(sums);
                product::<S, true>(simd, left, right, outputs / S::F32_LANES, sums);
            }
        }
        sums
    }
}

/// G g Gᵀ for each pair of channels: point × input channel × output channel.
fn weights_at_points<const PAIRS: usize, const POINTS: usize, const TAPS: usize>(
    convolution: &Convolution,
    points: &Points<PAIRS>,
    weights: &[f32],
) -> Vec<f32> {
    let of_taps = points.of_taps::<POINTS, TAPS>();
    let outputs = convolution.output_channels;
    let pairs = convolution.input_channels * outputs;
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
    convolution: &Convolution,
    points: &Points<PAIRS>,
    at_points: &[f32],
    weights: &mut [f32],
) {
    let of_taps = points.of_taps::<POINTS, TAPS>();
    let outputs = convolution.output_channels;
    let pairs = convolution.input_channels * outputs;
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
        weights.fill(0.0);
        for (row, factors) in rows.chunks_exact(TAPS * outputs).zip(&of_taps) {
            for (factor, weights) in factors.iter().zip(weights.chunks_exact_mut(TAPS * outputs)) {
                add_scaled(weights, *factor, row);
            }
        }
    }
}

#[inline(always)]
fn add_scaled(sums: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}
