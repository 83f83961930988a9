//! A quantized model, chosen and judged by the validation records. The test records only say how good it is.

use engines::{Engine, accuracy};
use mfactor::onnx::Model;
use mfactor::{AccuracyKind, Confusion, Error, Result};
use prost::Message;
use serde::Serialize;

use crate::calibration::{self, Activations, Method};
use crate::int8_graph;
use crate::{Built, Progress, Work};

/// Most validation accuracy, of the kind that the objective says, that quantization may cost, of 1; one image at least.
pub const LARGEST_DROP: f64 = 0.005;
/// Least share of the validation records on which every engine must answer the same class as the reference.
pub const LEAST_AGREEMENT: f64 = 0.99;
/// What a difference of two shares loses to rounding.
const ROUNDING: f64 = 1e-9;
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
    /// Validation accuracy of the f32 model by the same engine, the reference.
    pub f32_validation_accuracy: f64,
    /// Test accuracy of the f32 model.
    pub f32_test_accuracy: f64,
    /// Share of the validation records on which every engine answers the same class as the reference.
    pub agreement: f64,
    /// Size of the f32 model without metadata, bytes.
    pub f32_bytes: u64,
    /// This file's size as a share of that.
    pub share_of_f32_bytes: f64,
}

/// Quantizes `float`.
///
/// # Errors
/// [`Error::Input`] if it costs more accuracy than [`LARGEST_DROP`], or the engines agree on less than
/// [`LEAST_AGREEMENT`].
pub(crate) fn build(work: &Work<'_>, float: Built, on_progress: &mut dyn FnMut(Progress)) -> Result<Built> {
    let subject = work.request.output.display().to_string();
    let (reference, others) = (work.reference(), &work.engines[1..]);
    let [exact, cut] = candidates(work, &float, &subject, on_progress)?;
    let mut ask = |engine, model: &Model| Answers::of(work, engine, model, &subject, on_progress);
    let (unquantized, by_exact, by_cut) =
        (ask(reference, &float.model)?, ask(reference, &exact)?, ask(reference, &cut)?);
    let validation_accuracies = [by_exact.accuracy(), by_cut.accuracy()];
    // Among equals the one that cuts nothing.
    let (method, model, answers) = if by_cut.accuracy() > by_exact.accuracy() {
        (Method::Percentile, cut, by_cut)
    } else {
        (Method::MinMax, exact, by_exact)
    };
    let mut agreement = 1.0f64;
    for other in others {
        agreement = agreement.min(answers.agreement(&ask(other.as_ref(), &model)?));
    }
    check(&unquantized, &answers, agreement, &subject)?;
    let tested = work.test(work.load(reference, &model, &subject)?.as_mut(), on_progress)?;
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
    subject: &str,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<[Model; 2]> {
    on_progress(Progress::Calibrating);
    let names = int8_graph::observed(&work.layers);
    let activations =
        Activations::observe(&float.model, names, &work.data, &work.train, work.reference(), subject)?;
    let build = |method| {
        let name = work.request.architecture.to_string();
        int8_graph::build(&work.layers, &work.folded, &activations, method, name)
    };
    let [exact, cut] = Method::ALL.map(build);
    Ok([exact?, cut?])
}

/// What one engine answers on the validation records.
struct Answers {
    /// A class for each record; `None` where a logit is not a number.
    classes: Vec<Option<usize>>,
    /// The same, with an answer that is no number as one that is wrong.
    confusion: Confusion,
    /// Which accuracy decides.
    kind: AccuracyKind,
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
        let mut classes = vec![];
        for (record, done) in order.iter().zip(1..) {
            classes.push(accuracy::answer(&session.run(work.train.image(*record))?));
            if done % REPORT_EVERY == 0 {
                on_progress(Progress::Validating { done, of: order.len() });
            }
        }
        let labels: Vec<u8> = order.iter().map(|record| work.train.labels()[*record]).collect();
        let kind = work.request.objective.accuracy();
        Self::judged(classes, &labels, &work.data.manifest().classes, kind, subject)
    }

    /// Answers to images with these labels.
    fn judged(
        classes: Vec<Option<usize>>,
        labels: &[u8],
        names: &[String],
        kind: AccuracyKind,
        subject: &str,
    ) -> Result<Self> {
        let mut counts = vec![vec![0; names.len()]; names.len()];
        for (class, label) in classes.iter().zip(labels) {
            let label = usize::from(*label);
            counts[label][class.unwrap_or((label + 1) % names.len())] += 1;
        }
        Ok(Self { classes, confusion: Confusion::new(names.to_vec(), counts, subject)?, kind })
    }

    fn images(&self) -> usize {
        self.classes.len()
    }

    fn accuracy(&self) -> f64 {
        self.confusion.of(self.kind)
    }

    /// Share of the records on which the other answers the same.
    fn agreement(&self, other: &Self) -> f64 {
        let same = self.classes.iter().zip(&other.classes).filter(|(own, other)| own == other).count();
        same as f64 / self.images() as f64
    }
}

fn check(float: &Answers, int8: &Answers, agreement: f64, subject: &str) -> Result<()> {
    let images = int8.images();
    let most = LARGEST_DROP.max((images as f64).recip());
    if float.accuracy() - int8.accuracy() > most + ROUNDING {
        let kind = match int8.kind {
            AccuracyKind::Plain => String::new(),
            kind => format!(
                " ({} {:.2} % and {:.2} %)",
                kind.label(),
                100.0 * int8.accuracy(),
                100.0 * float.accuracy()
            ),
        };
        let problem = format!(
            "int8 answers {} of {images} validation images rightly, f32 {}{kind}; at most {:.1} points may be lost, so no \
             model is written; use the f32 model, or train for longer",
            int8.confusion.right(),
            float.confusion.right(),
            100.0 * LARGEST_DROP
        );
        return Err(Error::input(subject, problem));
    }
    if agreement < LEAST_AGREEMENT {
        let problem = format!(
            "the engines answer the same on {:.1} % of {images} validation images; at least {:.0} % are \
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

    /// What answers class 0 to a thousand images, of which so many are of it.
    fn answers(right: usize) -> Answers {
        let labels: Vec<u8> = (0..1_000).map(|record| u8::from(record >= right)).collect();
        judged(vec![Some(0); 1_000], &labels, AccuracyKind::Plain)
    }

    fn judged(classes: Vec<Option<usize>>, labels: &[u8], kind: AccuracyKind) -> Answers {
        let names = ["common", "rare"].map(str::to_owned);
        Answers::judged(classes, labels, &names, kind, "m").unwrap()
    }

    #[test]
    fn a_rare_class_that_is_lost_is_seen_where_classes_count_alike() {
        let labels: Vec<u8> = (0..1_000).map(|record| u8::from(record >= 996)).collect();
        let right: Vec<Option<usize>> = labels.iter().map(|label| Some(usize::from(*label))).collect();
        let lost = |kind| {
            check(
                &judged(right.clone(), &labels, kind),
                &judged(vec![Some(0); 1_000], &labels, kind),
                1.0,
                "m",
            )
        };
        lost(AccuracyKind::Plain).unwrap();
        let error = lost(AccuracyKind::Balanced).unwrap_err().to_string();
        assert!(
            error.contains("996 of 1000") && error.contains("balanced accuracy 50.00 % and 100.00 %"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_number_is_wrong() {
        let judged = judged(vec![Some(0), None, None, Some(1)], &[0, 0, 1, 1], AccuracyKind::Plain);
        assert_eq!((judged.confusion.right(), judged.accuracy()), (2, 0.5));
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
