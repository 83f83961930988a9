//! How the strategies of a study did, and how little one seed says about it.

use mfactor::trial::best;
use mfactor::{Architecture, Objective, SearchSpace, Trial, TrialState};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::compare::Comparison;
use crate::models::Model;

pub use mfactor::proposer::BASELINE;
/// The strategy name of random search.
pub const RANDOM: &str = "random";

/// Spaces up to this size are enumerated for the yardstick, larger ones sampled this often.
const YARDSTICK_ARCHITECTURES: u64 = 20_000;

/// What one strategy reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrategySummary {
    /// Its name.
    pub strategy: String,
    /// Trials, in whatever state.
    pub trials: usize,
    /// Complete trials.
    pub complete: usize,
    /// Failed trials.
    pub failed: usize,
    /// Trials that were stopped early.
    pub pruned: usize,
    /// Proposals beside these that were not evaluated, for they could not win.
    #[serde(default)]
    pub skipped: usize,
    /// Its best trial; `None` if none is complete.
    pub best: Option<Model>,
    /// Trials it took to find the best one, counted from 1.
    pub found_at: Option<u64>,
    /// Mean M of its complete trials.
    pub mean_m_factor: Option<f64>,
    /// Wall-clock seconds of all its evaluations together, those left out that were found trained.
    pub seconds: f64,
}

/// What random search would reach in this space if every architecture had the same accuracy: the best of
/// `trials` draws, over all seeds. It shows how much the luck of one seed is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Yardstick {
    /// Draws.
    pub trials: usize,
    /// The accuracy that is assumed: the mean over complete trials.
    pub accuracy: f64,
    /// Mean of the best M.
    pub best_m_factor: f64,
    /// Standard deviation of the best M from seed to seed.
    pub deviation: f64,
}

/// Every strategy but the baseline, the best first.
pub(crate) fn summarise(trials: &[Trial], objective: &Objective) -> Vec<StrategySummary> {
    let mut summaries: Vec<StrategySummary> =
        names(trials).into_iter().map(|name| of_strategy(name, trials, objective)).collect();
    let m = |summary: &StrategySummary| summary.best.as_ref().map_or(f64::NEG_INFINITY, |best| best.m_factor);
    summaries.sort_by(|a, b| m(b).total_cmp(&m(a)));
    summaries
}

/// Strategies that have trials, in the order of their names, but for the baseline.
pub(crate) fn names(trials: &[Trial]) -> Vec<&str> {
    let mut names: Vec<&str> = trials.iter().map(|trial| trial.proposer.name()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| *name != BASELINE);
    names
}

fn of_strategy(name: &str, trials: &[Trial], objective: &Objective) -> StrategySummary {
    let is_skipped = |trial: &&Trial| trial.state == TrialState::Skipped;
    let (skipped, own): (Vec<&Trial>, Vec<&Trial>) =
        trials.iter().filter(|trial| trial.proposer.name() == name).partition(is_skipped);
    let complete: Vec<f64> = own.iter().filter_map(|trial| trial.m_factor).collect();
    let best = best(own.iter().copied());
    StrategySummary {
        strategy: name.to_owned(),
        trials: own.len(),
        complete: complete.len(),
        failed: own.iter().filter(|trial| trial.state == TrialState::Failed).count(),
        skipped: skipped.len(),
        pruned: own.iter().filter(|trial| trial.state == TrialState::Pruned).count(),
        best: best.and_then(|trial| Model::of_trial(trial, objective)),
        found_at: best.map(|best| own.iter().filter(|trial| trial.number <= best.number).count() as u64),
        mean_m_factor: mean(&complete),
        seconds: own.iter().map(|trial| trial.seconds_spent()).sum(),
    }
}

/// The yardstick for `trials` draws at a constant accuracy.
pub(crate) fn yardstick(
    space: &SearchSpace,
    objective: &Objective,
    trials: usize,
    accuracy: f64,
    seed: u64,
) -> Yardstick {
    let m = |architecture: Architecture| {
        objective.m_factor(accuracy, objective.exact_size_score(&objective.cost(space, &architecture)))
    };
    let mut values: Vec<f64> = if space.size() <= u128::from(YARDSTICK_ARCHITECTURES) {
        space.architectures().map(m).collect()
    } else {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..YARDSTICK_ARCHITECTURES).map(|_| m(space.sample(&mut rng))).collect()
    };
    values.sort_by(f64::total_cmp);
    // The best of n independent draws is at most the i-th of N values with probability (i/N)^n.
    let below = |index: usize| (index as f64 / values.len() as f64).powi(trials as i32);
    let weighted = |power: i32| -> f64 {
        let term = |(index, value): (usize, &f64)| (below(index + 1) - below(index)) * value.powi(power);
        values.iter().enumerate().map(term).sum()
    };
    let best_m_factor = weighted(1);
    let variance = weighted(2) - best_m_factor * best_m_factor;
    Yardstick { trials, accuracy, best_m_factor, deviation: variance.max(0.0).sqrt() }
}

/// What the summaries of one study may, and may not, be read as; `seeds` is the number of studies at hand.
pub(crate) fn words(comparison: &Comparison) -> Vec<String> {
    let summaries = &comparison.strategies;
    let mut words: Vec<String> =
        comparison.sought_front.iter().flat_map(|front| front.words(comparison.accuracy)).collect();
    let bests: Vec<(&str, &Model)> =
        summaries.iter().filter_map(|s| Some((s.strategy.as_str(), s.best.as_ref()?))).collect();
    let gap = match bests.as_slice() {
        [(first, a), (second, b), ..] => {
            let gap = a.m_factor - b.m_factor;
            words.push(format!(
                "{first} found the best M, {:.4}; {second} came second with {:.4}, {gap:.4} less.",
                a.m_factor, b.m_factor
            ));
            gap
        }
        _ => return words,
    };
    let seeds = comparison.repeats + 1;
    words.push(if seeds == 1 {
        "Each strategy ran with one seed, which says little about which strategy is better: another seed may \
         turn the order round. Repeat the study with other seeds, and compare them all: \
         mfactor compare DIR --with DIR2 DIR3."
            .to_owned()
    } else {
        format!("That is one seed of {seeds}; what they say together stands below.")
    });
    words.extend(stopped_early(summaries));
    words.extend(skipped(summaries));
    if let Some(yardstick) = &comparison.yardstick {
        let judged = if gap < 2.0 * yardstick.deviation { "within" } else { "beyond" };
        words.push(format!(
            "For scale: if every architecture had accuracy {:.4}, the best of {} random trials would be \
             {:.3} ± {:.3} (mean and standard deviation over seeds); the gap above is {judged} two such \
             deviations.",
            yardstick.accuracy, yardstick.trials, yardstick.best_m_factor, yardstick.deviation
        ));
    }
    words
}

fn stopped_early(summaries: &[StrategySummary]) -> Option<String> {
    let phrase = |summary: &StrategySummary| {
        (summary.pruned > 0)
            .then(|| format!("{} of {} of {}", summary.pruned, summary.trials, summary.strategy))
    };
    let phrases: Vec<String> = summaries.iter().filter_map(phrase).collect();
    (!phrases.is_empty())
        .then(|| format!("Trials that were stopped early, and have no M: {}.", phrases.join(", ")))
}

fn skipped(summaries: &[StrategySummary]) -> Option<String> {
    let skipped = summaries.iter().filter(|summary| summary.skipped > 0);
    let phrases: Vec<String> =
        skipped.map(|summary| format!("{} by {}", summary.skipped, summary.strategy)).collect();
    (!phrases.is_empty()).then(|| {
        format!(
            "Proposals that cost too much to win at any accuracy, and were not trained: {}.",
            phrases.join(", ")
        )
    })
}

/// Arithmetic mean; `None` of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation; `None` of fewer than two.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_yardstick_is_what_drawing_gives() {
        let space = SearchSpace::paper();
        let objective = Objective::paper(1.0, space.minimum_parameters()).unwrap();
        let yardstick = yardstick(&space, &objective, 20, 0.75, 0);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let m = |a: &Architecture| objective.m_factor(0.75, objective.exact_size_score(&space.cost(a)));
        let mut draw = || m(&space.sample(&mut rng));
        let bests: Vec<f64> = (0..300).map(|_| (0..20).map(|_| draw()).fold(0.0, f64::max)).collect();
        let standard_error = yardstick.deviation / f64::sqrt(300.0);
        assert!((mean(&bests).unwrap() - yardstick.best_m_factor).abs() < 4.0 * standard_error);
        assert!((deviation(&bests).unwrap() / yardstick.deviation - 1.0).abs() < 0.25);
    }

    #[test]
    fn one_draw_is_the_space_itself() {
        let space = SearchSpace::paper();
        let objective = Objective::paper(1.0, space.minimum_parameters()).unwrap();
        let m = |a: &Architecture| objective.m_factor(0.75, objective.exact_size_score(&space.cost(a)));
        let all: Vec<f64> = space.architectures().map(|a| m(&a)).collect();
        let one = yardstick(&space, &objective, 1, 0.75, 0);
        assert!((one.best_m_factor - mean(&all).unwrap()).abs() < 1e-9);
        assert!((one.deviation - deviation(&all).unwrap()).abs() < 1e-4);
    }
}
