//! The board's side of a flash as its host sees it, with a folder for a board and a script for a runner.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

mod damage;
mod hostile;
mod links;
mod place;
mod room;
mod trust;
