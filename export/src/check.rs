//! A model's answers against the trainer's, with every engine.

use std::path::Path;

use engines::{Engine, ModelFile, Session, Signature, accuracy};
use mfactor::dataset::Records;
use mfactor::measurement::EngineFacts;
use mfactor::space::ImageShape;
use mfactor::{Error, ModelMetadata, Result, golden};
use serde::Serialize;

use crate::weights::CheckRecords;

/// Largest absolute difference from the trainer's logits.
pub const LARGEST_DIFFERENCE: f64 = 1e-3;

/// What one engine answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineCheck {
    /// The engine.
    pub engine: EngineFacts,
    /// Images that were compared.
    pub images: usize,
    /// Largest absolute difference from the trainer's logits.
    pub largest_difference: f64,
}

/// A model that is to be checked.
pub struct Subject<'a> {
    model: &'a [u8],
    signature: Signature,
    name: String,
}

/// A model that every engine answers as the trainer did.
pub struct Checked {
    /// The first engine's session.
    pub session: Box<dyn Session>,
    /// What was found, an entry an engine.
    pub checks: Vec<EngineCheck>,
}

impl<'a> Subject<'a> {
    /// `model` is the ONNX file's contents; `path`, which need not exist, names it in errors.
    pub fn new(model: &'a [u8], signature: Signature, path: &Path) -> Self {
        Self { model, signature, name: path.display().to_string() }
    }

    /// Runs every check record through every engine. `train` are the training records.
    ///
    /// # Errors
    /// [`Error::Input`] naming the record on which an engine differs by more than [`LARGEST_DIFFERENCE`] or
    /// answers another class.
    pub fn against(
        &self,
        expected: &CheckRecords,
        train: &Records,
        engines: &[Box<dyn Engine>],
    ) -> Result<Checked> {
        let mut sessions = vec![];
        let mut checks = vec![];
        for engine in engines {
            let mut session = engine.load(self.model, self.signature, &self.name)?;
            checks.push(compare(engine.facts(), session.as_mut(), expected, train)?);
            sessions.push(session);
        }
        Ok(Checked { session: sessions.swap_remove(0), checks })
    }
}

fn compare(
    engine: EngineFacts,
    session: &mut dyn Session,
    expected: &CheckRecords,
    train: &Records,
) -> Result<EngineCheck> {
    let refuse = |record: usize, problem: String| {
        Err(Error::input(format!("{}, record {record}", expected.path.display()), problem))
    };
    let mut largest = 0.0f64;
    for (record, logits) in expected.records.iter().zip(&expected.logits) {
        if *record >= train.len() {
            return refuse(*record, format!("the data set has only {} training records", train.len()));
        }
        let answer = session.run(train.image(*record))?;
        let difference = golden::largest_difference(logits, &answer);
        if difference > LARGEST_DIFFERENCE {
            let problem = format!(
                "{} differs from the trainer's logits by {difference:.3e}; at most {LARGEST_DIFFERENCE:.0e} is \
                 allowed, so no model is written; check that data set and weights belong together, and train again",
                engine.name
            );
            return refuse(*record, problem);
        }
        let [ours, theirs] = [&answer, logits].map(|logits| accuracy::answer(logits));
        if ours != theirs {
            let class = |answer: Option<usize>| answer.map_or("none".to_owned(), |class| class.to_string());
            let (ours, theirs) = (class(ours), class(theirs));
            let problem =
                format!("{} answers class {ours}, the trainer {theirs}; no model is written", engine.name);
            return refuse(*record, problem);
        }
        largest = largest.max(difference);
    }
    Ok(EngineCheck { engine, images: expected.records.len(), largest_difference: largest })
}

/// What a session answers on the golden inputs.
///
/// # Errors
/// If the session fails.
pub fn golden_logits(session: &mut dyn Session, image: ImageShape) -> Result<Vec<Vec<f32>>> {
    (0..golden::INPUTS).map(|number| session.run(&golden::input(image, number))).collect()
}

/// The last check, of the very bytes that are handed out: what a board will recount and compare holds.
///
/// # Errors
/// [`Error::Defect`] if it does not: the parts of this program disagree.
pub fn finished(file: &ModelFile, metadata: &ModelMetadata, engines: &[Box<dyn Engine>]) -> Result<()> {
    let counted = (file.graph.parameters, file.graph.macs);
    if counted != (metadata.parameters, metadata.macs) || file.metadata != *metadata {
        let (parameters, macs) = counted;
        return Err(Error::Defect(format!(
            "the model has {parameters} parameters and {macs} MACs, or metadata that changed"
        )));
    }
    let inputs = engines::golden::inputs(file);
    let tolerance = golden::tolerance(&metadata.precision);
    for engine in engines {
        let mut session = engine.load(&file.bytes, file.signature(), &file.name())?;
        let difference = engines::golden::difference(session.as_mut(), &inputs, file)?;
        if difference > tolerance {
            let name = engine.facts().name;
            return Err(Error::Defect(format!("{name} differs by {difference:.3e} on the golden inputs")));
        }
    }
    Ok(())
}
