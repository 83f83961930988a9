//! `mfactor predict`: what a regression over the trials expects of networks that were not tried, and how far to trust it.

use std::path::PathBuf;

use clap::Args;
use mfactor::numbers::percent;
use mfactor::{Architecture, Cost, Error, Objective};
use report::trust::{FEWEST, Trust};
use search::strategies::Expected;
use serde::Serialize;

use crate::output::{Output, table, thousands, wrapped};
use crate::studies::{self, trust};

/// Name the networks that a regression over the trials expects the most of, and say how far to trust it
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor predict runs/first
  mfactor predict runs/first --top 20 --json

The regression is that of --strategy guided: normal scores of the ranks of accuracies over the choices and the logarithms of costs, learned \
from all trials of the study, whoever proposed them. Its leave-one-out tau says how well it ranks trials that it did not learn from; below 0.3 it \
is useless. Train what it names: mfactor search --architecture ID,ID.")]
pub struct Predict {
    /// Folder of the study
    dir: PathBuf,
    /// Networks to name
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Prediction {
    trust: Trust,
    expected: Vec<Row>,
}

/// A network that was not tried.
#[derive(Serialize)]
struct Row {
    architecture: Architecture,
    /// As predicted, 0 to 1.
    accuracy: f64,
    /// M with it.
    m_factor: f64,
    #[serde(flatten)]
    cost: Cost,
}

impl Row {
    fn new(expected: Expected, objective: &Objective) -> Self {
        let Expected { architecture, cost, accuracy } = expected;
        let m_factor = objective.m_factor(accuracy, objective.exact_size_score(&cost));
        Self { architecture, accuracy, m_factor, cost }
    }
}

impl Predict {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let record = studies::read(&self.dir, output)?;
        let objective = record.config.objective()?;
        let outlook = record.outlook(self.top)?;
        let known = outlook.and_then(|outlook| Some((trust(&outlook)?, outlook.untried)));
        let Some((trust, untried)) = known else {
            let problem =
                format!("has fewer than {FEWEST} complete trials of different accuracy to learn from");
            return Err(Error::file(&self.dir, problem).into());
        };
        let expected = untried.into_iter().map(|expected| Row::new(expected, &objective)).collect();
        let prediction = Prediction { trust, expected };
        output.result(&prediction, || text(&prediction))
    }
}

fn text(prediction: &Prediction) -> String {
    let row = |row: &Row| {
        [
            row.architecture.to_string(),
            percent(row.accuracy),
            format!("{:.4}", row.m_factor),
            thousands(row.cost.parameters),
            thousands(row.cost.macs),
        ]
    };
    let headers = ["not tried", ">predicted", ">M", ">parameters", ">MACs"];
    let words = wrapped("", &prediction.trust.words(), 0);
    format!("{words}\n\n{}", table(&headers, prediction.expected.iter().map(row)))
}
