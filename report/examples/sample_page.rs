//! Writes the page of a generated study, to look at: `cargo run -p report --example sample_page -- FILE`.

#[path = "../tests/report/sample.rs"]
mod sample;

use std::path::PathBuf;

fn main() -> mfactor::Result<()> {
    let path = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("sample.html"), PathBuf::from);
    let sample = sample::Sample::new(50).repeated(9).with_int8();
    let input = sample.input();
    let comparison = report::compare(&input)?;
    mfactor::files::write(&path, report::page(&input, &comparison).as_bytes())
}
