//! The record of a measurement, from the attempts at its rounds; and where it is filed.

use std::path::Path;

use mfactor::dataset::DataSet;
use mfactor::latency::Latency;
use mfactor::measurement::{
    Energy, MeasuredAccuracy, Measurement, MemoryUse, Preset, Round, SCHEMA, Verdict,
};

use mfactor::{Result, files};

use crate::rounds::{Attempt, Order};
use crate::timing::Plan;
use crate::verdict;

/// Puts a record together: the figures are those of the rounds that count, and every other attempt is in it too.
/// `None` without any attempt.
pub(crate) fn assemble(
    attempts: &[Attempt],
    accuracy: Option<MeasuredAccuracy>,
    preset: Preset,
    plan: &Plan,
) -> Option<Measurement> {
    let counting = counting(attempts);
    let counted: Vec<&Attempt> = counting.iter().map(|index| &attempts[*index]).collect();
    let (first, last) = (counted.first()?, counted.last()?);
    let windows: Vec<Vec<u64>> = counted.iter().map(|attempt| attempt.samples_ns.clone()).collect();
    let latency = Latency::from_windows(&windows)?;
    let median_of = |value: fn(&Round) -> f64| median(counted.iter().map(|attempt| value(&attempt.round)));
    Some(Measurement {
        schema: SCHEMA,
        tool_version: mfactor::version(),
        unix_seconds: last.round.unix_seconds,
        model: first.model.clone(),
        engine: first.engine.clone(),
        board: first.board.clone(),
        conditions: [first.round.conditions[0].clone(), last.round.conditions[1].clone()],
        pinned_core: first.pinned_core,
        preset,
        golden_difference: largest_difference(attempts),
        accuracy,
        load_ms: median_of(|round| round.load_ms),
        first_inference_ms: median_of(|round| round.first_inference_ms),
        warm_up_inferences: counted.iter().map(|attempt| attempt.round.warm_up_inferences).sum(),
        verdict: verdict::verdict(reasons(attempts, &counted, &latency, plan)),
        latency,
        processor_share: counted.iter().map(|a| a.round.processor_share).fold(f64::INFINITY, f64::min),
        memory: counted.iter().map(|a| a.round.memory).fold(MemoryUse::default(), MemoryUse::or_larger),
        energy: energy(&counted),
        rounds: rounds(attempts, &counting),
    })
}

/// The file name under which a measurement is filed: one for each model and engine.
pub fn file_name(measurement: &Measurement) -> String {
    name_of(&measurement.model.file, &measurement.engine.name)
}

fn name_of(model: &str, engine: &str) -> String {
    format!("{}.{engine}.json", model.trim_end_matches(".onnx"))
}

/// About what a record takes, in bytes: most of it are samples.
const RECORD_BYTES: u64 = 1 << 20;

/// Sees to it, before anything is measured, that the test records are there and that the records of these measurements can
/// be written to `folder`.
///
/// # Errors
/// If the folder or the place of a record is something else, may not be written, or has not the space; and what
/// [`DataSet::open`] says of the data.
pub fn check_places(order: &Order, folder: Option<&Path>) -> Result<()> {
    for data in &order.data {
        if data.is_dir() { DataSet::open(data).map(drop) } else { files::open(data).map(drop) }?;
    }
    let Some(folder) = folder else { return Ok(()) };
    files::check_room(folder, RECORD_BYTES * order.subjects.len() as u64)?;
    for subject in &order.subjects {
        let model = subject.model.file_name().unwrap_or_default().to_string_lossy();
        files::check_target(&folder.join(name_of(&model, subject.engine.kind.name())), 0)?;
    }
    Ok(())
}

/// The file name of a record that is not complete: no reader of records takes it for one.
pub fn partial_name(measurement: &Measurement) -> String {
    format!("{}.partial", file_name(measurement))
}

/// Positions of the attempts that count: of each round the one that is valid, else the last.
fn counting(attempts: &[Attempt]) -> Vec<usize> {
    let is_last = |index: &usize| {
        attempts.get(index + 1).is_none_or(|next| next.round.number != attempts[*index].round.number)
    };
    // An attempt that is valid is the last one of its round.
    (0..attempts.len()).filter(is_last).collect()
}

fn rounds(attempts: &[Attempt], counting: &[usize]) -> Vec<Round> {
    let round = |(index, attempt): (usize, &Attempt)| {
        let set_aside = if counting.contains(&index) { vec![] } else { attempt.samples_ns.clone() };
        Round { set_aside_ns: set_aside, ..attempt.round.clone() }
    };
    attempts.iter().enumerate().map(round).collect()
}

/// `None` as soon as one answer was not a number.
fn largest_difference(attempts: &[Attempt]) -> Option<f64> {
    attempts
        .iter()
        .map(|attempt| attempt.golden_difference)
        .try_fold(0.0, |largest, difference| Some(f64::max(largest, difference?)))
}

fn reasons(attempts: &[Attempt], counted: &[&Attempt], latency: &Latency, plan: &Plan) -> Vec<String> {
    let mut reasons: Vec<String> = vec![];
    for reason in attempts.iter().flat_map(|attempt| &attempt.model_reasons) {
        if !reasons.contains(reason) {
            reasons.push(reason.clone());
        }
    }
    for Round { number, attempt, verdict, .. } in counted.iter().map(|attempt| &attempt.round) {
        if let Verdict::Invalid { reasons: of_round } = verdict {
            let of_round = of_round.join("; ");
            reasons.push(format!("round {number}: {of_round}; so it was in each of {attempt} attempts"));
        }
    }
    if counted.len() < plan.rounds {
        reasons.push(format!("only {} of {} rounds were measured", counted.len(), plan.rounds));
    }
    if latency.window_spread > plan.window_spread {
        reasons.push(format!(
            "the rounds do not agree: their medians differ by {:.0} %, at most {:.0} % is allowed; stop what else runs \
             here, fix the processor's frequency, and measure again",
            100.0 * latency.window_spread,
            100.0 * plan.window_spread
        ));
    }
    reasons
}

/// The round of median energy; `None` unless every round has one.
fn energy(counted: &[&Attempt]) -> Option<Energy> {
    let mut energies: Vec<&Energy> =
        counted.iter().map(|attempt| attempt.round.energy.as_ref()).collect::<Option<_>>()?;
    energies.sort_by(|a, b| a.inference_mj.total_cmp(&b.inference_mj));
    energies.get(energies.len() / 2).map(|energy| (*energy).clone())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}
