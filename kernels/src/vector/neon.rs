//! NEON of 64-bit ARM.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Vector, multiples};

/// Four numbers.
#[derive(Clone, Copy)]
pub(crate) struct Neon(pub(crate) float32x4_t);

impl Vector for Neon {
    const LANES: usize = 4;
    /// A panel's rows are then at fixed distances, which loads can name, and two of them are loaded at once: an eighth fewer instructions.
    const TILES_TOGETHER: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(vld1q_f32(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        vst1q_f32(to, self.0);
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(vdupq_n_f32(value))
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(vfmaq_f32(self.0, a.0, b.0))
    }
    #[inline(always)]
    unsafe fn fnma(self, a: Self, b: Self) -> Self {
        Self(vfmsq_f32(self.0, a.0, b.0))
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(vaddq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(vsubq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(vmulq_f32(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn at_least(self, bound: Self) -> Self {
        Self(vmaxq_f32(self.0, bound.0))
    }
    #[inline(always)]
    unsafe fn at_most(self, bound: Self) -> Self {
        Self(vminq_f32(self.0, bound.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(vrndnq_f32(self.0))
    }
    /// `sdot` multiplies signed bytes.
    const BYTE_ZERO: u8 = 128;
    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        let bytes = vreinterpret_s8_u32(vdup_n_u32(from.cast::<u32>().read_unaligned()));
        Self(vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes)))))
    }
    #[inline(always)]
    unsafe fn store_bytes(self, offset: i32, to: *mut u8) {
        let pairs = vmovn_s32(vaddq_s32(vcvtnq_s32_f32(self.0), vdupq_n_s32(offset)));
        let bytes = vmovn_s16(vcombine_s16(pairs, pairs));
        to.cast::<i32>().write_unaligned(vget_lane_s32::<0>(vreinterpret_s32_s8(bytes)));
    }
    #[inline(always)]
    unsafe fn store_bytes_of_two([low, high]: [Self; 2], offset: i32, to: *mut u8) {
        let [low, high] = [low, high].map(|vector| vreinterpretq_s16_s32(vcvtnq_s32_f32(vector.0)));
        // Of each integer the lower half, which holds it.
        let integers = vaddq_s16(vuzp1q_s16(low, high), vdupq_n_s16(offset as i16));
        vst1_s8(to.cast(), vmovn_s16(integers));
    }
    #[inline(always)]
    unsafe fn where_positive(self, outputs: Self) -> Self {
        let is_cut = vcleq_f32(outputs.0, vdupq_n_f32(0.0));
        Self(vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(self.0), is_cut)))
    }

    /// Each in a register of its own, which loads can name: found from the one before, they would take an instruction for each load.
    #[inline(always)]
    unsafe fn distances<const M: usize>(stride: usize) -> [usize; M] {
        let mut distances = multiples(stride);
        for m in 1..M {
            distances[m] = own_register(distances[m]);
        }
        distances
    }

    /// Four values of a row are loaded at once and multiplied by lane: an eighth fewer instructions.
    #[inline(always)]
    unsafe fn panel<const M: usize, const N: usize>(
        sums: &mut [[Self; N]; M],
        values: *const f32,
        rows: &[usize; M],
        weights: *const f32,
        count: usize,
    ) {
        let (mut values, mut weights) = (values, weights);
        for _ in 0..count / 4 {
            let mut four = [vdupq_n_f32(0.0); M];
            for m in 0..M {
                four[m] = vld1q_f32(values.add(rows[m]));
            }
            by_lane::<M, N, 0>(sums, &four, weights);
            by_lane::<M, N, 1>(sums, &four, weights.add(N * 4));
            by_lane::<M, N, 2>(sums, &four, weights.add(2 * N * 4));
            by_lane::<M, N, 3>(sums, &four, weights.add(3 * N * 4));
            values = values.add(4);
            weights = weights.add(4 * N * 4);
        }
        for k in 0..count % 4 {
            let mut one = [vdupq_n_f32(0.0); M];
            let place = own_register(k);
            for m in 0..M {
                one[m] = vld1q_dup_f32(values.add(rows[m] + place));
            }
            by_lane::<M, N, 0>(sums, &one, weights);
            weights = weights.add(N * 4);
        }
    }
}

/// The same number, of which the compiler does not know that it is: it would keep all places that are found from it up to date in the
/// loops around, which are more than there are registers.
#[inline(always)]
pub(crate) unsafe fn own_register(mut number: usize) -> usize {
    asm!("/* {0} */", inout(reg) number, options(nomem, nostack, preserves_flags));
    number
}

/// sums\[m\]\[n\] += values\[m\]\[LANE\] · weights\[n\]
#[inline(always)]
unsafe fn by_lane<const M: usize, const N: usize, const LANE: i32>(
    sums: &mut [[Neon; N]; M],
    values: &[float32x4_t; M],
    weights: *const f32,
) {
    let mut row = [vdupq_n_f32(0.0); N];
    for n in 0..N {
        row[n] = vld1q_f32(weights.add(n * 4));
    }
    for m in 0..M {
        for n in 0..N {
            sums[m][n].0 = vfmaq_laneq_f32::<LANE>(sums[m][n].0, row[n], values[m]);
        }
    }
}
