//! What a program hands over to whoever started it: results on stdout, talk on stderr. For the programs alone; libraries
//! return what is to be shown.

use std::io::{self, IsTerminal, Write};

use crate::error::{Error, Result};
use crate::exit;
use crate::text::{visible, visible_lines};

/// Hands over what goes to stdout, to the last byte.
///
/// # Errors
/// [`Error::Output`] if it cannot be written. A reader that has seen enough, `head` say, is no error.
pub fn print(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Error::Output),
    }
}

/// Says one line. Where stderr is closed there is nobody to tell.
pub fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(text));
}

/// Whether `NO_COLOR` leaves colours to a terminal.
pub fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints what a parser of command lines ended with, plain or in `colours`: what `is_wrong` with it on stderr, else the
/// help or the version on stdout. Returns the exit code.
pub fn parsing_stopped(plain: &str, colours: String, is_wrong: bool) -> u8 {
    let shown = visible_lines(plain);
    let is_terminal = if is_wrong { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let text = if is_terminal && may_colour() && shown == plain { colours } else { shown };
    if is_wrong {
        let _ = io::stderr().lock().write_all(text.as_bytes());
        return exit::USAGE;
    }
    match print(text.as_bytes()) {
        Ok(()) => exit::DONE,
        Err(error) => {
            talk(&format!("error: {error}"));
            error.exit_code()
        }
    }
}
