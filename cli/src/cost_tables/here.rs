//! The models of a cost table measured on this machine.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use edge_runner::rounds::{self, Event, LiveMachine, Order, Subject};
use engines::{EngineKind, EngineOptions};
use mfactor::measurement::{Measurement, Preset};
use mfactor::numbers::duration;
use mfactor::{Error, Result};
use release::SensorChoice;

use super::{DISTURBED, DRIFT, RETRIES, Records, Wanted};
use crate::output::{Output, thousands};
use crate::programs::RUNNER;
use crate::progress::Line;
use crate::signals;

/// Models that are measured together.
const BATCH: usize = 40;

/// Measures what has no record yet, with these engines.
///
/// # Errors
/// [`Error::Invalid`] where the machine did not hold still, [`Error::Interrupted`] where the user stopped it, and what measuring
/// itself says. What was measured by then is kept.
pub fn measure(
    records: &mut Records,
    models: &[Wanted],
    engines: &[EngineOptions],
    output: &Output,
) -> Result<()> {
    let mut bench = Bench {
        engines,
        models,
        records,
        program: RUNNER.find()?,
        line: Line::new(output),
        begun: Instant::now(),
    };
    let measured = bench.measure();
    bench.line.finish();
    measured
}

/// The measuring of what is missing.
struct Bench<'a> {
    engines: &'a [EngineOptions],
    models: &'a [Wanted],
    records: &'a mut Records,
    program: PathBuf,
    line: Line,
    begun: Instant,
}

/// A batch of models with one engine, and what the probe took meanwhile.
struct Measured {
    models: Vec<PathBuf>,
    engine: EngineKind,
    probe_ms: f64,
}

impl Bench<'_> {
    fn missing(&self, engine: EngineKind) -> Vec<Wanted> {
        self.records.missing(self.models, engine).cloned().collect()
    }

    /// Measures what is missing in batches, each with the same network beside it as a probe; and again those in whose time
    /// the machine was not what it was in the others', and models whose own windows do not agree. What is disturbed every
    /// time counts as it is: the trial on whole networks will tell.
    fn measure(&mut self) -> Result<()> {
        let mut batches: Vec<Measured> = vec![];
        for attempt in 0..=RETRIES {
            batches.extend(self.batches()?);
            let (kept, off) = apart(batches);
            batches = kept;
            for batch in &off {
                self.records.forget(batch.models.iter().map(PathBuf::as_path), batch.engine);
            }
            if off.is_empty() && (attempt == RETRIES || !self.records.forget_disturbed(DISTURBED)) {
                return Ok(());
            }
        }
        Err(Error::Invalid(format!(
            "the machine did not hold still: the same network took more than {:.0} % longer or shorter at one time than at \
             another, in each of {} attempts; stop what else runs here and call this again, it goes on with what was measured",
            100.0 * DRIFT,
            RETRIES + 1
        )))
    }

    /// Measures what is missing.
    fn batches(&mut self) -> Result<Vec<Measured>> {
        let mut batches = vec![];
        for engine in self.engines {
            for batch in self.missing(engine.kind).chunks(BATCH) {
                batches.push(self.batch(batch, engine)?);
            }
        }
        Ok(batches)
    }

    fn batch(&mut self, models: &[Wanted], options: &EngineOptions) -> Result<Measured> {
        let stop = signals::stop_flag();
        let is_stopped = || stop.load(Ordering::Relaxed);
        let (engine, probe) = (options.kind, &self.models[self.models.len() - 1]);
        for model in models.iter().chain([probe]) {
            if is_stopped() {
                return Err(self.stopped());
            }
            self.line.show(&format!("writing {}", model.model.display()));
            model.write()?;
        }
        // The probe comes last, so that places among the models are those among the subjects.
        let subject =
            |model: &Wanted| Subject { model: model.model.clone(), contents: None, engine: options.clone() };
        let subjects: Vec<Subject> = models.iter().chain([probe]).map(subject).collect();
        let order = Order { subjects, data: vec![], preset: Preset::Brief };
        let (line, mut unfiled) = (&self.line, None);
        let left = self.missing(engine).len();
        let (records, begun) = (&mut *self.records, self.begun);
        let mut probe_ms = None;
        let mut on_event = |number: usize, event: Event<'_>| match event {
            Event::Complete(record) if number < models.len() => {
                let filed = records.add(&models[number].model, engine, record.clone());
                unfiled = unfiled.take().or(filed.err());
            }
            Event::Complete(record) => probe_ms = Some(record.latency.window_p50_ms),
            Event::Progress { round, of, .. } => {
                line.show(&progress(engine, (round, of), [number + 1, models.len()], left, begun));
            }
            _ => {}
        };
        let mut machine = LiveMachine::new(&self.program, &SensorChoice::default(), &is_stopped);
        let results = rounds::measure(&order, &mut machine, &mut on_event);
        if is_stopped() {
            return Err(self.stopped());
        }
        if let Some(error) =
            unfiled.or_else(|| results.into_iter().find_map(|result: Result<Measurement>| result.err()))
        {
            return Err(error);
        }
        let probe_ms = probe_ms.ok_or_else(|| Error::Defect("a probe without a time".to_owned()))?;
        Ok(Measured { models: models.iter().map(|model| model.model.clone()).collect(), engine, probe_ms })
    }

    fn stopped(&self) -> Error {
        Error::Interrupted("stopped; the same command goes on with what was measured".to_owned())
    }
}

fn progress(
    engine: EngineKind,
    (round, of): (usize, usize),
    [number, batch]: [usize; 2],
    left: usize,
    begun: Instant,
) -> String {
    format!(
        "{}: model {number} of {batch}, round {round} of {of}; {} to go, {} so far",
        engine.name(),
        thousands(left as u64),
        duration(begun.elapsed().as_secs_f64())
    )
}

/// Batches, and those of them whose probe was off what it was in most of the same engine's.
fn apart(batches: Vec<Measured>) -> (Vec<Measured>, Vec<Measured>) {
    let typical = |engine: EngineKind| {
        let mut times: Vec<f64> =
            batches.iter().filter(|batch| batch.engine == engine).map(|batch| batch.probe_ms).collect();
        times.sort_unstable_by(f64::total_cmp);
        mfactor::statistics::quantile(&times, 0.5)
    };
    let is_off = |batch: &Measured| {
        typical(batch.engine).is_some_and(|typical| (batch.probe_ms / typical - 1.0).abs() > DRIFT)
    };
    let off: Vec<bool> = batches.iter().map(is_off).collect();
    let (off, kept): (Vec<_>, Vec<_>) = batches.into_iter().zip(off).partition(|(_, is_off)| *is_off);
    let bare = |pairs: Vec<(Measured, bool)>| pairs.into_iter().map(|(batch, _)| batch).collect();
    (bare(kept), bare(off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_in_which_the_machine_was_another_is_set_apart() {
        let batch = |engine, probe_ms| Measured { models: vec![], engine, probe_ms };
        let batches = vec![
            batch(EngineKind::Tract, 1.0),
            batch(EngineKind::Tract, 1.04),
            batch(EngineKind::Tract, 1.2),
            batch(EngineKind::Ort, 3.0),
            batch(EngineKind::Ort, 3.1),
        ];
        let (kept, off) = apart(batches);
        assert_eq!((kept.len(), off.len()), (4, 1));
        assert_eq!(off[0].probe_ms, 1.2);
    }
}
