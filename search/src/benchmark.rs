//! Strategies held against a table of accuracies: each sees one training of a network, and is judged by the mean of all.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use mfactor::front::{Losses, front};
use mfactor::statistics::{holm, quantile, signed_rank};
use mfactor::{Architecture, Error, Front, Result, Trial};
use serde::Serialize;

use crate::evaluators::Table;
use crate::simulation::simulate_sought;
use crate::strategies::{Sought, StrategyKind};

/// Trials after which studies are judged, where they have as many; and after the last.
const CHECKPOINTS: [u64; 6] = [10, 20, 50, 100, 200, 500];

/// What strategies are held against.
pub struct Benchmark {
    sought: Sought,
    /// What hypervolumes are measured in; strategies know nothing of its reference.
    judge: Front,
    table: Table,
    /// The largest score that a network has by its mean accuracy.
    optimum: f64,
    /// Hypervolume of the front of all networks by their mean accuracies.
    volume: f64,
}

/// One study, judged after each checkpoint.
#[derive(Debug, Clone, PartialEq)]
struct Judged {
    regret: Vec<f64>,
    hypervolume: Vec<f64>,
    microseconds: f64,
}

/// The middle and the quarters of a figure over all studies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quartiles {
    /// A quarter of the studies has less.
    pub lower: f64,
    /// Half of them.
    pub median: f64,
    /// Three quarters.
    pub upper: f64,
    /// The mean of all.
    pub mean: f64,
}

/// What a strategy had reached after so many trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reached {
    /// Trials.
    pub trials: u64,
    /// The best score in the table less that of the network with the best score that the study saw.
    pub regret: Quartiles,
    /// The hypervolume of the front that the study saw, as a part of the table's.
    pub hypervolume: Quartiles,
}

/// How a strategy did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub strategy: StrategyKind,
    /// After each checkpoint.
    pub reached: Vec<Reached>,
    /// Time spent in the strategy and at the gate, a trial.
    pub microseconds: f64,
    /// Probability of so large a difference to the first strategy by chance: Wilcoxon's signed ranks over studies of one seed, by
    /// what is sought, with Holm's correction for the number of strategies. `None` for the first.
    pub p: Option<f64>,
}

/// How all strategies did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// What is sought: the objective's S', or the front.
    pub sought: String,
    /// Where the hypervolume begins.
    pub reference: String,
    /// Studies of each strategy.
    pub studies: u64,
    /// In the order asked for.
    pub rows: Vec<Row>,
}

impl Benchmark {
    /// Reads a table of a space. `least` is the accuracy from which on the hypervolume counts; what the worst twentieth of the
    /// networks does not reach if it is not given.
    ///
    /// # Errors
    /// As [`Table::load`]; [`Error::Input`] if an accuracy is no fraction of 1.
    pub fn load(path: &Path, sought: Sought, least: Option<f64>) -> Result<Self> {
        let table = Table::load(path, &sought.space)?;
        if let Some(least) = least.filter(|least| !(0.0..1.0).contains(least)) {
            return Err(Error::input(
                "the accuracy of the reference",
                format!("is {least}; it must be from 0 to 1"),
            ));
        }
        let mut means: Vec<f64> = table.architectures().filter_map(|of| table.mean_accuracy(of)).collect();
        means.sort_by(f64::total_cmp);
        let least = least.unwrap_or(means[means.len() / 20]);
        let judge = sought.front.clone().from_accuracy(least);
        let mut benchmark = Self { sought, judge, table, optimum: 0.0, volume: 0.0 };
        let all: Vec<&Architecture> = benchmark.table.architectures().collect();
        let optimum = all.iter().map(|of| benchmark.score(of)).fold(0.0, f64::max);
        let losses: Vec<Losses> = all.iter().map(|of| benchmark.losses(of)).collect();
        (benchmark.optimum, benchmark.volume) = (optimum, benchmark.judge.hypervolume(&losses));
        if benchmark.volume <= 0.0 {
            let problem =
                format!("has no network above the reference, {}", benchmark.judge.reference_words());
            return Err(Error::file(path, problem));
        }
        Ok(benchmark)
    }

    /// Runs studies of `trials` trials with each of these seeds, as many at once as there are processors.
    ///
    /// # Errors
    /// What a simulation ends with.
    ///
    /// # Panics
    /// If there is no seed.
    pub fn compare(&self, kinds: &[StrategyKind], seeds: Range<u64>, trials: u64) -> Result<Comparison> {
        let checkpoints = checkpoints(trials);
        let studies: Vec<Vec<Judged>> = kinds
            .iter()
            .map(|kind| self.studies(*kind, seeds.clone(), &checkpoints))
            .collect::<Result<_>>()?;
        let last = |study: &Judged| match self.sought.is_front {
            true => study.hypervolume[checkpoints.len() - 1],
            false => -study.regret[checkpoints.len() - 1],
        };
        let differences = |of: &Vec<Judged>| {
            of.iter().zip(&studies[0]).map(|(one, first)| last(one) - last(first)).collect::<Vec<f64>>()
        };
        let corrected = holm(
            &studies
                .iter()
                .skip(1)
                .map(|of| signed_rank(&differences(of)).map_or(1.0, |of| of.p_value))
                .collect::<Vec<f64>>(),
        );
        let p = [None].into_iter().chain(corrected.into_iter().map(Some));
        let rows = kinds
            .iter()
            .zip(&studies)
            .zip(p)
            .map(|((kind, studies), p)| row(*kind, studies, &checkpoints, p));
        Ok(Comparison {
            sought: self.words(),
            reference: self.judge.reference_words(),
            studies: seeds.end - seeds.start,
            rows: rows.collect(),
        })
    }

    fn words(&self) -> String {
        match self.sought.is_front {
            true => {
                let costs: Vec<&str> = self.sought.front.costs().iter().map(|cost| cost.label()).collect();
                format!("the front of accuracy against {}", costs.join(" and "))
            }
            false => {
                format!("M at α = {}, S' = {}", self.sought.objective.alpha(), self.sought.objective.words())
            }
        }
    }

    fn studies(&self, kind: StrategyKind, seeds: Range<u64>, checkpoints: &[u64]) -> Result<Vec<Judged>> {
        let next = AtomicUsize::new(0);
        let seeds: Vec<u64> = seeds.collect();
        let work = || {
            let mut done = vec![];
            while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push(self.study(kind, *seed, checkpoints).map(|judged| (*seed, judged)));
            }
            done
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds.len());
        let mut done = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let done = workers.into_iter().flat_map(|worker| worker.join().expect("a study does not panic"));
            done.collect::<Result<Vec<(u64, Judged)>>>()
        })?;
        done.sort_by_key(|(seed, _)| *seed);
        Ok(done.into_iter().map(|(_, judged)| judged).collect())
    }

    fn study(&self, kind: StrategyKind, seed: u64, checkpoints: &[u64]) -> Result<Judged> {
        let mut answer = |trial: &Trial| {
            let accuracy = self.table.accuracy(&trial.architecture, trial.seed);
            accuracy.ok_or_else(|| format!("{} is not in the table", trial.architecture))
        };
        let asked = checkpoints.last().copied().unwrap_or_default();
        let simulation = simulate_sought(self.sought.clone(), kind, seed, asked, &mut answer)?;
        let trials = &simulation.trials;
        let until = |count: &u64| &trials[..trials.len().min(*count as usize)];
        Ok(Judged {
            regret: checkpoints.iter().map(|count| self.regret(until(count))).collect(),
            hypervolume: checkpoints.iter().map(|count| self.hypervolume(until(count))).collect(),
            microseconds: 1e6 * simulation.overhead.as_secs_f64() / trials.len().max(1) as f64,
        })
    }

    /// By how much what a study would choose falls short.
    fn regret(&self, trials: &[Trial]) -> f64 {
        self.optimum - mfactor::trial::best(trials).map_or(0.0, |chosen| self.score(&chosen.architecture))
    }

    fn hypervolume(&self, trials: &[Trial]) -> f64 {
        let seen: Vec<(&Trial, f64)> =
            trials.iter().filter_map(|trial| Some((trial, trial.accuracy?))).collect();
        let losses: Vec<Losses> =
            seen.iter().map(|(trial, accuracy)| self.judge.losses(*accuracy, &trial.cost)).collect();
        let chosen = front(&losses).into_iter().map(|place| self.losses(&seen[place].0.architecture));
        self.judge.hypervolume(&chosen.collect::<Vec<_>>()) / self.volume
    }

    fn mean(&self, architecture: &Architecture) -> f64 {
        self.table.mean_accuracy(architecture).expect("a trial with an accuracy has it from the table")
    }

    fn score(&self, architecture: &Architecture) -> f64 {
        let size = self.sought.objective.exact_size_score(&self.sought.cost(architecture));
        self.sought.objective.m_factor(self.mean(architecture), size)
    }

    fn losses(&self, architecture: &Architecture) -> Losses {
        self.judge.losses(self.mean(architecture), &self.sought.cost(architecture))
    }
}

impl Comparison {
    /// The comparison but for what is sought, as text of at most 80 columns.
    pub fn words(&self) -> String {
        let mut lines = vec![
            format!("{} studies of each strategy", self.studies),
            format!("hypervolume from {}", self.reference),
            String::new(),
            format!(
                "{:<9} {:>6}  {:>21}  {:>21} {:>8} {:>7}",
                "strategy", "trials", "regret, points", "hypervolume, %", "µs/trial", "p"
            ),
        ];
        for row in &self.rows {
            for (place, reached) in row.reached.iter().enumerate() {
                let is_last = place + 1 == row.reached.len();
                let p = row.p.filter(|_| is_last).map_or_else(String::new, |p| format!("{p:.1e}"));
                let time = if is_last { format!("{:.0}", row.microseconds) } else { String::new() };
                let name = if place == 0 { row.strategy.name() } else { "" };
                let (regret, volume) = (reached.regret.words(), reached.hypervolume.words());
                let line =
                    format!("{name:<9} {:>6}  {regret:>21}  {volume:>21} {time:>8} {p:>7}", reached.trials);
                lines.push(line.trim_end().to_owned());
            }
        }
        lines.push(String::new());
        lines.push("Medians and quartiles. p: by chance so far from the first (Wilcoxon, Holm).".to_owned());
        lines.join("\n")
    }
}

impl Quartiles {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |fraction| quantile(&values, fraction).expect("there is a study");
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Self { lower: at(0.25), median: at(0.5), upper: at(0.75), mean }
    }

    fn words(&self) -> String {
        let [lower, median, upper] = [self.lower, self.median, self.upper].map(|value| 100.0 * value);
        format!("{median:.2} [{lower:.2}, {upper:.2}]")
    }
}

fn checkpoints(trials: u64) -> Vec<u64> {
    CHECKPOINTS.into_iter().filter(|count| *count < trials).chain([trials]).collect()
}

fn row(strategy: StrategyKind, studies: &[Judged], checkpoints: &[u64], p: Option<f64>) -> Row {
    let figure = |of: &dyn Fn(&Judged) -> f64| Quartiles::of(studies.iter().map(of).collect());
    let reached = checkpoints.iter().enumerate().map(|(place, trials)| Reached {
        trials: *trials,
        regret: figure(&|study| study.regret[place]),
        hypervolume: figure(&|study| study.hypervolume[place]),
    });
    Row { strategy, reached: reached.collect(), microseconds: figure(&|study| study.microseconds).mean, p }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between() {
        let of = Quartiles::of(vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!((of.lower, of.median, of.upper, of.mean), (1.75, 2.5, 3.25, 2.5));
    }
}
