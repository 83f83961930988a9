//! What a reader has to know about the data before believing a figure.

use mfactor::measurement::Preset;
use mfactor::numbers::{counted, thousands};

use crate::compare::{BenchComparison, Comparison, Input};
use crate::energy;

/// The notes that apply to a comparison, the gravest first.
pub(crate) fn notes(comparison: &Comparison, input: &Input<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(recounted(input));
    notes.extend(foreign(input));
    notes.extend(nothing_measured(comparison));
    notes.extend(comparison.benches.iter().filter_map(|bench| narrow(bench, comparison)));
    notes.extend(comparison.benches.iter().filter_map(quick));
    notes.extend(energy_untold(input));
    notes.extend(left_out(comparison));
    notes.extend(unreadable(input));
    notes
}

fn recounted(input: &Input<'_>) -> Option<String> {
    let mut measurements = input.measurements.iter().map(|filed| &filed.measurement);
    let differs = measurements.find(|measurement| {
        measurement.model.parameters != input.space.cost(&measurement.model.metadata.architecture).parameters
    })?;
    let expected = input.space.cost(&differs.model.metadata.architecture).parameters;
    Some(format!(
        "{}: the board counted {} parameters where its architecture has {}; M uses what was counted. \
         Export the model again.",
        differs.model.file,
        thousands(differs.model.parameters),
        thousands(expected)
    ))
}

fn foreign(input: &Input<'_>) -> Option<String> {
    let mut measurements = input.measurements.iter().map(|filed| &filed.measurement);
    let other = measurements.find(|measurement| measurement.model.metadata.study != input.study)?;
    Some(format!(
        "{} was exported from study {}, not from this one.",
        other.model.file, other.model.metadata.study
    ))
}

fn nothing_measured(comparison: &Comparison) -> Option<String> {
    comparison.benches.is_empty().then(|| {
        "No measurement counts yet: whether M tells the truth about a board is open. Run `mfactor measure` \
         or `mfactor flash`."
            .to_owned()
    })
}

/// Models that were chosen by M span a small part of its range, which weakens any correlation with it.
fn narrow(bench: &BenchComparison, comparison: &Comparison) -> Option<String> {
    let lowest = bench.models.iter().map(|row| row.model.m_factor).reduce(f64::min)?;
    let average = comparison.baselines.random.as_ref()?.m_factor;
    (bench.models.len() > 1 && lowest > average).then(|| {
        format!(
            "On {}, every measured model has a larger M than the average random trial ({average:.3}): \
             only winners were measured, and within so narrow a range any ranking agrees less than over \
             the whole space.",
            bench.bench
        )
    })
}

fn quick(bench: &BenchComparison) -> Option<String> {
    let quick = bench.models.iter().filter(|row| row.figures.preset != Preset::Full).count();
    (quick > 0).then(|| {
        format!(
            "On {}, {} of {} were measured with the quick preset: a first look, not a result.",
            bench.bench,
            quick,
            counted(bench.models.len(), "model")
        )
    })
}

/// Energies that were measured and are not told, with the reason of the first.
fn energy_untold(input: &Input<'_>) -> Option<String> {
    let untold: Vec<(&str, &str)> = input
        .measurements
        .iter()
        .filter_map(|filed| {
            Some((filed.measurement.model.file.as_str(), energy::told(&filed.measurement).untold?))
        })
        .collect();
    let (file, reason) = untold.first()?;
    Some(format!(
        "The energy of {} is not told; of {file}, because {reason}.",
        counted(untold.len(), "measurement")
    ))
}

fn unreadable(input: &Input<'_>) -> Option<String> {
    (!input.unreadable.is_empty()).then(|| {
        let count = counted(input.unreadable.len(), "measurement");
        format!("Left out, for it could not be read: {count} ({}).", input.unreadable.join("; "))
    })
}

fn left_out(comparison: &Comparison) -> Option<String> {
    let count = comparison.left_out.len();
    (count > 0).then(|| format!("{} shown and left out of every statistic.", counted(count, "measurement")))
}
