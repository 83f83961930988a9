//! The kernels against a convolution in f64, on every instruction set of this processor, and against each other digit by digit.
//!
//! Miri runs them on the plain form, with few cases.
#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

mod batches;
mod convolutions;
mod integers;
mod networks;
mod reference;
mod refusals;
mod training;

/// Cases of a property: few under Miri, which is a thousand times slower.
fn cases() -> proptest::test_runner::Config {
    let cases = if cfg!(miri) { 2 } else { 64 };
    proptest::test_runner::Config { cases, failure_persistence: None, ..Default::default() }
}
