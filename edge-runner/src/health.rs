//! The golden inputs through one model, in this process: what `edge-runner check` says, and a release's health check.

use std::path::Path;

use engines::engine::{self, EngineOptions};
use engines::{ModelFile, golden};
use mfactor::Result;
use release::ModelHealth;

/// Runs the golden inputs through one model.
///
/// # Errors
/// What reading and loading a model can say. A model that answers wrongly is no error: its health says so.
pub fn check_model(path: &Path, options: &EngineOptions) -> Result<ModelHealth> {
    let model = ModelFile::read(path)?;
    let engine = engine::open(options)?;
    let mut session = engine.load(&model.bytes, model.signature(), &path.display().to_string())?;
    let difference = golden::difference(session.as_mut(), &golden::inputs(&model), &model)?;
    let tolerance = mfactor::golden::tolerance(&model.metadata.precision);
    Ok(ModelHealth {
        model: model.name(),
        golden_difference: difference.is_finite().then_some(difference),
        tolerance,
        is_healthy: difference <= tolerance,
    })
}
