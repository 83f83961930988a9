//! Networks that were trained again with several seeds: which of them chance cannot tell from the best.

use mfactor::statistics::holm;
use mfactor::{Architecture, Trial};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Below this p-value a difference is not put down to chance.
const LEVEL: f64 = 0.05;

/// A network, and what came of its trainings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confirmed {
    /// The network.
    pub architecture: Architecture,
    /// Accuracy after each training, 0 to 1.
    pub accuracies: Vec<f64>,
    /// Their mean.
    pub accuracy: f64,
    /// Mean of the M-factors.
    pub m_factor: f64,
    /// Probability that a network as good as the best falls so far behind by chance: a two-sided t-test of the M-factors with the
    /// deviation of all networks' trainings, corrected by Holm. `None` for the best, and where nothing was trained twice.
    pub p: Option<f64>,
}

/// Networks by falling mean of M.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confirmation {
    /// The networks.
    pub networks: Vec<Confirmed>,
    /// Standard deviation of M between trainings of one network, over all of them; `None` where nothing was trained twice.
    pub deviation: Option<f64>,
    /// Trainings that failed.
    pub failed: usize,
}

impl Confirmed {
    /// Whether chance could make the difference to the best, or it is the best.
    pub fn may_be_the_best(&self) -> bool {
        self.p.is_none_or(|p| p >= LEVEL)
    }
}

/// Groups trainings by their networks.
pub fn confirmation(trials: &[Trial]) -> Confirmation {
    let mut architectures: Vec<&Architecture> = vec![];
    for trial in trials {
        if !architectures.contains(&&trial.architecture) {
            architectures.push(&trial.architecture);
        }
    }
    let complete = |of: &Architecture| {
        let own = trials.iter().filter(|trial| trial.architecture == *of);
        own.filter_map(|trial| Some((trial.accuracy?, trial.m_factor?))).collect::<Vec<(f64, f64)>>()
    };
    let mut groups: Vec<(&Architecture, Vec<(f64, f64)>)> =
        architectures.into_iter().map(|of| (of, complete(of))).filter(|(_, of)| !of.is_empty()).collect();
    groups.sort_by(|(_, a), (_, b)| mean_m(b).total_cmp(&mean_m(a)));
    let spread = spread(&groups);
    let raw: Vec<f64> =
        groups.iter().skip(1).filter_map(|(_, of)| Some(p(&groups[0].1, of, spread?))).collect();
    let mut corrected = holm(&raw).into_iter();
    let networks = groups.iter().enumerate().map(|(place, (architecture, of))| Confirmed {
        architecture: (*architecture).clone(),
        accuracies: of.iter().map(|(accuracy, _)| *accuracy).collect(),
        accuracy: of.iter().map(|(accuracy, _)| accuracy).sum::<f64>() / of.len() as f64,
        m_factor: mean_m(of),
        p: if place == 0 { None } else { corrected.next() },
    });
    Confirmation {
        networks: networks.collect(),
        deviation: spread.map(|(deviation, _)| deviation),
        failed: trials.iter().filter(|trial| trial.m_factor.is_none()).count(),
    }
}

fn mean_m(of: &[(f64, f64)]) -> f64 {
    of.iter().map(|(_, m)| m).sum::<f64>() / of.len() as f64
}

/// The standard deviation within networks, and its degrees of freedom.
fn spread(groups: &[(&Architecture, Vec<(f64, f64)>)]) -> Option<(f64, f64)> {
    let squares = |of: &Vec<(f64, f64)>| of.iter().map(|(_, m)| (m - mean_m(of)).powi(2)).sum::<f64>();
    let freedom: usize = groups.iter().map(|(_, of)| of.len() - 1).sum();
    let sum: f64 = groups.iter().map(|(_, of)| squares(of)).sum();
    (freedom > 0).then(|| ((sum / freedom as f64).sqrt(), freedom as f64))
}

fn p(best: &[(f64, f64)], other: &[(f64, f64)], (deviation, freedom): (f64, f64)) -> f64 {
    let difference = mean_m(best) - mean_m(other);
    let error = deviation * (1.0 / best.len() as f64 + 1.0 / other.len() as f64).sqrt();
    if error == 0.0 {
        return if difference == 0.0 { 1.0 } else { 0.0 };
    }
    let distribution = StudentsT::new(0.0, 1.0, freedom).expect("at least one degree of freedom");
    2.0 * distribution.cdf(-difference / error)
}

impl Confirmation {
    /// Which network to take, in one sentence.
    pub fn words(&self) -> String {
        let Some((best, others)) = self.networks.split_first() else {
            return "No training succeeded.".to_owned();
        };
        let alike: Vec<String> =
            others.iter().filter(|of| of.may_be_the_best()).map(|of| of.architecture.to_string()).collect();
        match (self.deviation, alike.as_slice()) {
            (None, _) => "With one training each chance cannot be told from merit.".to_owned(),
            (_, []) => format!("{} is the best, and not by chance.", best.architecture),
            (_, [one]) => format!("Chance cannot tell {} and {one} apart.", best.architecture),
            (_, several) => {
                format!("Chance cannot tell {} and {} apart.", best.architecture, several.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mfactor::{Cost, TrialState};

    use super::*;

    fn trial(architecture: &str, m: Option<f64>) -> Trial {
        Trial {
            id: 0,
            number: 0,
            proposer: mfactor::Proposer::Given,
            architecture: architecture.parse().unwrap(),
            state: if m.is_some() { TrialState::Complete } else { TrialState::Failed },
            seed: 0,
            cost: Cost {
                parameters: 1,
                macs: 1,
                model_bytes: 4,
                peak_activations: 4,
                predicted: mfactor::cost::BoardCosts::default(),
                measured: mfactor::cost::BoardCosts::default(),
            },
            size_score: 1.0,
            accuracy: m,
            m_factor: m,
            epoch_accuracies: vec![],
            seconds: None,
            images: None,
            reused: false,
            failure: None,
            failure_kind: None,
        }
    }

    fn of(groups: &[(&str, &[f64])]) -> Confirmation {
        let trials = groups.iter().flat_map(|(name, values)| values.iter().map(|m| trial(name, Some(*m))));
        confirmation(&trials.collect::<Vec<_>>())
    }

    #[test]
    fn what_is_far_behind_is_not_by_chance() {
        let found = of(&[
            ("333-333-333", &[0.70, 0.71, 0.72]),
            ("555-555-555", &[0.80, 0.81, 0.82]),
            ("777-777-777", &[0.80, 0.80, 0.81]),
        ]);
        let order: Vec<String> = found.networks.iter().map(|of| of.architecture.to_string()).collect();
        assert_eq!(order, ["555-555-555", "777-777-777", "333-333-333"]);
        // Pooled variance (1e-4 + 1e-4 + 3.33e-5) / 3, six degrees of freedom: t = 0.926 and 13.9.
        let p: Vec<f64> = found.networks[1..].iter().map(|of| of.p.unwrap()).collect();
        assert!((p[0] - 0.390_3).abs() < 1e-3 && p[1] < 1e-4, "{p:?}");
        assert_eq!(found.words(), "Chance cannot tell 555-555-555 and 777-777-777 apart.");
    }

    #[test]
    fn one_training_each_says_nothing() {
        let found = of(&[("333-333-333", &[0.7]), ("555-555-555", &[0.9])]);
        assert!(found.networks.iter().all(|of| of.p.is_none()) && found.deviation.is_none());
        assert!(found.words().contains("chance cannot be told"));
    }

    #[test]
    fn failures_are_counted_and_equals_are_alike() {
        let found = confirmation(&[
            trial("333-333-333", None),
            trial("333-333-333", Some(0.5)),
            trial("333-333-333", Some(0.5)),
            trial("555-555-555", Some(0.5)),
        ]);
        assert_eq!((found.failed, found.networks.len()), (1, 2));
        assert_eq!(found.networks[1].p, Some(1.0));
        assert_eq!(confirmation(&[]).words(), "No training succeeded.");
    }
}
