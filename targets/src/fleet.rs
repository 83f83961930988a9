//! Several boards side by side: one that fails stops no other.

use std::sync::mpsc;

use mfactor::{Error, Result};

use crate::bundle::Bundle;
use crate::flash::{Board, FlashEvent, FlashOptions, Flashed, flash};
use crate::target::Target;

/// Events that wait to be shown.
const MOST_EVENTS: usize = 256;

/// A board with what it is to be flashed with.
#[derive(Debug, Clone, Copy)]
pub struct Assignment<'a> {
    /// The board.
    pub board: &'a Board,
    /// What it is.
    pub target: &'a Target,
    /// The release for such a board.
    pub bundle: &'a Bundle,
}

/// Flashes all boards at once. `on_event` is told which board an event is of, by its place in the list. The
/// results are in the order of the list.
pub fn flash_all(
    assignments: &[Assignment<'_>],
    options: &FlashOptions,
    on_event: &mut dyn FnMut(usize, FlashEvent),
) -> Vec<Result<Flashed>> {
    // Bounded, so that a board that never stops talking waits for whoever listens.
    let (sender, receiver) = mpsc::sync_channel(MOST_EVENTS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = assignments
            .iter()
            .enumerate()
            .map(|(place, assignment)| {
                let sender = sender.clone();
                scope.spawn(move || {
                    let mut tell = |event| {
                        let _ = sender.send((place, event));
                    };
                    let (board, target) = (assignment.board, assignment.target);
                    let result = flash(board, target, assignment.bundle, options, &mut tell);
                    if let Err(error) = &result {
                        tell(FlashEvent::Failed(error.to_string()));
                    }
                    result
                })
            })
            .collect();
        drop(sender);
        receiver.into_iter().for_each(|(place, event)| on_event(place, event));
        let died = |_| Err(Error::Defect("the thread of a flash died".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(died)).collect()
    })
}
