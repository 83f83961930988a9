//! What a search seeks, in the words of its live view: the largest M, or a front.

use mfactor::numbers::percent;
use mfactor::{Objective, Quantity, Trial};
use search::StudyConfig;

/// How far a search is from what it seeks.
pub trait Goal {
    /// The best of the study, for its line.
    fn best(&self, best: f64) -> String;

    /// What is reached so far of a trial of this accuracy and S', beside the best of its strategy.
    fn so_far(&self, accuracy: f64, size_score: f64, best: Option<f64>) -> String;

    /// What came of a trial, beside the best of its strategy.
    fn reached(&self, trial: &Trial, best: Option<f64>) -> String;
}

/// What a study of this configuration seeks.
///
/// # Errors
/// As [`StudyConfig::front`].
pub fn of(config: &StudyConfig) -> mfactor::Result<Box<dyn Goal>> {
    Ok(match config.front()? {
        Some(front) => Box::new(CoveredFront { costs: front.costs().to_vec() }),
        None => Box::new(LargestM { objective: config.objective()? }),
    })
}

/// A number of the objective, or a dash.
pub fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.4}"))
}

struct LargestM {
    objective: Objective,
}

impl Goal for LargestM {
    fn best(&self, best: f64) -> String {
        format!("best M {best:.4}")
    }

    fn so_far(&self, accuracy: f64, size_score: f64, best: Option<f64>) -> String {
        let best = best.map_or(String::new(), |best| format!("  best {best:.4}"));
        format!("M {:.4}{best}", self.objective.m_factor(accuracy, size_score))
    }

    fn reached(&self, trial: &Trial, best: Option<f64>) -> String {
        format!("M {}  best {}", number(trial.m_factor), number(best))
    }
}

/// The share of the hypervolume that is covered.
struct CoveredFront {
    /// Beside accuracy.
    costs: Vec<Quantity>,
}

impl Goal for CoveredFront {
    fn best(&self, best: f64) -> String {
        format!("{} covered", percent(best))
    }

    fn so_far(&self, accuracy: f64, _: f64, best: Option<f64>) -> String {
        let best = best.map_or(String::new(), |best| format!("  {}", self.best(best)));
        format!("A {accuracy:.4}{best}")
    }

    fn reached(&self, trial: &Trial, best: Option<f64>) -> String {
        let values = trial.values();
        let cost = |cost: &Quantity| Some(format!("{} {}  ", cost.show(values.get(*cost)?), cost.label()));
        let costs: String = self.costs.iter().filter_map(cost).collect();
        format!("{costs}covered {}", best.map_or("-".to_owned(), percent))
    }
}
