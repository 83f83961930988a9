//! Picking a model for a budget.

use mfactor::Quantity;
use mfactor::front::Front;
use report::pick::CostFront;
use report::{Comparison, Input};

use crate::sample::Sample;

fn front<'a>(comparison: &'a Comparison, quantity: Quantity, on: Option<&str>) -> &'a CostFront {
    let fronts = comparison.cost_fronts.iter();
    let mut fronts = fronts.filter(|front| front.quantity == quantity && front.on.as_deref() == on);
    let front = fronts.next().unwrap();
    assert!(fronts.next().is_none());
    front
}

#[test]
fn a_budget_on_what_was_measured_is_kept_for_sure() {
    let comparison = report::compare(&Sample::new(30).input()).unwrap();
    let bench = &comparison.benches[0];
    let latency = front(&comparison, Quantity::LatencyP50, Some(&bench.short));
    assert!(latency.within.iter().all(|model| model.at_most > model.cost), "a latency has an interval");
    let most_accurate = bench.models.iter().map(|row| row.model.validation_accuracy).fold(0.0, f64::max);
    let picked = latency.pick(1e9).model.unwrap();
    assert_eq!(picked.accuracy, most_accurate);
    let [low, high] = picked.interval.unwrap();
    assert!(low < picked.accuracy && picked.accuracy < high && high - low < 0.03, "of 5,000 images");
    assert_eq!(latency.pick(0.999 * latency.within[0].at_most).model, None);
    front(&comparison, Quantity::PeakMemory, Some(&bench.short));
    front(&comparison, Quantity::PeakActivations, None);
    let fronts = &comparison.cost_fronts;
    assert!(
        fronts.iter().all(|front| front.quantity.is_exact() == front.on.is_none()),
        "each where it is known"
    );
}

#[test]
fn a_front_is_shared_out_among_strategies() {
    let sample = Sample::new(30);
    let sought = Front::new(&sample.space, &sample.objective, vec![Quantity::Macs]).unwrap();
    let input = Input { front: Some(&sought), ..sample.input() };
    let comparison = report::compare(&input).unwrap();
    let front = comparison.sought_front.as_ref().unwrap();
    assert!(front.strategies.iter().all(|of| of.covered <= front.covered), "{front:?}");
    assert!(front.strategies.windows(2).all(|two| two[0].covered >= two[1].covered));
    let by_strategies: usize = front.strategies.iter().map(|of| of.on_front).sum();
    assert!(
        by_strategies <= front.trials.len() && front.trials.len() <= by_strategies + 1,
        "but for the baseline"
    );
    let page = report::page(&input, &comparison);
    assert!(page.contains("The front over trials") && page.contains("of the hypervolume"));
    assert!(report::terminal(&comparison, false).contains("of the front"));
    let without = report::compare(&sample.input()).unwrap();
    assert_eq!(without.sought_front, None);
}
