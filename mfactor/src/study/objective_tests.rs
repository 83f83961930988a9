//! Tests of M and what belongs to it.

use proptest::prelude::*;

use super::*;
use crate::cost::BoardCosts;

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
        let objective = Objective::paper(alpha, 272_474).unwrap();
        let m = |a: f64, p: u64| {
            let values = Values::default().with(Quantity::Accuracy, a).with(Quantity::Parameters, p as f64);
            objective.score(&values).unwrap()
        };
        prop_assert!(m(a + gain, parameters) > m(a, parameters));
        prop_assert!(m(a, parameters + more) < m(a, parameters));
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

fn term(quantity: Quantity, share: f64, reference: f64) -> Term {
    Term { quantity, share, reference, limit: None }
}

fn costs(parameters: f64, macs: f64) -> Values {
    Values::default().with(Quantity::Parameters, parameters).with(Quantity::Macs, macs)
}

proptest! {
    #[test]
    fn several_costs_are_the_published_formula(
        a in 0.01..1.0, p in 1e4..1e6, f in 1e6..1e8, alphas in (0.01..10.0, 0.01..10.0), r in (1e4..1e6, 1e6..1e8),
    ) {
        let alpha = alphas.0 + alphas.1;
        let [first, second] = [
            term(Quantity::Parameters, alphas.0 / alpha, r.0), term(Quantity::Macs, alphas.1 / alpha, r.1),
        ];
        let scores = [f64::min(1.0, r.0 / p), f64::min(1.0, r.1 / f)];
        let expected: f64 = (1.0 + alpha) / (1.0 / a + alphas.0 / scores[0] + alphas.1 / scores[1]);
        let values = costs(p, f).with(Quantity::Accuracy, a);
        let m: f64 = Objective::new(alpha, vec![first, second]).unwrap().score(&values).unwrap();
        prop_assert!((m - expected).abs() < 1e-12, "{m} {expected}");
        let turned = Objective::new(alpha, vec![second, first]).unwrap().score(&values).unwrap();
        prop_assert!((m - turned).abs() < 1e-12);
        let lowest = a.min(scores[0]).min(scores[1]);
        prop_assert!(lowest - 1e-12 <= m && m <= a.max(scores[0]).max(scores[1]) + 1e-12);
    }

    #[test]
    fn nothing_beyond_the_reach_beats_what_has_full_size_score(
        a in 0.01..0.999, alpha in 0.01..100.0, beyond in 1.0001..10.0, accuracy in 0.0..=1.0,
    ) {
        let objective = Objective::paper(alpha, 1000).unwrap();
        let far = objective.size_score(&costs(1000.0 * objective.reach(a) * beyond, 1.0)).unwrap();
        prop_assert!(objective.m_factor(accuracy, far) < objective.m_factor(a, 1.0));
        prop_assert!(objective.bound(far) >= objective.m_factor(accuracy, far));
        let near = objective.size_score(&costs(1000.0 * objective.reach(a) / beyond, 1.0)).unwrap();
        prop_assert!(objective.bound(near) > objective.m_factor(a, 1.0));
    }
}

#[test]
fn within_a_budget_accuracy_decides_alone() {
    let budgets = vec![term(Quantity::Parameters, 0.5, 100_000.0), term(Quantity::Macs, 0.5, 20e6)];
    let objective = Objective::new(1.0, budgets).unwrap();
    assert_eq!(objective.size_score(&costs(99_000.0, 1e6)), Some(1.0));
    assert_eq!(objective.size_score(&costs(100_000.0, 20e6)), Some(1.0));
    assert!(objective.size_score(&costs(100_001.0, 20e6)).unwrap() < 1.0);
    assert_eq!(objective.size_score(&Values::default().with(Quantity::Macs, 1.0)), None);
}

#[test]
fn a_limit_names_what_breaks_it() {
    let limited = Term { limit: Some(24e6), ..term(Quantity::Macs, 1.0, 20e6) };
    let objective = Objective::new(1.0, vec![limited]).unwrap();
    assert_eq!(objective.breach(&of_macs(24_000_000)), None);
    let breach = objective.breach(&of_macs(24_000_001)).unwrap();
    assert_eq!(breach, "has 24,000,001 MACs, more than the limit of 24,000,000");
}

fn of_macs(macs: u64) -> Cost {
    Cost { macs, ..crate::cost::cost(&[]) }
}

#[test]
fn what_is_told_may_be_wrong_and_what_is_measured_is_believed() {
    let limited = Term { limit: Some(10.0), ..term(Quantity::LatencyP50, 1.0, 8.0) };
    let model = crate::cost_model::CostModel {
        target: "host".to_owned(),
        engine: "tract".to_owned(),
        precision: "f32".to_owned(),
        intercept: 0.0,
        slope: 1.0,
        p90_error: 0.1,
        emulated: false,
        parts: std::collections::BTreeMap::new(),
    };
    let models = [(Quantity::LatencyP50, std::sync::Arc::new(model))].into_iter().collect();
    let objective = Objective::new(1.0, vec![limited]).unwrap().with_models(models);
    let of = |milliseconds| BoardCosts::default().with(Quantity::LatencyP50, milliseconds);
    let (told, measured) = (Cost { predicted: of(10.9), ..of_macs(1) }, of(10.1));
    assert_eq!(objective.breach(&told), None);
    assert!(objective.breach(&Cost { predicted: of(11.1), ..told }).is_some());
    assert!(objective.breach(&Cost { measured, ..told }).unwrap().contains("10.1 ms"));
    let measured = of(16.0);
    assert_eq!(objective.exact_size_score(&Cost { measured, ..told }), 0.5);
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
        assert_eq!(Objective::paper(alpha, 1).unwrap_err().exit_code(), crate::exit::INPUT);
    }
}

#[test]
fn netscore_by_hand() {
    // 60 % with 4 M parameters and 25 M MACs: 20·log10(3600 / (2 · 5)) = 20·log10(360).
    assert!((netscore(0.6, 4_000_000, 25_000_000) - 51.126_050_015).abs() < 1e-9);
}
