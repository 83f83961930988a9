//! AVX-VNNI, and VNNI of AVX-512: products of unsigned by signed bytes.

use std::arch::x86_64::*;

use super::Dots;
use crate::vector::{Avx2, Avx512};

/// Eight sums.
#[derive(Clone, Copy)]
pub(crate) struct AvxVnni(__m256i);

impl Dots for AvxVnni {
    type Float = Avx2;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        Self(_mm256_loadu_si256(from.cast()))
    }
    #[inline(always)]
    unsafe fn to_float(self) -> Avx2 {
        Avx2(_mm256_cvtepi32_ps(self.0))
    }
    #[inline(always)]
    unsafe fn add_products(self, values: *const u8, weights: *const i8) -> Self {
        let values = _mm256_set1_epi32(values.cast::<i32>().read_unaligned());
        Self(_mm256_dpbusd_avx_epi32(self.0, values, _mm256_loadu_si256(weights.cast())))
    }
}

/// Sixteen sums.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Vnni(__m512i);

impl Dots for Avx512Vnni {
    type Float = Avx512;

    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        Self(_mm512_loadu_si512(from.cast()))
    }
    #[inline(always)]
    unsafe fn to_float(self) -> Avx512 {
        Avx512(_mm512_cvtepi32_ps(self.0))
    }
    #[inline(always)]
    unsafe fn add_products(self, values: *const u8, weights: *const i8) -> Self {
        let values = _mm512_set1_epi32(values.cast::<i32>().read_unaligned());
        Self(_mm512_dpbusd_epi32(self.0, values, _mm512_loadu_si512(weights.cast())))
    }
}
