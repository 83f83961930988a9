//! What values lie as in memory; computed with are always f32.

use super::Vector;

/// What an image is made of.
///
/// # Safety
/// Functions need what those of [`Vector`] need: pointers are to as many values as a vector has lanes.
pub(crate) trait Element: Copy {
    unsafe fn load<T: Vector>(from: *const Self) -> T;
}

/// An element that numbers are rounded to, to the nearest one, halves to even ones.
pub(crate) trait Rounded: Element {
    unsafe fn store<T: Vector>(values: T, to: *mut Self);
}

/// A number of 16 bits, the upper half of an f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Bfloat16(pub u16);

impl Bfloat16 {
    /// The nearest one, of two the even one. What is no number stays none if it does so in the upper half, as the processor's own and
    /// all that come from here do.
    #[inline(always)]
    pub fn nearest(number: f32) -> Self {
        let bits = number.to_bits();
        Self((bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16)
    }

    /// The same number.
    #[inline(always)]
    pub fn number(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<T: Vector>(from: *const Self) -> T {
        T::load(from)
    }
}

impl Rounded for f32 {
    #[inline(always)]
    unsafe fn store<T: Vector>(values: T, to: *mut Self) {
        values.store(to);
    }
}

impl Element for u8 {
    #[inline(always)]
    unsafe fn load<T: Vector>(from: *const Self) -> T {
        T::load_bytes(from)
    }
}

impl Element for Bfloat16 {
    #[inline(always)]
    unsafe fn load<T: Vector>(from: *const Self) -> T {
        T::load_halves(from)
    }
}

impl Rounded for Bfloat16 {
    #[inline(always)]
    unsafe fn store<T: Vector>(values: T, to: *mut Self) {
        values.store_halves(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_the_nearest_of_16_bits() {
        let exact = |number: f32| Bfloat16::nearest(number).number();
        for number in [0.0, -0.0, 1.0, -2.5, 256.0, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(exact(number).to_bits(), number.to_bits());
        }
        // 1 + 2⁻⁷ is the next one after 1.
        let step = 1.0 / 128.0;
        assert_eq!(exact(1.0 + 0.4 * step), 1.0);
        assert_eq!(exact(1.0 + 0.6 * step), 1.0 + step);
        assert_eq!([exact(1.0 + 0.5 * step), exact(1.0 + 1.5 * step)], [1.0, 1.0 + 2.0 * step]);
        assert_eq!(exact(f32::MAX), f32::INFINITY);
        assert!(exact(f32::NAN).is_nan() && exact(-f32::NAN).is_nan());
    }
}
