//! The costs of an objective as a study file or a command line says them, before the space has said what their minimum is.

mod form;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cost_model::{CostModel, CostModels};
use crate::cost_table::CostTable;
use crate::error::{Error, Result};
use crate::objective::{Objective, Term, check_alpha};
use crate::quantity::Quantity;
use crate::space::SearchSpace;
use crate::text::name;
use form::RawCost;

/// How far terms of α may be from its sum: what decimal fractions lose.
const ROUNDING: f64 = 1e-9;

/// What a cost is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reference {
    /// The least that an architecture of the space costs, as in the paper.
    Minimum,
    /// A budget, in the quantity's unit.
    Budget(f64),
}

/// One cost of an objective, as it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawCost", into = "RawCost")]
pub struct CostTerm {
    /// What it costs.
    pub quantity: Quantity,
    /// What it is held against.
    pub reference: Reference,
    /// What is never proposed: whatever costs more than this, in the quantity's unit.
    pub limit: Option<f64>,
    /// Its part of the objective's α. Either every cost has one or none; then all have the same.
    pub alpha: Option<f64>,
    /// What tells it of networks before they are trained.
    pub source: Source,
    /// Whether each network that is trained is measured on a board too, and counts as it was measured.
    pub is_measured: bool,
    /// The least that was measured when the study began, in the quantity's unit: what the minimum is then.
    pub least: Option<f64>,
}

/// What tells a cost of networks before they are trained.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// It is counted in their layers.
    Exact,
    /// A cost table that is still to be read ([`CostTerm::read_table`]), on the board and with the engine and precision that are
    /// named.
    File {
        /// The file.
        file: PathBuf,
        /// Kind of board, engine and precision, where they are named.
        on: On,
    },
    /// What was read of a cost table.
    Model(Arc<CostModel>),
}

/// Where a cost arises, as far as it is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct On {
    /// Kind of board: the name of its file, or `host`.
    pub target: Option<String>,
    /// `tract` or `ort`.
    pub engine: Option<String>,
    /// `f32` or `int8`.
    pub precision: Option<String>,
}

impl On {
    /// Refuses a model that is of something else.
    fn check(&self, model: &CostModel, file: &Path) -> Result<()> {
        let named = [
            ("target", &self.target, &model.target),
            ("engine", &self.engine, &model.engine),
            ("precision", &self.precision, &model.precision),
        ];
        match named.into_iter().find(|(_, asked, is)| asked.as_ref().is_some_and(|asked| asked != *is)) {
            Some((key, asked, is)) => {
                let asked = asked.as_deref().unwrap_or_default();
                Err(Error::file(file, format!("has the {key} {}, not {}", name(is), name(asked))))
            }
            None => Ok(()),
        }
    }
}

impl CostTerm {
    /// The paper's: parameters against those of the smallest architecture.
    pub fn paper() -> Self {
        Self {
            quantity: Quantity::Parameters,
            reference: Reference::Minimum,
            limit: None,
            alpha: None,
            source: Source::Exact,
            is_measured: false,
            least: None,
        }
    }

    fn model(&self) -> Option<(Quantity, Arc<CostModel>)> {
        match &self.source {
            Source::Model(model) => Some((self.quantity, Arc::clone(model))),
            Source::Exact | Source::File { .. } => None,
        }
    }

    /// Reads the cost table that is named, if one is; from then on the cost has of it what it needs.
    ///
    /// # Errors
    /// As [`CostTable::read`] and [`CostTable::model`]; and [`Error::Input`] where it is of another board, engine or precision
    /// than the cost says.
    pub fn read_table(&mut self, space: &SearchSpace, is_forced: bool) -> Result<()> {
        let Source::File { file, on } = &self.source else { return Ok(()) };
        let within = |error: Error| match error {
            Error::Input { .. } => Error::file(file, error),
            other => other,
        };
        let table = CostTable::read(file)?;
        let model = table.model(self.quantity, space, is_forced).map_err(within)?;
        on.check(&model, file)?;
        self.source = Source::Model(Arc::new(model));
        Ok(())
    }

    /// A budget from its short form, `macs=20M`.
    ///
    /// # Errors
    /// [`Error::Input`] if it has another form, or an amount that is none of this quantity.
    pub fn parse_budget(text: &str) -> Result<Self> {
        let (quantity, amount) = parse_pair(text, "macs=20M")?;
        let reference = Reference::Budget(quantity.amount(amount)?);
        Ok(Self { quantity, reference, ..Self::paper() })
    }
}

/// A cost and what stands after `=`.
///
/// # Errors
/// [`Error::Input`] if it has another form than `example`, or names no cost.
pub fn parse_pair<'a>(text: &'a str, example: &str) -> Result<(Quantity, &'a str)> {
    let Some((quantity, amount)) = text.split_once('=') else {
        return Err(Error::input(format!("cost {}", name(text)), format!("has no =; an example: {example}")));
    };
    let quantity = Quantity::parse(quantity.trim())?;
    if quantity == Quantity::Accuracy {
        return Err(Error::input(format!("cost {}", name(text)), "accuracy is not a cost"));
    }
    Ok((quantity, amount.trim()))
}

/// α of all costs together: `alpha`, or where that is absent the sum of theirs, or 1.
///
/// # Errors
/// [`Error::Input`] if α is not a finite number above 0, only some costs have a part of it, or the parts do not add up.
pub fn total_alpha(alpha: Option<f64>, costs: &[CostTerm]) -> Result<f64> {
    let parts: Vec<f64> = costs.iter().filter_map(|cost| cost.alpha).collect();
    parts.iter().try_for_each(|part| check_alpha(*part))?;
    if !parts.is_empty() && parts.len() < costs.len() {
        return Err(Error::input(
            "alpha",
            "is given for some costs and not for others; give it for all or for none",
        ));
    }
    let sum: f64 = parts.iter().sum();
    match alpha {
        Some(alpha) if !parts.is_empty() && (alpha - sum).abs() > ROUNDING * alpha.abs() => {
            Err(Error::input(
                "alpha",
                format!("is {alpha}, and the parts that the costs have of it sum to {sum}"),
            ))
        }
        Some(alpha) => check_alpha(alpha).map(|()| alpha),
        None if parts.is_empty() => Ok(1.0),
        None => Ok(sum),
    }
}

/// The objective over `costs` in a space; none are the paper's.
///
/// # Errors
/// [`Error::Input`] if α is not as [`total_alpha`] wants it, a cost comes twice or has to be measured first, or a budget or
/// limit is below the least that there is in the space.
pub fn objective(alpha: f64, costs: &[CostTerm], space: &SearchSpace) -> Result<Objective> {
    let paper = [CostTerm::paper()];
    let costs = if costs.is_empty() { &paper } else { costs };
    let alpha = total_alpha(Some(alpha), costs)?;
    let models: CostModels = costs.iter().filter_map(CostTerm::model).collect();
    let terms = costs.iter().enumerate().map(|(position, cost)| {
        let name = cost.quantity.name();
        if let Source::Model(model) = &cost.source {
            model.check(space)?;
        }
        if costs[..position].iter().any(|other| other.quantity == cost.quantity) {
            return Err(Error::input(name, "is named twice among the costs"));
        }
        let Some([minimum, _]) = models.range(cost.quantity, space) else {
            let exact: Vec<&str> = Quantity::costs().filter(|q| q.is_exact()).map(Quantity::name).collect();
            let problem = format!(
                "has to be measured on a board: name a cost table that tells it (--cost-table FILE; `mfactor table build` makes \
                 one), or seek by {}",
                exact.join(", ")
            );
            return Err(Error::input(name, problem));
        };
        let share = cost.alpha.map_or(1.0 / costs.len() as f64, |part| part / alpha);
        let reference = match cost.reference {
            Reference::Minimum => cost.least.unwrap_or(minimum),
            Reference::Budget(budget) => at_least("budget", cost.quantity, budget, minimum, space)?,
        };
        let limit =
            cost.limit.map(|limit| at_least("limit", cost.quantity, limit, minimum, space)).transpose()?;
        Ok(Term { quantity: cost.quantity, share, reference, limit })
    });
    let terms = terms.collect::<Result<_>>()?;
    Ok(Objective::new(alpha, terms)?.with_models(models))
}

fn at_least(what: &str, quantity: Quantity, value: f64, minimum: f64, space: &SearchSpace) -> Result<f64> {
    if value >= minimum {
        return Ok(value);
    }
    let problem = format!(
        "has a {what} of {}, below the least that there is in space {}, {}",
        quantity.show(value),
        space.name(),
        quantity.show(minimum)
    );
    Err(Error::input(quantity.name(), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(toml: &str) -> Result<CostTerm> {
        toml::from_str(toml).map_err(|error| Error::input("cost", error.message()))
    }

    #[test]
    fn a_cost_is_read_as_it_is_written() {
        let cost = parsed("metric = \"macs\"\nreference = \"20M\"\nlimit = 30000000\nalpha = 0.5").unwrap();
        let expected = CostTerm {
            quantity: Quantity::Macs,
            reference: Reference::Budget(20e6),
            limit: Some(30e6),
            alpha: Some(0.5),
            ..CostTerm::paper()
        };
        assert_eq!(cost, expected);
        assert_eq!(parsed(&toml::to_string(&cost).unwrap()).unwrap(), cost);
        assert_eq!(parsed("metric = \"parameters\"").unwrap(), CostTerm::paper());
        assert_eq!(CostTerm::parse_budget("macs = 20M").unwrap().reference, Reference::Budget(20e6));
    }

    #[test]
    fn what_is_measured_says_so_and_keeps_its_least() {
        let table = "table = { target = \"host\", engine = \"tract\", precision = \"f32\", intercept = 0.0, slope = 1.0, \
                     p90_error = 0.1, parts = {} }";
        let cost =
            parsed(&format!("metric = \"latency_p50\"\nsource = \"measured\"\nminimum = \"2 ms\"\n{table}"))
                .unwrap();
        assert!(cost.is_measured && cost.least == Some(2.0) && cost.reference == Reference::Minimum);
        assert_eq!(parsed(&toml::to_string(&cost).unwrap()).unwrap(), cost);
        assert!(
            !parsed(&format!("metric = \"latency_p50\"\nsource = \"table\"\n{table}")).unwrap().is_measured
        );
        let refused = [
            ("metric = \"macs\"\nsource = \"measured\"".to_owned(), "counted in a network's layers"),
            ("metric = \"latency_p50\"\nsource = \"exact\"".to_owned(), "a board has to tell it"),
            ("metric = \"latency_p50\"\nsource = \"measured\"".to_owned(), "for proposals a table tells it"),
            ("metric = \"latency_p50\"\nsource = \"guessed\"".to_owned(), "guessed"),
            (format!("metric = \"latency_p50\"\nminimum = \"2 ms\"\n{table}"), "goes with source"),
            (
                format!(
                    "metric = \"latency_p50\"\nsource = \"measured\"\nminimum = \"2 ms\"\nreference = \"3 ms\"\n{table}"
                ),
                "no budget",
            ),
        ];
        for (toml, words) in refused {
            let error = parsed(&toml).unwrap_err().to_string();
            assert!(error.contains(words), "{toml}: {error}");
        }
    }

    #[test]
    fn a_wrong_cost_is_named() {
        for (toml, words) in [
            ("metric = \"accuracy\"", "not a cost"),
            ("metric = \"weight\"", "weight"),
            ("metric = \"model_bytes\"\nreference = \"300\"", "no unit"),
            ("metric = \"macs\"\nreference = -3", "above 0"),
            ("metric = \"macs\"\nbudget = 3", "budget"),
        ] {
            let error = parsed(toml).unwrap_err().to_string();
            assert!(error.contains(words), "{toml}: {error}");
        }
        for text in ["macs", "accuracy=0.5", "weight=3", "macs=", "model_bytes=300", "=3"] {
            assert_eq!(CostTerm::parse_budget(text).unwrap_err().exit_code(), crate::exit::INPUT, "{text}");
        }
    }

    #[test]
    fn the_papers_objective_is_the_default() {
        let space = SearchSpace::paper();
        assert_eq!(objective(2.0, &[], &space).unwrap(), Objective::paper(2.0, 272_474).unwrap());
    }

    #[test]
    fn what_cannot_be_sought_is_said() {
        let space = SearchSpace::paper();
        let refused = |costs: &[&str]| {
            let costs: Vec<CostTerm> =
                costs.iter().map(|text| CostTerm::parse_budget(text).unwrap()).collect();
            objective(1.0, &costs, &space).unwrap_err().to_string()
        };
        assert!(refused(&["parameters=100k"]).contains("272,474"));
        assert!(refused(&["latency_p50=20ms"]).contains("measured on a board"));
        assert!(refused(&["macs=50M", "macs=60M"]).contains("twice"));
    }

    #[test]
    fn parts_of_alpha_add_up() {
        let part = |alpha| CostTerm { alpha, ..CostTerm::paper() };
        assert_eq!(total_alpha(None, &[part(None), part(None)]).unwrap(), 1.0);
        assert_eq!(total_alpha(None, &[part(Some(0.5)), part(Some(0.25))]).unwrap(), 0.75);
        assert_eq!(total_alpha(Some(0.3), &[part(Some(0.1)), part(Some(0.2))]).unwrap(), 0.3);
        for (alpha, parts) in [
            (Some(1.0), [Some(0.5), Some(0.4)]),
            (None, [Some(0.5), None]),
            (Some(1.0), [Some(1.0), None]),
            (None, [Some(0.0), Some(1.0)]),
            (Some(f64::NAN), [Some(0.5), Some(0.5)]),
        ] {
            assert!(total_alpha(alpha, &parts.map(part)).is_err(), "{alpha:?} {parts:?}");
        }
    }
}
