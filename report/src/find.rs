//! What a search found, against the networks that were named beside it, the smallest, and random ones under the same limits.

use mfactor::numbers::counted;
use mfactor::proposer::GIVEN;
use mfactor::statistics::wilson;

use crate::compare::{BenchComparison, Comparison};
use crate::models::MeasuredModel;

/// Standard errors of a 95 % interval.
const Z: f64 = 1.96;

/// A sentence on the first bench that measured a named network beside one that was found; `None` where none did.
pub(crate) fn find(comparison: &Comparison) -> Option<String> {
    comparison.benches.iter().find_map(|bench| on_bench(comparison, bench))
}

fn on_bench(comparison: &Comparison, bench: &BenchComparison) -> Option<String> {
    // Best M first, and M knows validation alone: the test images did not choose.
    let found = bench.models.iter().find(|row| row.model.strategy != GIVEN)?;
    let smallest = &comparison.baselines.smallest.architecture;
    let is_named = |row: &&MeasuredModel| row.model.strategy == GIVEN && row.model.architecture != *smallest;
    let named: Vec<String> = bench.models.iter().filter(is_named).map(words).collect::<Option<_>>()?;
    if named.is_empty() {
        return None;
    }
    let is_smallest = |row: &&MeasuredModel| row.model.architecture == *smallest;
    let least = bench.models.iter().find(is_smallest).and_then(words);
    let least = least.map_or_else(String::new, |words| format!("; the smallest, {words}"));
    let random = random(comparison).map_or_else(String::new, |words| format!(" {words}"));
    let images = found.figures.test_images?;
    let (found, named) = (words(found)?, named.join("; "));
    Some(format!(
        "Accuracy on {images} test images, with 95 % intervals: found, {found}; named beside it, {named}{least}.{random}"
    ))
}

/// `ID 98.00 % (95.70 to 99.08) with 11.4 M MACs`.
fn words(row: &MeasuredModel) -> Option<String> {
    let (accuracy, images) = row.figures.test_accuracy.zip(row.figures.test_images)?;
    let [low, high] = wilson(accuracy, images);
    let percent = |share: f64| 100.0 * share;
    let (shown, low, high) = (percent(accuracy), percent(low), percent(high));
    let millions = row.model.macs as f64 / 1e6;
    Some(format!("{} {shown:.2} % ({low:.2} to {high:.2}) with {millions:.1} M MACs", row.model.architecture))
}

/// Random networks under the same limits, by M, which is what was sought.
fn random(comparison: &Comparison) -> Option<String> {
    let random = comparison.baselines.random.as_ref()?;
    let half = Z * random.m_factor_deviation? / (random.trials as f64).sqrt();
    let best =
        comparison.strategies.iter().filter_map(|strategy| strategy.best.as_ref()).map(|best| best.m_factor);
    let best = best.fold(f64::NEG_INFINITY, f64::max);
    Some(format!(
        "The best M is {best:.4}; {} under the same limits {:.4} ± {half:.4} on average.",
        counted(random.trials, "random network"),
        random.m_factor
    ))
}
