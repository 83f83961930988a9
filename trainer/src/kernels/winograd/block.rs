//! Some tiles in the transform's domain, and the products there.

use pulp::{Simd, bytemuck};

/// Rows of a result that are summed up at once, and vectors of each row: as many as leave a processor's registers room for what is
/// multiplied.
const ROWS: usize = 4;
const VECTORS: usize = 2;

/// The values of some tiles: tile × vector of channels × point. So a transform, which makes all points of a vector,
/// writes to one place.
pub struct Block<S: Simd> {
    values: Vec<S::f32s>,
    /// Vectors of channels.
    pub lanes: usize,
    /// Points of a tile, in two dimensions.
    points: usize,
    /// Vectors between a tile and the next. No power of two, for tiles at such distances would compete for the same lines of a
    /// cache.
    tile: usize,
}

impl<S: Simd> Block<S> {
    #[inline(always)]
    pub fn new(simd: S, tiles: usize, channels: usize, points: usize) -> Self {
        let lanes = channels / S::F32_LANES;
        let tile = lanes * points + 2;
        Self { values: vec![simd.splat_f32s(0.0); tiles * tile], lanes, points, tile }
    }

    /// All points of a vector of channels.
    #[inline(always)]
    pub fn at(&self, tile: usize, lane: usize) -> &[S::f32s] {
        &self.values[tile * self.tile + lane * self.points..][..self.points]
    }

    #[inline(always)]
    pub fn at_mut(&mut self, tile: usize, lane: usize) -> &mut [S::f32s] {
        &mut self.values[tile * self.tile + lane * self.points..][..self.points]
    }

    /// Writes the products of the first `tiles` tiles of `from` with `weights` (input channel × vector of output channels) at a
    /// point.
    #[inline(always)]
    pub fn set_products(&mut self, simd: S, tiles: usize, point: usize, from: &Self, weights: &[S::f32s]) {
        for lane in (0..self.lanes).step_by(VECTORS) {
            let whole = tiles / ROWS * ROWS;
            for tile in (0..whole).step_by(ROWS) {
                self.set_panel::<ROWS>(simd, tile, lane, point, from, weights);
            }
            for tile in whole..tiles {
                self.set_panel::<1>(simd, tile, lane, point, from, weights);
            }
        }
    }

    /// The part of [`Block::set_products`] that fits into registers.
    #[inline(always)]
    fn set_panel<const TILES: usize>(
        &mut self,
        simd: S,
        tile: usize,
        lane: usize,
        point: usize,
        from: &Self,
        weights: &[S::f32s],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; TILES];
        let values: &[f32] = bytemuck::cast_slice(&from.values);
        assert!((tile + TILES) * from.tile <= from.values.len() && from.lanes * from.points <= from.tile);
        assert!(point < from.points && lane + VECTORS <= self.lanes);
        assert!(weights.len() == from.lanes * S::F32_LANES * self.lanes);
        for input in 0..from.lanes {
            let first = (tile * from.tile + input * from.points + point) * S::F32_LANES;
            let weights = &weights[input * S::F32_LANES * self.lanes + lane..];
            for channel in 0..S::F32_LANES {
                let mut vectors = [simd.splat_f32s(0.0); VECTORS];
                for (place, vector) in vectors.iter_mut().enumerate() {
                    #[expect(unsafe_code, reason = "checks here would take as long as the products")]
                    // SAFETY: there is a row of weights for every channel of every input, and lane + place < lanes.
                    let weight = unsafe { weights.get_unchecked(channel * self.lanes + place) };
                    *vector = *weight;
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    #[expect(unsafe_code, reason = "as above")]
                    // SAFETY: tile + row is one of `from`'s tiles, the input one of its lanes, and channel < F32_LANES.
                    let value =
                        unsafe { values.get_unchecked(first + row * from.tile * S::F32_LANES + channel) };
                    add_scaled(simd, sums, *value, vectors);
                }
            }
        }
        for (sums, tile) in sums.iter().zip(tile..) {
            for (sum, lane) in sums.iter().zip(lane..) {
                self.values[tile * self.tile + lane * self.points + point] = *sum;
            }
        }
    }

    /// Adds to `sums` (channel of this block × vector of channels of `other`) the products of the first `tiles` tiles at a
    /// point.
    #[inline(always)]
    pub fn add_products(&self, simd: S, tiles: usize, point: usize, other: &Self, sums: &mut [S::f32s]) {
        let rows = sums.chunks_exact_mut(ROWS * other.lanes);
        for (channel, rows) in (0..self.lanes * S::F32_LANES).step_by(ROWS).zip(rows) {
            for lane in (0..other.lanes).step_by(VECTORS) {
                self.add_panel(simd, tiles, channel, lane, point, other, rows);
            }
        }
    }

    /// The part of [`Block::add_products`] that fits into registers.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "it is the inside of one loop")]
    fn add_panel(
        &self,
        simd: S,
        tiles: usize,
        channel: usize,
        lane: usize,
        point: usize,
        other: &Self,
        rows: &mut [S::f32s],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        let left: &[f32] = bytemuck::cast_slice(&self.values);
        let right = &other.values[..];
        let (input, within) = (channel / S::F32_LANES, channel % S::F32_LANES);
        assert!(tiles * self.tile <= self.values.len() && tiles * other.tile <= right.len());
        assert!(input < self.lanes && self.lanes * self.points <= self.tile && within + ROWS <= S::F32_LANES);
        assert!(lane + VECTORS <= other.lanes && other.lanes * other.points <= other.tile);
        assert!(point < self.points && point < other.points);
        let left_first = (input * self.points + point) * S::F32_LANES + within;
        let right_first = lane * other.points + point;
        for tile in 0..tiles {
            let mut vectors = [simd.splat_f32s(0.0); VECTORS];
            for (place, vector) in vectors.iter_mut().enumerate() {
                let at = tile * other.tile + right_first + place * other.points;
                #[expect(unsafe_code, reason = "checks here would take as long as the products")]
                // SAFETY: the tile is one of the other block's, and lane + place one of its lanes.
                let gradient = unsafe { right.get_unchecked(at) };
                *vector = *gradient;
            }
            for (place, sums) in sums.iter_mut().enumerate() {
                #[expect(unsafe_code, reason = "as above")]
                // SAFETY: the tile is one of this block's, the input one of its lanes, and within + place < F32_LANES.
                let value =
                    unsafe { left.get_unchecked(tile * self.tile * S::F32_LANES + left_first + place) };
                add_scaled(simd, sums, *value, vectors);
            }
        }
        for (sums, row) in sums.iter().zip(rows.chunks_exact_mut(other.lanes)) {
            for (sum, result) in sums.iter().zip(&mut row[lane..]) {
                *result = simd.add_f32s(*result, *sum);
            }
        }
    }
}

#[inline(always)]
fn add_scaled<S: Simd>(simd: S, sums: &mut [S::f32s; VECTORS], factor: f32, vectors: [S::f32s; VECTORS]) {
    let factor = simd.splat_f32s(factor);
    for (sum, vector) in sums.iter_mut().zip(vectors) {
        *sum = simd.mul_add_f32s(factor, vector, *sum);
    }
}
