//! Tests of the library and the program from outside, in one binary: linking the engines takes long.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

mod advice;
mod boards;
mod children;
mod command_line;
mod energy;
mod engines;
mod hostile_models;
mod model;
mod rounds;
