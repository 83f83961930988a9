//! One accuracy for every architecture: the size score alone decides. A dry run that needs no libtorch.

use std::sync::atomic::AtomicBool;

use mfactor::protocol::{Evaluation, Job};
use mfactor::{Error, Result};

use super::{Ended, Evaluator, Report, Verdict};

/// Answers every job with the same accuracy, at once.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    accuracy: f64,
}

impl Constant {
    /// An evaluator for this accuracy, from 0 to 1.
    pub fn new(accuracy: f64) -> Result<Self> {
        if (0.0..=1.0).contains(&accuracy) {
            Ok(Self { accuracy })
        } else {
            Err(Error::input("evaluator.accuracy", format!("is {accuracy}; it must be from 0 to 1")))
        }
    }
}

impl Evaluator for Constant {
    fn evaluate(
        &mut self,
        _: &Job,
        _: &mut dyn FnMut(Report) -> Result<Verdict>,
        _: &AtomicBool,
    ) -> Result<Ended> {
        Ok(Ended::Complete(Evaluation { accuracy: self.accuracy, seconds: 0.0, images: 0 }))
    }
}
