//! Convolutions of bytes, whose sums of products are exact: one instruction multiplies and adds up four bytes for each sum.
//!
//! Values are stored in eight bits, as (byte − zero point) · step. What becomes of a sum before it is stored again is computed in f32, in
//! one order on all instruction sets, which therefore answer alike in every digit.

mod direct;
mod dots;
mod output;
mod routines;

pub(crate) use direct::Direct;
pub(crate) use output::{Output, Stored};
pub(crate) use routines::{Routines, of};

/// Bytes that an instruction multiplies and adds up for each sum.
pub(crate) const GROUP: usize = 4;
