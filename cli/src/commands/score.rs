//! `mfactor score`: M and its rivals from figures that are already known.

use clap::Args;
use mfactor::objective::OtherMetrics;
use mfactor::{Error, Objective, SearchSpace};
use serde::Serialize;

use crate::output::{Output, table};

/// Compute M from an accuracy and a parameter count, and the paper's other metrics beside it
#[derive(Args)]
#[command(after_help = "Example:\n  mfactor score --accuracy 0.7637 --params 284762")]
pub struct Score {
    /// Validation accuracy, a fraction from 0 to 1
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    accuracy: f64,
    /// Trainable parameters
    #[arg(long, value_name = "P")]
    params: u64,
    /// Weight of the M-factor: above 1 favours small models, below 1 accurate ones
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    alpha: f64,
    /// Parameters of the smallest model of the space; the paper's 272474 if not given
    #[arg(long, value_name = "N")]
    p_min: Option<u64>,
    /// Multiply-accumulates for one image; A/F and NetScore need them
    #[arg(long, value_name = "N")]
    macs: Option<u64>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Scores {
    accuracy: f64,
    parameters: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    macs: Option<u64>,
    minimum_parameters: u64,
    alpha: f64,
    size_score: f64,
    m_factor: f64,
    #[serde(flatten)]
    others: OtherMetrics,
}

impl Score {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let scores = self.scores()?;
        output.result(&scores, || text(&scores))
    }

    fn scores(&self) -> mfactor::Result<Scores> {
        let minimum_parameters = self.p_min.unwrap_or_else(|| SearchSpace::paper().minimum_parameters());
        let objective = Objective::new(self.alpha, minimum_parameters)?;
        if !(0.0..=1.0).contains(&self.accuracy) {
            let problem = format!("is {}; it is a fraction from 0 to 1", self.accuracy);
            return Err(Error::input("accuracy", problem));
        }
        if self.params < minimum_parameters {
            let problem = format!(
                "is {}, fewer than the smallest model of the space has ({minimum_parameters}); \
                 pass --p-min for another space",
                self.params
            );
            return Err(Error::input("params", problem));
        }
        if self.macs == Some(0) {
            return Err(Error::input("macs", "is 0; a network has at least one multiply-accumulate"));
        }
        Ok(Scores {
            accuracy: self.accuracy,
            parameters: self.params,
            macs: self.macs,
            minimum_parameters,
            alpha: self.alpha,
            size_score: objective.size_score(self.params),
            m_factor: objective.m_factor(self.accuracy, self.params),
            others: OtherMetrics::new(self.accuracy, self.params, self.macs),
        })
    }
}

fn text(scores: &Scores) -> String {
    let optional =
        |value: Option<f64>| value.map_or("needs --macs".to_owned(), |value| format!("{value:.4}"));
    let rows = [
        (format!("M-factor (α = {})", scores.alpha), format!("{:.4}", scores.m_factor)),
        (format!("S' = {} / P", scores.minimum_parameters), format!("{:.4}", scores.size_score)),
        ("A/P, per million".to_owned(), format!("{:.4}", scores.others.accuracy_per_million_parameters)),
        ("A/F, per GFLOP".to_owned(), optional(scores.others.accuracy_per_gflop)),
        ("NetScore".to_owned(), optional(scores.others.netscore)),
    ];
    table(&["metric", ">value"], rows.map(|(name, value)| [name, value]))
}
