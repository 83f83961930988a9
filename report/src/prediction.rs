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

/// A network that was measured whole.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The sum over its parts, in the quantity's unit.
    pub parts: f64,
    /// Its parameters, where they cost more in a whole network than in parts; else 0.
    pub parameters: f64,
    /// What it took, in the quantity's unit; above 0.
    pub took: f64,
}

/// A line's intercept, slope, and cost of a parameter.
type Terms = [f64; 3];

/// The line from the sum over parts to what the whole took, and how it does on networks that it has not seen: the one whose
/// errors, as shares of what was measured, have the least sum. Their squares are not taken, so that a network in four may have
/// been disturbed when it was measured without the line following it. Such a line passes through as many of its samples as it
/// has terms (Koenker and Bassett 1978), so all of those are tried. A parameter costs at least nothing: a whole network's weights are read
/// from further away than those of a part alone. `None` where there is no line that rises.
pub fn line(seen: &[Sample], held_out: &[Sample]) -> Option<Line> {
    let error = |terms: &Terms, sample: &Sample| (at(terms, sample) / sample.took - 1.0).abs();
    let loss = |terms: &Terms| seen.iter().map(|sample| error(terms, sample)).sum::<f64>();
    let candidates = triples(seen).filter_map(|[one, two, three]| {
        let [across, down] = [two, three].map(|sample| difference(one, sample));
        // The cross product of both differences is at right angles to the plane through all three.
        let normal: Terms = std::array::from_fn(|axis| {
            let [next, last] = [(axis + 1) % 3, (axis + 2) % 3];
            across[next] * down[last] - across[last] * down[next]
        });
        terms(one, -normal[0] / normal[2], -normal[1] / normal[2])
    });
    let flat = pairs(seen).filter_map(|[one, two]| {
        let [parts, _, took] = difference(one, two);
        terms(one, took / parts, 0.0)
    });
    let losses = candidates.chain(flat).map(|terms| (loss(&terms), terms));
    let (_, best) = losses.min_by(|one, other| one.0.total_cmp(&other.0))?;
    let agrees: Vec<(f64, f64)> = held_out.iter().map(|sample| (at(&best, sample), sample.took)).collect();
    let [intercept, slope, per_parameter] = best;
    Some(Line { intercept, slope, per_parameter, test: agreement(&agrees)? })
}

fn at([intercept, slope, per_parameter]: &Terms, sample: &Sample) -> f64 {
    intercept + slope * sample.parts + per_parameter * sample.parameters
}

/// The terms of a line through a sample; `None` where it does not rise, or is none.
fn terms(through: &Sample, slope: f64, per_parameter: f64) -> Option<Terms> {
    let intercept = through.took - slope * through.parts - per_parameter * through.parameters;
    (intercept.is_finite() && slope > 0.0 && per_parameter >= 0.0).then_some([
        intercept,
        slope,
        per_parameter,
    ])
}

/// Parts, parameters and what it took of the second, less those of the first.
fn difference(one: &Sample, two: &Sample) -> [f64; 3] {
    [two.parts - one.parts, two.parameters - one.parameters, two.took - one.took]
}

fn pairs(samples: &[Sample]) -> impl Iterator<Item = [&Sample; 2]> {
    let later = |at: usize| samples[at + 1..].iter();
    samples.iter().enumerate().flat_map(move |(at, one)| later(at).map(move |two| [one, two]))
}

fn triples(samples: &[Sample]) -> impl Iterator<Item = [&Sample; 3]> {
    samples
        .iter()
        .enumerate()
        .flat_map(|(at, one)| pairs(&samples[at + 1..]).map(move |[two, three]| [one, two, three]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(parts: f64, parameters: f64, took: f64) -> Sample {
        Sample { parts, parameters, took }
    }

    #[test]
    fn a_line_is_found_though_a_quarter_was_disturbed() {
        let parameters = |n: usize| ((7 * n) % 11) as f64;
        let exact = |n: usize| sample(n as f64, parameters(n), 2.0 + 0.5 * n as f64 + 0.25 * parameters(n));
        let disturbed =
            |n: usize| if n.is_multiple_of(4) { Sample { took: 40.0, ..exact(n) } } else { exact(n) };
        let seen: Vec<Sample> = (1..=20).map(disturbed).collect();
        let held_out: Vec<Sample> = (21..=50).map(exact).collect();
        let line = line(&seen, &held_out).unwrap();
        let Line { intercept, slope, per_parameter, test } = line;
        for (found, expected) in [(intercept, 2.0), (slope, 0.5), (per_parameter, 0.25)] {
            assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        }
        assert!(test.p90_error < 1e-9 && test.tau == Some(1.0));
    }

    /// Where parameters make a network quicker, that is chance, or something else.
    #[test]
    fn parameters_cost_at_least_nothing() {
        let seen: Vec<Sample> = (1..=20)
            .map(|n| {
                sample(
                    f64::from(n),
                    f64::from((7 * n) % 11),
                    30.0 + 2.0 * f64::from(n) - f64::from((7 * n) % 11),
                )
            })
            .collect();
        assert_eq!(line(&seen, &seen).unwrap().per_parameter, 0.0);
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
        let falling: Vec<Sample> = (0..20).map(|n| sample(f64::from(n), 0.0, 30.0 - f64::from(n))).collect();
        assert_eq!(line(&falling, &falling), None);
        assert_eq!(line(&[sample(1.0, 1.0, 1.0); 20], &[sample(1.0, 1.0, 1.0); 30]), None);
    }
}
