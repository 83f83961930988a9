//! Compares the strategies where the size score alone decides: every architecture has one accuracy.
//!
//! `cargo run --release -p search --example strategies -- --seeds 200` prints, for each strategy, the best
//! M-factor of a study (mean and standard deviation over the seeds), the mean M-factor of its last ten trials,
//! the share of studies that found the optimum, and the time that a trial takes in the strategy and at the gate.
//!
//! With `--table FILE` it holds them against a table of accuracies, as `mfactor bench strategies` does.
#![expect(clippy::print_stdout, reason = "a program whose result is a table")]

use std::path::PathBuf;

use clap::Parser;
use mfactor::{Objective, Result, SearchSpace};
use search::benchmark::Benchmark;
use search::simulation::{Good, Landscape, Scores};
use search::{Sought, StrategyKind};

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
    /// Standard deviation of the noise on each M-factor that a strategy sees.
    #[arg(long, default_value_t = 0.0)]
    noise: f64,
    /// Which kernels are the good ones: small, large or arbitrary.
    #[arg(long, default_value_t = Good::Small)]
    good: Good,
    /// Trials that run at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    workers: u64,
    /// Search space file; the paper's by default.
    #[arg(long)]
    space: Option<PathBuf>,
    /// A table of accuracies of the space: strategies are held against it, and not against one accuracy.
    #[arg(long)]
    table: Option<PathBuf>,
    /// Strategies to compare.
    #[arg(long, default_value = "all")]
    strategy: String,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let space = options.space.as_deref().map_or_else(|| Ok(SearchSpace::paper()), SearchSpace::load)?;
    let Options { accuracy, alpha, noise, good, workers, .. } = options;
    let kinds = StrategyKind::parse_list(&options.strategy)?;
    let seeds = options.first_seed..options.first_seed + options.seeds;
    if let Some(table) = &options.table {
        let objective = Objective::paper(alpha, space.minimum_parameters())?;
        let benchmark = Benchmark::load(table, Sought::best(space, objective)?, None)?;
        let comparison = benchmark.compare(&kinds, seeds, options.trials)?;
        println!("sought: {}\n{}", comparison.sought, comparison.words());
        return Ok(());
    }
    let landscape = Landscape { space, accuracy, alpha, noise, good, workers };
    println!(
        "{:<10} {:>8} {:>7} {:>9} {:>8} {:>9}",
        "strategy", "best M", "± sd", "last ten", "optimum", "µs/trial"
    );
    for kind in kinds {
        let studies: Result<Vec<Scores>> =
            seeds.clone().map(|seed| landscape.study(kind, seed, options.trials)).collect();
        println!("{:<10} {}", kind.name(), row(&studies?, landscape.optimum()));
    }
    Ok(())
}

fn row(studies: &[Scores], optimum: f64) -> String {
    let count = studies.len() as f64;
    let mean = |value: &dyn Fn(&Scores) -> f64| studies.iter().map(value).sum::<f64>() / count;
    let best = mean(&Scores::best);
    let square = mean(&|study| (study.best() - best).powi(2));
    let found = mean(&|study| f64::from(u8::from(study.best() >= optimum - 1e-9)));
    let microseconds = mean(&|study| 1e6 * study.overhead.as_secs_f64() / study.scores.len() as f64);
    let deviation = (square * count / (count - 1.0).max(1.0)).sqrt();
    let (last, found) = (mean(&Scores::last_ten), 100.0 * found);
    format!("{best:>8.4} {deviation:>7.4} {last:>9.4} {found:>7.1}% {microseconds:>9.1}")
}
