//! Studies that many machines share: their state is in PostgreSQL, in Optuna's own tables and a few of ours, and any number
//! of workers pull from it. There is no server of this project and no coordinator.
//!
//! A worker begins a trial under a lock on the row of its study, holds it by a lease that it renews, and names the lease's
//! token in every statement that writes: what a worker writes that has lost its trial changes nothing. So the trials of a
//! study are a function of its configuration, whatever machines there are and whenever they die.
//!
//! | module | holds |
//! |---|---|
//! | [`address`] | where the database is, and whether the way there is encrypted |
//! | `password` | `PGPASSWORD` and `~/.pgpass` |
//! | [`link`] | a connection that is made again when it breaks |
//! | `trouble` | what the database refuses, as a sentence with an exit code |
//! | [`schema`] | the tables: made, and held against what is expected |
//! | [`registry`] | studies: registered, found, stopped, extended, removed |
//! | [`storage`] | the trials of one study, behind [`search::storage::Storage`] |
//! | `begin`, `claims`, `renewal`, `rows` | how a trial begins, whose it is, leases that are kept alive, rows read as trials |
//! | [`store`] | files by the SHA-256 of their contents, in a folder that machines share or in a bucket |
//! | [`inputs`] | what a study reads, pushed once and fetched by each machine |
//! | [`trainings`] | trainings that all workers share |
//! | [`pull`] | a study of the database as a folder |
//! | [`launch`] | scripts and manifests that start workers |
//! | [`status`], [`doctor`] | how a study stands; whether this machine can work with the database |

pub mod address;
pub mod doctor;
pub mod inputs;
pub mod launch;
pub mod link;
pub mod pull;
pub mod registry;
pub mod schema;
pub mod status;
pub mod storage;
pub mod store;
pub mod trainings;

mod begin;
mod claims;
mod password;
mod renewal;
mod rows;
mod trouble;

pub use address::Address;
pub use link::{Link, Patience};
pub use storage::DatabaseStorage;
pub use store::Store;
