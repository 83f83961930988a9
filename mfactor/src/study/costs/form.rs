//! A cost as a file says it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CostTerm, On, Reference, Source};
use crate::cost_model::CostModel;
use crate::error::{Error, Result};
use crate::quantity::Quantity;

/// A cost as a file says it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCost {
    metric: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Said>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Said>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    engine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    precision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<SaidSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minimum: Option<Said>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<SaidTable>,
}

/// Where a cost comes from, in a word.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SaidSource {
    Exact,
    Table,
    Measured,
}

/// A cost table's file; or what was read of one, which a study keeps, so that it depends on no file.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "is neither the file of a cost table nor what was read of one")]
enum SaidTable {
    File(PathBuf),
    Model(Box<CostModel>),
}

/// A number, or text with a unit.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Said {
    Count(u64),
    Number(f64),
    Text(String),
}

impl Said {
    fn amount(&self, quantity: Quantity) -> Result<f64> {
        match self {
            Self::Count(count) => quantity.amount(&count.to_string()),
            Self::Number(number) => quantity.amount(&number.to_string()),
            Self::Text(text) => quantity.amount(text),
        }
    }

    fn of(quantity: Quantity, amount: f64) -> Self {
        Self::Text(quantity.in_full(amount).replace(',', ""))
    }
}

impl TryFrom<RawCost> for CostTerm {
    type Error = Error;

    fn try_from(raw: RawCost) -> Result<Self> {
        let quantity = raw.metric;
        if quantity == Quantity::Accuracy {
            return Err(Error::input("metric", "is accuracy, which is not a cost"));
        }
        let reference = match &raw.reference {
            None => Reference::Minimum,
            Some(Said::Text(text)) if text == "minimum" => Reference::Minimum,
            Some(said) => Reference::Budget(said.amount(quantity)?),
        };
        let limit = raw.limit.map(|said| said.amount(quantity)).transpose()?;
        let on = On { target: raw.target, engine: raw.engine, precision: raw.precision };
        let source = match raw.table {
            Some(_) if quantity.is_exact() => {
                return Err(Error::input(
                    "table",
                    format!("tells nothing of {}, which is exact", quantity.name()),
                ));
            }
            Some(SaidTable::File(file)) => Source::File { file, on },
            Some(SaidTable::Model(model)) => Source::Model(Arc::from(model)),
            None if on != On::default() => {
                let problem = "has a target, an engine or a precision and no table that was measured there";
                return Err(Error::input(quantity.name(), problem));
            }
            None => Source::Exact,
        };
        check_source(quantity, raw.source, &source)?;
        let is_measured = raw.source == Some(SaidSource::Measured);
        let least = raw.minimum.map(|said| said.amount(quantity)).transpose()?;
        if least.is_some() && !(is_measured && reference == Reference::Minimum) {
            let problem = "is what a board said of the smallest networks: it goes with source = \"measured\" and no budget";
            return Err(Error::input("minimum", problem));
        }
        Ok(Self { quantity, reference, limit, alpha: raw.alpha, source, is_measured, least })
    }
}

/// Refuses a word for where a cost comes from that does not go with the rest of what is said of it.
fn check_source(quantity: Quantity, said: Option<SaidSource>, source: &Source) -> Result<()> {
    let problem = match (said, source) {
        (Some(SaidSource::Exact), _) if !quantity.is_exact() => {
            "is exact of no network: a board has to tell it"
        }
        (Some(SaidSource::Table | SaidSource::Measured), _) if quantity.is_exact() => {
            "is counted in a network's layers: its source is exact"
        }
        (Some(SaidSource::Table), Source::Exact) => "comes from a table, and none is named",
        (Some(SaidSource::Measured), Source::Exact) => {
            "is measured when a network is trained; for proposals a table tells it, and none is named"
        }
        _ => return Ok(()),
    };
    Err(Error::input(quantity.name(), problem))
}

impl From<CostTerm> for RawCost {
    fn from(cost: CostTerm) -> Self {
        let CostTerm { quantity, reference, limit, alpha, source, is_measured, least } = cost;
        let reference = match reference {
            Reference::Minimum => Said::Text("minimum".to_owned()),
            Reference::Budget(budget) => Said::of(quantity, budget),
        };
        let (table, on) = match source {
            Source::Exact => (None, On::default()),
            Source::File { file, on } => (Some(SaidTable::File(file)), on),
            Source::Model(model) => {
                (Some(SaidTable::Model(Box::new(Arc::unwrap_or_clone(model)))), On::default())
            }
        };
        Self {
            metric: quantity,
            reference: Some(reference),
            limit: limit.map(|limit| Said::of(quantity, limit)),
            alpha,
            target: on.target,
            engine: on.engine,
            precision: on.precision,
            source: is_measured.then_some(SaidSource::Measured),
            minimum: least.map(|least| Said::of(quantity, least)),
            table,
        }
    }
}
