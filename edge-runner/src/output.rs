//! Talking to the user: results go to stdout, everything else to stderr.

use std::io::{self, Write};

use clap::Args;
use mfactor::{Error, Result};
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

    /// Prints the result: `value` as JSON if that was asked for, else what `text` makes of it.
    pub fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> Result<()> {
        let mut text = if self.json {
            serde_json::to_string_pretty(value)
                .map_err(|error| Error::Defect(format!("the result has no JSON form: {error}")))?
        } else {
            text()
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        match io::stdout().lock().write_all(text.as_bytes()) {
            // The reader, `head` say, has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(Error::io("write", "standard output".as_ref())),
        }
    }

    /// Says something about the work on stderr.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            talk(text.as_ref());
        }
    }

    /// Prints an error.
    pub fn error(&self, error: &Error) {
        talk(&format!("error: {error}"));
    }
}

/// Prints what a panic says.
pub fn talk_of_panic(text: &str) {
    talk(&format!("error: {text}"));
}

/// Where stderr is closed there is nobody to tell.
fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
