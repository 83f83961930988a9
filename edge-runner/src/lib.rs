//! What runs on the board: load a model, check it, measure it, classify with it.
//!
//! The library is also what `export` checks a model with, so that a model is checked by the very code that
//! runs it later. It knows nothing of searching, training or writing models, and never prints.
//!
//! | module | holds |
//! |---|---|
//! | [`model_file`] | reading a model file and refusing what is not ours before an engine sees it |
//! | [`graph`], [`shapes`] | shapes, parameters and multiply-accumulates recounted from the ONNX graph |
//! | [`engine`] | the seam: [`engine::Engine`] loads, [`engine::Session`] answers |
//! | [`tract_engine`], [`onnx_runtime`], [`library`] | the two engines, and where ONNX Runtime's library lies |
//! | [`rounds`], [`record`], [`advice`] | models measured in turn, the record of each, and which to ship |
//! | [`child`], [`measure`] | a part of a measurement, in a process of its own |
//! | [`timing`], [`accuracy`], [`verdict`] | its windows, its answers, and whether it may be believed |
//! | [`panics`] | no model ends the process without words |
//! | [`memory`], [`allocator`], [`energy`] | what it took |
//! | [`heap`] | how freed memory is kept |
//! | [`board`], [`system`], [`affinity`] | facts about the machine, through one seam |
//! | [`release`] | the board's side of a flash |
//! | [`classify`], [`picture`] | classes and probabilities of one image |

pub mod accuracy;
pub mod advice;
pub mod affinity;
pub mod allocator;
pub mod board;
pub mod child;
pub mod classify;
pub mod energy;
pub mod engine;
pub mod graph;
pub mod heap;
pub mod library;
pub mod measure;
pub mod memory;
pub mod model_file;
pub mod onnx_runtime;
pub mod panics;
pub mod picture;
pub mod record;
pub mod release;
pub mod rounds;
pub mod shapes;
pub mod system;
pub mod timing;
pub mod tract_engine;
pub mod verdict;

pub use engine::{Engine, EngineChoice, EngineKind, EngineOptions, Session, Signature};
pub use model_file::ModelFile;
