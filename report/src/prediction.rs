//! What was told of networks before they were measured, held against what was measured.

use mfactor::cost_model::CostModel;
use mfactor::cost_table::{Agreement, Line};
use mfactor::numbers::percent;
use mfactor::statistics::quantile;
use mfactor::{Architecture, Objective, Quantity, SearchSpace};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::bench::Setup;
use crate::blame::{Blame, blame};
use crate::models::MeasuredModel;
use crate::rank::Statistic;
use crate::resample::{FEWEST, bootstrap_interval};

/// Networks that are named of those that were told worst.
const WORST: usize = 5;
/// What models measured on this machine are filed under, and what tables of it are of.
const HOST: &str = "host";

/// What a cost table told of the models of a bench, held against what was measured there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What was told.
    pub quantity: Quantity,
    /// How well.
    pub agreement: Agreement,
    /// The models that were told worst, the worst first.
    pub worst: Vec<Miss>,
    /// The block that goes with it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
}

/// A model, what was told of it, and what it took, in the quantity's unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Miss {
    /// Its architecture.
    pub architecture: Architecture,
    /// What was told.
    pub told: f64,
    /// What was measured.
    pub measured: f64,
}

impl Miss {
    /// A share of what was measured: below 0 where too little was told.
    fn error(&self) -> f64 {
        (self.told - self.measured) / self.measured
    }
}

impl Told {
    /// In sentences.
    pub fn words(&self) -> String {
        let Agreement { networks, median_error, p90_error, tau, .. } = &self.agreement;
        let tau = tau.map_or_else(String::new, |tau| format!(", with a tau of {tau:+.2}"));
        let worst = self.worst.first().map_or_else(String::new, |miss| {
            let show = |value| self.quantity.show(value);
            format!(
                "; worst of all {}, told {}, measured {}",
                miss.architecture,
                show(miss.told),
                show(miss.measured)
            )
        });
        let blame = self.blame.as_ref().map_or_else(String::new, |blame| format!(" {}", blame.words()));
        format!(
            "The table told the {} of {networks} models within {} in the median and {} in nine of ten{tau}{worst}.{blame}",
            self.quantity.label(),
            percent(*median_error),
            percent(*p90_error),
        )
    }
}

/// What the study's cost tables told of the models of a bench; nothing where none is of that board, engine and precision.
pub(crate) fn told(
    models: &[MeasuredModel],
    setup: &Setup,
    objective: &Objective,
    space: &SearchSpace,
) -> Vec<Told> {
    let of = |quantity: Quantity| {
        let model = objective.models().get(quantity).filter(|model| is_of(model, setup))?;
        let miss = |row: &MeasuredModel| {
            let architecture = row.model.architecture.clone();
            let told = model.predict(quantity, space, &architecture);
            let (measured, _) = row.figures.cost(quantity)?;
            Some(Miss { architecture, told, measured })
        };
        let mut misses: Vec<Miss> = models.iter().filter_map(miss).collect();
        let pairs: Vec<(f64, f64)> = misses.iter().map(|miss| (miss.told, miss.measured)).collect();
        let errors: Vec<_> = misses.iter().map(|miss| (miss.architecture.clone(), miss.error())).collect();
        misses.sort_by(|one, other| other.error().abs().total_cmp(&one.error().abs()));
        misses.truncate(WORST);
        Some(Told { quantity, agreement: agreement(&pairs)?, worst: misses, blame: blame(&errors) })
    };
    Quantity::costs().filter_map(of).collect()
}

/// Whether a model was measured where a bench is. What a board is called says nothing of its kind, but this machine is itself.
fn is_of(model: &CostModel, setup: &Setup) -> bool {
    (model.target == HOST) == (setup.place == HOST)
        && model.engine == setup.engine
        && model.precision == setup.precision
}

/// How predictions agree with measurements, pairs of both; errors are shares of what was measured. `None` of none.
pub fn agreement(pairs: &[(f64, f64)]) -> Option<Agreement> {
    let mut errors: Vec<f64> =
        pairs.iter().map(|(predicted, measured)| (predicted - measured).abs() / measured).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let (predicted, measured): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let statistic = Statistic::KendallTauB;
    let tau = statistic.of(&predicted, &measured);
    let interval = |_| {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        bootstrap_interval(statistic, &predicted, &measured, &mut rng)
    };
    Some(Agreement {
        networks: pairs.len(),
        median_error: quantile(&errors, 0.5)?,
        p90_error: quantile(&errors, 0.9)?,
        tau,
        tau_interval: tau.filter(|_| pairs.len() >= FEWEST).and_then(interval),
    })
}

/// The line through pairs of a sum over parts and what the whole took, and how it does on pairs that it has not seen. The line
/// is that of Theil (1950) and Sen (1968), the median of the slopes between any two, for one network in four may have been
/// disturbed when it was measured without the line following it. `None` where there is no line that rises.
pub fn line(seen: &[(f64, f64)], held_out: &[(f64, f64)]) -> Option<Line> {
    let mut slopes = vec![];
    for (position, (x, y)) in seen.iter().enumerate() {
        let later = seen[position + 1..].iter().filter(|(other, _)| other != x);
        slopes.extend(later.map(|(other_x, other_y)| (other_y - y) / (other_x - x)));
    }
    let slope = median(slopes).filter(|slope| *slope > 0.0)?;
    let intercept = median(seen.iter().map(|(x, y)| y - slope * x).collect())?;
    let told: Vec<(f64, f64)> = held_out.iter().map(|(x, y)| (intercept + slope * x, *y)).collect();
    Some(Line { intercept, slope, test: agreement(&told)? })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    quantile(&values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_though_a_quarter_was_disturbed() {
        let point = |n: usize| (n as f64, 2.0 + 0.5 * n as f64);
        let disturbed = |n: usize| if n.is_multiple_of(4) { (n as f64, 40.0) } else { point(n) };
        let seen: Vec<(f64, f64)> = (1..=20).map(disturbed).collect();
        let held_out: Vec<(f64, f64)> = (21..=50).map(point).collect();
        let line = line(&seen, &held_out).unwrap();
        assert!((line.slope - 0.5).abs() < 0.05 && (line.intercept - 2.0).abs() < 0.5, "{line:?}");
        assert!(line.test.p90_error < 0.05 && line.test.tau == Some(1.0));
    }

    #[test]
    fn errors_are_shares_of_what_was_measured() {
        let agreement = agreement(&[(1.1, 1.0), (1.8, 2.0), (3.0, 3.0), (4.0, 4.0)]).unwrap();
        assert!((agreement.median_error - 0.05).abs() < 1e-12, "{agreement:?}");
        assert_eq!((agreement.networks, agreement.tau), (4, Some(1.0)));
        assert_eq!(super::agreement(&[]), None);
    }

    #[test]
    fn where_nothing_rises_there_is_no_line() {
        let falling: Vec<(f64, f64)> = (0..20).map(|n| (f64::from(n), -f64::from(n))).collect();
        assert_eq!(line(&falling, &falling), None);
        assert_eq!(line(&[(1.0, 1.0); 20], &[(1.0, 1.0); 30]), None);
    }
}
