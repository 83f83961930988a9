//! A vector of 32-bit sums of products of bytes.
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "every line uses pointers or instructions, under the contract of its function"
)]

#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Dot;
pub(crate) use plain::Plain;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx512Vnni, AvxVnni};

use super::GROUP;
use crate::vector::Vector;

/// Sums side by side, as many as the vector of f32 has numbers.
///
/// # Safety
/// Every function needs a processor that has the instructions. Pointers are to as many values as are used, of any alignment.
pub(crate) trait Dots: Copy {
    /// The f32 that sums become.
    type Float: Vector;
    /// Bytes from a pixel to the next at which there is an instruction that loads of two; 0 if there is none.
    const NEAR: usize = 0;

    unsafe fn load(from: *const i32) -> Self;
    /// Each to the nearest f32.
    unsafe fn to_float(self) -> Self::Float;
    /// Stored bytes, four to a sum, in `weights`: sum + the product with these four values.
    unsafe fn add_products(self, values: *const u8, weights: *const i8) -> Self;

    /// sums\[m\]\[n\] += values\[rows\[m\] + 4 k ..\] · weights\[k\]\[n\], of four products each, for each k below `groups`: a product
    /// of matrices whose sums stay in registers.
    #[inline(always)]
    unsafe fn panel<const M: usize, const N: usize>(
        sums: &mut [[Self; N]; M],
        values: *const u8,
        rows: &[usize; M],
        weights: *const i8,
        groups: usize,
    ) {
        for k in 0..groups {
            for m in 0..M {
                for n in 0..N {
                    let weights = weights.add((k * N + n) * Self::Float::LANES * GROUP);
                    sums[m][n] = sums[m][n].add_products(values.add(rows[m] + k * GROUP), weights);
                }
            }
        }
    }
}
