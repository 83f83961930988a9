//! The report as others use it: what is said of a generated study, in data, in a terminal and on the page.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod browser;
mod by_class;
mod compare;
mod noise;
mod page;
mod pick;
mod sample;
mod seeds;
mod terminal;
