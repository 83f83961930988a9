//! The commands, one file each: parse, call the library, print.

use std::path::PathBuf;

use clap::Args;
use engines::{EngineKind, EngineOptions};

pub mod board;
pub mod check;
pub mod classify;
pub mod info;
pub mod measure;
pub mod release_agent;

/// Options of commands that run a model.
#[derive(Args)]
pub struct EngineArguments {
    /// What runs the model
    #[arg(long, value_enum, default_value = "tract")]
    engine: EngineKind,
    /// Threads of one inference
    #[arg(long, default_value_t = engines::engine::DEFAULT_THREADS)]
    threads: usize,
    /// ONNX Runtime's library (else $ORT_DYLIB_PATH, $VIRTUAL_ENV, or a .venv folder)
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
}

impl EngineArguments {
    /// The options of one engine.
    fn options(&self) -> EngineOptions {
        EngineOptions { kind: self.engine, threads: self.threads, library: self.ort_library.clone() }
    }
}
