//! Convolutions by the minimal filtering algorithm: tiles of the image are carried over to its domain, where a
//! convolution is one product of matrices for each point, and back. With 4 × 4 outputs a tile, a kernel of 3 × 3 takes a quarter of the
//! multiplications, one of 7 × 7 an eighth.
//!
//! A convolution in steps of 2 is one in steps of 1, with kernels of half the size, of the four images that have every second row
//! and column: their channels are summed over one after the other.
//!
//! Tiles in the domain lie as group of tiles × vector of channels × point × tile of the group; points are ordered column by column. A
//! group is [`Vector::TILES_TOGETHER`] tiles: one, so that what a transform writes lies together, or as many as products read at once.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use std::ops::Range;

use crate::finish::Target;
use crate::memory::{LINE, Source};
use crate::points::Points;
use crate::routines::Routines;
use crate::vector::{STEPS, Vector, multiples};

/// Numbers between the values of a group of tiles and the next, beyond the values: tiles at distances of a power of two would compete
/// for the same lines of a cache.
const APART: usize = 16;

/// A convolution.
pub(crate) struct Winograd {
    /// From the first tap of the first output on.
    pub source: Source,
    /// Rows and columns of the image from one output to the next: 1 or 2.
    pub stride: usize,
    /// Channels that products are summed over: those of the image that count, or of all four with those that fill the last vectors.
    pub input_channels: usize,
    /// Channels with those that fill the last vector.
    pub output_channels: usize,
    /// Rows and columns of the output.
    pub rows: usize,
    pub columns: usize,
    /// The place of the kernel's size and the tiles' in [`Routines::transforms`], and of the products in [`Routines::panels`].
    pub transforms: usize,
    pub panel: usize,
    /// Point × block of output channels × input channel × output channel of the block.
    pub weights: *const f32,
    /// What weights will be read after these.
    pub next: *const f32,
    pub bias: *const f32,
    pub target: Target,
    /// Room for [`scratch`] numbers.
    pub scratch: *mut f32,
}

/// Where tiles lie in the domain.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Tiles of a group, a power of two: divisions for each tile would take a twentieth of the time.
    together: usize,
    shift: u32,
    /// Numbers of a vector.
    lanes: usize,
    /// Numbers from a group to the next.
    pub group: usize,
}

impl Layout {
    /// For tiles of so many points in one dimension, and channels in whole vectors.
    pub(crate) fn new(routines: &Routines, points: usize, channels: usize) -> Self {
        let Routines { lanes, tiles_together: together, .. } = *routines;
        let group = together * points * points * channels + APART;
        Self { together, shift: together.trailing_zeros(), lanes, group }
    }

    /// Where a tile's first vector of channels is at the first point.
    #[inline]
    pub(crate) fn of(&self, tile: usize) -> usize {
        (tile >> self.shift) * self.group + (tile & (self.together - 1)) * self.lanes
    }

    /// Where a channel that begins a vector is, from the tile's first on.
    pub(crate) fn channel(&self, points: usize, channel: usize) -> usize {
        channel * points * points * self.together
    }

    /// How many numbers of room so many tiles need: whole groups.
    pub(crate) fn room(&self, tiles: usize) -> usize {
        (tiles >> self.shift) * self.group
    }
}

/// How many numbers of room a convolution needs while it runs: tiles of its input and of its output. Channels are those of whole
/// vectors.
pub(crate) fn scratch(routines: &Routines, points: usize, channels: [usize; 2]) -> usize {
    channels.map(|channels| Layout::new(routines, points, channels).room(routines.tiles)).iter().sum()
}

/// Runs a convolution.
///
/// # Safety
/// Its pointers must be to what its sizes say, with borders around the source as far as the last tile's values reach; the
/// processor must have the instructions.
pub(crate) unsafe fn run(routines: &Routines, task: &Winograd) {
    let lanes = routines.lanes;
    let transforms = &routines.transforms[task.transforms];
    let panel = &routines.panels[task.panel];
    let points = transforms.points;
    let input = task.input_channels.next_multiple_of(lanes);
    let (stride, images) = (task.stride, task.stride * task.stride);
    let channels = input / images;
    let blocks = task.output_channels / (lanes * panel.sums.vectors);
    let values = task.scratch;
    let of_values = Layout::new(routines, points, input);
    // All sums of a tile's point are computed before any is written: they may take the place of the values.
    let is_in_place = blocks == 1 && task.output_channels <= input;
    let (sums, of_sums) = match is_in_place {
        true => (values, of_values),
        false => {
            (values.add(of_values.room(routines.tiles)), Layout::new(routines, points, task.output_channels))
        }
    };
    let outputs = transforms.outputs;
    let across = task.columns.div_ceil(outputs);
    let total = across * task.rows.div_ceil(outputs);
    for first in (0..total).step_by(routines.tiles) {
        let tiles = first..total.min(first + routines.tiles);
        let places = || places(first, across).map(|place| place.map(|tile| tile * outputs));
        for (tile, place) in tiles.clone().zip(places()) {
            let [row, column] = place.map(|output| output * stride);
            let Source { row: below, pixel: beside, .. } = task.source;
            for image in 0..images {
                let at = task.source.of(row + image / stride, column + image % stride, 0);
                (transforms.spread)(&Spread {
                    source: Source { at, row: below * stride, pixel: beside * stride },
                    channels,
                    values: values
                        .add(of_values.of(tile - first) + of_values.channel(points, image * channels)),
                });
            }
        }
        (panel.products)(&Products {
            tiles: tiles.len(),
            points: points * points,
            input_channels: task.input_channels,
            blocks,
            values,
            input_group: of_values.group,
            weights: task.weights,
            next: if tiles.end == total { task.next } else { task.weights },
            sums,
            output_group: of_sums.group,
        });
        for (tile, [row, column]) in tiles.zip(places()) {
            (transforms.collect)(&Collect {
                sums: sums.add(of_sums.of(tile - first)),
                channels: task.output_channels,
                bias: task.bias,
                target: task.target,
                row,
                column,
                rows: outputs.min(task.rows - row),
                columns: outputs.min(task.columns - column),
            });
        }
    }
}

/// Rows and columns of tiles, from one on, where so many stand in a row.
fn places(first: usize, across: usize) -> impl Iterator<Item = [usize; 2]> {
    std::iter::successors(Some([first / across, first % across]), move |[row, column]| {
        Some(if column + 1 < across { [*row, column + 1] } else { [row + 1, 0] })
    })
}

/// A tile of an image, to the points.
pub(crate) struct Spread {
    pub source: Source,
    /// In whole vectors.
    pub channels: usize,
    pub values: *mut f32,
}

#[inline(always)]
pub(crate) unsafe fn spread<T: Vector, const PAIRS: usize, const POINTS: usize>(
    points: &Points<PAIRS>,
    task: &Spread,
) {
    let Source { at, row, pixel } = task.source;
    for channel in (0..task.channels).step_by(T::LANES) {
        let to = task.values.add(channel * POINTS * POINTS * T::TILES_TOGETHER);
        let mut rows = [[T::splat(0.0); POINTS]; POINTS];
        let mut from = at.add(channel);
        for y in 0..POINTS {
            let mut values = [T::splat(0.0); POINTS];
            let mut place = from;
            for x in 0..POINTS {
                values[x] = T::load(place);
                place = place.add(pixel);
            }
            rows[y] = points.spread(values);
            from = from.add(row);
        }
        for x in 0..POINTS {
            let mut values = [T::splat(0.0); POINTS];
            for y in 0..POINTS {
                values[y] = rows[y][x];
            }
            let spread: [T; POINTS] = points.spread(values);
            for y in 0..POINTS {
                spread[y].store(to.add((x * POINTS + y) * point::<T>()));
            }
        }
    }
}

/// Numbers from a point to the next.
pub(crate) const fn point<T: Vector>() -> usize {
    T::TILES_TOGETHER * T::LANES
}

/// Products of some tiles with the weights, at all points.
pub(crate) struct Products {
    pub tiles: usize,
    /// In two dimensions.
    pub points: usize,
    pub input_channels: usize,
    /// Blocks of output channels, each of as many vectors as the panel has.
    pub blocks: usize,
    pub values: *const f32,
    /// Numbers from a group of tiles to the next.
    pub input_group: usize,
    pub weights: *const f32,
    /// What weights will be read after these.
    pub next: *const f32,
    pub sums: *mut f32,
    pub output_group: usize,
}

/// Computes `M` tiles and `N` vectors of channels at once. Tiles beyond the last, up to the next multiple of `M`, are computed from
/// whatever is in their place and never read.
#[inline(always)]
pub(crate) unsafe fn products<T: Vector, const M: usize, const N: usize>(task: &Products) {
    let width = T::LANES * N;
    let whole = task.input_channels / T::LANES;
    let rest = task.input_channels % T::LANES;
    let count = task.points * task.blocks;
    // From a tile to the next: all rows of a panel are of one group, or each is one.
    let is_group = T::TILES_TOGETHER == 1;
    const { assert!(T::TILES_TOGETHER == 1 || T::TILES_TOGETHER.is_multiple_of(M)) };
    let tiles = multiples(if is_group { task.input_group } else { T::LANES });
    let output = if is_group { task.output_group } else { T::LANES };
    // While tiles are multiplied by some weights, the next ones are fetched.
    let lines = (STEPS * width).div_ceil(LINE * task.tiles.div_ceil(M));
    for number in 0..count {
        let (point, block) = (number / task.blocks, number % task.blocks);
        let weights = task.weights.add(number * task.input_channels * width);
        let mut next = if number + 1 < count { weights.add(task.input_channels * width) } else { task.next };
        for tile in (0..task.tiles).step_by(M) {
            let mut sums = [[T::splat(0.0); N]; M];
            let (group, within) = (tile / T::TILES_TOGETHER, tile % T::TILES_TOGETHER * T::LANES);
            let mut values = task.values.add(group * task.input_group + within + point * self::point::<T>());
            let mut rows = weights;
            for _ in 0..whole {
                for k in (0..T::LANES).step_by(STEPS) {
                    for _ in 0..lines {
                        T::fetch(next);
                        next = next.wrapping_add(LINE);
                    }
                    T::panel(&mut sums, values.add(k), &tiles, rows.add(k * width), STEPS);
                }
                values = values.add(task.points * self::point::<T>());
                rows = rows.add(T::LANES * width);
            }
            T::panel(&mut sums, values, &tiles, rows, rest);
            let to = task.sums.add(group * task.output_group + within + point * self::point::<T>());
            for m in 0..M {
                for n in 0..N {
                    let vector = (block * N + n) * task.points * self::point::<T>();
                    sums[m][n].store(to.add(m * output + vector));
                }
            }
        }
    }
}

/// A tile of the output, from the points.
pub(crate) struct Collect {
    pub sums: *const f32,
    /// In whole vectors.
    pub channels: usize,
    pub bias: *const f32,
    pub target: Target,
    /// Of the tile's first output.
    pub row: usize,
    pub column: usize,
    /// As much of the tile as lies within the output.
    pub rows: usize,
    pub columns: usize,
}

#[inline(always)]
pub(crate) unsafe fn collect<T: Vector, const PAIRS: usize, const POINTS: usize, const OUTPUTS: usize>(
    points: &Points<PAIRS>,
    task: &Collect,
) {
    for channel in (0..task.channels).step_by(T::LANES) {
        let from = task.sums.add(channel * POINTS * POINTS * T::TILES_TOGETHER);
        let bias = T::load(task.bias.add(channel));
        let mut columns = [[T::splat(0.0); OUTPUTS]; POINTS];
        for x in 0..POINTS {
            let mut values = [T::splat(0.0); POINTS];
            for y in 0..POINTS {
                values[y] = T::load(from.add((x * POINTS + y) * point::<T>()));
            }
            columns[x] = points.collect(values);
        }
        let is_whole = task.rows == OUTPUTS && task.columns == OUTPUTS;
        for y in 0..OUTPUTS {
            if !is_whole && y == task.rows {
                break;
            }
            let mut values = [T::splat(0.0); POINTS];
            for x in 0..POINTS {
                values[x] = columns[x][y];
            }
            let outputs: [T; OUTPUTS] = points.collect(values);
            let mut sums = [[T::splat(0.0)]; OUTPUTS];
            for x in 0..OUTPUTS {
                sums[x] = [outputs[x].add(bias)];
            }
            let at = [task.row + y, task.column, channel];
            // Said twice, so that whole tiles need not ask before each pixel.
            match is_whole {
                true => task.target.write(sums, OUTPUTS, at),
                false => task.target.write(sums, task.columns, at),
            }
        }
    }
}

/// Kernels to the points.
pub(crate) struct Weigh<'a> {
    /// From the first kernel on.
    pub weights: &'a [f32],
    /// Numbers from a kernel to that of the next output channel, and to that of the next input channel.
    pub distances: [usize; 2],
    /// Where the taps of a kernel lie, row by row; those that lie nowhere are 0.
    pub taps: &'a [Option<usize>],
    pub input_channels: usize,
    /// Output channels, counted from the first one of the first block; they begin with a vector.
    pub outputs: Range<usize>,
    /// Vectors of a block of output channels.
    pub vectors: usize,
    /// Numbers from a block to the next, and from a point to the next.
    pub block: usize,
    pub point: usize,
    /// Point × block × input channel × output channel of the block, from the first input channel on.
    pub to: *mut f32,
}

/// # Safety
/// As for [`run`]; there is room at `to`.
#[inline(always)]
pub(crate) unsafe fn weigh<
    T: Vector,
    const PAIRS: usize,
    const POINTS: usize,
    const TAPS: usize,
    const AREA: usize,
>(
    points: &Points<PAIRS>,
    task: &Weigh<'_>,
) {
    assert_eq!(task.taps.len(), AREA);
    let width = T::LANES * task.vectors;
    let [of_output, of_input] = task.distances;
    for (number, first) in task.outputs.clone().step_by(T::LANES).enumerate() {
        let lanes = T::LANES.min(task.outputs.end - first);
        for channel in 0..task.input_channels {
            // No vector has more lanes than 16.
            let mut gathered = [[0.0f32; 16]; AREA];
            let kernel = number * T::LANES * of_output + channel * of_input;
            for tap in 0..AREA {
                let Some(place) = task.taps[tap] else { continue };
                for lane in 0..lanes {
                    gathered[tap][lane] = task.weights[kernel + lane * of_output + place];
                }
            }
            let to = task.to.add(first / width * task.block + channel * width + first % width);
            let mut columns = [[T::splat(0.0); POINTS]; TAPS];
            for x in 0..TAPS {
                let mut taps = [T::splat(0.0); TAPS];
                for y in 0..TAPS {
                    taps[y] = T::load(gathered[y * TAPS + x].as_ptr());
                }
                columns[x] = points.weigh(taps);
            }
            for y in 0..POINTS {
                let mut taps = [T::splat(0.0); TAPS];
                for x in 0..TAPS {
                    taps[x] = columns[x][y];
                }
                let weighed: [T; POINTS] = points.weigh(taps);
                for x in 0..POINTS {
                    weighed[x].store(to.add((x * POINTS + y) * task.point));
                }
            }
        }
    }
}
