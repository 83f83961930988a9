//! What becomes of a sum of products before it is written.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into buffers whose sizes the plan has checked")]

use crate::memory::{Place, Source};
use crate::vector::Vector;

/// What is done to values: they are held between two bounds, and perhaps more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Finish {
    /// Smallest and largest value.
    pub bounds: [f32; 2],
    pub more: Option<More>,
}

/// What few layers do: apart from the bounds, so that all others ask for it but once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct More {
    /// Rounded to the steps of value · `inverse`, before anything is added.
    pub rounded: Option<Steps>,
    /// What is done after that, before values are held between the bounds.
    pub function: Function,
    /// What is written is rounded.
    pub stored: Option<Steps>,
}

/// Rounding to multiples of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Steps {
    pub inverse: f32,
    pub to: Rounded,
}

/// Rounding to integers between two bounds; what each of them is then worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rounded {
    pub bounds: [f32; 2],
    pub step: f32,
}

/// A function of single values: x, x · min(max(x / 6 + 1/2, 0), 1), or max(min(slope · x + shift, 1), 0).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Function {
    Identity,
    HardSwish,
    HardSigmoid { slope: f32, shift: f32 },
}

/// Changes each vector of M × N: in loops so short that sums stay in registers, which a closure's would not.
macro_rules! each {
    ($values:ident, |$value:ident| $changed:expr) => {
        for row in $values.iter_mut() {
            for value in row {
                let $value = *value;
                *value = $changed;
            }
        }
    };
}

pub(crate) use each;

impl Finish {
    /// Values as they are.
    pub(crate) const NONE: Self = Self { bounds: [f32::NEG_INFINITY, f32::INFINITY], more: None };

    /// What is done before other values are added.
    ///
    /// # Safety
    /// As for `winograd::run`; so for all below.
    #[inline(always)]
    pub(crate) unsafe fn before<T: Vector, const M: usize, const N: usize>(&self, values: &mut [[T; N]; M]) {
        if let Some(More { rounded: Some(steps), .. }) = &self.more {
            steps.round(values);
        }
    }

    /// What is done after that.
    #[inline(always)]
    pub(crate) unsafe fn after<T: Vector, const M: usize, const N: usize>(&self, values: &mut [[T; N]; M]) {
        let Some(more) = &self.more else {
            return each!(values, |value| held(value, self.bounds));
        };
        match more.function {
            Function::Identity => {}
            Function::HardSwish => each!(values, |value| hard_swish(value)),
            Function::HardSigmoid { slope, shift } => {
                each!(values, |value| held(T::splat(shift).fma(value, T::splat(slope)), [0.0, 1.0]));
            }
        }
        each!(values, |value| held(value, self.bounds));
        if let Some(steps) = &more.stored {
            steps.round(values);
        }
    }
}

impl Steps {
    #[inline(always)]
    unsafe fn round<T: Vector, const M: usize, const N: usize>(&self, values: &mut [[T; N]; M]) {
        let (inverse, step) = (T::splat(self.inverse), T::splat(self.to.step));
        each!(values, |value| held(value.mul(inverse).round(), self.to.bounds).mul(step));
    }
}

/// A value held between two bounds.
#[inline(always)]
pub(crate) unsafe fn held<T: Vector>(value: T, bounds: [f32; 2]) -> T {
    value.at_least(T::splat(bounds[0])).at_most(T::splat(bounds[1]))
}

/// x · min(max(x / 6 + 1/2, 0), 1)
#[inline(always)]
pub(crate) unsafe fn hard_swish<T: Vector>(value: T) -> T {
    value.mul(held(T::splat(0.5).fma(value, T::splat(1.0 / 6.0)), [0.0, 1.0]))
}

/// Where sums go, and what becomes of them on the way. The layer's bias is in them already.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub place: Place,
    /// The image to add, or null.
    pub sum_with: Source,
    pub finish: Finish,
}

impl Target {
    /// Values as they are, to a place.
    pub(crate) fn of(place: Place) -> Self {
        let sum_with = Source { at: std::ptr::null(), row: 0, pixel: 0 };
        Self { place, sum_with, finish: Finish::NONE }
    }

    /// Finishes the sums of some pixels side by side, of some vectors of channels each, and writes those of the first `count`
    /// pixels.
    #[inline(always)]
    pub(crate) unsafe fn write<T: Vector, const M: usize, const N: usize>(
        &self,
        mut values: [[T; N]; M],
        count: usize,
        [row, column, channel]: [usize; 3],
    ) {
        self.finish.before(&mut values);
        if !self.sum_with.at.is_null() {
            let mut other = self.sum_with.of(row, column, channel);
            for m in 0..M {
                if m == count {
                    break;
                }
                for n in 0..N {
                    values[m][n] = values[m][n].add(T::load(other.add(n * T::LANES)));
                }
                other = other.wrapping_add(self.sum_with.pixel);
            }
        }
        self.finish.after(&mut values);
        let mut to = self.place.of(row, column, channel);
        for m in 0..M {
            if m == count {
                break;
            }
            for n in 0..N {
                values[m][n].store(to.add(n * T::LANES));
            }
            to = to.wrapping_add(self.place.pixel);
        }
    }
}
