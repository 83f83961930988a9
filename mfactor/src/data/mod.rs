//! Data sets.

pub mod dataset;
pub mod resize;
