//! Some tiles in the transform's domain, and the products there.

use pulp::Simd;

/// Tiles whose products are computed at once: with two vectors of each they leave a processor's registers room for
/// what is multiplied.
const ROWS: usize = 4;

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
        assert!(
            weights.len() == from.lanes * S::F32_LANES * self.lanes && point < self.points.min(from.points)
        );
        for tile in (0..tiles).step_by(ROWS) {
            for lane in (0..self.lanes).step_by(2) {
                match (tile + ROWS <= tiles, lane + 2 <= self.lanes) {
                    (true, true) => self.set_panel::<ROWS, 2>(simd, tile, lane, point, from, weights),
                    (true, false) => self.set_panel::<ROWS, 1>(simd, tile, lane, point, from, weights),
                    (false, _) => {
                        for tile in tile..tiles {
                            for lane in lane..self.lanes.min(lane + 2) {
                                self.set_panel::<1, 1>(simd, tile, lane, point, from, weights);
                            }
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn set_panel<const TILES: usize, const LANES: usize>(
        &mut self,
        simd: S,
        tile: usize,
        lane: usize,
        point: usize,
        from: &Self,
        weights: &[S::f32s],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); LANES]; TILES];
        let values = floats::<S>(&from.values);
        assert!(tile + TILES <= values.len() / S::F32_LANES / from.tile && point < from.points);
        assert!(from.lanes * from.points < from.tile && lane + LANES <= self.lanes);
        assert!(weights.len() == from.lanes * S::F32_LANES * self.lanes);
        for input in 0..from.lanes {
            let first = (tile * from.tile + input * from.points + point) * S::F32_LANES;
            let weights = &weights[input * S::F32_LANES * self.lanes + lane..];
            for channel in 0..S::F32_LANES {
                let mut vectors = [simd.splat_f32s(0.0); LANES];
                for (place, vector) in vectors.iter_mut().enumerate() {
                    #[expect(unsafe_code, reason = "checks here would take as long as the products")]
                    // SAFETY: there is a row of weights for every channel of every input, and lane + place < lanes.
                    let weight = unsafe { weights.get_unchecked(channel * self.lanes + place) };
                    *vector = *weight;
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    #[expect(unsafe_code, reason = "as above")]
                    // SAFETY: the tile is one of the block's, the input one of its lanes, and channel < F32_LANES.
                    let value =
                        unsafe { values.get_unchecked(first + row * from.tile * S::F32_LANES + channel) };
                    let value = simd.splat_f32s(*value);
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = simd.mul_add_f32s(value, vector, *sum);
                    }
                }
            }
        }
        for (sums, tile) in sums.iter().zip(tile..) {
            for (sum, lane) in sums.iter().zip(lane..) {
                self.values[tile * self.tile + lane * self.points + point] = *sum;
            }
        }
    }

    /// Adds to `sums` (channel of this block × vector of channels of `other`) the products of the first `tiles` tiles at a point.
    #[inline(always)]
    pub fn add_products(&self, simd: S, tiles: usize, point: usize, other: &Self, sums: &mut [S::f32s]) {
        let channels = self.lanes * S::F32_LANES;
        assert!(sums.len() == channels * other.lanes && point < self.points.min(other.points));
        let rows = ROWS.min(S::F32_LANES);
        for channel in (0..channels).step_by(rows) {
            for lane in (0..other.lanes).step_by(2) {
                match (rows == ROWS, lane + 2 <= other.lanes) {
                    (true, true) => self.add_panel::<ROWS, 2>(simd, tiles, channel, lane, point, other, sums),
                    (true, false) => {
                        self.add_panel::<ROWS, 1>(simd, tiles, channel, lane, point, other, sums)
                    }
                    (false, _) => {
                        for channel in channel..channel + rows {
                            for lane in lane..other.lanes.min(lane + 2) {
                                self.add_panel::<1, 1>(simd, tiles, channel, lane, point, other, sums);
                            }
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "it is the inside of one loop")]
    fn add_panel<const CHANNELS: usize, const LANES: usize>(
        &self,
        simd: S,
        tiles: usize,
        channel: usize,
        lane: usize,
        point: usize,
        other: &Self,
        result: &mut [S::f32s],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); LANES]; CHANNELS];
        let (input, within) = (channel / S::F32_LANES, channel % S::F32_LANES);
        let left = floats::<S>(&self.values);
        let right = &other.values[..];
        assert!(tiles <= self.values.len() / self.tile && tiles <= right.len() / other.tile);
        assert!(
            input < self.lanes && self.lanes * self.points < self.tile && within + CHANNELS <= S::F32_LANES
        );
        assert!(lane + LANES <= other.lanes && other.lanes * other.points < other.tile);
        assert!(point < self.points && point < other.points);
        let first = (input * self.points + point) * S::F32_LANES + within;
        let right_first = lane * other.points + point;
        for tile in 0..tiles {
            let mut vectors = [simd.splat_f32s(0.0); LANES];
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
                let value = unsafe { left.get_unchecked(tile * self.tile * S::F32_LANES + first + place) };
                let value = simd.splat_f32s(*value);
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_f32s(value, vector, *sum);
                }
            }
        }
        for (sums, channel) in sums.iter().zip(channel..) {
            for (sum, lane) in sums.iter().zip(lane..) {
                let result = &mut result[channel * other.lanes + lane];
                *result = simd.add_f32s(*result, *sum);
            }
        }
    }
}

/// The values of vectors one by one.
#[inline(always)]
fn floats<S: Simd>(vectors: &[S::f32s]) -> &[f32] {
    pulp::bytemuck::cast_slice(vectors)
}
