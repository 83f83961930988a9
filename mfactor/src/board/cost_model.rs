//! What networks cost on a board, told from what their parts cost there.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::layers::Layer;
use crate::quantity::Quantity;
use crate::space::SearchSpace;
use crate::space::extremes::Additive;
use crate::space::parts::Part;
use crate::text::name;

/// Units in which parts are added, in one of the quantity's own: a nanosecond of a millisecond, a nanojoule of a millijoule.
const FINE: f64 = 1e6;

/// One quantity of every network of a space, on one board with one engine: a line through the sum over its parts, less their
/// seams ([`SearchSpace::network_of`]); of memory through the largest part, as parts run one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostModel {
    /// The kind of board: the name of its file, or `host`.
    pub target: String,
    /// The engine that ran the parts.
    pub engine: String,
    /// Type of the weights: `f32` or `int8`.
    pub precision: String,
    /// Where the line begins, in the quantity's unit.
    pub intercept: f64,
    /// How steep it is; above 0.
    pub slope: f64,
    /// What nine predictions of ten are within of networks that were measured and took no part in the line, a share of 1.
    pub p90_error: f64,
    /// Whether the board's processor was emulated, so that times mean nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emulated: bool,
    /// Each part by its name, in the quantity's unit.
    pub parts: BTreeMap<String, f64>,
}

impl CostModel {
    /// Refuses a model that does not know every part of a space, or holds what is no number.
    ///
    /// # Errors
    /// [`Error::Input`] naming the first part.
    pub fn check(&self, space: &SearchSpace) -> Result<()> {
        let refuse = |problem: String| Err(Error::input(format!("table of {}", name(&self.target)), problem));
        let is_wrong = |(_, value): &(&String, &f64)| !(value.is_finite() && **value >= 0.0);
        if let Some((part, value)) = self.parts.iter().find(is_wrong) {
            return refuse(format!("{} costs {value}, which cannot be", name(part)));
        }
        let line = [self.intercept, self.slope, self.p90_error];
        if !line.iter().all(|number| number.is_finite()) || self.slope <= 0.0 || self.p90_error < 0.0 {
            return refuse(format!("has the line {} + {} x, which cannot be", self.intercept, self.slope));
        }
        let parts = space.parts();
        match parts.iter().find(|part| !self.parts.contains_key(&part.to_string())) {
            None => Ok(()),
            Some(part) => refuse(format!(
                "does not know part {part} of space {}: it is of another space; `mfactor table build` makes one",
                space.name()
            )),
        }
    }

    /// The quantity of a network, in its unit.
    ///
    /// # Panics
    /// If the architecture is not of a space that [`CostModel::check`] passed.
    pub fn predict(&self, quantity: Quantity, space: &SearchSpace, architecture: &Architecture) -> f64 {
        let costs = self.parts(quantity);
        let parts = space.parts_of(architecture);
        let each = parts.iter().map(|part| costs.of_part(Some(part), &[]));
        self.at(each.reduce(|one, other| costs.join(one, other)).expect("a network has a stem"))
    }

    /// The network that costs the least, and what.
    pub fn cheapest(&self, quantity: Quantity, space: &SearchSpace) -> (Architecture, f64) {
        let (architecture, sum) = space.cheapest(&self.parts(quantity));
        (architecture, self.at(sum))
    }

    /// The network that costs the most, and what.
    pub fn dearest(&self, quantity: Quantity, space: &SearchSpace) -> (Architecture, f64) {
        let (architecture, sum) = space.dearest(&self.parts(quantity));
        (architecture, self.at(sum))
    }

    fn parts(&self, quantity: Quantity) -> Parts<'_> {
        Parts { costs: &self.parts, is_largest: !quantity.adds_up() }
    }

    /// The line at a sum.
    fn at(&self, sum: i64) -> f64 {
        let value = self.intercept + self.slope * sum as f64 / FINE;
        // Nothing costs nothing: below the line's own beginning there is no measurement.
        value.max(f64::MIN_POSITIVE)
    }
}

/// What tells the costs that are not exact, a model a quantity at most.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CostModels(Vec<(Quantity, Arc<CostModel>)>);

impl CostModels {
    /// What tells a quantity, if something does.
    pub fn get(&self, quantity: Quantity) -> Option<&CostModel> {
        self.0.iter().find(|(of, _)| *of == quantity).map(|(_, model)| model.as_ref())
    }

    /// What an architecture of a space costs, with all that is told of it.
    ///
    /// # Panics
    /// If the architecture is not of the space.
    pub fn cost(&self, space: &SearchSpace, architecture: &Architecture) -> Cost {
        let exact = space.cost(architecture);
        let told = self.0.iter().fold(exact.predicted, |told, (quantity, model)| {
            told.with(*quantity, model.predict(*quantity, space, architecture))
        });
        Cost { predicted: told, ..exact }
    }

    /// The least and the most that networks of a space cost; `None` of what nothing tells before it is measured.
    pub fn range(&self, quantity: Quantity, space: &SearchSpace) -> Option<[f64; 2]> {
        match (quantity.count(), self.get(quantity)) {
            (Some(count), _) => {
                Some([space.minimum(count), space.maximum(count)].map(|extreme| extreme.value as f64))
            }
            (None, Some(model)) => {
                Some([model.cheapest(quantity, space).1, model.dearest(quantity, space).1])
            }
            (None, None) => None,
        }
    }
}

impl FromIterator<(Quantity, Arc<CostModel>)> for CostModels {
    fn from_iter<I: IntoIterator<Item = (Quantity, Arc<CostModel>)>>(models: I) -> Self {
        Self(models.into_iter().collect())
    }
}

/// Sum over the parts of a network, without the line, in the unit of the parts.
pub fn sum_of_parts(
    costs: &BTreeMap<String, f64>,
    quantity: Quantity,
    space: &SearchSpace,
    architecture: &Architecture,
) -> Option<f64> {
    let parts = space.parts_of(architecture);
    let is_known = |part: &Part| costs.contains_key(&part.to_string());
    if !parts.iter().all(|part| is_known(part) && part.seam().is_none_or(|seam| is_known(&seam))) {
        return None;
    }
    let known = Parts { costs, is_largest: !quantity.adds_up() };
    let each = parts.iter().map(|part| known.of_part(Some(part), &[]));
    each.reduce(|one, other| known.join(one, other)).map(|sum| sum as f64 / FINE)
}

struct Parts<'a> {
    costs: &'a BTreeMap<String, f64>,
    is_largest: bool,
}

impl Parts<'_> {
    fn of(&self, part: &Part) -> i64 {
        (FINE * self.costs[&part.to_string()]).round() as i64
    }
}

impl Additive for Parts<'_> {
    fn of_part(&self, part: Option<&Part>, _: &[Layer]) -> i64 {
        let Some(part) = part else { return 0 };
        match part.seam() {
            Some(seam) if !self.is_largest => self.of(part) - self.of(&seam),
            _ => self.of(part),
        }
    }

    fn join(&self, one: i64, other: i64) -> i64 {
        if self.is_largest { one.max(other) } else { one + other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> SearchSpace {
        SearchSpace::load(std::path::Path::new("resnet8-mlperf-tiny")).unwrap()
    }

    /// A board on which a network takes a millisecond for a million of its MACs.
    fn model(space: &SearchSpace) -> CostModel {
        let cost = |part: &Part| {
            let (space, network) = space.network_of(part).unwrap();
            space.cost(&network).macs as f64 / 1e6
        };
        CostModel {
            target: "host".to_owned(),
            engine: "tract".to_owned(),
            precision: "f32".to_owned(),
            intercept: 0.5,
            slope: 2.0,
            p90_error: 0.0,
            emulated: false,
            parts: space.parts().iter().map(|part| (part.to_string(), cost(part))).collect(),
        }
    }

    #[test]
    fn what_parts_cost_is_what_the_whole_costs() {
        let space = space();
        let model = model(&space);
        model.check(&space).unwrap();
        let all: Vec<(f64, Architecture)> = space
            .architectures()
            .map(|network| (model.predict(Quantity::LatencyP50, &space, &network), network))
            .collect();
        for (predicted, network) in &all {
            let exact = 0.5 + 2.0 * space.cost(network).macs as f64 / 1e6;
            assert!((predicted - exact).abs() < 1e-6, "{network}: {predicted}, not {exact}");
        }
        let least = all.iter().map(|(cost, _)| *cost).reduce(f64::min).unwrap();
        let most = all.iter().map(|(cost, _)| *cost).reduce(f64::max).unwrap();
        assert!((model.cheapest(Quantity::LatencyP50, &space).1 - least).abs() < 1e-9);
        assert!((model.dearest(Quantity::LatencyP50, &space).1 - most).abs() < 1e-9);
    }

    #[test]
    fn memory_is_that_of_the_largest_part() {
        let space = space();
        let model = model(&space);
        for network in space.architectures().step_by(7) {
            let parts = space.parts_of(&network);
            let largest = parts.iter().map(|part| model.parts[&part.to_string()]).reduce(f64::max).unwrap();
            let predicted = model.predict(Quantity::PeakMemory, &space, &network);
            assert!((predicted - (0.5 + 2.0 * largest)).abs() < 1e-6);
        }
        let least =
            space.architectures().map(|network| model.predict(Quantity::PeakMemory, &space, &network));
        let least = least.reduce(f64::min).unwrap();
        assert!((model.cheapest(Quantity::PeakMemory, &space).1 - least).abs() < 1e-9);
    }

    #[test]
    fn a_model_of_another_space_is_refused_with_the_part() {
        let other = SearchSpace::load(std::path::Path::new("edge32")).unwrap();
        let error = model(&space()).check(&other).unwrap_err();
        assert_eq!(error.exit_code(), crate::exit::INPUT);
        assert!(error.to_string().contains("edge32") && error.to_string().contains("i3e2"), "{error}");
        let space = space();
        let wrong = [f64::NAN, -1.0, f64::INFINITY];
        for value in wrong {
            let mut model = model(&space);
            model.parts.insert("seam 16x32x32".to_owned(), value);
            assert!(model.check(&space).unwrap_err().to_string().contains("cannot be"), "{value}");
        }
        assert!(CostModel { slope: 0.0, ..model(&space) }.check(&space).is_err());
    }
}
