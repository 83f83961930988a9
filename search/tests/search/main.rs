//! Tests of the room from outside.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

mod budgets;
mod cached;
mod conformance;
mod copies;
mod damage;
mod disk;
mod folders;
mod interruption;
mod measured;
mod objective;
mod optuna;
mod others;
mod pretend;
mod published;
mod quality;
mod shared;
mod spaces;
mod starting;
mod study;
mod trainer;
mod workers;
