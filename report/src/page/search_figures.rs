//! Figures of the search: M over trials, the best fifth, accuracy against cost, kernel choices.

use mfactor::Quantity;
use mfactor::numbers::counted;
use mfactor::objective::Term;
use mfactor::space::Stage;
use mfactor::{SearchSpace, TrialState};

use super::chart::{Axis, Chart, Point, Shape};
use super::choices;
use super::element::Element;
use super::look;
use super::scale::Scale;
use super::view::{
    View, as_millions, as_percent, as_thousands, figure, front, front_caption, plain, title, trial_point,
};
use crate::front::covered_after;
use crate::models::Model;

/// Size of a panel of which four stand in a row.
const PANEL: [f64; 2] = [280.0, 210.0];
/// Size of a figure of which three stand in a row.
pub(crate) const FIGURE: [f64; 2] = [380.0, 290.0];

/// What [`progress`] shows.
pub(crate) fn progress_words(view: &View<'_>) -> [Element; 2] {
    let (title, words) = match view.input.front {
        None => (
            "M over trials",
            "The line is the best M so far; the dashed one is the M of the smallest architecture, where it was trained.",
        ),
        Some(_) => (
            "The front over trials",
            "The line is the share of the hypervolume that the trials so far cover: from what chance reaches at the largest costs \
             to accuracy 1 at the least.",
        ),
    };
    [Element::new("h3").text(title), Element::new("p").text(words)]
}

/// M over trials with the running best, or what they cover of the front that is sought, a panel for each strategy, all with
/// one scale (Figures 1 and 2 of the paper).
pub(crate) fn progress(view: &View<'_>) -> Vec<Element> {
    let smallest = view.comparison.baselines.smallest.trained.as_ref().map(|model| model.m_factor);
    let level = smallest.filter(|_| view.input.front.is_none());
    let strategies: Vec<(&str, Vec<f64>)> = view
        .comparison
        .strategies
        .iter()
        .map(|summary| (&*summary.strategy, heights(view, &summary.strategy)))
        .collect();
    let y = Scale::around(strategies.iter().flat_map(|(_, heights)| heights.iter().copied()).chain(level));
    strategies.iter().map(|(strategy, heights)| progress_of(view, strategy, heights, y, level)).collect()
}

/// M of each complete trial of a strategy, or what it and all before it cover of the front.
fn heights(view: &View<'_>, strategy: &str) -> Vec<f64> {
    let trials = view.of_strategy(strategy);
    match view.input.front {
        None => trials.iter().map(|(_, model)| model.m_factor).collect(),
        Some(sought) => covered_after(&trials.iter().map(|(trial, _)| *trial).collect::<Vec<_>>(), sought),
    }
}

fn progress_of(view: &View<'_>, strategy: &str, heights: &[f64], y: Scale, level: Option<f64>) -> Element {
    let trials = view.of_strategy(strategy);
    let what = if view.input.front.is_some() { "covered" } else { "M" };
    let mut chart = over_trials(view, strategy, Axis::new(y, what, plain));
    if let Some(level) = level {
        chart.level(level, "reference", &format!("the smallest architecture: M {level:.4}"));
    }
    let mut best = f64::NEG_INFINITY;
    let mut steps = Vec::new();
    for ((trial, model), height) in trials.iter().zip(heights) {
        let number = trial.number as f64 + 1.0;
        if *height > best {
            steps.extend([[number, best], [number, *height]]);
            best = *height;
        }
        chart.point(trial_point(model, [number, *height], ""));
    }
    steps.extend(trials.last().map(|(trial, _)| [trial.number as f64 + 1.0, best]));
    let class = format!("running {}", look::strategy(strategy).class);
    chart.line(steps, &class, &format!("best so far; {what} {best:.4} at the end"));
    failures(view, strategy, &mut chart, y);
    let caption = match trials.len() {
        0 => "no complete trial".to_owned(),
        count => format!("{}, {what} {best:.3} at the end", counted(count, "trial")),
    };
    let description = format!("{what} over the trials of {strategy}: {caption}.");
    figure(look::strategy_label(strategy), chart.draw(&description), &caption)
}

/// Trials that failed or were stopped early stand on the lower edge.
fn failures(view: &View<'_>, strategy: &str, chart: &mut Chart, y: Scale) {
    for trial in view.input.trials.iter().filter(|trial| trial.proposer.name() == strategy) {
        let (name, id) = (&trial.architecture, trial.id);
        let (title, class, shape) = match (&trial.failure, trial.state) {
            (_, TrialState::Skipped) => continue,
            (Some(reason), _) => (format!("{name} (trial {id}) failed: {reason}"), "failed", Shape::Cross),
            (None, TrialState::Pruned) => {
                let epochs = counted(trial.epoch_accuracies.len(), "epoch");
                (format!("{name} (trial {id}) was stopped after {epochs}"), "pruned", Shape::Circle)
            }
            _ => continue,
        };
        chart.point(Point {
            at: [trial.number as f64 + 1.0, y.domain()[0]],
            shape,
            class: class.to_owned(),
            title,
            trial: Some(trial.id),
        });
    }
}

fn over_trials(view: &View<'_>, strategy: &str, y: Axis) -> Chart {
    let summary = view.comparison.strategies.iter().find(|summary| summary.strategy == strategy);
    let trials = summary.map_or(1, |summary| (summary.trials + summary.skipped).max(2)) as f64;
    let x = Axis::new(Scale::exactly(0.0, trials + 0.5), "trial", plain);
    Chart::new(PANEL[0], PANEL[1], x, y)
}

/// Accuracy and size score of each strategy's best fifth of trials (Figures 3 to 6 of the paper).
pub(crate) fn best_fifths(view: &View<'_>) -> Vec<Element> {
    view.comparison.strategies.iter().map(|summary| best_fifth_of(view, &summary.strategy)).collect()
}

fn best_fifth_of(view: &View<'_>, strategy: &str) -> Element {
    let mut models = view.of_strategy(strategy);
    models.sort_by(|(_, a), (_, b)| b.m_factor.total_cmp(&a.m_factor));
    models.truncate(models.len().div_ceil(5));
    models.sort_by_key(|(trial, _)| trial.number);
    let mut chart =
        over_trials(view, strategy, Axis::new(Scale::exactly(0.0, 1.02), "accuracy and S'", plain));
    let size = |model: &Model| model.size_score;
    let places = |value: &dyn Fn(&Model) -> f64| -> Vec<[f64; 2]> {
        models.iter().map(|(trial, model)| [trial.number as f64 + 1.0, value(model)]).collect()
    };
    let accuracies = places(&|model| model.validation_accuracy);
    let sizes = places(&size);
    chart.line(accuracies.iter().copied(), "series accuracy", "accuracy");
    chart.line(sizes.iter().copied(), "series size", "size score S'");
    for (index, (trial, model)) in models.iter().enumerate() {
        let series = [(accuracies[index], Shape::Circle, "accuracy"), (sizes[index], Shape::Square, "size")];
        for (at, shape, class) in series {
            let title = title(model, &format!("S' {:.4}", size(model)));
            chart.point(Point { at, shape, class: class.to_owned(), title, trial: Some(trial.id) });
        }
    }
    let caption = format!("best {} of {}", models.len(), view.of_strategy(strategy).len());
    let description = format!("Accuracy and size score of the best fifth of trials of {strategy}.");
    figure(look::strategy_label(strategy), chart.draw(&description), &caption)
}

/// The legend of [`best_fifths`].
pub(crate) fn best_fifth_legend() -> Element {
    let look = |shape, class| look::Look { shape, class };
    let entries =
        [(look(Shape::Circle, "accuracy"), "accuracy"), (look(Shape::Square, "size"), "size score S'")];
    look::legend(entries)
}

/// Accuracy against parameters with the Pareto front and lines of equal M.
pub(crate) fn accuracy_against_parameters(view: &View<'_>) -> Element {
    let places: Vec<[f64; 2]> =
        view.complete.iter().map(|(_, model)| [model.parameters as f64, model.validation_accuracy]).collect();
    let mut chart = scatter(view, &places, "parameters", as_thousands);
    let [low, high] = Scale::around(places.iter().map(|place| place[1])).domain();
    for tenths in 3..10 {
        let m = f64::from(tenths) / 10.0;
        let line: Vec<[f64; 2]> = (0..=100)
            .map(|step| low + (high - low) * f64::from(step) / 100.0)
            .filter_map(|accuracy| Some([parameters_at(view, m, accuracy)?, accuracy]))
            .collect();
        chart.contour(&line, &format!("M {m:.1}"));
    }
    finish(view, chart, &places, "Accuracy against parameters", "parameters", "; thin lines join equal M")
}

/// Accuracy against multiply-accumulates with the Pareto front.
pub(crate) fn accuracy_against_macs(view: &View<'_>) -> Element {
    let places: Vec<[f64; 2]> =
        view.complete.iter().map(|(_, model)| [model.macs as f64, model.validation_accuracy]).collect();
    let chart = scatter(view, &places, "multiply-accumulates", as_millions);
    finish(view, chart, &places, "Accuracy against MACs", "multiply-accumulates", "")
}

fn scatter(view: &View<'_>, places: &[[f64; 2]], label: &str, format: fn(f64, usize) -> String) -> Chart {
    let x = Axis::new(Scale::around(places.iter().map(|place| place[0])), label, format);
    let accuracy = format!("validation {}, %", view.objective.accuracy().label());
    let y = Axis::new(Scale::around(places.iter().map(|place| place[1])), accuracy, as_percent);
    Chart::new(FIGURE[0], FIGURE[1], x, y)
}

fn finish(
    view: &View<'_>,
    mut chart: Chart,
    places: &[[f64; 2]],
    name: &str,
    cost: &str,
    more: &str,
) -> Element {
    let front = front(places);
    chart.line(front.iter().map(|index| places[*index]), "front", "the Pareto front");
    for ((_, model), place) in view.complete.iter().zip(places) {
        chart.point(trial_point(model, *place, ""));
    }
    let caption = front_caption(front.len()) + more;
    let description = format!("Validation accuracy against {cost} of {}.", counted(places.len(), "trial"));
    figure(name, chart.draw(&description), &caption)
}

/// The number of parameters at which equation 8 gives `m` at this accuracy, if one of the space may. `None` where the
/// objective is not over parameters alone: then no line in this figure joins equal M.
fn parameters_at(view: &View<'_>, m: f64, accuracy: f64) -> Option<f64> {
    let [Term { quantity: Quantity::Parameters, reference, .. }] = view.objective.terms() else {
        return None;
    };
    let weight = view.comparison.alpha / (1.0 + view.comparison.alpha);
    let size = m * weight * accuracy / (accuracy - m * (1.0 - weight));
    (size > 0.0 && size <= 1.0).then(|| reference / size)
}

/// How often each option was taken among the best fifth of trials.
pub(crate) fn options(view: &View<'_>) -> Element {
    if view.input.space.names_kernels_alone() { kernels(view) } else { choices::heat_map(view) }
}

/// How often each kernel was chosen for each block among the best fifth of trials.
fn kernels(view: &View<'_>) -> Element {
    let best = view.best_fifth();
    let space = view.input.space;
    let columns = space.stages().iter().map(Stage::deepest).sum::<usize>();
    let kernels = all_kernels(space);
    let (cell, left, top) = ([320.0 / columns as f64, 34.0], 46.0, 40.0);
    let height = top + cell[1] * kernels.len() as f64 + 8.0;
    let mut drawing = Element::new("svg")
        .class("chart heat")
        .attr("viewBox", format!("0 0 {} {height}", FIGURE[0]))
        .attr("role", "img")
        .attr("aria-label", "Share of each kernel size for each block among the best fifth of trials.");
    for (row, kernel) in kernels.iter().enumerate() {
        let y = top + cell[1] * row as f64;
        let label = Element::of("text", "tick", format!("{kernel}×{kernel}"));
        drawing = drawing.child(
            label.place([("x", left - 6.0), ("y", y + cell[1] / 2.0 + 4.0)]).attr("text-anchor", "end"),
        );
        for column in 0..columns {
            if !options_of(space, column).contains(kernel) {
                continue;
            }
            let chosen = best
                .iter()
                .filter(|(trial, _)| trial.architecture.kernels().nth(column) == Some(*kernel))
                .count();
            let x = left + cell[0] * column as f64;
            let title =
                format!("{}: {kernel}×{kernel} in {chosen} of {}", name_of(space, column), best.len());
            drawing = drawing.child(heat_cell([x, y], cell, chosen, best.len(), &title));
        }
    }
    drawing = drawing.children(stage_labels(space, left, cell[0]));
    let caption = format!("share of each size among the best {} of {}, %", best.len(), view.complete.len());
    figure("Kernel of each block", drawing, &caption)
}

pub(super) fn heat_cell(at: [f64; 2], size: [f64; 2], chosen: usize, of: usize, title: &str) -> Element {
    let share = chosen as f64 / of.max(1) as f64;
    shaded(at, size, share, &format!("{:.0}", 100.0 * share), title)
}

/// A rectangle as dark as `share` is of 1, with a text in it.
pub(super) fn shaded(at: [f64; 2], size: [f64; 2], share: f64, text: &str, title: &str) -> Element {
    let [x, y] = at;
    let square = Element::new("rect")
        .class("cell")
        .place([("x", x + 1.0), ("y", y + 1.0), ("width", size[0] - 2.0), ("height", size[1] - 2.0)])
        .attr("style", format!("--share:{share:.3}"));
    let class = if share > 0.55 { "cell-text strong" } else { "cell-text" };
    let text = Element::of("text", class, text)
        .place([("x", x + size[0] / 2.0), ("y", y + size[1] / 2.0 + 4.0)])
        .attr("text-anchor", "middle");
    Element::new("g").child(square).child(text).child(Element::new("title").text(title))
}

fn stage_labels(space: &SearchSpace, left: f64, width: f64) -> Vec<Element> {
    let mut labels = Vec::new();
    let text = |class: &str, x: f64, y: f64, text: String| {
        Element::of("text", class, text).place([("x", x), ("y", y)]).attr("text-anchor", "middle")
    };
    let mut first = left;
    for (number, stage) in (1..).zip(space.stages()) {
        let span = width * stage.deepest() as f64;
        labels.push(text("label", first + span / 2.0, 14.0, format!("stage {number}")));
        for block in 0..stage.deepest() {
            let x = first + width * (block as f64 + 0.5);
            labels.push(text("tick", x, 32.0, format!("{}", block + 1)));
        }
        first += span;
    }
    labels
}

fn all_kernels(space: &SearchSpace) -> Vec<u8> {
    let mut kernels: Vec<u8> =
        space.stages().iter().flat_map(|stage| stage.options.iter().map(|option| option.kernel)).collect();
    kernels.sort_unstable();
    kernels.dedup();
    kernels
}

/// The block in a column: its stage, and its place there from 1.
fn block_of(space: &SearchSpace, mut column: usize) -> (usize, usize) {
    for (number, stage) in (1..).zip(space.stages()) {
        if column < stage.deepest() {
            return (number, column + 1);
        }
        column -= stage.deepest();
    }
    unreachable!("there are as many columns as blocks")
}

fn options_of(space: &SearchSpace, column: usize) -> Vec<u8> {
    let stage = &space.stages()[block_of(space, column).0 - 1];
    stage.options.iter().map(|option| option.kernel).collect()
}

fn name_of(space: &SearchSpace, column: usize) -> String {
    let (stage, block) = block_of(space, column);
    format!("stage{stage}.block{block}.kernel")
}
