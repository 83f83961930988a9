//! A quantized model, chosen and judged by the validation records. The test records only say how good it is.

use engines::{Engine, EngineKind, accuracy};
use mfactor::onnx::Model;
use mfactor::{Error, Result};
use prost::Message;
use serde::Serialize;

use crate::calibration::{self, Activations, Method};
use crate::int8_graph::{self, Form};
use crate::{Built, Progress, Work};

/// Most validation accuracy that quantization may cost, of 1; one image at least.
pub const LARGEST_DROP: f64 = 0.005;
/// Least share of the validation records on which both engines must answer the same class.
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
    /// Validation accuracy of the f32 model by the same engine, ONNX Runtime.
    pub f32_validation_accuracy: f64,
    /// Test accuracy of the f32 model.
    pub f32_test_accuracy: f64,
    /// Share of the validation records on which both engines answer the same class.
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
    let subject = work.request.output.display().to_string();
    let [ort, tract] = work.engines();
    let [exact, cut] = candidates(work, &float, engine, &subject, on_progress)?;
    let mut ask = |engine, model: &Model| Answers::of(work, engine, model, &subject, on_progress);
    let (unquantized, by_exact, by_cut) = (ask(ort, &float.model)?, ask(ort, &exact)?, ask(ort, &cut)?);
    let validation_accuracies = [by_exact.accuracy(), by_cut.accuracy()];
    // Among equals the one that cuts nothing.
    let (method, model, answers) = if by_cut.right > by_exact.right {
        (Method::Percentile, cut, by_cut)
    } else {
        (Method::MinMax, exact, by_exact)
    };
    let agreement = answers.agreement(&ask(tract, &model)?);
    check(&unquantized, &answers, agreement, &subject)?;
    let tested = work.test(work.load(ort, &model, &subject)?.as_mut(), on_progress)?;
    Ok(Built {
        validation_accuracy: answers.accuracy(),
        int8: Some(Int8Facts {
            calibration_images: work.data.split().train.len().min(calibration::IMAGES),
            calibration: method,
            validation_accuracies,
            f32_validation_accuracy: unquantized.accuracy(),
            f32_test_accuracy: float.tested.accuracy,
            agreement,
            f32_bytes: float.model.encoded_len() as u64,
            share_of_f32_bytes: 0.0,
        }),
        tested,
        model,
    })
}

/// The quantized model by either method, in the order of [`Method::ALL`].
fn candidates(
    work: &Work<'_>,
    float: &Built,
    engine: EngineKind,
    subject: &str,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<[Model; 2]> {
    on_progress(Progress::Calibrating);
    let names = int8_graph::observed(&work.layers);
    let activations = Activations::observe(&float.model, names, &work.data, &work.train, &work.ort, subject)?;
    let build = |method| {
        let name = work.request.architecture.to_string();
        int8_graph::build(&work.layers, &work.folded, &activations, method, form(engine), name)
    };
    let [exact, cut] = Method::ALL.map(build);
    Ok([exact?, cut?])
}

/// What one engine answers on the validation records.
struct Answers {
    /// A class for each record; `None` where a logit is not a number.
    classes: Vec<Option<usize>>,
    right: usize,
}

impl Answers {
    fn of(
        work: &Work<'_>,
        engine: &dyn Engine,
        model: &Model,
        subject: &str,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let mut session = work.load(engine, model, subject)?;
        let order = work.data.split().validation;
        let mut answers = Self { classes: vec![], right: 0 };
        for (record, done) in order.iter().zip(1..) {
            let class = accuracy::answer(&session.run(work.train.image(*record))?);
            answers.right += usize::from(class == Some(usize::from(work.train.labels()[*record])));
            answers.classes.push(class);
            if done % REPORT_EVERY == 0 {
                on_progress(Progress::Validating { done, of: order.len() });
            }
        }
        Ok(answers)
    }

    fn images(&self) -> usize {
        self.classes.len()
    }

    fn accuracy(&self) -> f64 {
        self.right as f64 / self.images() as f64
    }

    /// Share of the records on which the other answers the same.
    fn agreement(&self, other: &Self) -> f64 {
        let same = self.classes.iter().zip(&other.classes).filter(|(own, other)| own == other).count();
        same as f64 / self.images() as f64
    }
}

fn check(float: &Answers, int8: &Answers, agreement: f64, subject: &str) -> Result<()> {
    let images = int8.images();
    let lost = float.right.saturating_sub(int8.right) as f64;
    if lost > (LARGEST_DROP * images as f64).max(1.0) {
        let problem = format!(
            "int8 answers {} of {images} validation images rightly, f32 {}; at most {:.1} points may be lost, so no \
             model is written; use the f32 model, or train for longer",
            int8.right,
            float.right,
            100.0 * LARGEST_DROP
        );
        return Err(Error::input(subject, problem));
    }
    if agreement < LEAST_AGREEMENT {
        let problem = format!(
            "ONNX Runtime and tract answer the same on {:.1} % of {images} validation images; at least {:.0} % are \
             wanted, so no model is written; use the f32 model",
            100.0 * agreement,
            100.0 * LEAST_AGREEMENT
        );
        return Err(Error::input(subject, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(right: usize) -> Answers {
        Answers { classes: vec![Some(0); 1_000], right }
    }

    #[test]
    fn a_loss_of_half_a_point_is_allowed_and_no_more() {
        assert!(check(&answers(900), &answers(895), 1.0, "m").is_ok());
        assert!(check(&answers(900), &answers(950), 0.99, "m").is_ok());
        let error = check(&answers(900), &answers(894), 1.0, "m").unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        assert!(error.to_string().contains("894 of 1000 validation images"), "{error}");
        let error = check(&answers(900), &answers(900), 0.98, "m").unwrap_err();
        assert!(error.to_string().contains("98.0 % of 1000 validation images"), "{error}");
    }
}
