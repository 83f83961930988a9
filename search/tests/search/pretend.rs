//! An evaluator that pretends to train: epochs, a seed that matters, and the failures of real life.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mfactor::protocol::{Epoch, Evaluation, FailureKind, Job};
use mfactor::{Error, Result};
use search::{Ended, Evaluator, Report, Verdict};

/// Answers with an accuracy that depends on architecture and seed. Some jobs fail, some diverge.
#[derive(Default)]
pub struct Pretend {
    /// Sleep in each epoch.
    pub pause: Duration,
    /// Every so many'th seed fails; 0 for none.
    pub failing: u64,
    /// Every so many'th seed gives an accuracy that is not a number.
    pub diverging: u64,
    /// The jobs so far.
    pub jobs: Vec<Job>,
}

impl Evaluator for Pretend {
    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        self.jobs.push(job.clone());
        let every = |period: u64| period > 0 && job.seed.is_multiple_of(period);
        let kernels: u32 = job.architecture.kernels().map(u32::from).sum();
        let final_accuracy = 0.6 + 0.001 * f64::from(kernels) + 1e-11 * job.seed as f64;
        for epoch in 1..=job.recipe.epochs {
            std::thread::sleep(self.pause);
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted("stopped".to_owned()));
            }
            if every(self.failing) && epoch == 2 {
                return Ok(Ended::failed(FailureKind::Library, format!("seed {} is a bad one", job.seed)));
            }
            let verdict = on_report(Report::Epoch(Epoch {
                trial: job.trial,
                epoch,
                epochs: job.recipe.epochs,
                loss: 1.0 / f64::from(epoch),
                accuracy: final_accuracy * (f64::from(epoch) / f64::from(job.recipe.epochs)),
                images_per_second: 1000.0,
                seconds_left: 0.5,
            }))?;
            if verdict == Verdict::Prune && job.decisions.contains(&epoch) {
                return Ok(Ended::Pruned { seconds: 0.5 * f64::from(epoch), images: u64::from(epoch) });
            }
        }
        let accuracy = if every(self.diverging) { f64::NAN } else { final_accuracy };
        Ok(Ended::Complete(Evaluation { accuracy, seconds: 1.5, images: 45_000 }))
    }
}
