//! Strategies: who proposes the next point. They know neither evaluators nor the study, nor what a point stands for.

mod given;
mod guided;
mod history;
mod local;
mod nsga2;
mod policy_rl;
mod random;
mod regularized_evolution;
mod smallest;
mod tpe;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use mfactor::{Architecture, Cost, Error, Front, Objective, Point, Proposer, Quantity, Result, SearchSpace};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::ratings::Ratings;

pub use given::Given;
pub use guided::{Expected, Guided, Outlook, Prediction, drawn, outlook};
pub use local::Local;
pub use nsga2::Nsga2;
pub use policy_rl::PolicyRl;
pub use random::Random;
pub use regularized_evolution::RegularizedEvolution;
pub use smallest::Smallest;
pub use tpe::Tpe;

/// What is sought, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Sought {
    /// Where.
    pub space: SearchSpace,
    /// What a trial is scored by.
    pub objective: Objective,
    /// Accuracy against costs: those of the objective, unless others were asked for.
    pub front: Front,
    /// Whether all of the front is sought, and not the one network with the best score.
    pub is_front: bool,
    /// What is known of networks that were not trained.
    pub ratings: Option<Arc<Ratings>>,
}

impl Sought {
    /// The front of accuracy against the costs among `front`; the best score if that is empty.
    ///
    /// # Errors
    /// As [`Front::new`].
    pub fn new(space: SearchSpace, objective: Objective, front: &[Quantity]) -> Result<Self> {
        if front.is_empty() {
            return Self::best(space, objective);
        }
        let costs = front.iter().copied().filter(|of| *of != Quantity::Accuracy).collect();
        let front = Front::new(&space, &objective, costs)?;
        Ok(Self { space, objective, front, is_front: true, ratings: None })
    }

    /// What an architecture of the space costs, with all that is told of it.
    pub fn cost(&self, architecture: &Architecture) -> Cost {
        self.objective.cost(&self.space, architecture)
    }

    /// The best score.
    ///
    /// # Errors
    /// As [`Front::new`].
    pub fn best(space: SearchSpace, objective: Objective) -> Result<Self> {
        // A front has two costs at most; what is beyond them the score alone knows.
        let costs = objective.terms().iter().take(2).map(|term| term.quantity).collect();
        let front = Front::new(&space, &objective, costs)?;
        Ok(Self { space, objective, front, is_front: false, ratings: None })
    }
}

/// What a strategy knows of one of its trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// What was tried.
    pub point: Point,
    /// What it costs.
    pub cost: Cost,
    /// What came of it.
    pub observed: Observed,
}

/// What came of a trial, as far as a strategy may know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Observed {
    /// Nothing yet.
    Running,
    /// An end with an accuracy; a pruned trial has that which it had got to.
    Scored {
        /// The objective's value, finite; the more the better.
        score: f64,
        /// Accuracy, 0 to 1.
        accuracy: f64,
    },
    /// No score, and there will be none.
    Failed,
}

impl Observation {
    /// The score and the accuracy, if it ended with them.
    pub fn ending(&self) -> Option<(f64, f64)> {
        match self.observed {
            Observed::Scored { score, accuracy } => Some((score, accuracy)),
            Observed::Running | Observed::Failed => None,
        }
    }
}

/// Proposes points.
///
/// A proposal is a function of what is sought, the observations and the generator alone: what an implementation keeps
/// between calls is a cache, and a fresh object given the same arguments proposes the same.
pub trait Strategy {
    /// The next point to try, or `None` once every point of the space was tried. `observations` are those of this
    /// strategy by trial number, running trials included; none of their points is proposed again.
    fn propose(
        &mut self,
        sought: &Sought,
        observations: &[Observation],
        rng: &mut ChaCha8Rng,
    ) -> Option<Point>;
}

/// The strategies there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StrategyKind {
    /// [`Random`].
    Random,
    /// [`RegularizedEvolution`].
    Evolution,
    /// [`Tpe`].
    Tpe,
    /// [`PolicyRl`].
    Rl,
    /// [`Local`].
    Local,
    /// [`Nsga2`].
    Nsga2,
    /// [`Guided`].
    Guided,
}

/// One line of the list of strategies.
struct Registered {
    kind: StrategyKind,
    name: &'static str,
    title: &'static str,
    build: fn() -> Box<dyn Strategy>,
}

/// The one list: a new strategy is a file, a variant of [`StrategyKind`] and a line here.
const REGISTRY: &[Registered] = &[
    Registered {
        kind: StrategyKind::Random,
        name: "random",
        title: "multi-trial random search",
        build: || Box::new(Random::default()),
    },
    Registered {
        kind: StrategyKind::Evolution,
        name: "evolution",
        title: "regularized evolution",
        build: || Box::new(RegularizedEvolution::default()),
    },
    Registered {
        kind: StrategyKind::Tpe,
        name: "tpe",
        title: "tree-structured Parzen estimator",
        build: || Box::new(Tpe::default()),
    },
    Registered {
        kind: StrategyKind::Rl,
        name: "rl",
        title: "policy-based reinforcement learning",
        build: || Box::new(PolicyRl::default()),
    },
    Registered {
        kind: StrategyKind::Local,
        name: "local",
        title: "local search",
        build: || Box::new(Local::default()),
    },
    Registered {
        kind: StrategyKind::Nsga2,
        name: "nsga2",
        title: "non-dominated sorting genetic algorithm II",
        build: || Box::new(Nsga2::default()),
    },
    Registered {
        kind: StrategyKind::Guided,
        name: "guided",
        title: "search guided by a regression on ranks",
        build: || Box::new(Guided::default()),
    },
];

impl StrategyKind {
    /// It as who proposes trials.
    pub fn proposer(self) -> Proposer {
        Proposer::Strategy(self.name().to_owned())
    }

    /// All strategies, in the order in which a study runs them.
    pub const ALL: [Self; REGISTRY.len()] = {
        let mut all = [Self::Random; REGISTRY.len()];
        let mut place = 0;
        while place < all.len() {
            all[place] = REGISTRY[place].kind;
            place += 1;
        }
        all
    };

    /// Those that the paper compares.
    pub const PAPER: [Self; 4] = [Self::Random, Self::Evolution, Self::Tpe, Self::Rl];

    fn registered(self) -> &'static Registered {
        REGISTRY.iter().find(|entry| entry.kind == self).expect("a test finds every strategy in the registry")
    }

    /// The name in files and on the command line.
    pub fn name(self) -> &'static str {
        self.registered().name
    }

    /// The name in the literature.
    pub fn title(self) -> &'static str {
        self.registered().title
    }

    /// A strategy that has seen nothing yet.
    pub fn build(self) -> Box<dyn Strategy> {
        (self.registered().build)()
    }

    /// Strategies from a list such as `random,tpe`, or `all`, or `paper`; in the order given.
    pub fn parse_list(list: &str) -> Result<Vec<Self>> {
        match list {
            "all" => return Ok(Self::ALL.to_vec()),
            "paper" => return Ok(Self::PAPER.to_vec()),
            _ => {}
        }
        let kinds = list.split(',').map(|name| name.trim().parse()).collect::<Result<Vec<Self>>>()?;
        match kinds.iter().enumerate().find(|(position, kind)| kinds[..*position].contains(kind)) {
            Some((_, twice)) => {
                Err(Error::input(format!("strategies {list:?}"), format!("{twice} is named twice")))
            }
            None => Ok(kinds),
        }
    }
}

impl fmt::Display for StrategyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for StrategyKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        REGISTRY.iter().find(|entry| entry.name == name).map(|entry| entry.kind).ok_or_else(|| {
            let known: Vec<&str> = REGISTRY.iter().map(|entry| entry.name).collect();
            Error::input(
                format!("strategy {name:?}"),
                format!("is not known; there are {}", known.join(", ")),
            )
        })
    }
}

impl TryFrom<String> for StrategyKind {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<StrategyKind> for String {
    fn from(kind: StrategyKind) -> Self {
        kind.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_strategy_is_registered_once_and_its_name_parses_back() {
        let distinct: HashSet<StrategyKind> = StrategyKind::ALL.into_iter().collect();
        assert_eq!(distinct.len(), REGISTRY.len());
        for kind in StrategyKind::ALL {
            assert_eq!(kind.to_string().parse::<StrategyKind>().unwrap(), kind);
            assert!(!kind.title().is_empty());
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "annealing".parse::<StrategyKind>().unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        let text = error.to_string();
        assert!(
            text.contains("annealing") && text.contains("random, evolution, tpe, rl, local, nsga2, guided"),
            "{text}"
        );
    }

    #[test]
    fn lists_of_strategies() {
        let parse = StrategyKind::parse_list;
        assert_eq!(parse("all").unwrap(), StrategyKind::ALL);
        assert_eq!(parse("paper").unwrap(), StrategyKind::PAPER);
        assert_eq!(parse("tpe, random").unwrap(), [StrategyKind::Tpe, StrategyKind::Random]);
        assert!(parse("tpe,tpe").unwrap_err().to_string().contains("twice"));
        assert!(parse("").is_err());
    }
}
