//! A vector of f32 of one instruction set.
//!
//! Everything here and everything generic over it is inlined into functions that enable the instructions; see `routines`.
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "every line uses pointers or instructions, under the contract of its function"
)]

mod element;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use element::Bfloat16;
pub(crate) use element::{Element, Rounded};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::{Neon, own_register};
pub(crate) use plain::Plain;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

use crate::memory::LINE;

/// Numbers side by side.
///
/// # Safety
/// Every function needs a processor that has the instructions. Pointers are to [`Vector::LANES`] numbers, of any alignment.
pub(crate) trait Vector: Copy {
    /// How many numbers.
    const LANES: usize;
    /// Whether a panel's steps are quicker if some of them are written out one after the other: a fifteenth for AVX-512, where
    /// multiplications leave little time for anything else, and a thirtieth slower for AVX2.
    const ARE_STEPS_WRITTEN_OUT: bool = false;
    /// How many tiles lie side by side at each point of the domain of the minimal filtering algorithm; see `winograd`.
    const TILES_TOGETHER: usize = 1;

    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn splat(value: f32) -> Self;
    /// self + a · b, rounded once.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// self − a · b, rounded once.
    unsafe fn fnma(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// The larger of both; what is not a number stays so.
    unsafe fn at_least(self, bound: Self) -> Self;
    /// The smaller of both; what is not a number stays so.
    unsafe fn at_most(self, bound: Self) -> Self;
    /// To the nearest integer, halves to the even one.
    unsafe fn round(self) -> Self;
    /// What a byte is more than the number that is stored for it: 128 where bytes are signed.
    const BYTE_ZERO: u8;
    /// Stored bytes as numbers, from −128 or 0 on.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// To the nearest integers, halves to even ones; plus the offset they must be in the range of stored bytes.
    unsafe fn store_bytes(self, offset: i32, to: *mut u8);
    /// As [`Vector::store_bytes`], of two vectors side by side.
    #[inline(always)]
    unsafe fn store_bytes_of_two(both: [Self; 2], offset: i32, to: *mut u8) {
        both[0].store_bytes(offset, to);
        both[1].store_bytes(offset, to.add(Self::LANES));
    }
    /// Numbers of 16 bits.
    #[inline(always)]
    unsafe fn load_halves(from: *const Bfloat16) -> Self {
        let mut numbers = [0.0; LINE];
        for lane in 0..Self::LANES {
            numbers[lane] = (*from.add(lane)).number();
        }
        Self::load(numbers.as_ptr())
    }
    /// To the nearest numbers of 16 bits, as [`Bfloat16::nearest`].
    #[inline(always)]
    unsafe fn store_halves(self, to: *mut Bfloat16) {
        let mut numbers = [0.0; LINE];
        self.store(numbers.as_mut_ptr());
        for lane in 0..Self::LANES {
            *to.add(lane) = Bfloat16::nearest(numbers[lane]);
        }
    }
    /// Says that a line of the cache will be read soon; it need not be there.
    #[inline(always)]
    unsafe fn fetch(_line: *const f32) {}
    /// `self`, but 0 where `outputs` are 0 or less.
    unsafe fn where_positive(self, outputs: Self) -> Self;

    /// How far `M` rows of a panel are from the first, in numbers or bytes, if each is so far from the one before.
    #[inline(always)]
    unsafe fn distances<const M: usize>(stride: usize) -> [usize; M] {
        multiples(stride)
    }

    /// sums\[m\]\[n\] += values\[rows\[m\] + k\] · weights\[k\]\[n\], for each k below `count` in order: a product of matrices
    /// whose sums stay in registers.
    #[inline(always)]
    unsafe fn panel<const M: usize, const N: usize>(
        sums: &mut [[Self; N]; M],
        values: *const f32,
        rows: &[usize; M],
        weights: *const f32,
        count: usize,
    ) {
        let mut k = 0;
        // More rows would not all have a register for where they lie.
        while Self::ARE_STEPS_WRITTEN_OUT && M <= 4 && k + STEPS <= count {
            steps::<Self, M, N, STEPS>(sums, values.add(k), rows, weights.add(k * N * Self::LANES));
            k += STEPS;
        }
        while k < count {
            steps::<Self, M, N, 1>(sums, values.add(k), rows, weights.add(k * N * Self::LANES));
            k += 1;
        }
    }
}

/// 0, `stride`, 2 · `stride`, …
#[inline(always)]
pub(crate) fn multiples<const M: usize>(stride: usize) -> [usize; M] {
    let mut multiples = [0; M];
    for m in 1..M {
        multiples[m] = m * stride;
    }
    multiples
}

/// Steps of a panel that may be written out one after the other.
pub(crate) const STEPS: usize = 4;

/// `K` steps of a panel.
#[inline(always)]
unsafe fn steps<T: Vector, const M: usize, const N: usize, const K: usize>(
    sums: &mut [[T; N]; M],
    values: *const f32,
    rows: &[usize; M],
    weights: *const f32,
) {
    for k in 0..K {
        let mut row = [T::splat(0.0); N];
        for n in 0..N {
            row[n] = T::load(weights.add((k * N + n) * T::LANES));
        }
        for m in 0..M {
            let value = T::splat(*values.add(rows[m] + k));
            for n in 0..N {
                sums[m][n] = sums[m][n].fma(value, row[n]);
            }
        }
    }
}
