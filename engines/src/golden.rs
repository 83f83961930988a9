//! The golden inputs of a model, and how far its answers on them are from the known ones.

use mfactor::{Result, golden};

use crate::engine::Session;
use crate::model_file::ModelFile;

/// Golden inputs of a model.
pub fn inputs(model: &ModelFile) -> Vec<Vec<u8>> {
    (0..golden::INPUTS).map(|number| golden::input(model.signature().image, number)).collect()
}

/// Largest difference from the golden logits of the model's metadata; infinite where one is not a number.
///
/// # Errors
/// If the session fails.
pub fn difference(session: &mut dyn Session, inputs: &[Vec<u8>], model: &ModelFile) -> Result<f64> {
    let mut largest = 0.0f64;
    for (input, golden) in inputs.iter().zip(&model.metadata.golden_logits) {
        largest = largest.max(golden::difference(golden, &session.run(input)?));
    }
    Ok(largest)
}
