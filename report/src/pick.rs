//! A model for each of several budgets, from one study: the most accurate one within each, what a step down costs, and where
//! the front bends.

use mfactor::{Architecture, Quantity, Trial};
use serde::Serialize;

use crate::models::MeasuredModel;

/// A trained model with its cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Its architecture.
    pub architecture: Architecture,
    /// Id of its trial.
    pub trial: u64,
    /// Accuracy on the validation split, 0 to 1.
    pub accuracy: f64,
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

/// All picks of a study by one cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picks {
    /// The cost.
    pub quantity: Quantity,
    /// One for each budget, in their order.
    pub picks: Vec<Pick>,
    /// Models that no other beats in accuracy and cost at once, by rising cost.
    pub front: Vec<Candidate>,
    /// Where the front bends: its model farthest above the line from its cheapest to its most accurate one, cost on a
    /// logarithmic scale and both scaled to the front (Satopaa et al. 2011, «kneedle»). `None` of fewer than three.
    pub knee: Option<Candidate>,
}

/// Complete trials with a cost that is exact; none of another.
pub fn trained(trials: &[Trial], quantity: Quantity) -> Vec<Candidate> {
    let candidate = |trial: &Trial| {
        let cost = trial.cost.values().get(quantity)?;
        let architecture = trial.architecture.clone();
        Some(Candidate { architecture, trial: trial.id, accuracy: trial.accuracy?, cost, at_most: cost })
    };
    trials.iter().filter_map(candidate).collect()
}

/// Models of one bench with a cost that was measured there; those without are left out.
pub fn measured(models: &[MeasuredModel], quantity: Quantity) -> Vec<Candidate> {
    let candidate = |row: &MeasuredModel| {
        let figures = &row.figures;
        let (cost, noise) = match quantity {
            Quantity::LatencyP50 => (Some(figures.latency_p50_ms), figures.latency_noise_ms),
            Quantity::LatencyP90 => (Some(figures.latency_p90_ms), 0.0),
            Quantity::PeakMemory => (figures.peak_rss_bytes.map(|bytes| bytes as f64), 0.0),
            Quantity::Energy => (figures.energy_mj, figures.energy_noise_mj.unwrap_or(0.0)),
            Quantity::Accuracy | Quantity::Parameters | Quantity::Macs | Quantity::ModelBytes => return None,
        };
        let cost = cost?;
        let model = &row.model;
        let (architecture, accuracy) = (model.architecture.clone(), model.validation_accuracy);
        Some(Candidate { architecture, trial: model.trial, accuracy, cost, at_most: cost + noise })
    };
    models.iter().filter_map(candidate).collect()
}

/// Picks a model for each budget.
pub fn picks(quantity: Quantity, candidates: &[Candidate], budgets: &[f64]) -> Picks {
    let front = front(candidates);
    let pick = |budget: &f64| {
        let within = candidates.iter().filter(|candidate| candidate.at_most <= *budget);
        let model = within.max_by(|a, b| a.accuracy.total_cmp(&b.accuracy).then(cheaper(b, a)));
        let step_down = model.and_then(|model| step_down(model, &front));
        Pick { budget: *budget, model: model.cloned(), step_down }
    };
    Picks { quantity, picks: budgets.iter().map(pick).collect(), knee: knee(&front).cloned(), front }
}

fn cheaper(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    a.cost.total_cmp(&b.cost).then(a.trial.cmp(&b.trial))
}

/// By rising cost, each more accurate than all before it.
fn front(candidates: &[Candidate]) -> Vec<Candidate> {
    let mut sorted: Vec<&Candidate> = candidates.iter().collect();
    sorted.sort_by(|a, b| {
        a.cost.total_cmp(&b.cost).then(b.accuracy.total_cmp(&a.accuracy)).then(a.trial.cmp(&b.trial))
    });
    let mut best = f64::NEG_INFINITY;
    sorted.retain(|candidate| {
        let improves = candidate.accuracy > best;
        best = best.max(candidate.accuracy);
        improves
    });
    sorted.into_iter().cloned().collect()
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
    use super::*;

    fn candidate(trial: u64, accuracy: f64, cost: f64, noise: f64) -> Candidate {
        let architecture = "333".parse().unwrap();
        Candidate { architecture, trial, accuracy, cost, at_most: cost + noise }
    }

    fn picked(picks: &Picks) -> Vec<Option<u64>> {
        picks.picks.iter().map(|pick| pick.model.as_ref().map(|model| model.trial)).collect()
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
        let picks = picks(Quantity::LatencyP50, &all, &[5.0, 10.0, 20.0, 20.5, 50.0, 100.0]);
        let expected = [None, Some(0), Some(2), Some(1), Some(1), Some(4)];
        assert_eq!(picked(&picks), expected, "the upper end of the interval has to keep to the budget");
        let front: Vec<u64> = picks.front.iter().map(|model| model.trial).collect();
        assert_eq!(front, [0, 2, 1, 4]);
        assert_eq!(picks.knee.as_ref().map(|model| model.trial), Some(1));
        let down = picks.picks[5].step_down.as_ref().unwrap();
        assert_eq!(down.model.trial, 1);
        assert!((down.accuracy_lost - 0.05).abs() < 1e-12 && (down.cost_saved - 0.75).abs() < 1e-12);
        assert_eq!(picks.picks[1].step_down, None, "nothing is cheaper");
    }

    #[test]
    fn a_front_without_a_bend_has_no_knee() {
        let straight: Vec<Candidate> =
            (0..4).map(|n| candidate(n, 0.5 + 0.1 * n as f64, f64::from(1 << n), 0.0)).collect();
        let knee = picks(Quantity::Macs, &straight[..2], &[]).knee;
        assert_eq!(knee, None);
        let hollow = [candidate(0, 0.5, 1.0, 0.0), candidate(1, 0.51, 4.0, 0.0), candidate(2, 0.9, 8.0, 0.0)];
        assert_eq!(picks(Quantity::Macs, &hollow, &[]).knee, None);
        assert!(picks(Quantity::Macs, &[], &[1.0]).picks[0].model.is_none());
    }
}
