//! The words and figures that host and board share: search space, architecture, layers, cost,
//! objective, trial, measurement, data-set records, model metadata and the formats they travel in.
//!
//! Every other crate of the workspace imports this one and this one imports none of them. It does no
//! training, no inference, no printing.
//!
//! | module | holds |
//! |---|---|
//! | [`space`] | the search space as data: stages, blocks, widths, kernel choices |
//! | [`architecture`] | one point of a space, and its id such as `357-333-377` |
//! | [`layers`] | an architecture as a list of named, shaped layers |
//! | [`cost`] | parameters, multiply-accumulates, bytes |
//! | [`objective`] | the M-factor and the metrics it is compared with |
//! | [`paper`] | the printed Table 1, for recomputation |
//! | [`trial`] | what a study knows about one architecture it tried |
//! | [`dataset`] | image records in CIFAR-10's binary layout, and their split |
//! | [`recipe`] | what decides the result of one training |
//! | [`protocol`] | the lines the search and the trainer exchange |
//! | [`metadata`] | what a model file says about itself |
//! | [`onnx`] | the part of the ONNX format that is written and read here |
//! | [`golden`] | inputs on which host and board compare answers |
//! | [`measurement`], [`latency`] | what a board reported about a model |
//! | [`limits`] | what a model must keep to on a board |
//! | [`release`] | what is flashed to a board, and the words host and board exchange about it |
//! | [`error`], [`exit`] | what can go wrong, and the exit code it ends in |
//! | [`files`] | writing without ever leaving half a file |

pub mod architecture;
pub mod cost;
pub mod dataset;
pub mod error;
pub mod exit;
pub mod files;
pub mod golden;
pub mod latency;
pub mod layers;
pub mod limits;
pub mod measurement;
pub mod metadata;
pub mod objective;
pub mod onnx;
pub mod paper;
pub mod protocol;
pub mod recipe;
pub mod release;
pub mod space;
pub mod trial;

pub use architecture::Architecture;
pub use cost::Cost;
pub use error::{Error, Result};
pub use layers::Layer;
pub use limits::Limits;
pub use measurement::Measurement;
pub use metadata::ModelMetadata;
pub use objective::Objective;
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
