//! The gradient with respect to the weights, in the domain of the minimal filtering algorithm: at each point the products of images
//! and gradients of outputs, summed over all tiles.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the filter has checked")]

use crate::points::Points;
use crate::vector::Vector;

/// Sums over some tiles.
pub(crate) struct Correlate {
    pub tiles: usize,
    /// In two dimensions.
    pub points: usize,
    /// Both in whole vectors.
    pub input_channels: usize,
    pub output_channels: usize,
    pub images: *const f32,
    /// Numbers from a tile to the next.
    pub input_tile: usize,
    pub gradients: *const f32,
    pub output_tile: usize,
    /// Point × input channel × output channel: what is added to.
    pub sums: *mut f32,
}

/// Sums up `M` input channels and `N` vectors of output channels at once; `M` divides a vector.
///
/// # Safety
/// As for `winograd::run`.
#[inline(always)]
pub(crate) unsafe fn correlate<T: Vector, const M: usize, const N: usize>(task: &Correlate) {
    for point in 0..task.points {
        for output in (0..task.output_channels).step_by(N * T::LANES) {
            for input in (0..task.input_channels).step_by(M) {
                let mut sums = [[T::splat(0.0); N]; M];
                let (first, lane) = (input / T::LANES * T::LANES, input % T::LANES);
                let mut images = task.images.add(first * task.points + point * T::LANES + lane);
                let mut gradients = task.gradients.add(output * task.points + point * T::LANES);
                for _ in 0..task.tiles {
                    let mut row = [T::splat(0.0); N];
                    for n in 0..N {
                        row[n] = T::load(gradients.add(n * task.points * T::LANES));
                    }
                    for m in 0..M {
                        let value = T::splat(*images.add(m));
                        for n in 0..N {
                            sums[m][n] = sums[m][n].fma(value, row[n]);
                        }
                    }
                    images = images.wrapping_add(task.input_tile);
                    gradients = gradients.wrapping_add(task.output_tile);
                }
                let to = task.sums.add((point * task.input_channels + input) * task.output_channels + output);
                for m in 0..M {
                    for n in 0..N {
                        let to = to.add(m * task.output_channels + n * T::LANES);
                        T::load(to).add(sums[m][n]).store(to);
                    }
                }
            }
        }
    }
}

/// The sums at the points, to weights.
pub(crate) struct Gather<'a> {
    pub input_channels: usize,
    pub output_channels: usize,
    /// Point × input channel × output channel.
    pub sums: &'a [f32],
    /// Input channel × row × column × output channel.
    pub to: &'a mut [f32],
}

/// # Safety
/// The processor must have the instructions.
#[inline(always)]
pub(crate) unsafe fn gather<
    T: Vector,
    const PAIRS: usize,
    const POINTS: usize,
    const TAPS: usize,
    const AREA: usize,
>(
    points: &Points<PAIRS>,
    task: &mut Gather<'_>,
) {
    let (inputs, outputs) = (task.input_channels, task.output_channels);
    let pairs = inputs * outputs;
    assert!(task.sums.len() >= POINTS * POINTS * pairs && task.to.len() == AREA * pairs);
    assert!(outputs.is_multiple_of(T::LANES));
    for input in 0..inputs {
        for output in (0..outputs).step_by(T::LANES) {
            let from = task.sums.as_ptr().add(input * outputs + output);
            let to = task.to.as_mut_ptr().add(input * AREA * outputs + output);
            let mut columns = [[T::splat(0.0); TAPS]; POINTS];
            for x in 0..POINTS {
                let mut values = [T::splat(0.0); POINTS];
                for y in 0..POINTS {
                    values[y] = T::load(from.add((x * POINTS + y) * pairs));
                }
                columns[x] = points.gather(values);
            }
            for y in 0..TAPS {
                let mut values = [T::splat(0.0); POINTS];
                for x in 0..POINTS {
                    values[x] = columns[x][y];
                }
                let taps: [T; TAPS] = points.gather(values);
                for x in 0..TAPS {
                    taps[x].store(to.add((y * TAPS + x) * outputs));
                }
            }
        }
    }
}
