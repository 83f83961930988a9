//! Dot products of ARMv8.2: products of signed bytes. The intrinsic is not stable yet, so the instruction is written down.

use std::arch::aarch64::*;
use std::arch::asm;

use super::Dots;
use crate::integer::GROUP;
use crate::vector::{Neon, own_register};

/// Four sums.
#[derive(Clone, Copy)]
pub(crate) struct Dot(int32x4_t);

/// Bytes of a vector.
const BYTES: usize = 16;

impl Dots for Dot {
    type Float = Neon;
    const NEAR: usize = BYTES;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        Self(vld1q_s32(from))
    }
    #[inline(always)]
    unsafe fn to_float(self) -> Neon {
        Neon(vcvtq_f32_s32(self.0))
    }
    #[inline(always)]
    unsafe fn add_products(self, values: *const u8, weights: *const i8) -> Self {
        let values = vdupq_n_s32(values.cast::<i32>().read_unaligned());
        Self(dot::<0>(self.0, vld1q_s8(weights), vreinterpretq_s8_s32(values)))
    }

    /// Sixteen values are loaded at once and multiplied four by four.
    #[inline(always)]
    unsafe fn panel<const M: usize, const N: usize>(
        sums: &mut [[Self; N]; M],
        values: *const u8,
        rows: &[usize; M],
        weights: *const i8,
        groups: usize,
    ) {
        let (mut values, mut weights) = (values, weights);
        for _ in 0..groups / 4 {
            let mut four = [vdupq_n_s8(0); M];
            for m in 0..M {
                four[m] = vld1q_s8(values.add(rows[m]).cast());
            }
            by_lane::<M, N, 0>(sums, &four, weights);
            by_lane::<M, N, 1>(sums, &four, weights.add(N * BYTES));
            by_lane::<M, N, 2>(sums, &four, weights.add(2 * N * BYTES));
            by_lane::<M, N, 3>(sums, &four, weights.add(3 * N * BYTES));
            values = values.add(4 * GROUP);
            weights = weights.add(4 * N * BYTES);
        }
        for k in 0..groups % 4 {
            let mut one = [vdupq_n_s8(0); M];
            let place = own_register(k * GROUP);
            for m in 0..M {
                let values = values.add(rows[m] + place).cast::<i32>();
                one[m] = vreinterpretq_s8_s32(vdupq_n_s32(values.read_unaligned()));
            }
            by_lane::<M, N, 0>(sums, &one, weights);
            weights = weights.add(N * BYTES);
        }
    }
}

/// sums\[m\]\[n\] += the four values of a lane of values\[m\] · weights\[n\]
#[inline(always)]
unsafe fn by_lane<const M: usize, const N: usize, const LANE: u8>(
    sums: &mut [[Dot; N]; M],
    values: &[int8x16_t; M],
    weights: *const i8,
) {
    let mut row = [vdupq_n_s8(0); N];
    for n in 0..N {
        row[n] = vld1q_s8(weights.add(n * BYTES));
    }
    for m in 0..M {
        for n in 0..N {
            sums[m][n].0 = dot::<LANE>(sums[m][n].0, row[n], values[m]);
        }
    }
}

/// sum + the products of four weights each with the four values of a lane.
#[inline(always)]
unsafe fn dot<const LANE: u8>(mut sum: int32x4_t, weights: int8x16_t, values: int8x16_t) -> int32x4_t {
    asm!(
        "sdot {sum:v}.4s, {weights:v}.16b, {values:v}.4b[{lane}]",
        sum = inout(vreg) sum,
        weights = in(vreg) weights,
        values = in(vreg) values,
        lane = const LANE,
        options(pure, nomem, nostack, preserves_flags)
    );
    sum
}
