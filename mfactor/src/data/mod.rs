//! Data sets.

pub mod dataset;
mod manifest;
mod records;
pub mod resize;
