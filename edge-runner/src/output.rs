//! Talking to the user: results go to stdout, everything else to stderr.

use clap::Args;
use mfactor::text::{visible_json, visible_lines};
use mfactor::{Error, Result, console};
use serde::Serialize;

/// Options that every command takes.
#[derive(Args)]
pub struct OutputOptions {
    /// Print the result as JSON, and nothing else on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// Where results and talk go.
pub struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Decides once how to talk.
    pub fn new(options: &OutputOptions) -> Self {
        Self { json: options.json, quiet: options.quiet }
    }

    /// Prints the result: `value` as JSON if that was asked for, else what `text` makes of it. Whatever control characters
    /// are in it, they are shown and not obeyed.
    pub fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> Result<()> {
        let mut text = if self.json {
            let json = serde_json::to_string_pretty(value)
                .map_err(|error| Error::Defect(format!("the result has no JSON form: {error}")))?;
            visible_json(&json).into_owned()
        } else {
            visible_lines(&text())
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        console::print(text.as_bytes())
    }

    /// Says something about the work on stderr.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            console::talk(text.as_ref());
        }
    }

    /// Prints an error.
    pub fn error(&self, error: &Error) {
        console::talk(&format!("error: {error}"));
    }
}

/// Prints what a panic says.
pub fn talk_of_panic(text: &str) {
    console::talk(&format!("error: {text}"));
}

/// Prints the help, the version, or what is wrong with the command line; the exit code.
pub fn parsing_stopped(stopped: &clap::Error) -> u8 {
    let rendered = stopped.render();
    console::parsing_stopped(&rendered.to_string(), rendered.ansi().to_string(), stopped.use_stderr())
}
