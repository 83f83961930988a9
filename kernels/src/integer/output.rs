//! What becomes of a sum of products before it is stored in eight bits.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use crate::finish::{Rounded, each, hard_swish, held};
use crate::memory::Source;
use crate::pointwise::Destination;
use crate::vector::Vector;

/// How the bytes of an image come from sums of products. Every step is in f32, rounded once:
///
/// 1. value = sum · scale + bias of its channel
/// 2. `rounded`: value held between two bounds and rounded, · step
/// 3. `added`: value + (stored byte − zero) · step of another image
/// 4. `hard_swish`: value · min(max(value / 6 + 1/2, 0), 1), · this
/// 5. value held between the bounds and rounded is stored: as a byte, or · step as a number.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    /// One an output channel.
    pub scale: *const f32,
    pub bias: *const f32,
    pub rounded: Option<Rounded>,
    pub added: Option<Stored>,
    pub hard_swish: Option<f32>,
    pub bounds: [f32; 2],
    pub step: f32,
    pub target: Destination,
}

/// An image whose stored bytes are worth (byte − zero) · step.
#[derive(Clone, Copy)]
pub(crate) struct Stored {
    pub source: Source<u8>,
    pub step: f32,
    pub zero: f32,
}

impl Stored {
    /// Whole numbers of steps, exactly.
    ///
    /// # Safety
    /// As for `winograd::run`.
    #[inline(always)]
    pub(crate) unsafe fn load<T: Vector>(&self, row: usize, column: usize, channel: usize) -> T {
        self.numbers(self.source.of(row, column, channel))
    }

    /// The same, from a place in the image on.
    #[inline(always)]
    unsafe fn numbers<T: Vector>(&self, bytes: *const u8) -> T {
        T::load_bytes(bytes).sub(T::splat(self.zero))
    }
}

impl Output {
    /// Stores what becomes of the sums of some pixels side by side, of some vectors of channels each.
    ///
    /// # Safety
    /// As for `winograd::run`.
    #[inline(always)]
    pub(crate) unsafe fn write<T: Vector, const M: usize, const N: usize>(
        &self,
        mut values: [[T; N]; M],
        [row, column, channel]: [usize; 3],
    ) {
        for n in 0..N {
            let first = channel + n * T::LANES;
            let (scale, bias) = (T::load(self.scale.add(first)), T::load(self.bias.add(first)));
            for m in 0..M {
                values[m][n] = bias.fma(values[m][n], scale);
            }
        }
        if let Some(Rounded { bounds, step }) = self.rounded {
            each!(values, |value| held(value, bounds).round().mul(T::splat(step)));
        }
        if let Some(added) = self.added {
            let mut from = added.source.of(row, column, channel);
            for m in 0..M {
                for n in 0..N {
                    let other: T = added.numbers(from.add(n * T::LANES));
                    values[m][n] = values[m][n].fma(other, T::splat(added.step));
                }
                from = from.wrapping_add(added.source.pixel);
            }
        }
        if let Some(inverse) = self.hard_swish {
            each!(values, |value| hard_swish(value).mul(T::splat(inverse)));
        }
        each!(values, |value| held(value, self.bounds));
        match self.target {
            Destination::Bytes(place, offset) => {
                let mut to = place.of(row, column, channel);
                for m in 0..M {
                    for n in (0..N).step_by(2) {
                        let to = to.add(n * T::LANES);
                        if n + 1 < N {
                            T::store_bytes_of_two([values[m][n], values[m][n + 1]], offset, to);
                        } else {
                            values[m][n].store_bytes(offset, to);
                        }
                    }
                    to = to.wrapping_add(place.pixel);
                }
            }
            Destination::Numbers(place) => {
                each!(values, |value| value.round().mul(T::splat(self.step)));
                let mut to = place.of(row, column, channel);
                for m in 0..M {
                    for n in 0..N {
                        values[m][n].store(to.add(n * T::LANES));
                    }
                    to = to.wrapping_add(place.pixel);
                }
            }
        }
    }
}
