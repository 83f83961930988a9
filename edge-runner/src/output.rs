//! Talking to the user: results go to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};

use clap::Args;
use mfactor::text::{visible, visible_json, visible_lines};
use mfactor::{Error, Result, exit};
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
        print(&text)
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

/// Says one line. Where stderr is closed there is nobody to tell.
fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(text));
}

/// Hands over what goes to stdout, to the last byte.
fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // The reader, `head` say, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::Output),
    }
}

/// Prints the help, the version, or what is wrong with the command line; the exit code.
pub fn parsing_stopped(stopped: &clap::Error) -> u8 {
    let rendered = stopped.render();
    let plain = rendered.to_string();
    let shown = visible_lines(&plain);
    let is_terminal =
        if stopped.use_stderr() { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = if colour && shown == plain { rendered.ansi().to_string() } else { shown };
    if stopped.use_stderr() {
        let _ = io::stderr().lock().write_all(text.as_bytes());
        return exit::USAGE;
    }
    match print(&text) {
        Ok(()) => exit::DONE,
        Err(error) => {
            talk(&format!("error: {error}"));
            error.exit_code()
        }
    }
}

/// Names and values, a line each.
pub fn lines<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    rows.into_iter().map(|(name, value)| format!("{name:<14}{}\n", visible(&value))).collect()
}
