//! Four sums in an array: for Miri and as what the others are compared with.

use super::Dots;
use crate::integer::GROUP;
use crate::vector;

#[derive(Clone, Copy)]
pub(crate) struct Plain([i32; 4]);

impl Dots for Plain {
    type Float = vector::Plain;

    unsafe fn load(from: *const i32) -> Self {
        Self(from.cast::<[i32; 4]>().read_unaligned())
    }
    unsafe fn to_float(self) -> vector::Plain {
        vector::Plain(self.0.map(|sum| sum as f32))
    }
    unsafe fn add_products(self, values: *const u8, weights: *const i8) -> Self {
        let values = values.cast::<[u8; GROUP]>().read();
        let mut sums = self.0;
        for (lane, sum) in sums.iter_mut().enumerate() {
            let weights = weights.add(lane * GROUP).cast::<[i8; GROUP]>().read();
            for (value, weight) in values.into_iter().zip(weights) {
                *sum += i32::from(value) * i32::from(weight);
            }
        }
        Self(sums)
    }
}
