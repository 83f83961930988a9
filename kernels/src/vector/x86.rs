//! AVX2 with fused multiply-add, and AVX-512F.

use std::arch::x86_64::*;

use super::{Bfloat16, Vector};

/// Eight numbers.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(pub(crate) __m256);

impl Vector for Avx2 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm256_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm256_storeu_ps(to, self.0);
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(_mm256_set1_ps(value))
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(_mm256_fmadd_ps(a.0, b.0, self.0))
    }
    #[inline(always)]
    unsafe fn fnma(self, a: Self, b: Self) -> Self {
        Self(_mm256_fnmadd_ps(a.0, b.0, self.0))
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm256_add_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(_mm256_sub_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(_mm256_mul_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn at_least(self, bound: Self) -> Self {
        // Of the two, the instruction gives the second if either is not a number.
        Self(_mm256_max_ps(bound.0, self.0))
    }
    #[inline(always)]
    unsafe fn at_most(self, bound: Self) -> Self {
        Self(_mm256_min_ps(bound.0, self.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
    }
    const BYTE_ZERO: u8 = 0;
    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        Self(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))))
    }
    #[inline(always)]
    unsafe fn store_bytes(self, offset: i32, to: *mut u8) {
        let integers = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(offset));
        let [low, high] = [_mm256_castsi256_si128(integers), _mm256_extracti128_si256::<1>(integers)];
        let pairs = _mm_packs_epi32(low, high);
        _mm_storel_epi64(to.cast(), _mm_packus_epi16(pairs, pairs));
    }
    #[inline(always)]
    unsafe fn load_halves(from: *const Bfloat16) -> Self {
        let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
        Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves)))
    }
    #[inline(always)]
    unsafe fn store_halves(self, to: *mut Bfloat16) {
        let bits = _mm256_castps_si256(self.0);
        let is_odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let half = _mm256_add_epi32(is_odd, _mm256_set1_epi32(0x7fff));
        let nearest = _mm256_srli_epi32::<16>(_mm256_add_epi32(bits, half));
        let [low, high] = [_mm256_castsi256_si128(nearest), _mm256_extracti128_si256::<1>(nearest)];
        _mm_storeu_si128(to.cast(), _mm_packus_epi32(low, high));
    }
    #[inline(always)]
    unsafe fn fetch(line: *const f32) {
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
    }
    #[inline(always)]
    unsafe fn where_positive(self, outputs: Self) -> Self {
        let is_cut = _mm256_cmp_ps::<_CMP_LE_OQ>(outputs.0, _mm256_setzero_ps());
        Self(_mm256_andnot_ps(is_cut, self.0))
    }
}

/// Sixteen numbers.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(pub(crate) __m512);

impl Vector for Avx512 {
    const LANES: usize = 16;
    const ARE_STEPS_WRITTEN_OUT: bool = true;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm512_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm512_storeu_ps(to, self.0);
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(_mm512_set1_ps(value))
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(_mm512_fmadd_ps(a.0, b.0, self.0))
    }
    #[inline(always)]
    unsafe fn fnma(self, a: Self, b: Self) -> Self {
        Self(_mm512_fnmadd_ps(a.0, b.0, self.0))
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm512_add_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(_mm512_sub_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(_mm512_mul_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn at_least(self, bound: Self) -> Self {
        // Of the two, the instruction gives the second if either is not a number.
        Self(_mm512_max_ps(bound.0, self.0))
    }
    #[inline(always)]
    unsafe fn at_most(self, bound: Self) -> Self {
        Self(_mm512_min_ps(bound.0, self.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
    }
    const BYTE_ZERO: u8 = 0;
    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        Self(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))))
    }
    #[inline(always)]
    unsafe fn store_bytes(self, offset: i32, to: *mut u8) {
        let integers = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(offset));
        _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(integers));
    }
    #[inline(always)]
    unsafe fn load_halves(from: *const Bfloat16) -> Self {
        let halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
        Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(halves)))
    }
    #[inline(always)]
    unsafe fn store_halves(self, to: *mut Bfloat16) {
        let bits = _mm512_castps_si512(self.0);
        let is_odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let half = _mm512_add_epi32(is_odd, _mm512_set1_epi32(0x7fff));
        let nearest = _mm512_srli_epi32::<16>(_mm512_add_epi32(bits, half));
        _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(nearest));
    }
    #[inline(always)]
    unsafe fn fetch(line: *const f32) {
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
    }
    #[inline(always)]
    unsafe fn where_positive(self, outputs: Self) -> Self {
        let is_kept = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(outputs.0, _mm512_setzero_ps());
        Self(_mm512_maskz_mov_ps(is_kept, self.0))
    }
}
