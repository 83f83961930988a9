//! Classes and probabilities of one image.

use std::path::Path;

use engines::accuracy;
use engines::engine::{self, EngineOptions};
use engines::model_file::ModelFile;
use mfactor::{Error, Result};
use serde::Serialize;

/// One class, and how probable the network takes it to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassProbability {
    /// Position among the logits.
    pub index: usize,
    /// Name.
    pub class: String,
    /// Softmax of the logits, 0 to 1.
    pub probability: f64,
}

/// What a model answers on one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classification {
    /// All classes, most probable first.
    pub classes: Vec<ClassProbability>,
    /// The class that the record is labelled with, where the image came from a record.
    pub label: Option<String>,
}

/// Classifies a picture file, or record number `record` of a file of records.
///
/// # Errors
/// [`Error::Input`] for a model, picture or record that does not fit or cannot be read, or if the network's answer
/// is not a number.
pub fn classify(
    model: &Path,
    image: &Path,
    record: Option<usize>,
    options: &EngineOptions,
) -> Result<Classification> {
    let model = ModelFile::read(model)?;
    let signature = model.signature();
    let subject = model.path.display().to_string();
    let (pixels, label) = match record {
        None => (pictures::load(image, signature.image)?, None),
        Some(number) => {
            let records = accuracy::read(&[image.to_owned()], &model)?.remove(0);
            if number >= records.len() {
                let problem = format!("has {} records, from 0; there is no record {number}", records.len());
                return Err(Error::file(image, problem));
            }
            let label = model.metadata.classes.get(usize::from(records.labels()[number]));
            (records.image(number).to_vec(), label.cloned())
        }
    };
    let logits = engine::open(options)?.load(&model.bytes, signature, &subject)?.run(&pixels)?;
    let probabilities = softmax(&logits).ok_or_else(|| {
        Error::input(subject, format!("answers {}, which are not all numbers", mfactor::text::list(&logits)))
    })?;
    let named = probabilities.into_iter().zip(model.metadata.classes).enumerate();
    let mut classes: Vec<ClassProbability> =
        named.map(|(index, (probability, class))| ClassProbability { index, class, probability }).collect();
    classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    Ok(Classification { classes, label })
}

/// Softmax; `None` if a logit is not finite.
fn softmax(logits: &[f32]) -> Option<Vec<f64>> {
    if !logits.iter().all(|logit| logit.is_finite()) {
        return None;
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    Some(powers.into_iter().map(|power| power / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_by_hand() {
        let probabilities = softmax(&[0.0, 3f32.ln(), -1000.0]).unwrap();
        assert!((probabilities[0] - 0.25).abs() < 1e-7 && (probabilities[1] - 0.75).abs() < 1e-7);
        assert_eq!(softmax(&[1e30, 1e30]).unwrap(), [0.5, 0.5]);
        assert_eq!(softmax(&[1.0, f32::NAN]), None);
    }
}
