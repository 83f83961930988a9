//! What a reader has to know about the data before believing a figure.

use mfactor::measurement::Preset;
use mfactor::numbers::{counted, thousands};

use crate::compare::{BenchComparison, Comparison};
use crate::doubts::Doubt;

/// The notes that apply to a comparison, the gravest first.
pub(crate) fn notes(comparison: &Comparison) -> Vec<String> {
    let (of_models, of_files): (Vec<&Doubt>, Vec<&Doubt>) = comparison
        .doubts
        .iter()
        .partition(|doubt| matches!(doubt, Doubt::Recounted { .. } | Doubt::Foreign { .. }));
    let mut notes: Vec<String> = of_models.into_iter().map(in_words).collect();
    notes.extend(nothing_measured(comparison));
    notes.extend(comparison.benches.iter().filter_map(|bench| narrow(bench, comparison)));
    notes.extend(comparison.benches.iter().filter_map(quick));
    notes.extend(left_out(comparison));
    notes.extend(of_files.into_iter().map(in_words));
    notes
}

fn in_words(doubt: &Doubt) -> String {
    match doubt {
        Doubt::Recounted { file, counted, expected } => format!(
            "{file}: the board counted {} parameters where its architecture has {}; M uses what was counted. \
             Export the model again.",
            thousands(*counted),
            thousands(*expected)
        ),
        Doubt::Foreign { file, study } => {
            format!("{file} was exported from study {study}, not from this one.")
        }
        Doubt::EnergyUntold { measurements, file, reason } => {
            let count = counted(*measurements, "measurement");
            format!("The energy of {count} is not told; of {file}, because {reason}.")
        }
        Doubt::Unreadable { problems } => {
            let count = counted(problems.len(), "measurement");
            format!("Left out, for it could not be read: {count} ({}).", problems.join("; "))
        }
        Doubt::OfStudy { remark } => remark.clone(),
    }
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

fn left_out(comparison: &Comparison) -> Option<String> {
    let count = comparison.left_out.len();
    (count > 0).then(|| format!("{} shown and left out of every statistic.", counted(count, "measurement")))
}
