//! Inference engines behind one trait, and the guard that no hostile model gets past.
//!
//! The runner measures with what is here and `export` checks with it, so that a model is checked by the very code that
//! runs it later. Nothing here searches, trains, writes models or prints.
//!
//! | module | holds |
//! |---|---|
//! | [`engine`] | the seam: [`engine::Engine`] loads, [`engine::Session`] answers |
//! | [`tract_engine`], [`onnx_runtime`], [`library`] | the two engines, and where ONNX Runtime's library lies |
//! | `tract_operators` | what tract makes of the operators that the guard admits |
//! | [`fused`] | the part of a tract graph that this project's own kernels compute |
//! | [`model_file`] | reading a model file and refusing what is not ours before an engine sees it |
//! | [`graph`], [`shapes`] | shapes, parameters and multiply-accumulates recounted from the ONNX graph |
//! | `stored` | tensors that a model file stores: whole, and of a type that is run |
//! | [`accuracy`], [`golden`] | answers on labelled records, and on the inputs whose answers are known |
//! | [`panics`] | no model ends the process without words |

pub mod accuracy;
pub mod engine;
pub mod fused;
pub mod golden;
pub mod graph;
pub mod library;
pub mod model_file;
pub mod onnx_runtime;
pub mod panics;
pub mod shapes;
mod stored;
pub mod tract_engine;
mod tract_operators;

pub use engine::{Engine, EngineChoice, EngineKind, EngineOptions, Session, Signature};
pub use model_file::ModelFile;
