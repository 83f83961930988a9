//! How much of a front each strategy covered, where a study sought one.

use mfactor::front::{Front, Losses, front};
use mfactor::numbers::counted;
use mfactor::{AccuracyKind, Quantity, Trial, Values};
use serde::{Deserialize, Serialize};

use crate::strategies::names;

/// The front that a study found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontSummary {
    /// The costs against which accuracy was sought.
    pub costs: Vec<Quantity>,
    /// The reference point of the hypervolume: what chance reaches, at the largest costs of the space.
    pub reference: Values,
    /// Hypervolume of all complete trials, as [`Front::share`] gives it.
    pub covered: f64,
    /// Ids of the trials that no other dominates, by rising first cost.
    pub trials: Vec<u64>,
    /// What each strategy has of it, the most first.
    pub strategies: Vec<StrategyFront>,
}

/// What one strategy has of a front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrategyFront {
    /// Its name.
    pub strategy: String,
    /// Hypervolume of its own complete trials, as [`Front::share`] gives it.
    pub covered: f64,
    /// Its trials among [`FrontSummary::trials`].
    pub on_front: usize,
}

impl FrontSummary {
    /// What was found, and of what it is a share, in two sentences; `accuracy` is the one that decided.
    pub fn words(&self, accuracy: AccuracyKind) -> [String; 2] {
        let accuracy = accuracy.label();
        let costs: Vec<&str> = self.costs.iter().map(|cost| cost.label()).collect();
        let end = |cost: &Quantity| {
            let value = self.reference.get(*cost).unwrap_or(f64::NAN);
            format!("{} {}", cost.show(value), cost.label())
        };
        let ends: Vec<String> = self.costs.iter().map(end).collect();
        let least = self.reference.get(Quantity::Accuracy).unwrap_or(f64::NAN);
        [
            format!(
                "The front of {accuracy} against {} has {} and covers {:.1} % of the hypervolume.",
                costs.join(" and "),
                counted(self.trials.len(), "network"),
                100.0 * self.covered
            ),
            format!(
                "The hypervolume begins at {accuracy} {:.1} % and {}, and 100 % would be {accuracy} 1 at the least cost.",
                100.0 * least,
                ends.join(" and ")
            ),
        ]
    }

    /// What a strategy has of it.
    pub fn of(&self, strategy: &str) -> Option<&StrategyFront> {
        self.strategies.iter().find(|of| of.strategy == strategy)
    }
}

/// The front of a study's complete trials.
pub fn front_summary(trials: &[Trial], sought: &Front) -> FrontSummary {
    let complete: Vec<(&Trial, Losses)> = trials.iter().filter_map(|trial| losses(trial, sought)).collect();
    let all: Vec<Losses> = complete.iter().map(|(_, losses)| *losses).collect();
    let mut standing: Vec<(&Trial, Losses)> = front(&all).into_iter().map(|place| complete[place]).collect();
    standing.sort_by(|(a, x), (b, y)| x[1].total_cmp(&y[1]).then(a.id.cmp(&b.id)));
    let of_strategy = |name: &str| StrategyFront {
        strategy: name.to_owned(),
        covered: sought.share(&of(&complete, name)),
        on_front: of(&standing, name).len(),
    };
    let mut strategies: Vec<StrategyFront> = names(trials).into_iter().map(of_strategy).collect();
    strategies.sort_by(|a, b| b.covered.total_cmp(&a.covered));
    FrontSummary {
        costs: sought.costs().to_vec(),
        reference: sought.reference(),
        covered: sought.share(&all),
        trials: standing.iter().map(|(trial, _)| trial.id).collect(),
        strategies,
    }
}

/// Hypervolume of each of the complete `trials` and all before it, as [`Front::share`] gives it.
pub(crate) fn covered_after(trials: &[&Trial], sought: &Front) -> Vec<f64> {
    let all: Vec<Losses> = trials.iter().filter_map(|trial| Some(losses(trial, sought)?.1)).collect();
    (1..=all.len()).map(|count| sought.share(&all[..count])).collect()
}

fn losses<'a>(trial: &'a Trial, sought: &Front) -> Option<(&'a Trial, Losses)> {
    Some((trial, sought.losses(trial.accuracy?, &trial.cost)))
}

fn of(trials: &[(&Trial, Losses)], strategy: &str) -> Vec<Losses> {
    trials.iter().filter(|(trial, _)| trial.proposer.name() == strategy).map(|(_, losses)| *losses).collect()
}
