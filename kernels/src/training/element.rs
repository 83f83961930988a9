//! What tensors of a training may be made of.

use std::borrow::Cow;

use super::routines::{OfElement, OfKernel, Routines, Ways};
use crate::vector::{Bfloat16, Rounded};

/// A number of a tensor: f32 or [`Bfloat16`].
#[expect(private_bounds, reason = "there are no others")]
pub trait Element: Passes + Send + Sync {
    /// The same numbers as f32.
    fn numbers(values: &[Self]) -> Cow<'_, [f32]>;

    /// Has numbers written, and writes the nearest values.
    fn write(values: &mut [Self], write: impl FnOnce(&mut [f32]));
}

/// The passes over tensors of an element.
pub(super) trait Passes: Rounded + 'static {
    fn passes(routines: &Routines) -> &OfElement<Self>;
    fn ways(of_kernel: &OfKernel) -> &Ways<Self>;
}

impl Element for f32 {
    fn numbers(values: &[Self]) -> Cow<'_, [f32]> {
        Cow::Borrowed(values)
    }

    fn write(values: &mut [Self], write: impl FnOnce(&mut [f32])) {
        write(values);
    }
}

impl Element for Bfloat16 {
    fn numbers(values: &[Self]) -> Cow<'_, [f32]> {
        values.iter().map(|value| value.number()).collect()
    }

    fn write(values: &mut [Self], write: impl FnOnce(&mut [f32])) {
        let mut numbers = vec![0.0; values.len()];
        write(&mut numbers);
        for (value, number) in values.iter_mut().zip(numbers) {
            *value = Self::nearest(number);
        }
    }
}

impl Passes for f32 {
    fn passes(routines: &Routines) -> &OfElement<Self> {
        &routines.float32
    }

    fn ways(of_kernel: &OfKernel) -> &Ways<Self> {
        &of_kernel.float32
    }
}

impl Passes for Bfloat16 {
    fn passes(routines: &Routines) -> &OfElement<Self> {
        &routines.bfloat16
    }

    fn ways(of_kernel: &OfKernel) -> &Ways<Self> {
        &of_kernel.bfloat16
    }
}
