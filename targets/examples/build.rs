//! Builds the runner for one target and prints what came out: `cargo run -p targets --example build -- rpi4`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use targets::{BuildEvent, BuildOptions};

fn main() -> mfactor::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "host".to_owned());
    let workspace = targets::find_workspace(&std::env::current_dir().unwrap_or_default())?;
    let runner =
        targets::build(&targets::load(&name)?, &BuildOptions { workspace }, &mut |event| match event {
            BuildEvent::Way { description, .. } => eprintln!("by {description}"),
            BuildEvent::Command { line } | BuildEvent::Line { text: line } => eprintln!("{line}"),
        })?;
    println!("{runner:#?}");
    Ok(())
}
