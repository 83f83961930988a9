//! Tests of the library and the program from outside, in one binary: linking the engines takes long.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

mod advice;
mod boards;
mod children;
mod command_line;
mod energy;
#[path = "../../../engines/tests/engines/model.rs"]
mod model;
mod mutations;
mod rounds;
mod stopped;
