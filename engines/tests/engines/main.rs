//! Tests of the engines and the guard from outside, in one binary: linking the engines takes long.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

mod answers;
mod fused;
mod hostile_models;
mod model;
mod stored;
