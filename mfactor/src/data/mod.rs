//! Data sets.

pub mod dataset;
