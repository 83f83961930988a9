//! `mfactor bench`: strategies against a table of accuracies, where nothing has to be trained.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use mfactor::costs::{self, CostTerm};
use mfactor::{Error, Quantity, Result, SearchSpace};
use search::benchmark::Benchmark;
use search::ratings::Ratings;
use search::{Sought, StrategyKind};

use crate::output::{Output, wrapped};

/// Hold strategies against what is known of every network of a space
#[derive(Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Strategies(Strategies),
}

/// Compare strategies on a table of accuracies: regret, hypervolume, and whether chance could do it
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor data fetch nas-bench-macro
  mfactor bench strategies --budget macs=40M
  mfactor bench strategies --front macs --strategy random,nsga2,guided --seeds 20

A study sees one training of each network, drawn by its seed; what it chooses is judged by the mean of all its trainings.")]
struct Strategies {
    /// A published table that was fetched, or a CSV file with the columns architecture and accuracy, and seed
    #[arg(long, value_name = "NAME|FILE", default_value = "nas-bench-macro")]
    table: String,
    /// Search space: a TOML file, or the name of one that ships; that of the table if not given
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
    /// Strategies, several with commas between, or all, or paper; the others are held against the first
    #[arg(long, value_name = "NAMES", default_value = "all")]
    strategy: String,
    /// Studies of each strategy
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seeds: u64,
    /// Seed of the first study; the others follow
    #[arg(long, value_name = "SEED", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1 << 62))]
    first_seed: u64,
    /// Trials of a study
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    trials: u64,
    /// Weight of the M-factor
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    alpha: f64,
    /// A budget, as in macs=20M; the paper's reference, the fewest parameters, if there is none
    #[arg(long, value_name = "COST=AMOUNT")]
    budget: Vec<String>,
    /// Seek the front of accuracy against one or two costs
    #[arg(long, value_name = "COSTS", value_delimiter = ',', value_parser = Quantity::parse)]
    front: Vec<Quantity>,
    /// Ratings of untrained networks, from which guided learns too: a file that `mfactor naswot` wrote
    #[arg(long, value_name = "FILE")]
    naswot: Option<PathBuf>,
    /// Accuracy from which on the hypervolume counts, a fraction of 1; what the worst twentieth does not reach if not given
    #[arg(long, value_name = "ACCURACY")]
    from: Option<f64>,
}

impl Bench {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        match self.what {
            What::Strategies(strategies) => strategies.run(output),
        }
    }
}

impl Strategies {
    fn run(self, output: &Output) -> anyhow::Result<()> {
        let kinds = StrategyKind::parse_list(&self.strategy)?;
        let space = SearchSpace::load(&self.space())?;
        let costs: Vec<CostTerm> =
            self.budget.iter().map(|text| CostTerm::parse_budget(text)).collect::<Result<_>>()?;
        costs.iter().map(|cost| cost.quantity).chain(self.front.iter().copied()).try_for_each(check_told)?;
        let objective = costs::objective(self.alpha, &costs, &space)?;
        let ratings = self.naswot.as_ref().map(|file| Ratings::load(file, &space)).transpose()?;
        let sought = Sought { ratings: ratings.map(Arc::new), ..Sought::new(space, objective, &self.front)? };
        let benchmark = Benchmark::load(&table_file(&self.table)?, sought, self.from)?;
        output.say(format!("{} studies of {} trials", self.seeds * kinds.len() as u64, self.trials));
        let comparison =
            benchmark.compare(&kinds, self.first_seed..self.first_seed + self.seeds, self.trials)?;
        output.result(&comparison, || wrapped("sought: ", &comparison.sought, 2) + &comparison.words())
    }

    /// The space that was named; that of a published table; or the paper's.
    fn space(&self) -> PathBuf {
        let of_table = if is_published(&self.table) { self.table.as_str() } else { "paper" };
        self.space.clone().unwrap_or_else(|| of_table.into())
    }
}

/// Refuses what neither a space nor a table of accuracies tells.
fn check_told(quantity: Quantity) -> Result<()> {
    if quantity.is_exact() || quantity == Quantity::Accuracy {
        return Ok(());
    }
    let exact: Vec<&str> =
        Quantity::costs().filter(|quantity| quantity.is_exact()).map(Quantity::name).collect();
    let problem =
        format!("is what a board tells, and here there are accuracies alone; take {}", exact.join(", "));
    Err(Error::input(quantity.name(), problem))
}

/// The file of a table: a published one by its name, where there is no file of that name.
///
/// # Errors
/// [`mfactor::Error::Missing`] for a published table that was not fetched.
pub fn table_file(table: &str) -> Result<PathBuf> {
    if is_published(table) { datasets::table(table) } else { Ok(table.into()) }
}

fn is_published(table: &str) -> bool {
    datasets::table_names().contains(&table) && !Path::new(table).exists()
}
