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

/// Whether ONNX Runtime is on this machine. Without it a test says so and checks nothing, but never on CI.
#[expect(clippy::print_stderr, reason = "whoever runs the tests must see that some checked nothing")]
pub fn onnx_runtime_is_here() -> bool {
    match engines::library::find(None) {
        Ok(_) => true,
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {error}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}
