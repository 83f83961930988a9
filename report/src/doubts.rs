//! What is doubtful about what was read, kind by kind. The sentences are in [`words`](crate::words).

use serde::{Deserialize, Serialize};

use crate::compare::Input;
use crate::energy;

/// Something that a reader has to know before a figure is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Doubt {
    /// A board counted other parameters than a model's architecture has.
    Recounted {
        /// The model's file.
        file: String,
        /// What the board counted.
        counted: u64,
        /// What the architecture has.
        expected: u64,
    },
    /// A model is of another study.
    Foreign {
        /// The model's file.
        file: String,
        /// The study that it says it is from.
        study: String,
    },
    /// Energies were measured and are not told.
    EnergyUntold {
        /// Of how many measurements.
        measurements: usize,
        /// The model of the first.
        file: String,
        /// Why not of that one, a phrase.
        reason: String,
    },
    /// Measurements could not be read.
    Unreadable {
        /// Which and why, a phrase each.
        problems: Vec<String>,
    },
    /// What the study says of its own files.
    OfStudy {
        /// A sentence.
        remark: String,
    },
}

/// The doubts about an input, the gravest first.
pub(crate) fn doubts(input: &Input<'_>) -> Vec<Doubt> {
    let found = [recounted(input), foreign(input), energy_untold(input), unreadable(input)];
    found.into_iter().flatten().collect()
}

fn recounted(input: &Input<'_>) -> Option<Doubt> {
    input.measurements.iter().map(|filed| &filed.measurement.model).find_map(|model| {
        let expected = input.space.cost(&model.metadata.architecture).parameters;
        (model.parameters != expected).then(|| Doubt::Recounted {
            file: model.file.clone(),
            counted: model.parameters,
            expected,
        })
    })
}

fn foreign(input: &Input<'_>) -> Option<Doubt> {
    let mut models = input.measurements.iter().map(|filed| &filed.measurement.model);
    let other = models.find(|model| model.metadata.study != input.study)?;
    Some(Doubt::Foreign { file: other.file.clone(), study: other.metadata.study.clone() })
}

fn energy_untold(input: &Input<'_>) -> Option<Doubt> {
    let measurements = input.measurements.iter().map(|filed| &filed.measurement);
    let untold: Vec<(&str, &str)> = measurements
        .filter_map(|measured| Some((measured.model.file.as_str(), energy::told(measured).untold?)))
        .collect();
    let (file, reason) = untold.first()?;
    let (file, reason) = ((*file).to_owned(), (*reason).to_owned());
    Some(Doubt::EnergyUntold { measurements: untold.len(), file, reason })
}

fn unreadable(input: &Input<'_>) -> Option<Doubt> {
    (!input.unreadable.is_empty()).then(|| Doubt::Unreadable { problems: input.unreadable.to_vec() })
}
