//! The seam between the runner and an inference engine.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use mfactor::measurement::EngineFacts;
use mfactor::space::ImageShape;
use mfactor::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::onnx_runtime::OnnxRuntime;
use crate::tract_engine::Tract;

/// Threads of an engine that nobody asked for more.
pub const DEFAULT_THREADS: usize = 1;
const MOST_THREADS: usize = 256;

/// What goes into a model and what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Shape of the input `image`: u8 \[1, channels, height, width\].
    pub image: ImageShape,
    /// Length of the output `logits`: f32 \[1, classes\].
    pub classes: usize,
}

/// An inference engine.
pub trait Engine {
    /// Name, version, threads and knobs, for records.
    fn facts(&self) -> EngineFacts;

    /// Whether it takes its memory from the program's own allocator.
    fn allocates_here(&self) -> bool;

    /// Loads an ONNX model and optimises it for batch 1. The bytes must have passed
    /// [`crate::graph::inspect`]; `subject` names the model in errors.
    ///
    /// # Errors
    /// [`Error::Input`] if the engine refuses the model.
    fn load(&self, model: &[u8], signature: Signature, subject: &str) -> Result<Box<dyn Session>>;

    /// Loads an ONNX model for images of this shape whose outputs are f32 of any shape, all of which are to be seen; as
    /// [`Engine::load`]. `None` from an engine that does not show them.
    ///
    /// # Errors
    /// [`Error::Input`] if the engine refuses the model.
    fn observe(
        &self,
        _model: &[u8],
        _image: ImageShape,
        _subject: &str,
    ) -> Result<Option<Box<dyn Observer>>> {
        Ok(None)
    }
}

/// A loaded model all of whose outputs are seen: for calibration, which wants values from inside a network.
pub trait Observer {
    /// Runs one image, and shows every output's name and values.
    ///
    /// # Errors
    /// [`Error::Input`] if it does not run, and what `see` says.
    fn run(&mut self, image: &[u8], see: &mut dyn FnMut(&str, &[f32]) -> Result<()>) -> Result<()>;
}

/// A loaded model.
pub trait Session {
    /// Logits of one image: channels × rows × columns, a byte a value.
    ///
    /// # Errors
    /// [`Error::Input`] if the image has another size or the engine refuses to run.
    fn run(&mut self, image: &[u8]) -> Result<Vec<f32>>;

    /// The kernels that run this model, for records, where the engine tells.
    fn kernels(&self) -> Option<String> {
        None
    }
}

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// tract, which is part of this program
    Tract,
    /// ONNX Runtime, from a library found at run time
    Ort,
}

impl EngineKind {
    /// All of them. The first is the reference: test accuracies and golden logits are its answers.
    pub const ALL: [Self; 2] = [Self::Ort, Self::Tract];

    /// The one of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::Ort => "ort",
        }
    }
}

/// Which engines a command is to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// tract, which is part of this program
    Tract,
    /// ONNX Runtime, from a library found at run time
    Ort,
    /// Both, one after the other, and which to ship
    All,
}

impl From<EngineKind> for EngineChoice {
    fn from(kind: EngineKind) -> Self {
        match kind {
            EngineKind::Tract => Self::Tract,
            EngineKind::Ort => Self::Ort,
        }
    }
}

impl EngineChoice {
    /// The engines.
    pub fn kinds(self) -> &'static [EngineKind] {
        match self {
            Self::Tract => &[EngineKind::Tract],
            Self::Ort => &[EngineKind::Ort],
            Self::All => &[EngineKind::Tract, EngineKind::Ort],
        }
    }

    /// Their names, as records have them.
    pub fn names(self) -> Vec<String> {
        self.kinds().iter().map(|kind| kind.name().to_owned()).collect()
    }
}

/// Which engine, and how it is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineOptions {
    /// Which one.
    pub kind: EngineKind,
    /// Threads of one inference.
    pub threads: usize,
    /// ONNX Runtime's library; `None` searches for it, see [`crate::library`].
    pub library: Option<PathBuf>,
}

impl EngineOptions {
    /// `kind` with one thread and, for ONNX Runtime, the library that is found.
    pub fn new(kind: EngineKind) -> Self {
        Self { kind, threads: DEFAULT_THREADS, library: None }
    }
}

/// Starts an engine.
///
/// # Errors
/// [`Error::Missing`] if ONNX Runtime is asked for and not there, [`Error::Usage`] for a number of threads that
/// the engine does not have.
pub fn open(options: &EngineOptions) -> Result<Box<dyn Engine>> {
    if !(1..=MOST_THREADS).contains(&options.threads) {
        let threads = options.threads;
        return Err(Error::Usage(format!("--threads is {threads}; it must be from 1 to {MOST_THREADS}")));
    }
    Ok(match options.kind {
        EngineKind::Tract => Box::new(Tract::new(options.threads)?),
        EngineKind::Ort => Box::new(OnnxRuntime::new(options.library.as_deref(), options.threads)?),
    })
}

/// Starts every engine, in the order of [`EngineKind::ALL`], each with [`DEFAULT_THREADS`]; `library` is ONNX Runtime's.
///
/// # Errors
/// As [`open`].
pub fn open_all(library: Option<&Path>) -> Result<Vec<Box<dyn Engine>>> {
    let options = |kind| EngineOptions { library: library.map(Path::to_owned), ..EngineOptions::new(kind) };
    EngineKind::ALL.into_iter().map(|kind| open(&options(kind))).collect()
}

/// Refuses an image that does not have the signature's size.
pub(crate) fn check_image(image: &[u8], signature: Signature) -> Result<()> {
    let (bytes, expected) = (image.len(), signature.image.bytes());
    if bytes == expected {
        return Ok(());
    }
    Err(Error::input("image", format!("has {bytes} values; the model takes {expected}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Words of the command line.
    fn words<T: ValueEnum>(values: &[T]) -> BTreeSet<String> {
        let word = |value: &T| value.to_possible_value().map(|word| word.get_name().to_owned());
        values.iter().filter_map(word).collect()
    }

    #[test]
    fn every_engine_is_listed_and_can_be_chosen_by_its_name() {
        let names = BTreeSet::from(EngineKind::ALL.map(|kind| kind.name().to_owned()));
        assert_eq!(words(EngineKind::value_variants()), names);
        assert_eq!(words(EngineChoice::All.kinds()), names);
        let choices = words(EngineChoice::value_variants());
        assert_eq!(choices, names.into_iter().chain(["all".to_owned()]).collect());
        for choice in EngineChoice::value_variants().iter().filter(|choice| **choice != EngineChoice::All) {
            assert_eq!(words(std::slice::from_ref(choice)), choice.names().into_iter().collect());
        }
    }

    #[test]
    fn no_threads_and_too_many_are_wrong_use() {
        for threads in [0, 257] {
            let options = EngineOptions { threads, ..EngineOptions::new(EngineKind::Tract) };
            let error = open(&options).err().unwrap();
            assert_eq!(error.exit_code(), mfactor::exit::USAGE);
            assert!(error.to_string().contains("--threads"), "{error}");
        }
    }
}
