//! A model from outside must never end the process in a panic, and engines assert in places.
//!
//! Where panics unwind they are caught. In the profile for boards they abort, for a smaller program; there a hook
//! ends the process in words, with the exit code of bad input, before it can abort.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use mfactor::exit;

/// Whether an engine is at work on a model from outside.
static IN_ENGINE: AtomicBool = AtomicBool::new(false);

/// Does an engine's work; `None` if it panicked.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    IN_ENGINE.store(true, Ordering::Relaxed);
    let result = catch_unwind(AssertUnwindSafe(work));
    IN_ENGINE.store(false, Ordering::Relaxed);
    result.ok()
}

/// Makes panics end this process with a documented exit code. `say` prints a sentence.
pub fn end_in_words(say: impl Fn(&str) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        let is_engine = IN_ENGINE.load(Ordering::Relaxed);
        if is_engine && !cfg!(panic = "abort") {
            return;
        }
        let (text, code) = if is_engine {
            (format!("the engine broke on this model ({panic}); it is not run"), exit::INPUT)
        } else {
            (format!("{panic} (this is a defect of mfactor)"), exit::DEFECT)
        };
        say(&text.replace('\n', " "));
        std::process::exit(i32::from(code));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_the_next_call_works() {
        assert_eq!(caught(|| -> u8 { panic!("as an engine might") }), None);
        assert_eq!(caught(|| 7), Some(7));
    }
}
