//! Tests of the engines and the guard from outside, in one binary: linking the engines takes long.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

mod answers;
mod fused;
mod hostile_models;
mod model;

/// Whether ONNX Runtime is on this machine. Without it a test says so and checks nothing, but never on CI.
#[expect(clippy::print_stderr, reason = "whoever runs the tests must see that some checked nothing")]
fn onnx_runtime_is_here() -> bool {
    match ::engines::library::find(None) {
        Ok(_) => true,
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {error}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}
