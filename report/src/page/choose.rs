//! A model for each budget: fronts of accuracy against each cost, on which a budget can be dragged. `choose.js` moves it, and
//! picks as [`CostFront::pick`] does.

use mfactor::Quantity;

use super::chart::{Axis, Chart};
use super::element::{Element, pixels};
use super::scale::Scale;
use super::view::{View, as_millions, as_percent, as_thousands, figure, plain, trial_point};
use crate::models::Model;
use crate::pick::{Candidate, CostFront};

/// Size of a drawing that stands alone.
const SIZE: [f64; 2] = [460.0, 300.0];
/// Steps of the slider between the ends of the plot.
const STEPS: u32 = 1000;

/// A list of the costs, and for each of them the front, the slider, and what is picked.
pub(crate) fn choose(view: &View<'_>) -> Vec<Element> {
    let fronts = &view.comparison.cost_fronts;
    if fronts.is_empty() {
        return vec![Element::new("p").text("No trial is complete yet: there is nothing to choose from.")];
    }
    let option =
        |(index, front): (usize, &CostFront)| Element::new("option").attr("value", index).text(title(front));
    let select = Element::new("select").attr("id", "cost").children(fronts.iter().enumerate().map(option));
    let label = Element::new("label").text("A budget of ").child(select);
    let controls = Element::new("p").class("controls").child(label);
    let fronts = fronts.iter().enumerate().map(|(index, front)| budget(view, index, front));
    [controls].into_iter().chain(fronts).collect()
}

fn title(front: &CostFront) -> String {
    let on = front.on.as_ref().map_or_else(String::new, |on| format!(" on {on}"));
    format!("{}{on}", front.quantity.label())
}

fn budget(view: &View<'_>, index: usize, front: &CostFront) -> Element {
    let off_front = front.within.iter().filter(|candidate| !front.front.contains(candidate));
    let shown: Vec<&Candidate> = front.front.iter().chain(off_front).collect();
    let accuracies = shown.iter().flat_map(|of| of.interval.unwrap_or([of.accuracy; 2]));
    let x = Scale::around_logarithms(shown.iter().flat_map(|of| [of.cost, of.at_most]));
    let (label, format) = axis(front.quantity);
    let x_axis = Axis::new(x, label, format);
    let label = format!("validation {}, %", view.objective.accuracy().label());
    let y_axis = Axis::new(Scale::around(accuracies), label, as_percent);
    let mut chart = Chart::new(SIZE[0], SIZE[1], x_axis, y_axis);
    chart.line(front.front.iter().map(|of| [of.cost, of.accuracy]), "front", "the front");
    for candidate in &shown {
        let known = view.complete.iter().find(|(trial, _)| trial.id == candidate.trial);
        let Some((_, model)) = known else { continue };
        draw(&mut chart, model, candidate, front);
    }
    let [left, right, upper, lower] = chart.plot();
    let line = [("x1", right), ("x2", right), ("y1", upper), ("y2", lower)];
    let name = title(front);
    let description =
        format!("Validation accuracy against {name} of the {} models of the front.", front.front.len());
    let drawing = chart
        .draw(&description)
        .attr("data-plot", format!("{} {}", pixels(left), pixels(right)))
        .attr("data-domain", x.domain().map(|end| end.to_string()).join(" "))
        .child(Element::new("line").class("budget").place(line));
    let slider = Element::new("input")
        .attr("type", "range")
        .attr("min", 0)
        .attr("max", STEPS)
        .attr("value", STEPS)
        .attr("aria-label", format!("budget of {name}"));
    Element::new("article")
        .class("choice")
        .attr("data-front", index)
        .child(figure(&format!("Accuracy against {name}"), drawing, &caption(front)))
        .child(slider)
        .child(Element::new("p").class("picked").attr("aria-live", "polite"))
}

fn caption(front: &CostFront) -> String {
    let intervals = front.front.iter().any(|candidate| candidate.interval.is_some());
    let intervals = if intervals { "; upright lines are 95 % intervals of the accuracy" } else { "" };
    let bends = front
        .knee
        .as_ref()
        .map_or_else(String::new, |knee| format!("; the front bends at {}", knee.architecture));
    format!("cost on a logarithmic scale{intervals}{bends}")
}

fn draw(chart: &mut Chart, model: &Model, candidate: &Candidate, front: &CostFront) {
    let look = super::look::strategy(&model.strategy);
    if let Some(interval) = candidate.interval {
        chart.whisker(candidate.cost, interval, &format!("whisker {}", look.class));
    }
    let shown = format!("{} {}", front.quantity.show(candidate.cost), front.quantity.label());
    chart.point(trial_point(model, [candidate.cost, candidate.accuracy], &shown));
}

/// Label of the axis, and how its ticks are written.
fn axis(quantity: Quantity) -> (&'static str, fn(f64, usize) -> String) {
    match quantity {
        Quantity::Accuracy => ("accuracy", plain),
        Quantity::Parameters => ("parameters", as_thousands),
        Quantity::Macs => ("multiply-accumulates", as_millions),
        Quantity::ModelBytes => ("bytes of weights", as_thousands),
        Quantity::PeakActivations => ("bytes of activations", as_thousands),
        Quantity::LatencyP50 => ("latency p50, ms", plain),
        Quantity::LatencyP90 => ("latency p90, ms", plain),
        Quantity::PeakMemory => ("bytes of peak memory", as_millions),
        Quantity::Energy => ("energy, mJ", plain),
    }
}
