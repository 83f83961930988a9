//! Reading a model file, and refusing what is not ours before an engine sees it.

use std::path::{Path, PathBuf};

use mfactor::metadata::ModelMetadata;
use mfactor::onnx::Model;
use mfactor::space::ImageShape;
use mfactor::text::list;
use mfactor::{Error, Result, golden};

use crate::engine::Signature;
use crate::graph::{self, GraphFacts};

/// Largest model file that is read, in bytes. Checked before anything is read.
pub const LARGEST_FILE: u64 = 256 << 20;

/// A model file that was inspected: it is safe to hand to an engine.
#[derive(Debug)]
pub struct ModelFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What it says about itself.
    pub metadata: ModelMetadata,
    /// What was counted in it.
    pub graph: GraphFacts,
}

impl ModelFile {
    /// Reads and inspects a model file.
    ///
    /// # Errors
    /// [`Error::Input`] for what [`graph::inspect`] refuses, a file above [`LARGEST_FILE`], and metadata that is
    /// not ours or says other shapes than the graph has; [`Error::Io`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        Self::inspect(path, mfactor::files::read_at_most(path, LARGEST_FILE)?)
    }

    /// Inspects `bytes` as the contents of `path`, which need not exist.
    ///
    /// # Errors
    /// As [`ModelFile::read`].
    pub fn inspect(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let subject = path.display().to_string();
        let model = Model::parse(&bytes, &subject)?;
        let graph = graph::inspect(&model, &subject)?;
        let metadata = ModelMetadata::from_properties(model.properties(), &subject)?;
        check_metadata(&metadata, graph.signature).map_err(|problem| Error::input(&subject, problem))?;
        Ok(Self { path: path.to_owned(), bytes, metadata, graph })
    }

    /// Shapes of input and output.
    pub fn signature(&self) -> Signature {
        self.graph.signature
    }

    /// SHA-256 of the file. Computed when asked for: a classification is not to wait for it.
    pub fn sha256(&self) -> String {
        mfactor::files::sha256(&self.bytes)
    }

    /// File name, for records and tables.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

fn check_metadata(metadata: &ModelMetadata, signature: Signature) -> Result<(), String> {
    let space = &metadata.space;
    if signature.image != space.image() {
        let shape = |image: ImageShape| list([image.channels, image.height, image.width]);
        let (takes, says) = (shape(signature.image), shape(space.image()));
        return Err(format!("takes images of {takes}; its metadata says {says}"));
    }
    let (classes, names) = (signature.classes, metadata.classes.len());
    if classes != space.classes() || classes != names {
        return Err(format!(
            "answers {classes} classes; its metadata says {} and names {names}",
            space.classes()
        ));
    }
    space.check(&metadata.architecture).map_err(|error| error.to_string())?;
    let goldens = metadata.golden_logits.len();
    if goldens != golden::INPUTS || metadata.golden_logits.iter().any(|logits| logits.len() != classes) {
        return Err(format!("has {goldens} golden answers; it needs {} of {classes} logits", golden::INPUTS));
    }
    Ok(())
}
