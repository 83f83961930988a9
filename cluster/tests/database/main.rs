//! Studies in a real PostgreSQL server: what is shared, what survives, what is refused.
#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

#[cfg(feature = "s3")]
mod bucket;
mod conditions;
mod faults;
mod optuna;
mod partitions;
#[path = "../../../search/tests/search/pretend.rs"]
mod pretend;
mod shared;
mod trainings;
mod worker;
