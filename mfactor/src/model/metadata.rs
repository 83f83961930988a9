//! What a model file says about itself: everything its consumer needs, in ONNX's `metadata_props`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::architecture::Architecture;
use crate::confusion::AccuracyKind;
use crate::error::{Error, Result};
use crate::recipe::Recipe;
use crate::space::{ImageShape, SearchSpace};

/// Version of this form.
pub const SCHEMA: u32 = 1;
/// Every key of ours starts with this.
pub const PREFIX: &str = "mfactor.";

/// Metadata of one exported model. Texts are stored as they are, everything else as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// Version of this form.
    pub schema: u32,
    /// Version of the tool that wrote the model.
    pub tool_version: String,
    /// The architecture.
    pub architecture: Architecture,
    /// The space it was found in.
    pub space: SearchSpace,
    /// P: trainable parameters, before batch norm was folded.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// P_min of the space.
    pub minimum_parameters: u64,
    /// α of the study.
    pub alpha: f64,
    /// M from the validation accuracy.
    pub m_factor: f64,
    /// A: accuracy on the validation split, 0 to 1, of the kind that `accuracy` says.
    pub validation_accuracy: f64,
    /// Which accuracy A is.
    #[serde(default, skip_serializing_if = "AccuracyKind::is_plain")]
    pub accuracy: AccuracyKind,
    /// Accuracy of this very file on the test records, 0 to 1.
    pub test_accuracy: f64,
    /// Name of the data set.
    pub data: String,
    /// Class names in the order of the logits.
    pub classes: Vec<String>,
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
    /// Type of the weights: `f32` or `int8`.
    pub precision: String,
    /// Logits of each [`crate::golden::input`], from ONNX Runtime on the host that exported the model.
    pub golden_logits: Vec<Vec<f32>>,
}

const TEXTS: [&str; 7] =
    ["tool_version", "architecture", "accuracy", "data", "study", "strategy", "precision"];

impl ModelMetadata {
    /// Shape of the image that the model takes.
    ///
    /// # Errors
    /// If the architecture is none of the space.
    pub fn image(&self) -> Result<ImageShape> {
        self.space.image_of(&self.architecture)
    }

    /// As keys and values for `metadata_props`, keys with [`PREFIX`].
    pub fn to_properties(&self) -> Vec<(String, String)> {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else {
            unreachable!("a struct serialises to an object");
        };
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        fields.into_iter().map(|(key, value)| (format!("{PREFIX}{key}"), text(value))).collect()
    }

    /// Reads what [`ModelMetadata::to_properties`] wrote; keys of others are ignored. `subject` names the
    /// model in errors.
    pub fn from_properties<'a>(
        properties: impl IntoIterator<Item = (&'a str, &'a str)>,
        subject: impl ToString,
    ) -> Result<Self> {
        let subject = subject.to_string();
        let mut fields = Map::new();
        for (key, text) in properties {
            let Some(key) = key.strip_prefix(PREFIX) else { continue };
            let value = if TEXTS.contains(&key) {
                Value::String(text.to_owned())
            } else {
                serde_json::from_str(text)
                    .map_err(|error| Error::input(&subject, format!("metadata {PREFIX}{key}: {error}")))?
            };
            if fields.insert(key.to_owned(), value).is_some() {
                return Err(Error::input(subject, format!("metadata {PREFIX}{key} stands there twice")));
            }
        }
        if fields.is_empty() {
            return Err(Error::input(subject, "has no metadata of mfactor; `mfactor export` writes models"));
        }
        let metadata: Self = serde_json::from_value(Value::Object(fields))
            .map_err(|error| Error::input(&subject, format!("metadata of mfactor: {error}")))?;
        if metadata.schema != SCHEMA {
            let problem = format!("metadata schema is {}; this version reads {SCHEMA}", metadata.schema);
            return Err(Error::input(subject, problem));
        }
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> ModelMetadata {
        ModelMetadata {
            schema: SCHEMA,
            tool_version: "0.1.0".to_owned(),
            architecture: "357-333-377".parse().unwrap(),
            space: SearchSpace::paper(),
            parameters: 1,
            macs: 2,
            minimum_parameters: 272_474,
            alpha: 1.0,
            m_factor: 0.1,
            validation_accuracy: 1.0 / 3.0,
            accuracy: AccuracyKind::Balanced,
            test_accuracy: 0.25,
            data: "7".to_owned(),
            classes: vec!["a".to_owned(), "b".to_owned()],
            recipe: Recipe::default(),
            seed: u64::MAX,
            study: "s".to_owned(),
            trial: 3,
            strategy: "rl".to_owned(),
            precision: "f32".to_owned(),
            golden_logits: vec![vec![0.1, -2.5]],
        }
    }

    fn read(properties: &[(String, String)]) -> Result<ModelMetadata> {
        ModelMetadata::from_properties(properties.iter().map(|(k, v)| (k.as_str(), v.as_str())), "m.onnx")
    }

    #[test]
    fn properties_round_trip() {
        let properties = metadata().to_properties();
        assert!(properties.contains(&("mfactor.accuracy".to_owned(), "balanced".to_owned())));
        assert!(properties.contains(&("mfactor.architecture".to_owned(), "357-333-377".to_owned())));
        assert_eq!(read(&properties).unwrap(), metadata());
    }

    #[test]
    fn plain_accuracy_is_written_as_versions_without_another_did() {
        let properties = ModelMetadata { accuracy: AccuracyKind::Plain, ..metadata() }.to_properties();
        assert!(properties.iter().all(|(key, _)| key != "mfactor.accuracy"));
        assert_eq!(read(&properties).unwrap().accuracy, AccuracyKind::Plain);
    }

    #[test]
    fn foreign_and_damaged_metadata_is_refused() {
        assert!(read(&[("author".to_owned(), "me".to_owned())]).unwrap_err().to_string().contains("m.onnx"));
        let mut properties = metadata().to_properties();
        properties.push(("mfactor.classes".to_owned(), "[\"x\"]".to_owned()));
        assert!(read(&properties).unwrap_err().to_string().contains("mfactor.classes stands there twice"));
        let mut properties = metadata().to_properties();
        properties.retain(|(key, _)| key != "mfactor.parameters");
        assert!(read(&properties).unwrap_err().to_string().contains("parameters"));
    }
}
