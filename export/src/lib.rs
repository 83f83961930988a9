//! Trained weights and an architecture become an ONNX model, which is checked before it is handed out.
//!
//! The model is run with every engine of `edge-runner`, by the very code that runs on the board, against the
//! logits that the trainer gave for the same images. Only a model that agrees is written, whole or not at all.
//!
//! | module | holds |
//! |---|---|
//! | [`weights`] | the trainer's files, checked name by name and shape by shape |
//! | [`folding`] | batch norm, and the deviation of the pixels, folded into convolutions |
//! | [`graph`], [`graph_writer`] | the ONNX graph |
//! | [`check`] | the model's answers against the trainer's |
//! | [`int8`], [`calibration`], [`quantization`], [`int8_graph`] | the same in eight bits |
//! | [`card`] | the model card beside the file |
//! | [`untrained`] | models with random weights, to be measured before a training is spent |

pub mod calibration;
pub mod card;
pub mod check;
pub mod folding;
pub mod graph;
pub mod graph_writer;
pub mod int8;
pub mod int8_graph;
pub mod quantization;
pub mod untrained;
pub mod weights;

use std::path::PathBuf;

use engines::{Engine, ModelFile, Session, Signature, accuracy, engine};
use mfactor::dataset::{DataSet, Records};
use mfactor::measurement::MeasuredAccuracy;
use mfactor::metadata::{self, ModelMetadata};
use mfactor::objective::m_factor_by_bytes;
use mfactor::onnx::Model;
use mfactor::{Architecture, Objective, Recipe, Result, SearchSpace};
use prost::Message;
use serde::Serialize;

use crate::check::EngineCheck;
use crate::folding::FoldedWeights;
use crate::int8::Int8Facts;
use crate::weights::{CheckRecords, Weights};

/// Type of a model's weights and activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Both in f32.
    F32,
    /// Weights in int8, activations in uint8.
    Int8,
}

impl Precision {
    /// As in [`ModelMetadata::precision`].
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }

    /// That of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::F32, Self::Int8].into_iter().find(|precision| precision.name() == name)
    }
}

/// What to export, and what is known about it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Folder with the trainer's files: [`mfactor::protocol::WEIGHTS_FILE`] and [`mfactor::protocol::CHECK_FILE`].
    pub trial_folder: PathBuf,
    /// Folder of the data set that the network was trained on.
    pub data: PathBuf,
    /// The ONNX file to write; a file that is there is replaced.
    pub output: PathBuf,
    /// ONNX Runtime's library; `None` searches for it.
    pub library: Option<PathBuf>,
    /// The space of the architecture.
    pub space: SearchSpace,
    /// The architecture.
    pub architecture: Architecture,
    /// What the study maximises.
    pub objective: Objective,
    /// Accuracy on the validation split, 0 to 1, of the kind that the objective says.
    pub accuracy: f64,
    /// How it was trained.
    pub recipe: Recipe,
    /// Seed of the training.
    pub seed: u64,
    /// Name of the study.
    pub study: String,
    /// Id of the trial.
    pub trial: u64,
    /// The strategy that proposed it.
    pub strategy: String,
    /// Type of the weights.
    pub precision: Precision,
    /// Largest file that may be written, in bytes.
    pub largest_file: u64,
}

/// How far an export is; the steps come in this order, [`Progress::Testing`] repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The model is compared with the trainer's logits.
    Checking,
    /// Ranges of activations are taken from training images.
    Calibrating,
    /// Validation records are classified by a quantized model.
    Validating {
        /// How many are done.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// Test records are classified.
    Testing {
        /// How many are done.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// The file is written.
    Writing,
}

/// A model that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportedModel {
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
    /// Its size.
    pub model_bytes: u64,
    /// What it says about itself.
    pub metadata: ModelMetadata,
    /// Test records that the test accuracy in the metadata is from.
    pub test_images: u64,
    /// M with the file's bytes in the place of the parameters, see [`m_factor_by_bytes`].
    pub m_factor_by_bytes: f64,
    /// What the check of the f32 network found, an entry an engine.
    pub checks: Vec<EngineCheck>,
    /// What quantization cost, for an int8 model.
    pub int8: Option<Int8Facts>,
}

/// What an export works with.
pub(crate) struct Work<'a> {
    pub request: &'a Request,
    /// What the network sees and answers.
    pub signature: Signature,
    pub layers: Vec<mfactor::Layer>,
    pub folded: FoldedWeights,
    pub data: DataSet,
    pub train: Records,
    /// All that there are, the reference first.
    pub engines: Vec<Box<dyn Engine>>,
}

/// A model that is to be finished with metadata and handed out.
pub(crate) struct Built {
    pub model: Model,
    pub validation_accuracy: f64,
    pub tested: Tested,
    pub int8: Option<Int8Facts>,
}

/// What the reference engine answers on the test records, by which nothing is decided, and on the golden inputs.
pub(crate) struct Tested {
    pub accuracy: f64,
    pub images: u64,
    pub golden_logits: Vec<Vec<f32>>,
}

/// Exports one trained architecture; `None` if its file would be larger than the request allows, and then nothing is
/// written.
///
/// The test accuracy, and the golden logits that boards compare with, are measured here with the reference
/// engine, ONNX Runtime, on one thread at batch 1. A model card is written beside the file.
///
/// # Errors
/// [`mfactor::Error::Input`] if there are no weights, a tensor does not fit, the data set is another one, an engine's
/// answers differ from the trainer's, or quantization costs more than [`int8`] allows; [`mfactor::Error::Missing`] if
/// ONNX Runtime is not there. No file is written then, and one that was there stays.
pub fn export(request: &Request, on_progress: &mut dyn FnMut(Progress)) -> Result<Option<ExportedModel>> {
    request.space.check(&request.architecture)?;
    let bytes = request.space.cost(&request.architecture).model_bytes;
    mfactor::files::check_target(&request.output, bytes)?;
    mfactor::files::check_target(&card::path(&request.output), 0)?;
    let engines = engine::open_all(request.library.as_deref())?;
    let layers = request.space.lower(&request.architecture);
    let weights = Weights::load(&request.trial_folder, &layers, request.space.image().channels)?;
    let records = CheckRecords::load(&request.trial_folder, request.space.classes())?;
    let data = DataSet::open(&request.data)?;
    data.check_fits(&request.space)?;
    let image = request.space.image_of(&request.architecture)?;
    let signature = Signature { image, classes: request.space.classes() };
    let (folded, train) = (folding::fold(&layers, &weights)?, data.train()?.resized(image)?);
    let work = Work { request, signature, layers, folded, data, train, engines };

    on_progress(Progress::Checking);
    let (built, checks) = work.f32(&records, on_progress)?;
    let built = match request.precision {
        Precision::F32 => built,
        Precision::Int8 => int8::build(&work, built, on_progress)?,
    };
    on_progress(Progress::Writing);
    work.finish(built, checks)
}

impl Work<'_> {
    /// The engine whose answers count.
    pub fn reference(&self) -> &dyn Engine {
        self.engines[0].as_ref()
    }

    /// The f32 model, checked against the trainer's logits and classified with.
    fn f32(
        &self,
        records: &CheckRecords,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<(Built, Vec<EngineCheck>)> {
        let Request { architecture, output, .. } = self.request;
        let model = graph::build(&self.layers, &self.folded, architecture.to_string())?;
        let mut checked = check::Subject::new(&model.encode_to_vec(), self.signature, output).against(
            records,
            &self.train,
            &self.engines,
        )?;
        let tested = self.test(checked.session.as_mut(), on_progress)?;
        let built = Built { model, validation_accuracy: self.request.accuracy, tested, int8: None };
        Ok((built, checked.checks))
    }

    fn load(&self, engine: &dyn Engine, model: &Model, subject: &str) -> Result<Box<dyn Session>> {
        engine.load(&model.encode_to_vec(), self.signature, subject)
    }

    fn test(&self, session: &mut dyn Session, on_progress: &mut dyn FnMut(Progress)) -> Result<Tested> {
        let report = &mut |done, of| on_progress(Progress::Testing { done, of });
        let MeasuredAccuracy { accuracy, images, .. } =
            accuracy::measure(session, &[self.data.test()?.resized(self.signature.image)?], report)?;
        let golden_logits = check::golden_logits(session, self.signature.image)?;
        Ok(Tested { accuracy, images, golden_logits })
    }

    /// Adds metadata, checks the very bytes that are handed out, and writes them.
    fn finish(&self, mut built: Built, checks: Vec<EngineCheck>) -> Result<Option<ExportedModel>> {
        let request = self.request;
        let metadata = self.describe(&built);
        graph_writer::set_metadata(&mut built.model, &metadata);
        let file = ModelFile::inspect(&request.output, built.model.encode_to_vec())?;
        check::finished(&file, &metadata, &self.engines)?;
        if let Some(int8) = &mut built.int8 {
            int8.share_of_f32_bytes = file.bytes.len() as f64 / int8.f32_bytes as f64;
        }
        let model_bytes = file.bytes.len() as u64;
        if model_bytes > request.largest_file {
            return Ok(None);
        }
        mfactor::files::write(&request.output, &file.bytes)?;
        let model = ExportedModel {
            path: request.output.clone(),
            model_bytes,
            sha256: file.sha256(),
            m_factor_by_bytes: m_factor_by_bytes(
                metadata.validation_accuracy,
                model_bytes,
                metadata.minimum_parameters,
                metadata.alpha,
            ),
            metadata: file.metadata,
            test_images: built.tested.images,
            checks,
            int8: built.int8,
        };
        mfactor::files::write(&card::path(&model.path), card::text(&model).as_bytes())?;
        Ok(Some(model))
    }

    fn describe(&self, built: &Built) -> ModelMetadata {
        let (request, manifest) = (self.request, self.data.manifest());
        let objective = &request.objective;
        let cost = objective.cost(&request.space, &request.architecture);
        ModelMetadata {
            schema: metadata::SCHEMA,
            tool_version: mfactor::version(),
            architecture: request.architecture.clone(),
            space: request.space.clone(),
            parameters: cost.parameters,
            macs: cost.macs,
            minimum_parameters: request.space.minimum_parameters(),
            alpha: objective.alpha(),
            m_factor: objective.m_factor(built.validation_accuracy, objective.exact_size_score(&cost)),
            validation_accuracy: built.validation_accuracy,
            accuracy: objective.accuracy(),
            test_accuracy: built.tested.accuracy,
            data: manifest.name.clone(),
            classes: manifest.classes.clone(),
            recipe: request.recipe.clone(),
            seed: request.seed,
            study: request.study.clone(),
            trial: request.trial,
            strategy: request.strategy.clone(),
            precision: request.precision.name().to_owned(),
            golden_logits: built.tested.golden_logits.clone(),
        }
    }
}
