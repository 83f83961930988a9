//! What becomes of a sum of products before it is stored in eight bits.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use crate::finish::{Rounded, hard_swish, held};
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
        T::load_bytes(self.source.of(row, column, channel)).sub(T::splat(self.zero))
    }
}

impl Output {
    /// Stores what becomes of a vector of sums.
    ///
    /// # Safety
    /// As for `winograd::run`.
    #[inline(always)]
    pub(crate) unsafe fn write<T: Vector>(&self, sums: T, row: usize, column: usize, channel: usize) {
        let mut value = T::load(self.bias.add(channel)).fma(sums, T::load(self.scale.add(channel)));
        if let Some(Rounded { bounds, step }) = self.rounded {
            value = held(value, bounds).round().mul(T::splat(step));
        }
        if let Some(added) = self.added {
            value = value.fma(added.load(row, column, channel), T::splat(added.step));
        }
        if let Some(inverse) = self.hard_swish {
            value = hard_swish(value).mul(T::splat(inverse));
        }
        value = held(value, self.bounds);
        match self.target {
            Destination::Bytes(place, offset) => value.store_bytes(offset, place.of(row, column, channel)),
            Destination::Numbers(place) => {
                value.round().mul(T::splat(self.step)).store(place.of(row, column, channel));
            }
        }
    }
}
