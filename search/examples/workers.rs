//! How busy workers are that share a study, by simulation with the real strategies.
//!
//! `cargo run --release -p search --example workers` prints, for each number of workers, which part of their time is training
//! until the last trial begins (busy) and until it ends (overall), and which part is waiting for the lock under which a trial
//! begins, by the study's `workers` (N, what a strategy does not know yet) as a multiple of theirs; and how long the real
//! strategies took to propose. docs/cluster.md says what to make of it.
#![expect(clippy::print_stdout, reason = "a program whose result is a table")]

use std::path::Path;

use clap::Parser;
use mfactor::{Result, SearchSpace};
use search::StrategyKind;
use search::simulation::pool::{Pool, Utilisation};

#[derive(Parser)]
struct Options {
    /// Search space: a name or a file.
    #[arg(long, default_value = "paper")]
    space: String,
    /// Workers.
    #[arg(long, value_delimiter = ',', default_value = "8,32,128,1000")]
    machines: Vec<usize>,
    /// N as multiples of them.
    #[arg(long, value_delimiter = ',', default_value = "1,1.5,2,4")]
    multiples: Vec<f64>,
    /// Strategies, side by side in one study.
    #[arg(long, default_value = "random")]
    strategy: String,
    /// Trials of the whole study for each worker.
    #[arg(long, default_value_t = 10)]
    trials: u64,
    /// Seconds of the training of the smallest network; others take longer as they have more MACs.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Standard deviation of one network's time over its mean.
    #[arg(long, default_value_t = 0.5)]
    spread: f64,
    /// Milliseconds for which the beginning of a trial holds its strategy's lock in the database.
    #[arg(long, default_value_t = 20.0)]
    begin: f64,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let space = SearchSpace::load(Path::new(&options.space))?;
    let strategies = StrategyKind::parse_list(&options.strategy)?;
    println!("workers      N   trials   busy  overall   lock     hours  ms a proposal");
    for machines in options.machines {
        let trials = (options.trials * machines as u64).div_ceil(strategies.len() as u64);
        let pool = Pool {
            space: space.clone(),
            strategies: strategies.clone(),
            trials,
            known: 1,
            machines,
            training_seconds: options.seconds,
            spread: options.spread,
            begin_seconds: options.begin / 1000.0,
            seed: options.seed,
        };
        for multiple in &options.multiples {
            let known = ((machines as f64 * multiple).round() as u64).max(1);
            let Utilisation { trials, busy, overall, locked, seconds, ask_seconds } =
                Pool { known, ..pool.clone() }.run()?;
            let (hours, ask_ms) = (seconds / 3600.0, ask_seconds * 1000.0);
            println!(
                "{machines:>7} {known:>6} {trials:>8} {busy:>6.2} {overall:>8.2} {locked:>6.2} {hours:>9.2} {ask_ms:>14.2}"
            );
        }
    }
    Ok(())
}
