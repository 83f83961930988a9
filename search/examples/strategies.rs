//! Compares the strategies where the size score alone decides: every architecture has one accuracy.
//!
//! `cargo run --release -p search --example strategies -- --seeds 200` prints, for each strategy, the best
//! M-factor of a study (mean and standard deviation over the seeds), the mean M-factor of its last ten trials,
//! the share of studies that found the optimum, and the time of one proposal.
#![expect(clippy::print_stdout, reason = "a program whose result is a table")]

use clap::{Parser, ValueEnum};
use mfactor::objective::m_factor;
use mfactor::{Architecture, Error, Result, SearchSpace, Trial};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use search::StrategyKind;
use search::simulation::simulate;

#[derive(Parser)]
struct Options {
    /// Studies for each strategy.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// Seed of the first study; the others follow.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Trials of a study.
    #[arg(long, default_value_t = 50)]
    trials: u64,
    /// Weight of the size score.
    #[arg(long, default_value_t = 1.0)]
    alpha: f64,
    /// Accuracy of every architecture.
    #[arg(long, default_value_t = 0.75)]
    accuracy: f64,
    /// Standard deviation of the noise on that accuracy.
    #[arg(long, default_value_t = 0.0)]
    noise: f64,
    /// Which architectures are the good ones.
    #[arg(long, value_enum, default_value_t = Good::Small)]
    good: Good,
    /// Search space file; the paper's by default.
    #[arg(long)]
    space: Option<std::path::PathBuf>,
    /// Strategies to compare.
    #[arg(long, default_value = "all")]
    strategy: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Good {
    /// Small kernels, as the M-factor has it.
    Small,
    /// Large kernels: the M-factor of the mirrored architecture.
    Large,
    /// An arbitrary choice in each decision, another in each study.
    Arbitrary,
}

struct Row {
    best: Vec<f64>,
    last: Vec<f64>,
    found: usize,
    microseconds: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let space = options.space.as_deref().map_or_else(|| Ok(SearchSpace::paper()), SearchSpace::load)?;
    println!(
        "{:<10} {:>8} {:>7} {:>9} {:>8} {:>9}",
        "strategy", "best M", "± sd", "last ten", "optimum", "µs/trial"
    );
    for kind in StrategyKind::parse_list(&options.strategy)? {
        let row = study_all(kind, &space, &options)?;
        let (best, deviation) = mean_and_deviation(&row.best);
        println!(
            "{:<10} {best:>8.4} {deviation:>7.4} {:>9.4} {:>7.1}% {:>9.1}",
            kind.name(),
            mean_and_deviation(&row.last).0,
            100.0 * row.found as f64 / options.seeds as f64,
            row.microseconds
        );
    }
    Ok(())
}

/// All studies of one strategy.
fn study_all(kind: StrategyKind, space: &SearchSpace, options: &Options) -> Result<Row> {
    let optimum = m_factor(options.accuracy, 1.0, options.alpha);
    let mut row = Row { best: Vec::new(), last: Vec::new(), found: 0, microseconds: 0.0 };
    for seed in options.first_seed..options.first_seed + options.seeds {
        let (scores, overhead) = study(kind, space, options, seed)?;
        let best = scores.iter().copied().fold(0.0, f64::max);
        let last = &scores[scores.len().saturating_sub(10)..];
        row.best.push(best);
        row.last.push(last.iter().sum::<f64>() / last.len() as f64);
        row.found += usize::from(best >= optimum - 1e-9);
        row.microseconds += overhead * 1e6 / scores.len() as f64 / options.seeds as f64;
    }
    Ok(row)
}

/// True M-factors, without the noise, of one study's trials, and the seconds spent in the strategy.
fn study(kind: StrategyKind, space: &SearchSpace, options: &Options, seed: u64) -> Result<(Vec<f64>, f64)> {
    let relabel = relabelling(space, options.good, seed);
    let minimum = space.minimum_parameters() as f64;
    let truth = |architecture: &Architecture| {
        let indices = space.indices(architecture).map_err(|error: Error| error.to_string())?;
        let relabelled: Vec<usize> = indices.iter().zip(&relabel).map(|(index, map)| map[*index]).collect();
        let parameters = space.cost(&space.architecture(&relabelled)).parameters;
        Ok(m_factor(options.accuracy, minimum / parameters as f64, options.alpha))
    };
    let mut noise = ChaCha8Rng::seed_from_u64(seed);
    // With α all but 0 the study's own objective is the accuracy, so any function can stand in for M.
    let mut answer = |trial: &Trial| {
        let sum: f64 = (0..12).map(|_| noise.random::<f64>()).sum();
        Ok((truth(&trial.architecture)? + options.noise * (sum - 6.0)).clamp(0.0, 1.0))
    };
    let simulation = simulate(kind, space, 1e-12, seed, options.trials, &mut answer)?;
    let scores: std::result::Result<Vec<f64>, String> =
        simulation.trials.iter().map(|trial| truth(&trial.architecture)).collect();
    Ok((scores.map_err(Error::Defect)?, simulation.overhead.as_secs_f64()))
}

/// For each decision, the choice that the M-factor sees in place of each choice.
fn relabelling(space: &SearchSpace, good: Good, seed: u64) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(!seed);
    let map = |choices: usize| {
        let mut map: Vec<usize> = (0..choices).collect();
        match good {
            Good::Small => {}
            Good::Large => map.reverse(),
            Good::Arbitrary => map.shuffle(&mut rng),
        }
        map
    };
    space.decisions().map(|decision| decision.choices.len()).map(map).collect()
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (square / (values.len().max(2) - 1) as f64).sqrt())
}
