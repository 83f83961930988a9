//! The M-factor over one cost or several, and the metrics of the paper that it is compared with.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::confusion::AccuracyKind;
use crate::cost::Cost;
use crate::cost_model::CostModels;
use crate::error::{Error, Result};
use crate::quantity::{Quantity, Values};
use crate::space::SearchSpace;

/// What a study maximises: the M-factor at one weight, over costs that each have a reference.
///
/// M = (1 + Σα_i) / (1/A + Σα_i/S'_i) with S'_i = min(1, r_i/q_i) for cost q_i and reference r_i. With one cost, parameters,
/// and the smallest architecture's as its reference these are equations 6 to 8 of the paper; with a budget as the reference
/// what keeps to it has S'_i = 1, as with the threshold of its equation 5. docs/metric.md has the derivation.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    alpha: f64,
    terms: Vec<Term>,
    accuracy: AccuracyKind,
    /// What tells the costs that are not exact.
    models: CostModels,
}

/// One cost of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// What it costs.
    pub quantity: Quantity,
    /// Its part of α, above 0. Those of all terms sum to 1.
    pub share: f64,
    /// r, in the quantity's unit: the least that there is, or a budget.
    pub reference: f64,
    /// What is never proposed: whatever costs more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

impl Term {
    /// S' = min(1, r/q), equation 7 of the paper, of a network that costs `value`.
    pub fn size_score(&self, value: f64) -> f64 {
        (self.reference / value).min(1.0)
    }
}

impl Objective {
    /// The paper's: weight `alpha` (finite, above 0), and parameters against those of the smallest architecture, which has
    /// `minimum_parameters` (above 0).
    ///
    /// # Errors
    /// [`Error::Input`] where one of them is not so.
    pub fn paper(alpha: f64, minimum_parameters: u64) -> Result<Self> {
        if minimum_parameters == 0 {
            return Err(Error::input("p-min", "is 0; the smallest architecture has at least one parameter"));
        }
        let reference = minimum_parameters as f64;
        Self::new(alpha, vec![Term { quantity: Quantity::Parameters, share: 1.0, reference, limit: None }])
    }

    /// Whether S' is the paper's, in a space whose smallest architecture has `minimum_parameters`: no words are needed then.
    pub fn is_papers(&self, minimum_parameters: u64) -> bool {
        matches!(&*self.terms, [Term { quantity: Quantity::Parameters, reference, .. }]
            if *reference == minimum_parameters as f64)
    }

    /// An objective over at least one cost, of which none comes twice.
    ///
    /// # Errors
    /// [`Error::Input`] where α is not a finite number above 0.
    ///
    /// # Panics
    /// If the shares do not sum to 1, a reference is not above 0, or there is no term.
    pub fn new(alpha: f64, terms: Vec<Term>) -> Result<Self> {
        check_alpha(alpha)?;
        let shares: f64 = terms.iter().map(|term| term.share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "the shares of α sum to {shares}");
        assert!(terms.iter().all(|term| term.share > 0.0 && term.reference > 0.0), "{terms:?}");
        Ok(Self { alpha, terms, accuracy: AccuracyKind::Plain, models: CostModels::default() })
    }

    /// The same costs at another weight.
    ///
    /// # Errors
    /// As [`Objective::new`].
    pub fn at_alpha(&self, alpha: f64) -> Result<Self> {
        check_alpha(alpha)?;
        Ok(Self { alpha, ..self.clone() })
    }

    /// The same costs and weight with another accuracy for A.
    #[must_use]
    pub fn with_accuracy(self, accuracy: AccuracyKind) -> Self {
        Self { accuracy, ..self }
    }

    /// The same with models of the costs that are not exact, which are known to fit the space.
    #[must_use]
    pub fn with_models(self, models: CostModels) -> Self {
        Self { models, ..self }
    }

    /// What tells the costs that are not exact.
    pub fn models(&self) -> &CostModels {
        &self.models
    }

    /// What an architecture of a space costs, with all that is told of it, as [`CostModels::cost`].
    ///
    /// # Panics
    /// If the architecture is not of the space.
    pub fn cost(&self, space: &SearchSpace, architecture: &Architecture) -> Cost {
        self.models.cost(space, architecture)
    }

    /// Which accuracy A is.
    pub fn accuracy(&self) -> AccuracyKind {
        self.accuracy
    }

    /// α: above 1 favours small architectures, below 1 accurate ones.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// The costs.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// S' over all costs: the harmonic mean of theirs, each with its share of α, so that M is equation 8 with it. In (0, 1].
    /// `None` where a cost is not known.
    pub fn size_score(&self, values: &Values) -> Option<f64> {
        let score = |term: &Term| Some(term.size_score(values.get(term.quantity)?));
        if let [term] = self.terms.as_slice() {
            return score(term);
        }
        let inverse: Option<f64> = self.terms.iter().map(|term| Some(term.share / score(term)?)).sum();
        inverse.map(|inverse| inverse.recip().min(1.0))
    }

    /// S' over costs that are known of every architecture, exactly or because they are told ([`Objective::cost`]).
    ///
    /// # Panics
    /// If a cost is neither: what a study seeks is checked when it is read.
    pub fn exact_size_score(&self, cost: &Cost) -> f64 {
        self.size_score(&cost.values()).expect("a study's costs are known before training")
    }

    /// M of what reached `accuracy`, a fraction of 1, with this S'.
    pub fn m_factor(&self, accuracy: f64, size_score: f64) -> f64 {
        m_factor(accuracy, size_score, self.alpha)
    }

    /// M; `None` where accuracy or a cost is not known.
    pub fn score(&self, values: &Values) -> Option<f64> {
        Some(self.m_factor(values.get(Quantity::Accuracy)?, self.size_score(values)?))
    }

    /// The most that M can be with this S', whatever the accuracy.
    pub fn bound(&self, size_score: f64) -> f64 {
        self.m_factor(1.0, size_score)
    }

    /// In what an architecture costs more than it may, a phrase; `None` if it keeps to every limit. What is told may be wrong:
    /// it breaks a limit where it is beyond it by more than nine in ten of the model's errors. What was measured is believed.
    pub fn breach(&self, cost: &Cost) -> Option<String> {
        let values = cost.values();
        self.terms.iter().find_map(|term| {
            let (limit, value) = (term.limit?, values.get(term.quantity)?);
            let show = |value| term.quantity.show(value);
            let model = self.models.get(term.quantity).filter(|_| cost.measured.get(term.quantity).is_none());
            let doubt = model.map_or(0.0, |model| model.p90_error);
            (value > limit * (1.0 + doubt)).then(|| {
                format!(
                    "has {} {}, more than the limit of {}",
                    show(value),
                    term.quantity.label(),
                    show(limit)
                )
            })
        })
    }

    /// R = 1 + (1 - A)/(α·A), the reach of M: what has S' = 1 and `accuracy` A (above 0) cannot be beaten by anything that
    /// costs more than R times its reference, however accurate. From M(1, S') < M(A, 1) ⇔ S' < α·A / (α·A + 1 - A) = 1/R.
    pub fn reach(&self, accuracy: f64) -> f64 {
        1.0 + (1.0 - accuracy) / (self.alpha * accuracy)
    }

    /// What S' is, in words: `272,474 / parameters`.
    pub fn words(&self) -> String {
        let term = |term: &Term| {
            format!("min(1, {} / {})", term.quantity.show(term.reference), term.quantity.label())
        };
        match self.terms.as_slice() {
            [only] => term(only),
            terms => {
                let parts: Vec<String> =
                    terms.iter().map(|of| format!("{} with weight {}", term(of), of.share)).collect();
                format!("the harmonic mean of {}", parts.join(" and "))
            }
        }
    }
}

/// M with bytes in the place of parameters: S' is the bytes of `minimum_parameters` at one byte each / those of the model
/// file. So a model of a smaller type is credited for it, and none exceeds 1.
pub fn m_factor_by_bytes(accuracy: f64, model_bytes: u64, minimum_parameters: u64, alpha: f64) -> f64 {
    m_factor(accuracy, minimum_parameters as f64 / model_bytes as f64, alpha)
}

/// Refuses a weight that is not a finite number above 0.
pub fn check_alpha(alpha: f64) -> Result<()> {
    if alpha.is_finite() && alpha > 0.0 {
        Ok(())
    } else {
        Err(Error::input("alpha", format!("is {alpha}; it must be a finite number above 0")))
    }
}

/// M_α = (1+α)·A·S' / (α·A + S'), equation 8 of the paper: the weighted harmonic mean of accuracy and
/// size score. With both in [0, 1] it is in [0, 1] and lies between the two; it tends to A as α → 0 and to
/// S' as α → ∞. Zero if either is zero.
pub fn m_factor(accuracy: f64, size_score: f64, alpha: f64) -> f64 {
    // The form with weights that sum to 1 neither overflows nor loses digits for an extreme α.
    let size_weight = alpha / (1.0 + alpha);
    let denominator = size_weight * accuracy + (1.0 - size_weight) * size_score;
    if denominator == 0.0 { 0.0 } else { accuracy * size_score / denominator }
}

/// The other single-figure metrics of the paper's section 2, for one architecture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OtherMetrics {
    /// A/P: accuracy (0 to 1) per million parameters.
    pub accuracy_per_million_parameters: f64,
    /// A/F: accuracy (0 to 1) per giga floating-point operations, two a multiply-accumulate. `None` where
    /// MACs are not known.
    pub accuracy_per_gflop: Option<f64>,
    /// [`netscore`] with its author's coefficients. `None` where MACs are not known.
    pub netscore: Option<f64>,
}

impl OtherMetrics {
    /// The metrics of an architecture that reached `accuracy`, a fraction of 1.
    pub fn new(accuracy: f64, parameters: u64, macs: Option<u64>) -> Self {
        let per_gflop = |macs: u64| accuracy / (2.0 * macs as f64 / 1e9);
        Self {
            accuracy_per_million_parameters: accuracy / (parameters as f64 / 1e6),
            accuracy_per_gflop: macs.map(per_gflop),
            netscore: macs.map(|macs| netscore(accuracy, parameters, macs)),
        }
    }

    /// The metrics of an architecture of known cost.
    pub fn of(accuracy: f64, cost: &Cost) -> Self {
        Self::new(accuracy, cost.parameters, Some(cost.macs))
    }
}

/// NetScore, equation 1 of the paper: Ω = 20·log10(A^2 / (P^0.5 · MACs^0.5)) with Wong's coefficients
/// (arXiv:1806.05512). Accuracy in per cent, parameters and MACs in millions; other units would shift
/// all scores by one constant. Minus infinity at accuracy 0.
pub fn netscore(accuracy: f64, parameters: u64, macs: u64) -> f64 {
    let millions = |count: u64| count as f64 / 1e6;
    20.0 * (2.0 * (100.0 * accuracy).log10()
        - 0.5 * millions(parameters).log10()
        - 0.5 * millions(macs).log10())
}

#[cfg(test)]
#[path = "objective_tests.rs"]
mod tests;
