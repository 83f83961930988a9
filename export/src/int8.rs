//! A quantized model, chosen by validation accuracy and compared with the f32 one on the test records.

use engines::{EngineKind, Session, Signature, accuracy};
use mfactor::dataset::Records;
use mfactor::onnx::Model;
use mfactor::{Error, Result};
use prost::Message;
use serde::Serialize;

use crate::calibration::{self, Activations, Method};
use crate::int8_graph::{self, Form};
use crate::{Built, Progress, Work, check};

/// Most test accuracy that quantization may cost, of 1; one image at least.
pub const LARGEST_DROP: f64 = 0.005;
/// Least share of the test records on which both engines must answer the same class.
pub const LEAST_AGREEMENT: f64 = 0.99;
/// Records between two reports of progress.
const REPORT_EVERY: usize = 250;

/// What quantization cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Int8Facts {
    /// Training images that ranges were taken from.
    pub calibration_images: usize,
    /// How they were taken: the better of both by validation accuracy.
    pub calibration: Method,
    /// Validation accuracy by either method, in the order of [`Method::ALL`].
    pub validation_accuracies: [f64; 2],
    /// Test accuracy of the f32 model.
    pub f32_test_accuracy: f64,
    /// Share of the test records on which both engines answer the same class.
    pub agreement: f64,
    /// Size of the f32 model without metadata, bytes.
    pub f32_bytes: u64,
    /// This file's size as a share of that.
    pub share_of_f32_bytes: f64,
}

/// The form of graph that an engine runs fastest; docs/measuring.md has the counts.
pub fn form(engine: EngineKind) -> Form {
    match engine {
        EngineKind::Ort => Form::Pairs,
        EngineKind::Tract => Form::Lean,
    }
}

/// Quantizes `float` for `engine`.
///
/// # Errors
/// [`Error::Input`] if it costs more accuracy than [`LARGEST_DROP`], or the engines agree on less than
/// [`LEAST_AGREEMENT`].
pub(crate) fn build(
    work: &Work<'_>,
    float: Built,
    engine: EngineKind,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Built> {
    on_progress(Progress::Calibrating);
    let subject = work.request.output.display().to_string();
    let names = int8_graph::observed(&work.layers);
    let activations =
        Activations::observe(&float.model, names, &work.data, &work.train, &work.ort, &subject)?;
    let mut choices = vec![];
    for method in Method::ALL {
        let name = work.request.architecture.to_string();
        let model = int8_graph::build(&work.layers, &work.folded, &activations, method, form(engine), name)?;
        let correct = validate(work, &model, &subject, on_progress)?;
        choices.push((method, model, correct));
    }
    let validation = work.data.split().validation.len().max(1) as f64;
    let accuracies = [choices[0].2 as f64 / validation, choices[1].2 as f64 / validation];
    // Among equals the one that cuts nothing.
    let (method, model, correct) = choices.swap_remove(usize::from(choices[1].2 > choices[0].2));
    let tested = test(work, &model, &subject, on_progress)?;
    tested.check(&float, &subject)?;
    Ok(Built {
        validation_accuracy: correct as f64 / validation,
        test_accuracy: tested.correct as f64 / tested.images as f64,
        test_images: tested.images as u64,
        golden_logits: tested.golden_logits,
        int8: Some(Int8Facts {
            calibration_images: work.data.split().train.len().min(calibration::IMAGES),
            calibration: method,
            validation_accuracies: accuracies,
            f32_test_accuracy: float.test_accuracy,
            agreement: tested.same as f64 / tested.images as f64,
            f32_bytes: float.model.encoded_len() as u64,
            share_of_f32_bytes: 0.0,
        }),
        model,
    })
}

fn load(work: &Work<'_>, model: &Model, subject: &str) -> Result<[Box<dyn Session>; 2]> {
    let space = &work.request.space;
    let signature = Signature { image: space.image(), classes: space.classes() };
    let [ort, tract] = work.engines();
    let bytes = model.encode_to_vec();
    Ok([ort.load(&bytes, signature, subject)?, tract.load(&bytes, signature, subject)?])
}

/// Validation records that ONNX Runtime classifies rightly.
fn validate(
    work: &Work<'_>,
    model: &Model,
    subject: &str,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<u64> {
    let [mut session, _] = load(work, model, subject)?;
    let order = work.data.split().validation;
    let mut correct = 0;
    for (done, record) in order.iter().enumerate() {
        let answer = accuracy::answer(&session.run(work.train.image(*record))?);
        correct += u64::from(answer == Some(usize::from(work.train.labels()[*record])));
        if (done + 1) % REPORT_EVERY == 0 {
            on_progress(Progress::Validating { done: done + 1, of: order.len() });
        }
    }
    Ok(correct)
}

/// Both engines' answers on the test records.
struct Tested {
    images: usize,
    correct: usize,
    same: usize,
    golden_logits: Vec<Vec<f32>>,
}

fn test(
    work: &Work<'_>,
    model: &Model,
    subject: &str,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Tested> {
    let test: Records = work.data.test()?;
    let [mut ort, mut tract] = load(work, model, subject)?;
    let golden_logits = check::golden_logits(ort.as_mut(), test.image_shape())?;
    let mut tested = Tested { images: test.len(), correct: 0, same: 0, golden_logits };
    for (record, label) in test.labels().iter().enumerate() {
        let answer = accuracy::answer(&ort.run(test.image(record))?);
        tested.correct += usize::from(answer == Some(usize::from(*label)));
        tested.same += usize::from(answer == accuracy::answer(&tract.run(test.image(record))?));
        if (record + 1) % REPORT_EVERY == 0 || record + 1 == test.len() {
            on_progress(Progress::Testing { done: record + 1, of: test.len() });
        }
    }
    Ok(tested)
}

impl Tested {
    fn check(&self, float: &Built, subject: &str) -> Result<()> {
        let images = self.images as f64;
        let lost = float.test_accuracy * images - self.correct as f64;
        if lost > (LARGEST_DROP * images).max(1.0) {
            return Err(Error::input(
                subject,
                format!(
                    "int8 answers {} of {} test images rightly, f32 {:.0}; at most {:.1} points may be lost, so no model is \
                     written; use the f32 model, or train for longer",
                    self.correct,
                    self.images,
                    float.test_accuracy * images,
                    100.0 * LARGEST_DROP
                ),
            ));
        }
        if (self.same as f64) < LEAST_AGREEMENT * images {
            return Err(Error::input(
                subject,
                format!(
                    "ONNX Runtime and tract answer the same on {} of {} test images; at least {:.0} % are wanted, so no \
                     model is written; use the f32 model",
                    self.same,
                    self.images,
                    100.0 * LEAST_AGREEMENT
                ),
            ));
        }
        Ok(())
    }
}
