//! The M-factor, and the metrics of the paper that it is compared with.

use serde::{Deserialize, Serialize};

use crate::cost::Cost;
use crate::error::{Error, Result};

/// What a study maximises: the M-factor at one weight, for one search space.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    alpha: f64,
    minimum_parameters: u64,
}

impl Objective {
    /// An objective with weight `alpha` (finite, above 0) in a space whose smallest architecture has
    /// `minimum_parameters` (above 0).
    pub fn new(alpha: f64, minimum_parameters: u64) -> Result<Self> {
        check_alpha(alpha)?;
        if minimum_parameters == 0 {
            return Err(Error::input("p-min", "is 0; the smallest architecture has at least one parameter"));
        }
        Ok(Self { alpha, minimum_parameters })
    }

    /// α: above 1 favours small architectures, below 1 accurate ones.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// P_min.
    pub fn minimum_parameters(&self) -> u64 {
        self.minimum_parameters
    }

    /// S' = P_min / P, equation 7 of the paper. In (0, 1] for architectures of the space.
    pub fn size_score(&self, parameters: u64) -> f64 {
        self.minimum_parameters as f64 / parameters as f64
    }

    /// M of an architecture with `parameters` that reached `accuracy`, a fraction of 1.
    pub fn m_factor(&self, accuracy: f64, parameters: u64) -> f64 {
        m_factor(accuracy, self.size_score(parameters), self.alpha)
    }

    /// M with bytes in the place of parameters: S' is the bytes of P_min parameters at one byte each / those of the
    /// model file. So a model of a smaller type is credited for it, and none exceeds 1.
    pub fn m_factor_by_bytes(&self, accuracy: f64, model_bytes: u64) -> f64 {
        self.m_factor(accuracy, model_bytes)
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn m_stays_between_accuracy_and_size_score(a in 0.0..=1.0, s in 0.0..=1.0, alpha in 1e-9..1e9) {
            let m = m_factor(a, s, alpha);
            prop_assert!((0.0..=1.0).contains(&m));
            prop_assert!(m >= f64::min(a, s) - 1e-12 && m <= f64::max(a, s) + 1e-12);
        }

        #[test]
        fn m_rises_with_accuracy_and_falls_with_parameters(
            a in 0.01..0.98, gain in 0.001..0.02, alpha in 0.01..100.0,
            parameters in 272_474u64..800_000, more in 1u64..100_000,
        ) {
            let objective = Objective::new(alpha, 272_474).unwrap();
            prop_assert!(objective.m_factor(a + gain, parameters) > objective.m_factor(a, parameters));
            prop_assert!(objective.m_factor(a, parameters + more) < objective.m_factor(a, parameters));
        }

        #[test]
        fn the_weighted_form_is_equation_8(a in 0.01..1.0, s in 0.01..1.0, alpha in 0.01..100.0) {
            let equation = (1.0 + alpha) * a * s / (alpha * a + s);
            prop_assert!((m_factor(a, s, alpha) - equation).abs() < 1e-12);
        }

        #[test]
        fn m_tends_to_accuracy_and_to_size_score(a in 0.01..1.0, s in 0.01..1.0) {
            prop_assert!((m_factor(a, s, 1e-9) - a).abs() < 1e-6);
            prop_assert!((m_factor(a, s, 1e9) - s).abs() < 1e-6);
            prop_assert!((m_factor(a, s, 1e300) - s).abs() < 1e-12);
        }
    }

    #[test]
    fn the_limit_at_accuracy_075_is_0857() {
        assert!((m_factor(0.75, 1.0, 1.0) - 6.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn zero_accuracy_gives_zero() {
        assert_eq!(m_factor(0.0, 0.5, 1.0), 0.0);
        assert_eq!(m_factor(0.0, 0.0, 1.0), 0.0);
    }

    #[test]
    fn a_bad_alpha_is_bad_input() {
        for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Objective::new(alpha, 1).unwrap_err().exit_code(), crate::exit::INPUT);
        }
    }

    #[test]
    fn netscore_by_hand() {
        // 60 % with 4 M parameters and 25 M MACs: 20·log10(3600 / (2 · 5)) = 20·log10(360).
        assert!((netscore(0.6, 4_000_000, 25_000_000) - 51.126_050_015).abs() < 1e-9);
    }
}
