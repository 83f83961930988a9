//! The two baselines that stand beside every winner: the smallest architecture, and the average of random
//! ones. At α = 1 the first is all but unbeatable in the paper's space; a report without it would mislead.

use mfactor::trial::best;
use mfactor::{Architecture, Objective, Proposer, SearchSpace, Trial};
use serde::{Deserialize, Serialize};

use crate::models::Model;
use crate::strategies::{RANDOM, deviation, mean};

/// Both baselines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// The smallest architecture of the space.
    pub smallest: Smallest,
    /// The average of random trials; `None` if the study has none that is complete.
    pub random: Option<RandomAverage>,
}

/// The smallest architecture: S' = 1 whatever its accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Smallest {
    /// Its architecture.
    pub architecture: Architecture,
    /// P_min.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Its trial, if it was trained: that of strategy `baseline`, else the best of any strategy.
    pub trained: Option<Model>,
    /// The accuracy at which its M equals that of the best trial. `None` without a complete trial.
    pub ties_at_accuracy: Option<f64>,
}

/// Average over the complete trials of random search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomAverage {
    /// Trials.
    pub trials: usize,
    /// Mean M.
    pub m_factor: f64,
    /// Standard deviation of M; `None` of a single trial.
    pub m_factor_deviation: Option<f64>,
    /// Mean validation accuracy.
    pub accuracy: f64,
    /// Mean number of parameters.
    pub parameters: f64,
}

pub(crate) fn baselines(trials: &[Trial], space: &SearchSpace, objective: &Objective) -> Baselines {
    Baselines { smallest: smallest(trials, space, objective), random: random(trials, objective) }
}

fn smallest(trials: &[Trial], space: &SearchSpace, objective: &Objective) -> Smallest {
    let architecture = space.smallest();
    let cost = objective.cost(space, &architecture);
    let own: Vec<&Trial> = trials.iter().filter(|trial| trial.architecture == architecture).collect();
    let meant = best(own.iter().copied().filter(|trial| trial.proposer == Proposer::Baseline));
    let trained = meant.or_else(|| best(own)).and_then(|trial| Model::of_trial(trial, objective));
    let winner = best(trials).and_then(|trial| trial.m_factor);
    Smallest {
        architecture,
        parameters: cost.parameters,
        macs: cost.macs,
        trained,
        ties_at_accuracy: winner.map(|m| accuracy_for(m, objective.alpha())),
    }
}

/// The accuracy at which equation 8 gives `m_factor` at S' = 1: A = M / (1 + α·(1 - M)).
fn accuracy_for(m_factor: f64, alpha: f64) -> f64 {
    m_factor / (1.0 + alpha * (1.0 - m_factor))
}

fn random(trials: &[Trial], objective: &Objective) -> Option<RandomAverage> {
    let models: Vec<Model> = trials
        .iter()
        .filter(|trial| trial.proposer.name() == RANDOM)
        .filter_map(|trial| Model::of_trial(trial, objective))
        .collect();
    let all = |value: fn(&Model) -> f64| -> Vec<f64> { models.iter().map(value).collect() };
    let m_factors = all(|model| model.m_factor);
    Some(RandomAverage {
        trials: models.len(),
        m_factor: mean(&m_factors)?,
        m_factor_deviation: deviation(&m_factors),
        accuracy: mean(&all(|model| model.validation_accuracy))?,
        parameters: mean(&all(|model| model.parameters as f64))?,
    })
}

#[cfg(test)]
mod tests {
    use mfactor::objective::m_factor;

    use super::*;

    #[test]
    fn the_tying_accuracy_gives_the_winners_m() {
        for (m, alpha) in [(0.85, 1.0), (0.6, 0.1), (0.9, 10.0), (0.0, 1.0), (1.0, 3.0)] {
            assert!((m_factor(accuracy_for(m, alpha), 1.0, alpha) - m).abs() < 1e-12);
        }
    }
}
