//! The strategies over repeated seeds: studies that differ in nothing but their seed, paired by it.

use mfactor::numbers::counted;
use mfactor::statistics::{SignedRank, holm, quantile, signed_rank, smallest_p, superiority};
use mfactor::{Objective, Trial};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::agreement::SIGNIFICANCE;
use crate::headline::list;
use crate::resample::BOOTSTRAP_RESAMPLES;
use crate::strategies::{BASELINE, deviation, mean};

/// A study of the same configuration with another seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeat {
    /// Name of the study.
    pub study: String,
    /// Its seed.
    pub seed: u64,
    /// Its trials.
    pub trials: Vec<Trial>,
}

/// The strategies over all seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seeds {
    /// The seeds; all lists by seed are in this order.
    pub seeds: Vec<u64>,
    /// Trials of each strategy that are looked at: as many as every study has of every strategy.
    pub budget: u64,
    /// The strategies, the best mean first; the smallest architecture among them, if every study trained it.
    pub strategies: Vec<StrategyOverSeeds>,
    /// Every two strategies.
    pub pairs: Vec<Pair>,
    /// Every strategy against the smallest architecture; empty if not every study trained it.
    pub against_smallest: Vec<Pair>,
}

/// The best M of one strategy, seed by seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrategyOverSeeds {
    /// Its name.
    pub strategy: String,
    /// Best M within the budget, by seed.
    pub best: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: Option<f64>,
    /// 95 % bootstrap interval of the mean over the seeds.
    pub interval: [f64; 2],
    /// After each trial of the budget, the best M so far: mean, smallest and largest over the seeds. Shorter by
    /// the trials before every seed has a complete one.
    pub curve: Vec<[f64; 3]>,
}

/// Two strategies, paired by seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The one with the larger mean.
    pub first: String,
    /// The other.
    pub second: String,
    /// Mean difference of best M, first minus second.
    pub difference: f64,
    /// Seeds in which the first is better, both are equal, the second is better.
    pub seeds: [usize; 3],
    /// Wilcoxon's signed-rank test; `None` if both are equal in every seed.
    pub test: Option<SignedRank>,
    /// Its p-value, corrected by Holm for the number of pairs beside it; 1 if both are equal in every seed.
    pub corrected_p: f64,
    /// Vargha and Delaney's A: the chance that the first beats the second, each with a seed of its own.
    pub superiority: f64,
}

impl Pair {
    /// Whether the difference is more than chance gives in one of twenty cases, after correction.
    pub fn is_told_from_chance(&self) -> bool {
        self.corrected_p < SIGNIFICANCE
    }

    /// How large the difference is, by the bounds of Vargha and Delaney.
    pub fn size(&self) -> &'static str {
        match (self.superiority - 0.5).abs() {
            small if small < 0.06 => "negligible",
            small if small < 0.14 => "small",
            medium if medium < 0.21 => "medium",
            _ => "large",
        }
    }
}

/// The strategies over all studies; `None` of fewer than two, and where no strategy has a complete trial in all. `seed` is that of the resampling.
pub(crate) fn seeds(studies: &[(u64, &[Trial])], objective: &Objective, seed: u64) -> Option<Seeds> {
    if studies.len() < 2 {
        return None;
    }
    let budget = budget(studies);
    let mut names: Vec<&str> =
        studies.iter().flat_map(|(_, trials)| trials.iter().map(|trial| trial.proposer.name())).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &&str| over_seeds(name, studies, budget, objective, seed);
    let mut strategies: Vec<StrategyOverSeeds> = names.iter().filter_map(of).collect();
    if strategies.is_empty() {
        return None;
    }
    strategies.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    let (smallest, searched): (Vec<_>, Vec<_>) =
        strategies.iter().partition(|strategy| strategy.strategy == BASELINE);
    let mut every_two = Vec::new();
    for (position, second) in searched.iter().enumerate() {
        every_two.extend(searched[..position].iter().map(|first| (*first, *second)));
    }
    let baseline: Vec<_> = smallest
        .first()
        .map(|smallest| searched.iter().map(|searched| (*searched, *smallest)).collect())
        .unwrap_or_default();
    let (pairs, against_smallest) = (pairs(&every_two), pairs(&baseline));
    Some(Seeds {
        seeds: studies.iter().map(|(seed, _)| *seed).collect(),
        budget,
        pairs,
        against_smallest,
        strategies,
    })
}

/// Finished trials that every study has of every strategy in it.
fn budget(studies: &[(u64, &[Trial])]) -> u64 {
    let mut fewest = u64::MAX;
    for (_, trials) in studies {
        let mut names: Vec<&str> = trials.iter().map(|trial| trial.proposer.name()).collect();
        names.sort_unstable();
        for name in names.chunk_by(|a, b| a == b).map(|run| run[0]).filter(|name| *name != BASELINE) {
            let own = trials.iter().filter(|trial| trial.proposer.name() == name);
            fewest = fewest.min(own.filter(|trial| trial.is_finished()).count() as u64);
        }
    }
    if fewest == u64::MAX { 0 } else { fewest }
}

fn over_seeds(
    name: &str,
    studies: &[(u64, &[Trial])],
    budget: u64,
    objective: &Objective,
    seed: u64,
) -> Option<StrategyOverSeeds> {
    let curves: Vec<Vec<Option<f64>>> =
        studies.iter().map(|(_, trials)| best_so_far(name, trials, budget.max(1), objective)).collect();
    let best: Vec<f64> = curves.iter().map(|curve| curve.last().copied().flatten()).collect::<Option<_>>()?;
    let after = |trial: usize| -> Option<[f64; 3]> {
        let values: Vec<f64> = curves.iter().map(|curve| curve[trial]).collect::<Option<_>>()?;
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        Some([mean(&values)?, low, values.iter().copied().fold(0.0, f64::max)])
    };
    Some(StrategyOverSeeds {
        strategy: name.to_owned(),
        mean: mean(&best)?,
        deviation: deviation(&best),
        interval: interval_of_mean(&best, seed)?,
        curve: (0..curves[0].len()).filter_map(after).collect(),
        best,
    })
}

/// Best M after each trial of the budget.
fn best_so_far(name: &str, trials: &[Trial], budget: u64, objective: &Objective) -> Vec<Option<f64>> {
    let mut best: Option<f64> = None;
    let mut curve = Vec::new();
    for number in 0..budget {
        let own = trials.iter().find(|trial| trial.proposer.name() == name && trial.number == number);
        let m = own.and_then(|trial| {
            Some(objective.m_factor(trial.accuracy?, objective.exact_size_score(&trial.cost)))
        });
        best = m.into_iter().chain(best).reduce(f64::max);
        curve.push(best);
    }
    curve
}

fn interval_of_mean(values: &[f64], seed: u64) -> Option<[f64; 2]> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || values.iter().map(|_| values[rng.random_range(0..values.len())]).sum::<f64>();
    let mut means: Vec<f64> = (0..BOOTSTRAP_RESAMPLES).map(|_| draw() / values.len() as f64).collect();
    means.sort_by(f64::total_cmp);
    Some([quantile(&means, 0.025)?, quantile(&means, 0.975)?])
}

fn pairs(of: &[(&StrategyOverSeeds, &StrategyOverSeeds)]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = of.iter().map(|(a, b)| pair(a, b)).collect();
    let p_values: Vec<f64> = pairs.iter().map(|pair| pair.corrected_p).collect();
    pairs.iter_mut().zip(holm(&p_values)).for_each(|(pair, corrected)| pair.corrected_p = corrected);
    pairs
}

/// A pair before the correction.
fn pair(a: &StrategyOverSeeds, b: &StrategyOverSeeds) -> Pair {
    let (first, second) = if a.mean >= b.mean { (a, b) } else { (b, a) };
    let differences: Vec<f64> = first.best.iter().zip(&second.best).map(|(a, b)| a - b).collect();
    let count = |holds: &dyn Fn(f64) -> bool| differences.iter().filter(|value| holds(**value)).count();
    let test = signed_rank(&differences);
    Pair {
        first: first.strategy.clone(),
        second: second.strategy.clone(),
        difference: first.mean - second.mean,
        seeds: [count(&|d| d > 0.0), count(&|d| d == 0.0), count(&|d| d < 0.0)],
        corrected_p: test.map_or(1.0, |test| test.p_value),
        test,
        superiority: superiority(&first.best, &second.best).unwrap_or(0.5),
    }
}

impl Seeds {
    /// All of this in sentences.
    pub fn words(&self) -> Vec<String> {
        let n = self.seeds.len();
        let mut words = vec![format!(
            "{} of each strategy, {} each; a study counts once, by the best M it found.",
            counted(n, "seed"),
            counted(self.budget as usize, "trial"),
        )];
        let told: Vec<String> = self
            .pairs
            .iter()
            .filter(|pair| pair.is_told_from_chance())
            .map(|pair| format!("{} over {}", pair.first, pair.second))
            .collect();
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        match (told.len(), self.pairs.len()) {
            (_, 0) => {}
            (0, _) => words.push("No two strategies are told from each other by these seeds.".to_owned()),
            (some, all) => {
                let rest = if some == all { "" } else { "; the other pairs are not told from chance" };
                words.push(format!("Better beyond chance: {}{rest}.", list(&told)));
            }
        }
        words.extend(too_few(n, self.pairs.len()));
        words.extend(against_smallest(&self.against_smallest));
        words
    }
}

fn against_smallest(pairs: &[Pair]) -> Option<String> {
    let named = |smallest_wins: bool, told: bool| -> Vec<&str> {
        let wanted = |pair: &&Pair| {
            pair.is_told_from_chance() == told && (!told || (pair.first == BASELINE) == smallest_wins)
        };
        let names = pairs.iter().filter(wanted).flat_map(|pair| [pair.first.as_str(), &pair.second]);
        names.filter(|name| *name != BASELINE).collect()
    };
    let parts = [
        ("is beaten beyond chance by", named(false, true)),
        ("beats beyond chance", named(true, true)),
        ("is not told from", named(false, false)),
    ];
    let phrases: Vec<String> = parts
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(phrase, names)| format!("{phrase} {}", list(&names)))
        .collect();
    (!phrases.is_empty()).then(|| format!("The smallest architecture {}.", phrases.join("; it ")))
}

/// With few seeds not even a strategy that always wins can be told from chance; how many would do.
fn too_few(n: usize, pairs: usize) -> Option<String> {
    let least = |n: usize| (smallest_p(n) * pairs as f64).min(1.0);
    let enough = (n..).find(|n| least(*n) < SIGNIFICANCE).filter(|_| pairs > 0)?;
    (enough > n).then(|| {
        format!(
            "{} are too few to tell any two of the strategies apart: even one that won every time would have \
             p = {:.3} after correction for {}. {enough} seeds would do.",
            counted(n, "seed"),
            least(n),
            counted(pairs, "pair")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_seeds_are_said_to_be_few() {
        assert!(too_few(3, 6).unwrap().contains("8 seeds would do"));
        assert!(too_few(5, 1).unwrap().contains("6 seeds would do"));
        assert_eq!(too_few(8, 6), None);
        assert_eq!(too_few(2, 0), None);
    }
}
