//! `mfactor score`: M and its rivals from figures that are already known.

use clap::Args;
use mfactor::costs::parse_pair;
use mfactor::objective::{OtherMetrics, Term};
use mfactor::text::name;
use mfactor::{Error, Objective, Quantity, Result, SearchSpace, Values};
use serde::Serialize;

use crate::output::{Output, table};

/// Compute M from an accuracy and costs, and the paper's other metrics beside it
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor score --accuracy 0.7637 --params 284762
  mfactor score --accuracy 0.9 --cost macs=24M/20M --cost 'latency_p50=18 ms/20 ms'

A cost is held against its reference, the least that there is or a budget: S' = min(1, reference / cost).")]
pub struct Score {
    /// Validation accuracy, a fraction from 0 to 1
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    accuracy: f64,
    /// Trainable parameters, held against those of the smallest model
    #[arg(long, value_name = "P", required_unless_present = "cost", conflicts_with = "cost")]
    params: Option<u64>,
    /// A cost and its reference, as in macs=24M/20M; several have equal parts of alpha
    #[arg(long, value_name = "NAME=COST/REFERENCE")]
    cost: Vec<String>,
    /// Weight of the M-factor: above 1 favours small models, below 1 accurate ones
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    alpha: f64,
    /// Parameters of the smallest model of the space; the paper's 272474 if not given
    #[arg(long, value_name = "N", conflicts_with = "cost")]
    p_min: Option<u64>,
    /// Multiply-accumulates for one image; A/F and NetScore need them
    #[arg(long, value_name = "N", conflicts_with = "cost")]
    macs: Option<u64>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Scores {
    accuracy: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    macs: Option<u64>,
    /// Of the paper's objective: what parameters are held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_parameters: Option<u64>,
    alpha: f64,
    costs: Vec<Scored>,
    size_score: f64,
    m_factor: f64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    others: Option<OtherMetrics>,
}

/// One cost.
#[derive(Serialize)]
struct Scored {
    #[serde(flatten)]
    term: Term,
    value: f64,
    size_score: f64,
}

impl Score {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let scores = self.scores()?;
        output.result(&scores, || text(&scores))
    }

    fn scores(&self) -> Result<Scores> {
        if !(0.0..=1.0).contains(&self.accuracy) {
            let problem = format!("is {}; it is a fraction from 0 to 1", self.accuracy);
            return Err(Error::input("accuracy", problem));
        }
        let (objective, values) = match self.params {
            Some(parameters) => self.paper(parameters)?,
            None => self.costs()?,
        };
        let size_score = objective.size_score(&values).expect("every cost was given");
        let scored = |term: &Term| {
            let value = values.get(term.quantity).expect("every cost was given");
            Scored { term: *term, value, size_score: term.size_score(value) }
        };
        let count = |quantity| values.get(quantity).map(|count| count as u64);
        let (parameters, macs) = (count(Quantity::Parameters), count(Quantity::Macs));
        Ok(Scores {
            accuracy: self.accuracy,
            parameters,
            macs,
            minimum_parameters: self.params.map(|_| self.minimum_parameters()),
            alpha: self.alpha,
            costs: objective.terms().iter().map(scored).collect(),
            size_score,
            m_factor: objective.m_factor(self.accuracy, size_score),
            others: parameters.map(|parameters| OtherMetrics::new(self.accuracy, parameters, macs)),
        })
    }

    fn minimum_parameters(&self) -> u64 {
        self.p_min.unwrap_or_else(|| SearchSpace::paper().minimum_parameters())
    }

    /// The paper's objective, and what is known.
    fn paper(&self, parameters: u64) -> Result<(Objective, Values)> {
        let minimum = self.minimum_parameters();
        let objective = Objective::paper(self.alpha, minimum)?;
        if parameters < minimum {
            let problem = format!(
                "is {parameters}, fewer than the smallest model of the space has ({minimum}); pass --p-min for another \
                 space"
            );
            return Err(Error::input("params", problem));
        }
        if self.macs == Some(0) {
            return Err(Error::input("macs", "is 0; a network has at least one multiply-accumulate"));
        }
        let values = Values::default().with(Quantity::Parameters, parameters as f64);
        let macs = self.macs.into_iter();
        Ok((objective, macs.fold(values, |values, macs| values.with(Quantity::Macs, macs as f64))))
    }

    /// An objective over the costs that were named, and their values.
    fn costs(&self) -> Result<(Objective, Values)> {
        let (mut terms, mut values) = (vec![], Values::default());
        for text in &self.cost {
            let (quantity, amounts) = parse_pair(text, "macs=24M/20M")?;
            let Some((value, reference)) = amounts.split_once('/') else {
                let problem = "has no / between the cost and its reference; an example: macs=24M/20M";
                return Err(Error::input(format!("cost {}", name(text)), problem));
            };
            if values.get(quantity).is_some() {
                return Err(Error::input(quantity.name(), "is named twice among the costs"));
            }
            values = values.with(quantity, quantity.amount(value)?);
            let reference = quantity.amount(reference)?;
            terms.push(Term { quantity, share: 1.0 / self.cost.len() as f64, reference, limit: None });
        }
        Ok((Objective::new(self.alpha, terms)?, values))
    }
}

fn text(scores: &Scores) -> String {
    let optional = |value: Option<f64>| value.map_or("needs MACs".to_owned(), |value| format!("{value:.4}"));
    let mut rows = vec![[format!("M-factor (α = {})", scores.alpha), format!("{:.4}", scores.m_factor)]];
    for Scored { term, value, size_score } in &scores.costs {
        let of = |value| term.quantity.show(value);
        let name = format!("S' of {}, {} / {}", term.quantity.label(), of(term.reference), of(*value));
        rows.push([name, format!("{size_score:.4}")]);
    }
    if scores.costs.len() > 1 {
        rows.push(["S' over all costs".to_owned(), format!("{:.4}", scores.size_score)]);
    }
    if let Some(others) = &scores.others {
        let per_parameters = format!("{:.4}", others.accuracy_per_million_parameters);
        rows.push(["A/P, per million".to_owned(), per_parameters]);
        rows.push(["A/F, per GFLOP".to_owned(), optional(others.accuracy_per_gflop)]);
        rows.push(["NetScore".to_owned(), optional(others.netscore)]);
    }
    table(&["metric", ">value"], rows)
}
