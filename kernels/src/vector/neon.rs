//! NEON of 64-bit ARM.

use std::arch::aarch64::*;

use super::Vector;

/// Four numbers.
#[derive(Clone, Copy)]
pub(crate) struct Neon(float32x4_t);

impl Vector for Neon {
    const LANES: usize = 4;

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
    #[inline(always)]
    unsafe fn where_positive(self, outputs: Self) -> Self {
        let is_cut = vcleq_f32(outputs.0, vdupq_n_f32(0.0));
        Self(vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(self.0), is_cut)))
    }

    /// Four values of a row are loaded at once and multiplied by lane: an eighth fewer instructions.
    #[inline(always)]
    unsafe fn panel<const M: usize, const N: usize>(
        sums: &mut [[Self; N]; M],
        values: *const f32,
        stride: usize,
        weights: *const f32,
        count: usize,
    ) {
        let mut k = 0;
        while k + 4 <= count {
            let mut four = [vdupq_n_f32(0.0); M];
            for m in 0..M {
                four[m] = vld1q_f32(values.add(m * stride + k));
            }
            by_lane::<M, N, 0>(sums, &four, weights.add(k * N * 4));
            by_lane::<M, N, 1>(sums, &four, weights.add((k + 1) * N * 4));
            by_lane::<M, N, 2>(sums, &four, weights.add((k + 2) * N * 4));
            by_lane::<M, N, 3>(sums, &four, weights.add((k + 3) * N * 4));
            k += 4;
        }
        while k < count {
            let mut one = [vdupq_n_f32(0.0); M];
            for m in 0..M {
                one[m] = vld1q_dup_f32(values.add(m * stride + k));
            }
            by_lane::<M, N, 0>(sums, &one, weights.add(k * N * 4));
            k += 1;
        }
    }
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
