//! Boards in the loop of a search: while a network trains, a board says what it costs. Trials then count as they were
//! measured, and not as a cost table told.

pub mod bench;
mod options;
pub mod pool;

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use mfactor::cost::BoardCosts;
use mfactor::protocol::Job;
use mfactor::{Architecture, Error, Result, TrialState};
use search::evaluators::{Ended, Evaluator, Report, Verdict};
use search::{Study, StudyConfig};

use crate::output::Output;

pub use options::{BoardOptions, Sought};
pub use pool::Pool;

/// Refuses a study that many machines are to share and that wants networks measured.
///
/// # Errors
/// [`Error::Input`] if it is so.
pub fn refuse(config: &StudyConfig) -> Result<()> {
    match config.objective.cost.iter().find(|cost| cost.is_measured) {
        None => Ok(()),
        Some(cost) => {
            let problem = "is measured while networks train, by the one search that has the boards: leave --database out, or take \
                           what the cost table tells";
            Err(Error::input(cost.quantity.name(), problem))
        }
    }
}

/// Measures what may cost the least, and has the study's costs say what that is.
///
/// # Errors
/// As [`Pool::least`].
pub fn measure_least(
    config: &mut StudyConfig,
    sought: &Sought<'_>,
    pool: &Pool<'_>,
    output: &Output,
) -> Result<()> {
    for quantity in sought.without_least() {
        let candidates = sought.candidates(quantity, &config.space);
        output.say(format!(
            "Measuring the {} networks that the table tells to have the least {}",
            candidates.len(),
            quantity.label()
        ));
        let (architecture, least) = pool.least(quantity, &candidates, &mut |warning| output.say(warning))?;
        output.say(format!("The least is {}, of {architecture}", quantity.show(least)));
        let costs = config.objective.cost.iter_mut().filter(|cost| cost.quantity == quantity);
        costs.for_each(|cost| cost.least = Some(least));
    }
    Ok(())
}

/// Measures what boards could not measure while it was trained, and has the study count as all of it was measured.
///
/// # Errors
/// As [`Pool::catch_up`].
pub fn catch_up(study: &mut Study, pool: &Pool<'_>, output: &Output) -> Result<()> {
    let mut networks: Vec<Architecture> = vec![];
    for trial in study.record().trials {
        if trial.state == TrialState::Complete && !networks.contains(&trial.architecture) {
            networks.push(trial.architecture);
        }
    }
    let measured = pool.catch_up(&networks, &mut |warning| output.say(warning))?;
    output.say(format!("{measured} of {} trained networks count as they were measured", networks.len()));
    study.learn_measured()
}

/// Has every network measured that another evaluator trains.
pub struct Measuring<'p, 'b, E> {
    inner: E,
    pool: &'p Pool<'b>,
}

/// What the measuring of a network says, from a thread of its own.
enum Said {
    Warning(String),
    Measured(BoardCosts),
}

impl<'p, 'b, E: Evaluator> Measuring<'p, 'b, E> {
    /// Around `inner`, with the boards of `pool`.
    pub fn new(inner: E, pool: &'p Pool<'b>) -> Self {
        Self { inner, pool }
    }

    /// Measures and then trains: where both need this machine, or what is measured decides whether it is worth a training.
    fn one_after_the_other(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        let mut warnings = vec![];
        let measured = self.pool.measure(&job.architecture, &mut |warning| warnings.push(warning))?;
        let said = warnings.into_iter().map(Said::Warning).chain(measured.map(Said::Measured));
        if pass_on(said, on_report)? == Verdict::Prune {
            return Ok(Ended::Pruned { seconds: 0.0, images: 0 });
        }
        let _training = self.pool.training();
        self.inner.evaluate(job, on_report, stop)
    }

    /// Measures while it trains.
    fn side_by_side(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        let (say, said) = channel();
        thread::scope(|scope| {
            let pool = self.pool;
            let measuring = scope.spawn(move || {
                // Nobody listens any more where the training has failed.
                let mut warn = |warning| drop(say.send(Said::Warning(warning)));
                let measured = pool.measure(&job.architecture, &mut warn)?;
                measured.into_iter().for_each(|costs| drop(say.send(Said::Measured(costs))));
                Ok(())
            });
            let ended = self.inner.evaluate(job, &mut with(&said, on_report), stop);
            let measured =
                measuring.join().unwrap_or_else(|_| Err(Error::Defect("measuring panicked".to_owned())));
            let ended = ended?;
            measured?;
            pass_on(said.try_iter(), on_report)?;
            Ok(ended)
        })
    }
}

/// Reports, and before each of them what was measured by then.
fn with<'a>(
    said: &'a Receiver<Said>,
    on_report: &'a mut dyn FnMut(Report) -> Result<Verdict>,
) -> impl FnMut(Report) -> Result<Verdict> + 'a {
    |report| {
        pass_on(said.try_iter(), on_report)?;
        on_report(report)
    }
}

/// Hands on what a measuring says; whether it is worth a training.
fn pass_on(
    said: impl IntoIterator<Item = Said>,
    on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
) -> Result<Verdict> {
    let mut verdict = Verdict::GoOn;
    for said in said {
        match said {
            Said::Warning(text) => drop(on_report(Report::Warning(text))?),
            Said::Measured(costs) => verdict = on_report(Report::Measured(costs))?,
        }
    }
    Ok(verdict)
}

impl<E: Evaluator> Evaluator for Measuring<'_, '_, E> {
    fn inner(&mut self) -> Option<&mut dyn Evaluator> {
        Some(&mut self.inner)
    }

    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        if self.pool.comes_first() {
            self.one_after_the_other(job, on_report, stop)
        } else {
            self.side_by_side(job, on_report, stop)
        }
    }
}
