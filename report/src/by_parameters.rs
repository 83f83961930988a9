//! What a search for what a board takes brought against one for few parameters, over the same trials.

use mfactor::numbers::{percent, points};
use mfactor::trial::best;
use mfactor::{Architecture, Objective, Quantity, Trial};
use serde::{Deserialize, Serialize};

/// The best network by what a board takes, and the best by parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByParameters {
    /// What the board takes.
    pub quantity: Quantity,
    /// The best by the study's M.
    pub chosen: Choice,
    /// The best by the paper's M at the same α: parameters against those of the smallest architecture.
    pub by_parameters: Choice,
}

/// A network that was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its architecture.
    pub architecture: Architecture,
    /// A: accuracy on the validation split, of the kind that the objective says.
    pub accuracy: f64,
    /// What it takes, as the study counted it, in the quantity's unit.
    pub cost: f64,
}

/// Both, where M is over something that a cost table tells and a trial is complete. `trials` have the study's M, and `papers`
/// are the same ones with the paper's.
pub(crate) fn by_parameters(
    trials: &[Trial],
    papers: &[Trial],
    objective: &Objective,
) -> Option<ByParameters> {
    let quantity =
        objective.terms().iter().map(|term| term.quantity).find(|quantity| !quantity.is_exact())?;
    let choice = |trials: &[Trial]| {
        let trial = best(trials)?;
        let (accuracy, cost) = (trial.accuracy?, trial.cost.values().get(quantity)?);
        Some(Choice { architecture: trial.architecture.clone(), accuracy, cost })
    };
    Some(ByParameters { quantity, chosen: choice(trials)?, by_parameters: choice(papers)? })
}

impl ByParameters {
    /// In a sentence.
    pub fn words(&self) -> String {
        let Self { quantity, chosen, by_parameters: other } = self;
        let label = quantity.label();
        if chosen.architecture == other.architecture {
            return format!("By parameters the same network would have been chosen as for {label}.");
        }
        let more = if other.cost > chosen.cost { "more" } else { "less" };
        format!(
            "By parameters {} would have been chosen: {} and a {label} of {}, as the study counted it. For {label} it is {}: {} and {}. \
             Searching by parameters would have cost {} of accuracy and {} {more}.",
            other.architecture,
            percent(other.accuracy),
            quantity.show(other.cost),
            chosen.architecture,
            percent(chosen.accuracy),
            quantity.show(chosen.cost),
            points(chosen.accuracy - other.accuracy),
            quantity.show((other.cost - chosen.cost).abs()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parameters_would_have_cost_is_said_in_both_units() {
        let choice = |id: &str, accuracy, cost| Choice { architecture: id.parse().unwrap(), accuracy, cost };
        let both = |by_parameters| ByParameters {
            quantity: Quantity::LatencyP50,
            chosen: choice("333-333-357", 0.78, 0.2),
            by_parameters,
        };
        let words = both(choice("357-333-333", 0.75, 0.32)).words();
        assert!(
            words.contains("0.32 ms")
                && words.contains("+3.00 points of accuracy")
                && words.contains("0.12 ms more"),
            "{words}"
        );
        assert!(both(choice("333-333-357", 0.78, 0.2)).words().contains("same network"));
    }
}
