//! Trained weights and an architecture become an ONNX model, which is checked before it is handed out.
//!
//! The model is run with both engines of `edge-runner`, by the very code that runs on the board, against the
//! logits that the trainer gave for the same images. Only a model that agrees is written, whole or not at all.
//!
//! | module | holds |
//! |---|---|
//! | [`weights`] | the trainer's files, checked name by name and shape by shape |
//! | [`folding`] | batch norm, and the deviation of the pixels, folded into convolutions |
//! | [`graph`] | the ONNX graph |
//! | [`check`] | the model's answers against the trainer's |
//! | [`card`] | the model card beside the file |

pub mod card;
pub mod check;
pub mod folding;
pub mod graph;
pub mod weights;

use std::path::{Path, PathBuf};

use edge_runner::{EngineKind, EngineOptions, ModelFile, accuracy, engine};
use mfactor::dataset::DataSet;
use mfactor::metadata::{self, ModelMetadata};
use mfactor::{Architecture, Recipe, Result, SearchSpace};
use prost::Message;
use serde::Serialize;

use crate::check::{Checked, EngineCheck};
use crate::weights::{CheckRecords, Weights};

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
    /// α of the study.
    pub alpha: f64,
    /// M from the validation accuracy.
    pub m_factor: f64,
    /// Accuracy on the validation split, 0 to 1.
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
}

/// How far an export is; the steps come in this order, [`Progress::Testing`] repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The model is compared with the trainer's logits.
    Checking,
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
    /// What the check found, an entry an engine.
    pub checks: Vec<EngineCheck>,
}

/// Exports one trained architecture.
///
/// The test accuracy, and the golden logits that boards compare with, are measured here with ONNX Runtime on one
/// thread at batch 1. A model card is written beside the file.
///
/// # Errors
/// [`mfactor::Error::Input`] if there are no weights, a tensor does not fit, the data set is another one, or an engine's
/// answers differ from the trainer's; [`mfactor::Error::Missing`] if ONNX Runtime is not there. No file is written then,
/// and one that was there stays.
pub fn export(request: &Request, on_progress: &mut dyn FnMut(Progress)) -> Result<ExportedModel> {
    request.space.check(&request.architecture)?;
    let ort = engine::open(&EngineOptions {
        library: request.library.clone(),
        ..EngineOptions::new(EngineKind::Ort)
    })?;
    let tract = engine::open(&EngineOptions::new(EngineKind::Tract))?;
    let layers = request.space.lower(&request.architecture);
    let image = request.space.image();
    let weights = Weights::load(&request.trial_folder, &layers, image.channels)?;
    let records = CheckRecords::load(&request.trial_folder, request.space.classes())?;
    let data = DataSet::open(&request.data)?;
    data.check_fits(&request.space)?;

    on_progress(Progress::Checking);
    let mut model =
        graph::build(&layers, &folding::fold(&layers, &weights)?, request.architecture.to_string())?;
    let mut checked = check::Subject::new(&model.encode_to_vec(), &request.space, &request.output).against(
        &records,
        &data.train()?,
        [ort.as_ref(), tract.as_ref()],
    )?;

    let report = &mut |done, of| on_progress(Progress::Testing { done, of });
    let test = accuracy::measure(checked.session.as_mut(), &[data.test()?], report)?;
    let metadata = describe(request, &data, test.accuracy, &mut checked)?;
    graph::set_metadata(&mut model, &metadata);
    let file = ModelFile::inspect(&request.output, model.encode_to_vec())?;
    check::finished(&file, &metadata, [ort.as_ref(), tract.as_ref()])?;
    on_progress(Progress::Writing);
    write(&request.output, file, test.images, checked.checks)
}

fn describe(
    request: &Request,
    data: &DataSet,
    test_accuracy: f64,
    checked: &mut Checked,
) -> Result<ModelMetadata> {
    let cost = request.space.cost(&request.architecture);
    Ok(ModelMetadata {
        schema: metadata::SCHEMA,
        tool_version: mfactor::version(),
        architecture: request.architecture.clone(),
        space: request.space.clone(),
        parameters: cost.parameters,
        macs: cost.macs,
        minimum_parameters: request.space.minimum_parameters(),
        alpha: request.alpha,
        m_factor: request.m_factor,
        validation_accuracy: request.accuracy,
        test_accuracy,
        data: data.manifest().name.clone(),
        classes: data.manifest().classes.clone(),
        recipe: request.recipe.clone(),
        seed: request.seed,
        study: request.study.clone(),
        trial: request.trial,
        strategy: request.strategy.clone(),
        precision: "f32".to_owned(),
        golden_logits: checked.golden_logits(request.space.image())?,
    })
}

fn write(path: &Path, file: ModelFile, test_images: u64, checks: Vec<EngineCheck>) -> Result<ExportedModel> {
    mfactor::files::write(path, &file.bytes)?;
    let model = ExportedModel {
        path: path.to_owned(),
        model_bytes: file.bytes.len() as u64,
        sha256: file.sha256,
        metadata: file.metadata,
        test_images,
        checks,
    };
    mfactor::files::write(&card::path(path), card::text(&model).as_bytes())?;
    Ok(model)
}
