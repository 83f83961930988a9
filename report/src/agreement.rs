//! Whether a ranking made before the measurement agrees with what the board measured.
//!
//! Sign convention: a positive correlation means that the ranking puts the better model higher, better being
//! higher accuracy, lower latency, less memory, a smaller file.

use mfactor::Objective;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::measured::{Measured, Ranking, ranked_goodness};
use crate::models::{Figures, MeasuredModel};
use crate::rank::{Statistic, tied_pairs};
use crate::resample::{Coefficient, FEWEST, assess};

/// Below this, a p-value is called evidence.
pub const SIGNIFICANCE: f64 = 0.05;

/// Agreement of one ranking with one measured quantity on one bench.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// What the models were ranked by.
    pub ranking: Ranking,
    /// What was measured.
    pub quantity: Measured,
    /// Models with that measurement.
    pub n: usize,
    /// Pairs of models that are equal in the ranking, and in what was measured.
    pub ties: [usize; 2],
    /// Kendall's tau-b; `None` where it is not defined.
    pub kendall: Option<Coefficient>,
    /// Spearman's rho; `None` where it is not defined.
    pub spearman: Option<Coefficient>,
    /// What may be concluded.
    pub verdict: Verdict,
}

/// What may be concluded from an [`Agreement`], from Kendall's tau-b and its p-value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Fewer than [`FEWEST`] models.
    TooFew,
    /// All models are equal in the ranking, or in what was measured.
    NothingToRank,
    /// Better models are ranked higher, and chance does that rarely.
    Agrees,
    /// Better models are ranked lower, and chance does that rarely.
    Contradicts,
    /// Chance does as much in more than one of twenty cases.
    Undecided,
}

impl Verdict {
    /// In words; `n` is the number of models.
    pub fn words(self, n: usize) -> String {
        match self {
            Self::TooFew => format!("too few to say (n = {n})"),
            Self::NothingToRank => "nothing to rank: all equal".to_owned(),
            Self::Agrees => "agrees".to_owned(),
            Self::Contradicts => "wrong way round".to_owned(),
            Self::Undecided => "not told from chance".to_owned(),
        }
    }
}

/// How many of the best k by M are among the best k measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopOverlap {
    /// What was measured.
    pub quantity: Measured,
    /// k.
    pub k: usize,
    /// Models with that measurement.
    pub n: usize,
    /// The number in both. Models tied at the border share the places left, so it may be a fraction.
    pub overlap: f64,
    /// What a random order would have, k²/n.
    pub by_chance: f64,
}

/// Agreement of every ranking with every quantity that was measured, seeded by `seed` and independent of
/// other benches.
pub(crate) fn all(models: &[MeasuredModel], objective: &Objective, seed: u64) -> Vec<Agreement> {
    let mut agreements = Vec::new();
    for ranking in Ranking::ALL {
        for quantity in Measured::ALL {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(agreements.len() as u64);
            let (x, y) = scores(models, objective, ranking, quantity);
            if !y.is_empty() {
                agreements.push(agreement(ranking, quantity, &x, &y, &mut rng));
            }
        }
    }
    agreements
}

/// Kendall's tau-b of M at each of `alphas` with one quantity.
pub(crate) fn sweep(
    models: &[MeasuredModel],
    objectives: &[Objective],
    quantity: Measured,
) -> Vec<Option<f64>> {
    let tau = |objective| {
        let (x, y) = scores(models, objective, Ranking::MFactor, quantity);
        Statistic::KendallTauB.of(&x, &y)
    };
    objectives.iter().map(tau).collect()
}

/// Overlap of the best 1, 3 and 5 by M with the best by each quantity.
pub(crate) fn top(models: &[MeasuredModel], objective: &Objective) -> Vec<TopOverlap> {
    let mut overlaps = Vec::new();
    for quantity in Measured::ALL {
        let (x, y) = scores(models, objective, Ranking::MFactor, quantity);
        for k in [1, 3, 5].into_iter().filter(|k| *k < y.len()) {
            let shares = top_shares(&x, k).into_iter().zip(top_shares(&y, k));
            let overlap = shares.map(|(by_m, measured)| by_m * measured).sum();
            let (n, by_chance) = (y.len(), (k * k) as f64 / y.len() as f64);
            overlaps.push(TopOverlap { quantity, k, n, overlap, by_chance });
        }
    }
    overlaps
}

/// Scores and goodness of the models that have the measurement, with ties where noise does not tell them apart.
fn scores(
    models: &[MeasuredModel],
    objective: &Objective,
    ranking: Ranking,
    quantity: Measured,
) -> (Vec<f64>, Vec<f64>) {
    let figures: Vec<&Figures> = models.iter().map(|row| &row.figures).collect();
    let goodness = ranked_goodness(quantity, &figures);
    let pair = |(row, goodness): (&MeasuredModel, Option<f64>)| {
        Some((ranking.score(&row.model, objective), goodness?))
    };
    models.iter().zip(goodness).filter_map(pair).unzip()
}

fn agreement(ranking: Ranking, quantity: Measured, x: &[f64], y: &[f64], rng: &mut ChaCha8Rng) -> Agreement {
    let kendall = assess(Statistic::KendallTauB, x, y, rng);
    let spearman = assess(Statistic::SpearmanRho, x, y, rng);
    let verdict = match kendall {
        _ if x.len() < FEWEST => Verdict::TooFew,
        None => Verdict::NothingToRank,
        Some(tau) if tau.p_value.is_some_and(|p| p < SIGNIFICANCE) => {
            if tau.value > 0.0 {
                Verdict::Agrees
            } else {
                Verdict::Contradicts
            }
        }
        Some(_) => Verdict::Undecided,
    };
    Agreement { ranking, quantity, n: x.len(), ties: [x, y].map(tied_pairs), kendall, spearman, verdict }
}

/// For each value the chance to be among the k largest when ties are broken at random.
fn top_shares(values: &[f64], k: usize) -> Vec<f64> {
    let share = |value: &f64| {
        let above = values.iter().filter(|other| *other > value).count();
        let tied = values.iter().filter(|other| *other == value).count();
        (k.saturating_sub(above) as f64 / tied as f64).min(1.0)
    };
    values.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(x: &[f64], y: &[f64]) -> Verdict {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        agreement(Ranking::MFactor, Measured::LatencyP50, x, y, &mut rng).verdict
    }

    #[test]
    fn verdicts() {
        let rising: Vec<f64> = (0..12).map(f64::from).collect();
        let falling: Vec<f64> = rising.iter().map(|value| -value).collect();
        let mixed: Vec<f64> = rising.iter().map(|value| (value * 5.0) % 12.0).collect();
        assert_eq!(verdict(&rising, &rising), Verdict::Agrees);
        assert_eq!(verdict(&rising, &falling), Verdict::Contradicts);
        assert_eq!(verdict(&rising, &mixed), Verdict::Undecided);
        assert_eq!(verdict(&rising, &[2.0; 12]), Verdict::NothingToRank);
        assert_eq!(verdict(&rising[..3], &rising[..3]), Verdict::TooFew);
        assert_eq!(verdict(&rising[..4], &rising[..4]), Verdict::Undecided, "2 of 24 orders do as well");
    }

    #[test]
    fn places_are_shared_by_ties_at_the_border() {
        assert_eq!(top_shares(&[3.0, 1.0, 2.0], 1), [1.0, 0.0, 0.0]);
        assert_eq!(top_shares(&[3.0, 2.0, 2.0, 1.0], 2), [1.0, 0.5, 0.5, 0.0]);
        assert_eq!(top_shares(&[2.0, 2.0, 2.0], 2).iter().sum::<f64>(), 2.0);
    }
}
