//! A model for each of several budgets, from one study: the most accurate one within each, what a step down costs, and where
//! the front bends.

use std::cmp::Ordering;

use mfactor::front::staircase;
use mfactor::statistics::wilson;
use mfactor::{Architecture, Quantity, Trial};
use serde::{Deserialize, Serialize};

use crate::compare::BenchComparison;
use crate::models::MeasuredModel;

/// A trained model with its cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its architecture.
    pub architecture: Architecture,
    /// Id of its trial.
    pub trial: u64,
    /// Accuracy on the validation split, 0 to 1.
    pub accuracy: f64,
    /// Its 95 % interval (Wilson's); `None` where the number of validation images is not known.
    #[serde(default)]
    pub interval: Option<[f64; 2]>,
    /// Its cost, in the quantity's unit.
    pub cost: f64,
    /// The most that its cost may be: of a median latency the upper end of its 95 % interval, of an energy what its noise
    /// may add, else the cost.
    pub at_most: f64,
}

/// What one budget allows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pick {
    /// The budget, in the quantity's unit.
    pub budget: f64,
    /// The most accurate model that keeps to it for sure; of equal ones the cheaper.
    pub model: Option<Candidate>,
    /// The next cheaper model that none beats, and what it costs to take it.
    pub step_down: Option<StepDown>,
}

/// A cheaper model instead of a picked one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepDown {
    /// The cheaper one.
    pub model: Candidate,
    /// Accuracy lost, a fraction of 1.
    pub accuracy_lost: f64,
    /// Cost saved, a share of the picked one's.
    pub cost_saved: f64,
}

/// Accuracy against one cost: all that picking needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostFront {
    /// The cost.
    pub quantity: Quantity,
    /// Short name of the bench that measured it; `None` of a cost that is exact.
    pub on: Option<String>,
    /// Models that are picked for some budget, by the most that their cost may be: each is picked until the next one keeps
    /// to the budget.
    pub within: Vec<Candidate>,
    /// Models that no other beats in accuracy and cost at once, by rising cost.
    pub front: Vec<Candidate>,
    /// Where the front bends: its model farthest above the line from its cheapest to its most accurate one, cost on a
    /// logarithmic scale and both scaled to the front (Satopaa et al. 2011, «kneedle»). `None` of fewer than three.
    pub knee: Option<Candidate>,
}

impl CostFront {
    /// Accuracy against a quantity.
    pub fn new(quantity: Quantity, on: Option<String>, candidates: &[Candidate]) -> Self {
        let front = front(candidates);
        Self { quantity, on, within: within(candidates), knee: knee(&front).cloned(), front }
    }

    /// The most accurate model that keeps to a budget, in the quantity's unit, for sure; of equal ones the cheaper.
    pub fn pick(&self, budget: f64) -> Pick {
        let model = self.within.iter().rfind(|candidate| candidate.at_most <= budget);
        let step_down = model.and_then(|model| step_down(model, &self.front));
        Pick { budget, model: model.cloned(), step_down }
    }
}

/// Accuracy against every cost that is exact; none without a complete trial.
pub fn exact_fronts(trials: &[Trial], validation_images: Option<u64>) -> Vec<CostFront> {
    let exact = Quantity::costs().filter(|quantity| quantity.is_exact());
    exact
        .filter_map(|quantity| known(quantity, None, &trained(trials, quantity, validation_images)))
        .collect()
}

/// Accuracy against every cost that is exact, and what each bench has measured of every other.
pub(crate) fn cost_fronts(
    trials: &[Trial],
    benches: &[BenchComparison],
    validation_images: Option<u64>,
) -> Vec<CostFront> {
    let on_bench = |bench: &BenchComparison, quantity: Quantity| {
        known(quantity, Some(&bench.short), &measured(&bench.models, quantity, validation_images))
    };
    let measured = benches
        .iter()
        .flat_map(|bench| Quantity::costs().filter_map(move |quantity| on_bench(bench, quantity)));
    exact_fronts(trials, validation_images).into_iter().chain(measured).collect()
}

/// A front, if there is something to choose from.
fn known(quantity: Quantity, on: Option<&String>, candidates: &[Candidate]) -> Option<CostFront> {
    (!candidates.is_empty()).then(|| CostFront::new(quantity, on.cloned(), candidates))
}

fn interval(accuracy: f64, validation_images: Option<u64>) -> Option<[f64; 2]> {
    validation_images.map(|images| wilson(accuracy, images))
}

/// Complete trials with a cost that is exact; none of another.
fn trained(trials: &[Trial], quantity: Quantity, validation_images: Option<u64>) -> Vec<Candidate> {
    let candidate = |trial: &Trial| {
        let (cost, accuracy) = (trial.cost.values().get(quantity)?, trial.accuracy?);
        let (architecture, interval) = (trial.architecture.clone(), interval(accuracy, validation_images));
        Some(Candidate { architecture, trial: trial.id, accuracy, interval, cost, at_most: cost })
    };
    trials.iter().filter_map(candidate).collect()
}

/// Models of one bench with a cost that was measured there; those without are left out.
fn measured(models: &[MeasuredModel], quantity: Quantity, validation_images: Option<u64>) -> Vec<Candidate> {
    let candidate = |row: &MeasuredModel| {
        let (cost, noise) = row.figures.cost(quantity)?;
        let model = &row.model;
        let (architecture, accuracy) = (model.architecture.clone(), model.validation_accuracy);
        let interval = interval(accuracy, validation_images);
        Some(Candidate { architecture, trial: model.trial, accuracy, interval, cost, at_most: cost + noise })
    };
    models.iter().filter_map(candidate).collect()
}

fn cheaper(a: &Candidate, b: &Candidate) -> Ordering {
    a.cost.total_cmp(&b.cost).then(a.trial.cmp(&b.trial))
}

/// By the most that they cost, each to be preferred to all before it.
fn within(candidates: &[Candidate]) -> Vec<Candidate> {
    let preferred = |a: &Candidate, b: &Candidate| b.accuracy.total_cmp(&a.accuracy).then(cheaper(a, b));
    staircase(candidates.to_vec(), |a, b| a.at_most.total_cmp(&b.at_most), preferred)
}

/// By rising cost, each more accurate than all before it; of equal ones the first trial.
fn front(candidates: &[Candidate]) -> Vec<Candidate> {
    let mut candidates = candidates.to_vec();
    candidates.sort_by_key(|candidate| candidate.trial);
    staircase(candidates, |a, b| a.cost.total_cmp(&b.cost), |a, b| b.accuracy.total_cmp(&a.accuracy))
}

fn step_down(model: &Candidate, front: &[Candidate]) -> Option<StepDown> {
    let below = front.iter().rfind(|other| other.cost < model.cost && other.accuracy < model.accuracy)?;
    Some(StepDown {
        model: below.clone(),
        accuracy_lost: model.accuracy - below.accuracy,
        cost_saved: 1.0 - below.cost / model.cost,
    })
}

fn knee(front: &[Candidate]) -> Option<&Candidate> {
    let ([first, .., last], true) = (front, front.len() > 2) else { return None };
    let span = (last.cost / first.cost).ln();
    let above = |candidate: &Candidate| {
        let x = (candidate.cost / first.cost).ln() / span;
        let y = (candidate.accuracy - first.accuracy) / (last.accuracy - first.accuracy);
        y - x
    };
    let inner = &front[1..front.len() - 1];
    inner.iter().max_by(|a, b| above(a).total_cmp(&above(b))).filter(|candidate| above(candidate) > 0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(trial: u64, accuracy: f64, cost: f64, noise: f64) -> Candidate {
        let architecture = "333".parse().unwrap();
        Candidate { architecture, trial, accuracy, interval: None, cost, at_most: cost + noise }
    }

    fn of(candidates: &[Candidate]) -> CostFront {
        CostFront::new(Quantity::LatencyP50, None, candidates)
    }

    fn trial(model: Option<&Candidate>) -> Option<u64> {
        model.map(|model| model.trial)
    }

    #[test]
    fn each_budget_has_the_most_accurate_within() {
        let all = [
            candidate(0, 0.70, 10.0, 0.0),
            candidate(1, 0.85, 20.0, 0.5),
            candidate(2, 0.80, 15.0, 0.0),
            candidate(3, 0.84, 40.0, 0.0),
            candidate(4, 0.90, 80.0, 0.0),
            candidate(5, 0.90, 81.0, 0.0),
        ];
        let front = of(&all);
        let picked = |budget| trial(front.pick(budget).model.as_ref());
        let picked = [5.0, 10.0, 20.0, 20.5, 50.0, 100.0].map(picked);
        let expected = [None, Some(0), Some(2), Some(1), Some(1), Some(4)];
        assert_eq!(picked, expected, "the upper end of the interval has to keep to the budget");
        let standing: Vec<u64> = front.front.iter().map(|model| model.trial).collect();
        assert_eq!(standing, [0, 2, 1, 4]);
        assert_eq!(trial(front.knee.as_ref()), Some(1));
        let down = front.pick(100.0).step_down.unwrap();
        assert_eq!(down.model.trial, 1);
        assert!((down.accuracy_lost - 0.05).abs() < 1e-12 && (down.cost_saved - 0.75).abs() < 1e-12);
        assert_eq!(front.pick(10.0).step_down, None, "nothing is cheaper");
    }

    proptest! {
        #[test]
        fn what_is_picked_is_what_a_look_at_all_finds(
            all in prop::collection::vec((0u8..5, 1u8..9, 0u8..3), 0..9), budget in 0u8..12,
        ) {
            let all: Vec<Candidate> = (0..).zip(all).map(|(trial, (accuracy, cost, noise))| {
                candidate(trial, f64::from(accuracy) / 4.0, f64::from(cost), f64::from(noise) / 2.0)
            }).collect();
            let front = of(&all).front;
            let beaten = |one: &Candidate, by: &Candidate| {
                let equal = (by.cost, by.accuracy) == (one.cost, one.accuracy);
                by.cost <= one.cost && by.accuracy >= one.accuracy && (!equal || by.trial < one.trial)
            };
            let mut standing: Vec<Candidate> =
                all.iter().filter(|one| !all.iter().any(|by| beaten(one, by))).cloned().collect();
            standing.sort_by(cheaper);
            prop_assert_eq!(front, standing);
            let budget = f64::from(budget);
            let within = all.iter().filter(|candidate| candidate.at_most <= budget);
            let best = within.max_by(|a, b| a.accuracy.total_cmp(&b.accuracy).then(cheaper(b, a)));
            prop_assert_eq!(of(&all).pick(budget).model, best.cloned());
        }
    }

    #[test]
    fn a_front_without_a_bend_has_no_knee() {
        let straight: Vec<Candidate> =
            (0..4).map(|n| candidate(n, 0.5 + 0.1 * n as f64, f64::from(1 << n), 0.0)).collect();
        assert_eq!(of(&straight[..2]).knee, None);
        let hollow = [candidate(0, 0.5, 1.0, 0.0), candidate(1, 0.51, 4.0, 0.0), candidate(2, 0.9, 8.0, 0.0)];
        assert_eq!(of(&hollow).knee, None);
        assert_eq!(of(&[]).pick(1.0).model, None);
    }
}
