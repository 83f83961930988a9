//! What the parts of the page draw from: the input, the comparison, and trials at the comparison's α.

use mfactor::front::staircase;
use mfactor::numbers::{millions, percent, thousands};
use mfactor::{Measurement, Objective, Proposer, Trial};

use super::chart::Point;
use super::element::Element;
use super::look;
use crate::compare::{Comparison, Input};
use crate::models::{self, Model};

/// Everything the page shows.
pub(crate) struct View<'a> {
    pub(crate) input: &'a Input<'a>,
    pub(crate) comparison: &'a Comparison,
    pub(crate) objective: Objective,
    /// Complete trials, best M first.
    pub(crate) complete: Vec<(&'a Trial, Model)>,
    /// The measurements behind `comparison.benches`, in the same order.
    pub(crate) benches: Vec<Vec<&'a Measurement>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(input: &'a Input<'a>, comparison: &'a Comparison) -> Self {
        // The input's, and not one made of what the comparison keeps: that knows no cost tables.
        let objective = input.objective.clone();
        let mut complete: Vec<(&Trial, Model)> = input
            .trials
            .iter()
            .filter_map(|trial| Some((trial, Model::of_trial(trial, &objective)?)))
            .collect();
        complete.sort_by(|(a, x), (b, y)| y.m_factor.total_cmp(&x.m_factor).then(a.id.cmp(&b.id)));
        let (benches, _) = models::sort(input.measurements, &objective);
        let measurements = |bench: models::Bench<'a>| {
            bench.measurements.into_iter().map(|filed| &filed.measurement).collect()
        };
        let benches = benches.into_iter().map(measurements).collect();
        Self { input, comparison, objective, complete, benches }
    }

    /// Complete trials of one strategy in the order they were made.
    pub(crate) fn of_strategy(&self, name: &str) -> Vec<&(&'a Trial, Model)> {
        let mut trials: Vec<_> =
            self.complete.iter().filter(|(trial, _)| trial.proposer.name() == name).collect();
        trials.sort_by_key(|(trial, _)| trial.number);
        trials
    }

    /// The best fifth of complete trials, at least one if there is any.
    pub(crate) fn best_fifth(&self) -> &[(&'a Trial, Model)] {
        &self.complete[..self.complete.len().div_ceil(5)]
    }

    /// Strategies that have trials, the baseline last.
    pub(crate) fn strategies(&self) -> Vec<&str> {
        let summaries = &self.comparison.strategies;
        let mut names: Vec<&str> = summaries.iter().map(|summary| summary.strategy.as_str()).collect();
        names.sort_unstable();
        let baseline = Proposer::Baseline;
        let has_one = self.input.trials.iter().any(|trial| trial.proposer == baseline);
        names.extend(has_one.then_some(crate::strategies::BASELINE));
        names
    }
}

/// A point of a trial, with its exact values.
pub(crate) fn trial_point(model: &Model, at: [f64; 2], measured: &str) -> Point {
    let look = look::strategy(&model.strategy);
    Point {
        at,
        shape: look.shape,
        class: look.class.to_owned(),
        title: title(model, measured),
        trial: Some(model.trial),
    }
}

/// The exact values of a model, a line each.
pub(crate) fn title(model: &Model, measured: &str) -> String {
    let mut text = format!(
        "{} (trial {}, {})\nM {:.4}, {} {}\n{} parameters, {} MACs",
        model.architecture,
        model.trial,
        model.strategy,
        model.m_factor,
        model.accuracy.label(),
        percent(model.validation_accuracy),
        thousands(model.parameters),
        millions(model.macs)
    );
    if !measured.is_empty() {
        text += "\n";
        text += measured;
    }
    text
}

/// A figure with its caption: a name in bold and what to see in it.
pub(crate) fn figure(name: &str, drawing: Element, caption: &str) -> Element {
    let head = Element::new("figcaption")
        .child(Element::of("strong", "", name))
        .child(Element::of("span", "", caption));
    Element::new("figure").child(head).child(drawing)
}

/// What the line of a Pareto front joins.
pub(crate) fn front_caption(trials: usize) -> String {
    if trials == 1 {
        "one trial beats or equals all others in both".to_owned()
    } else {
        format!("the line joins the {trials} that no other beats in both")
    }
}

/// A tick as it is.
pub(crate) fn plain(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}")
}

/// A tick of a fraction in per cent, without the sign: the axis names it.
pub(crate) fn as_percent(value: f64, decimals: usize) -> String {
    format!("{:.*}", decimals.saturating_sub(2), 100.0 * value)
}

/// A tick in thousands.
pub(crate) fn as_thousands(value: f64, _: usize) -> String {
    format!("{:.0} k", value / 1e3)
}

/// A tick in millions.
pub(crate) fn as_millions(value: f64, _: usize) -> String {
    format!("{:.0} M", value / 1e6)
}

/// Positions of the points that no other beats in both cost (lower) and gain (higher), by rising cost.
pub(crate) fn front(points: &[[f64; 2]]) -> Vec<usize> {
    let by_cost = |a: &usize, b: &usize| points[*a][0].total_cmp(&points[*b][0]);
    let by_gain = |a: &usize, b: &usize| points[*b][1].total_cmp(&points[*a][1]);
    staircase((0..points.len()).collect(), by_cost, by_gain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats() {
        let points = [[2.0, 0.5], [1.0, 0.4], [3.0, 0.45], [4.0, 0.9], [4.0, 0.8]];
        assert_eq!(front(&points), [1, 0, 3]);
        assert!(front(&[]).is_empty());
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!((as_percent(0.745, 3), as_percent(0.7, 1)), ("74.5".into(), "70".into()));
        assert_eq!((as_thousands(300_000.0, 0), as_millions(4e7, 0)), ("300 k".into(), "40 M".into()));
    }
}
