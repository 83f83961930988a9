//! Talking to the user: results go to stdout, everything else to stderr.

use std::io::{self, IsTerminal};

use clap::Args;
use mfactor::console;
use mfactor::text::{visible_json, visible_lines};
use serde::Serialize;

pub use mfactor::columns::{table, wrapped};
pub use mfactor::numbers::thousands;

/// Options that every command takes.
#[derive(Args)]
pub struct OutputOptions {
    /// Print the result as JSON, and nothing else on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more: all that the build of a runner prints
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

/// Where results and talk go.
pub struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
}

impl Output {
    /// Decides once how to talk.
    pub fn new(options: &OutputOptions) -> Self {
        Self { json: options.json, quiet: options.quiet, verbose: options.verbose }
    }

    /// Whether nothing but results and errors is wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether results are wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether results go to a terminal.
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether a result may have colours: on a terminal, unless NO_COLOR is set.
    pub fn colour(&self) -> bool {
        self.is_terminal() && console::may_colour()
    }

    /// Prints the result: `value` as JSON if that was asked for, else what `text` makes of it. Whatever control characters
    /// are in it, they are shown and not obeyed.
    pub fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        self.drawn_result(value, || visible_lines(&text()))
    }

    /// [`Output::result`] for a text that has colours, and in which everything from elsewhere is escaped already.
    pub fn drawn_result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let mut text =
            if self.json { visible_json(&serde_json::to_string_pretty(value)?).into_owned() } else { text() };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.bytes(text.as_bytes())
    }

    /// Prints a result that is a file of its own.
    pub fn bytes(&self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(console::print(bytes)?)
    }

    /// Says something about the work on stderr.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            console::talk(text.as_ref());
        }
    }

    /// Says something that only those want to know who asked for it with `-v`.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.verbose {
            console::talk(text.as_ref());
        }
    }

    /// Prints an error with its causes in one line.
    pub fn error(&self, error: &anyhow::Error) {
        console::talk(&format!("error: {}", chain(error)));
    }
}

/// An error with its causes, each said once: some errors repeat their cause in their own text.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.ends_with(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

/// Prints the help, the version, or what is wrong with the command line; the exit code.
pub fn parsing_stopped(stopped: &clap::Error) -> u8 {
    let rendered = stopped.render();
    console::parsing_stopped(&rendered.to_string(), rendered.ansi().to_string(), stopped.use_stderr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let io = std::io::Error::other("no space");
        let error = mfactor::Error::io("write", std::path::Path::new("f"))(io);
        assert_eq!(
            chain(&anyhow::Error::from(error).context("to go on")),
            "to go on: cannot write f: no space"
        );
    }
}
