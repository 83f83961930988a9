//! The words and figures that host and board share: search space, architecture, layers, cost,
//! objective, trial, measurement, data-set records, model metadata and the formats they travel in.
//!
//! Every other crate of the workspace imports this one and this one imports none of them. It does no
//! training and no inference, and prints only for the programs, in [`console`].
//!
//! | folder | holds |
//! |---|---|
//! | [`space`] | the search space as data; [`point`]s, their [`architecture`]s, [`plan`]s, [`parts`] and [`block`]s; [`layers`], the one table of [`operation`]s, [`cost`] and its [`extremes`] |
//! | `study/` | [`trial`], its [`proposer`] and its [`confusion`] of classes, [`quantity`] and [`costs`], [`objective`] and the metrics it is compared with, [`front`]s, what chance can do ([`statistics`]), [`recipe`], the trainer's [`protocol`], [`paper`] |
//! | `model/` | the part of the ONNX format ([`onnx`]) and its [`onnx_operators`], what a model file says of itself ([`metadata`]), [`golden`] inputs |
//! | `board/` | what a board reported ([`measurement`], [`latency`]), what it said of networks in a search ([`measured_networks`]), what it will say of others ([`cost_table`], [`cost_model`]), and what a model must keep to ([`limits`]) |
//! | `data/` | image records in CIFAR-10's binary layout, and their split ([`dataset`]); images made smaller ([`resize`]) |
//! | `io/` | [`files`] read within limits and written whole, by way of [`drafts`], [`lines`] of pipes, pipes that may fall silent ([`patience`]), other programs asked with a deadline ([`process`]), [`text`] made fit to be shown, [`markdown`], [`name`]s, files told by their first bytes ([`magic`]), what people read in 80 [`columns`] with its [`numbers`], what the programs hand over ([`console`]), [`error`]s and [`exit`] codes |
//!
//! Folders sort the files; every module is known by its own name.

mod board;
mod data;
mod io;
mod model;
pub mod space;
mod study;
#[cfg(test)]
mod variants;

pub use board::{cost_model, cost_table, latency, limits, measured_networks, measurement};
pub use data::{dataset, resize};
pub use io::{
    columns, console, drafts, error, exit, files, lines, magic, markdown, name, numbers, patience, process,
    text,
};
pub use model::{golden, metadata, onnx, onnx_operators};
pub use space::{architecture, block, cost, extremes, layers, operation, parts, plan, point};
pub use study::{
    confusion, costs, front, objective, paper, proposer, protocol, quantity, recipe, statistics, trial,
};

pub use architecture::Architecture;
pub use confusion::{AccuracyKind, Confusion};
pub use cost::Cost;
pub use error::{Error, Result};
pub use front::Front;
pub use layers::Layer;
pub use limits::Limits;
pub use measurement::Measurement;
pub use metadata::ModelMetadata;
pub use objective::Objective;
pub use point::Point;
pub use proposer::Proposer;
pub use quantity::{Quantity, Values};
pub use recipe::Recipe;
pub use space::SearchSpace;
pub use trial::{Trial, TrialState};

/// Version of this tool, with the commit it was built from where the build knew it: `0.1.0+1a2b3c4`.
pub fn version() -> String {
    match option_env!("MFACTOR_COMMIT") {
        Some(commit) if !commit.is_empty() => format!("{}+{commit}", env!("CARGO_PKG_VERSION")),
        _ => env!("CARGO_PKG_VERSION").to_owned(),
    }
}
