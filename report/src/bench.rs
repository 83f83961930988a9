//! Where measurements come from, and which of them may be compared with each other.

use mfactor::numbers::counted;
use mfactor::{Limits, Measurement};
use serde::{Deserialize, Serialize};

/// A measurement with the place it was filed under: a board's name, a host, or `host` for the machine of the
/// search. Two boards of one kind differ in nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Filed {
    /// Name of its folder.
    pub place: String,
    /// What a model must keep to there.
    pub limits: Limits,
    /// What was measured.
    pub measurement: Measurement,
}

/// What measurements must have in common to be compared with each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setup {
    /// Where the measurements were filed.
    pub place: String,
    /// Name of the board.
    pub board: String,
    /// Name of the inference engine.
    pub engine: String,
    /// Its version.
    pub engine_version: String,
    /// Threads it was allowed.
    pub threads: usize,
    /// Type of the weights.
    pub precision: String,
}

impl Setup {
    /// The setup of one measurement.
    pub fn of(filed: &Filed) -> Self {
        let Measurement { engine, board, model, .. } = &filed.measurement;
        Self {
            place: filed.place.clone(),
            board: board.name.clone(),
            engine: engine.name.clone(),
            engine_version: engine.version.clone(),
            threads: engine.threads,
            precision: model.metadata.precision.clone(),
        }
    }

    /// All of it, for a heading.
    pub fn label(&self) -> String {
        format!(
            "{} ({}), {} {}, {}, {}",
            self.board,
            self.place,
            self.engine,
            self.engine_version,
            counted(self.threads, "thread"),
            self.precision
        )
    }
}

/// The shortest name for each setup, for a column, that tells it from all others: the place alone, or with
/// the parts in which setups differ.
pub(crate) fn short_names(setups: &[&Setup]) -> Vec<String> {
    let differ = |part: &dyn Fn(&Setup) -> String| {
        setups.iter().any(|a| setups.iter().any(|b| a.place == b.place && part(a) != part(b)))
    };
    let parts: [&dyn Fn(&Setup) -> String; 5] = [
        &|setup| setup.board.clone(),
        &|setup| setup.engine.clone(),
        &|setup| setup.engine_version.clone(),
        &|setup| setup.precision.clone(),
        &|setup| format!("{}t", setup.threads),
    ];
    let named: Vec<_> = parts.into_iter().filter(|part| differ(*part)).collect();
    let name = |setup: &&Setup| {
        let more = named.iter().map(|part| part(setup));
        std::iter::once(setup.place.clone()).chain(more).collect::<Vec<_>>().join(" ")
    };
    setups.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(place: &str, engine: &str, threads: usize, precision: &str) -> Setup {
        Setup {
            place: place.to_owned(),
            board: "Board".to_owned(),
            engine: engine.to_owned(),
            engine_version: "1".to_owned(),
            threads,
            precision: precision.to_owned(),
        }
    }

    #[test]
    fn a_column_is_named_by_what_tells_it_from_the_others() {
        let names = |setups: &[Setup]| short_names(&setups.iter().collect::<Vec<_>>());
        let [a, b] = ["a", "b"].map(|place| setup(place, "tract", 1, "f32"));
        assert_eq!(names(&[a.clone(), b.clone()]), ["a", "b"]);
        let small = setup("a", "tract", 1, "int8");
        assert_eq!(names(&[a.clone(), small, b.clone()]), ["a f32", "a int8", "b f32"]);
        let other = setup("a", "ort", 4, "f32");
        assert_eq!(names(&[a, other, b]), ["a tract 1t", "a ort 4t", "b tract 1t"]);
    }
}
