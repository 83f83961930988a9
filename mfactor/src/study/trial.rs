//! What a study knows about one architecture it tried.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::cost::{BoardCosts, Cost};
use crate::front::staircase;
use crate::objective::Objective;
use crate::proposer::Proposer;
use crate::protocol::FailureKind;
use crate::quantity::{Quantity, Values};

/// State of a trial; the names are Optuna's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// Being evaluated, or cut off while it was.
    Running,
    /// Evaluated; accuracy and M-factor are finite.
    Complete,
    /// Stopped early for lack of promise.
    Pruned,
    /// Not evaluated; the reason is recorded.
    Failed,
    /// Proposed and not evaluated, for it costs too much to win whatever its accuracy; the reason is recorded.
    Skipped,
}

impl TrialState {
    /// The word for it, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Pruned => "pruned",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One architecture that a study tried, or is trying.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Position among all trials of the journal, from 0. Names the folder of its weights.
    pub id: u64,
    /// Position among the trials of its strategy, from 0.
    pub number: u64,
    /// Who proposed it.
    #[serde(rename = "strategy")]
    pub proposer: Proposer,
    /// What was tried.
    pub architecture: Architecture,
    /// State.
    pub state: TrialState,
    /// Seed of its training.
    pub seed: u64,
    /// Parameters, MACs, and bytes of weights and activations.
    #[serde(flatten)]
    pub cost: Cost,
    /// S' over the costs of the study's objective, [`Objective::size_score`]; computed, and kept for readers.
    pub size_score: f64,
    /// A: accuracy on the validation split, 0 to 1, balanced accuracy where [`Objective::accuracy`] says so; of a complete
    /// trial.
    pub accuracy: Option<f64>,
    /// M by the study's objective, likewise; of a complete trial.
    pub m_factor: Option<f64>,
    /// Likewise after each epoch.
    pub epoch_accuracies: Vec<f64>,
    /// Wall-clock seconds of the evaluation, of a complete or pruned trial. Of a reused one: what it took when
    /// it was trained.
    pub seconds: Option<f64>,
    /// Training images seen, likewise.
    pub images: Option<u64>,
    /// Whether the same training was found among earlier ones and cost nothing.
    #[serde(default)]
    pub reused: bool,
    /// Why it failed, or was skipped.
    pub failure: Option<String>,
    /// What kind of failure it was, of a failed trial. Studies of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_kind: Option<FailureKind>,
}

impl Trial {
    /// Seconds that this study spent on it.
    pub fn seconds_spent(&self) -> f64 {
        if self.reused { 0.0 } else { self.seconds.unwrap_or(0.0) }
    }

    /// What is known of it, quantity by quantity.
    pub fn values(&self) -> Values {
        let values = self.cost.values();
        self.accuracy.iter().fold(values, |values, accuracy| values.with(Quantity::Accuracy, *accuracy))
    }

    /// Computes S' and M by an objective over costs that are exact, told or measured.
    pub fn score(&mut self, objective: &Objective) {
        self.size_score = objective.exact_size_score(&self.cost);
        self.m_factor = objective.score(&self.values());
    }

    /// Takes in what a board said of it, and scores it anew.
    pub fn measure(&mut self, measured: BoardCosts, objective: &Objective) {
        self.cost.measured = measured;
        self.size_score = objective.exact_size_score(&self.cost);
        self.m_factor = self.m_factor.and_then(|_| objective.score(&self.values()));
    }

    /// Whether nothing more will happen to it.
    pub fn is_finished(&self) -> bool {
        self.state != TrialState::Running
    }
}

/// The complete trial with the largest M-factor; the earlier one where two are equal.
pub fn best<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Option<&'a Trial> {
    ranked(trials).into_iter().next()
}

/// Complete trials by falling M-factor; the earlier one first where two are equal.
pub fn ranked<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Vec<&'a Trial> {
    let mut complete: Vec<(&Trial, f64)> =
        trials.into_iter().filter_map(|trial| trial.m_factor.map(|m| (trial, m))).collect();
    complete.sort_by(|(a, m), (b, n)| n.total_cmp(m).then(a.id.cmp(&b.id)));
    complete.into_iter().map(|(trial, _)| trial).collect()
}

/// Complete trials that no other dominates in accuracy (higher) and parameters (fewer), by rising
/// parameters. Of equal trials the earlier one stands.
pub fn pareto_front<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Vec<&'a Trial> {
    let mut complete: Vec<(&Trial, f64)> =
        trials.into_iter().filter_map(|trial| trial.accuracy.map(|a| (trial, a))).collect();
    complete.sort_by_key(|(trial, _)| trial.id);
    let by_parameters =
        |(a, _): &(&Trial, f64), (b, _): &(&Trial, f64)| a.cost.parameters.cmp(&b.cost.parameters);
    let by_accuracy = |(_, a): &(&Trial, f64), (_, b): &(&Trial, f64)| b.total_cmp(a);
    staircase(complete, by_parameters, by_accuracy).into_iter().map(|(trial, _)| trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(id: u64, accuracy: Option<f64>, parameters: u64) -> Trial {
        Trial {
            id,
            number: id,
            proposer: "random".into(),
            architecture: "333-333-333".parse().unwrap(),
            state: if accuracy.is_some() { TrialState::Complete } else { TrialState::Failed },
            seed: 0,
            cost: Cost {
                parameters,
                macs: 1,
                model_bytes: 4 * parameters,
                peak_activations: 1,
                predicted: BoardCosts::default(),
                measured: BoardCosts::default(),
            },
            size_score: 100.0 / parameters as f64,
            accuracy,
            m_factor: accuracy.map(|a| a * 100.0 / parameters as f64),
            epoch_accuracies: vec![],
            seconds: None,
            images: None,
            reused: false,
            failure: None,
            failure_kind: None,
        }
    }

    fn ids(trials: Vec<&Trial>) -> Vec<u64> {
        trials.into_iter().map(|trial| trial.id).collect()
    }

    #[test]
    fn ranking_skips_failures_and_keeps_the_earlier_of_equals() {
        let trials = [
            trial(0, None, 100),
            trial(1, Some(0.5), 100),
            trial(2, Some(0.7), 100),
            trial(3, Some(0.5), 100),
        ];
        assert_eq!(ids(ranked(&trials)), [2, 1, 3]);
        assert_eq!(best(&trials).unwrap().id, 2);
        assert!(best(&trials[..1]).is_none());
    }

    #[test]
    fn the_front_holds_what_nothing_dominates() {
        let trials = [
            trial(0, Some(0.5), 100),
            trial(1, Some(0.4), 150),
            trial(2, Some(0.6), 200),
            trial(3, Some(0.5), 100),
            trial(4, Some(0.6), 300),
            trial(5, Some(0.9), 400),
        ];
        assert_eq!(ids(pareto_front(&trials)), [0, 2, 5]);
    }

    #[test]
    fn field_names_in_json() {
        let json = serde_json::to_value(trial(0, Some(0.5), 100)).unwrap();
        for field in
            ["architecture", "parameters", "macs", "model_bytes", "size_score", "m_factor", "accuracy"]
        {
            assert!(json.get(field).is_some(), "{field}");
        }
    }
}
