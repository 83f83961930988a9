//! Four numbers in an array: for Miri and as what the others are compared with.

use super::Vector;

#[derive(Clone, Copy)]
pub(crate) struct Plain(pub(crate) [f32; 4]);

impl Plain {
    fn with(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| operation(self.0[lane], other.0[lane])))
    }
}

impl Vector for Plain {
    const LANES: usize = 4;
    /// As NEON, so that this way is tested everywhere.
    const TILES_TOGETHER: usize = 8;

    unsafe fn load(from: *const f32) -> Self {
        Self(from.cast::<[f32; 4]>().read_unaligned())
    }
    unsafe fn store(self, to: *mut f32) {
        to.cast::<[f32; 4]>().write_unaligned(self.0);
    }
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|lane| a.0[lane].mul_add(b.0[lane], self.0[lane])))
    }
    unsafe fn fnma(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|lane| (-a.0[lane]).mul_add(b.0[lane], self.0[lane])))
    }
    unsafe fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    unsafe fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    unsafe fn mul(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }
    unsafe fn at_least(self, bound: Self) -> Self {
        self.with(bound, |value, bound| if value < bound { bound } else { value })
    }
    unsafe fn at_most(self, bound: Self) -> Self {
        self.with(bound, |value, bound| if value > bound { bound } else { value })
    }
    unsafe fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }
    const BYTE_ZERO: u8 = 0;
    unsafe fn load_bytes(from: *const u8) -> Self {
        Self(from.cast::<[u8; 4]>().read().map(f32::from))
    }
    unsafe fn store_bytes(self, offset: i32, to: *mut u8) {
        to.cast::<[u8; 4]>().write(self.0.map(|value| (value.round_ties_even() as i32 + offset) as u8));
    }
    unsafe fn where_positive(self, outputs: Self) -> Self {
        self.with(outputs, |value, output| if output <= 0.0 { 0.0 } else { value })
    }
}
