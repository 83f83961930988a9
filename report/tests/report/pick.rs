//! Picking a model for a budget.

use mfactor::Quantity;
use report::pick::{Candidate, measured, picks};

use crate::sample::Sample;

#[test]
fn a_budget_on_what_was_measured_is_kept_for_sure() {
    let comparison = report::compare(&Sample::new(30).input()).unwrap();
    let models = &comparison.benches[0].models;
    let all = measured(models, Quantity::LatencyP50);
    assert_eq!(all.len(), models.len());
    assert!(all.iter().all(|model| model.at_most > model.cost), "a latency has an interval");
    let budget = all.iter().map(|model| model.at_most).fold(0.0, f64::max);
    let found = picks(Quantity::LatencyP50, &all, &[budget, 0.999 * found_least(&all)]);
    let most_accurate = all.iter().map(|model| model.accuracy).fold(0.0, f64::max);
    assert_eq!(found.picks[0].model.as_ref().unwrap().accuracy, most_accurate);
    assert_eq!(found.picks[1].model, None);
    assert_eq!(measured(models, Quantity::PeakMemory).len(), models.len());
    assert!(measured(models, Quantity::Parameters).is_empty(), "parameters are not measured");
}

fn found_least(all: &[Candidate]) -> f64 {
    all.iter().map(|model| model.at_most).fold(f64::INFINITY, f64::min)
}
