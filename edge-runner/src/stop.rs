//! Being stopped: the first signal ends the work with what is done by then, the second ends the program.

use std::sync::atomic::{AtomicUsize, Ordering};

use mfactor::{Error, Result, exit};

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

/// Takes SIGINT, SIGTERM and SIGHUP from now on: [`is_asked`] says whether one came.
///
/// # Errors
/// [`Error::Defect`] if they were taken already.
pub fn listen() -> Result<()> {
    let on_signal = || {
        if SIGNALS.fetch_add(1, Ordering::Relaxed) > 0 {
            std::process::exit(exit::INTERRUPTED.into());
        }
    };
    ctrlc::set_handler(on_signal).map_err(|error| Error::Defect(format!("signals cannot be taken: {error}")))
}

/// Whether the work is to end.
pub fn is_asked() -> bool {
    SIGNALS.load(Ordering::Relaxed) > 0
}
