//! Figures of one bench: M against what was measured, latency distributions, agreement, the sweep over α.

use mfactor::numbers::{bytes, millijoules, milliseconds, percent};
use mfactor::statistics::quantile;
use mfactor::{AccuracyKind, Measurement};

use super::chart::{Axis, Chart, Point, Shape, shape};
use super::element::Element;
use super::look;
use super::rows::Rows;
use super::scale::Scale;
use super::search_figures::FIGURE;
use super::view::{View, as_percent, figure, front, front_caption, plain, title, trial_point};
use crate::agreement::Agreement;
use crate::compare::BenchComparison;
use crate::measured::{Measured, Ranking};
use crate::models::{Figures, MeasuredModel};

/// Most models of which the latency distribution is drawn.
const DISTRIBUTIONS: usize = 24;

/// What was measured of a model, for its point.
pub(crate) fn measured(figures: &Figures) -> String {
    let mut text = format!(
        "p50 {}, p90 {}, p99 {}",
        milliseconds(figures.latency_p50_ms),
        milliseconds(figures.latency_p90_ms),
        milliseconds(figures.latency_p99_ms)
    );
    if let Some(accuracy) = figures.test_accuracy {
        text += &format!("\ntest accuracy {}", percent(accuracy));
    }
    if let Some(memory) = figures.peak_rss_bytes {
        text += &format!("\npeak memory {}", bytes(memory));
    }
    text += &format!(", file {}", bytes(figures.file_bytes));
    text + &figures.energy_mj.map_or_else(String::new, |energy| format!("\nenergy {}", millijoules(energy)))
}

fn row_point(row: &MeasuredModel, at: [f64; 2]) -> Point {
    trial_point(&row.model, at, &measured(&row.figures))
}

/// M against every quantity that was measured.
pub(crate) fn against_m(bench: &BenchComparison) -> Vec<Element> {
    Measured::ALL.into_iter().filter_map(|quantity| quantity_against_m(bench, quantity)).collect()
}

fn quantity_against_m(bench: &BenchComparison, quantity: Measured) -> Option<Element> {
    let place = |row: &MeasuredModel| {
        let value = quantity.of(&row.figures)?;
        let mib = matches!(quantity, Measured::PeakMemory | Measured::ModelBytes);
        Some([row.model.m_factor, if mib { value / f64::from(1 << 20) } else { value }])
    };
    let places: Vec<(&MeasuredModel, [f64; 2])> =
        bench.models.iter().filter_map(|row| Some((row, place(row)?))).collect();
    if places.is_empty() {
        return None;
    }
    let (label, format): (&str, fn(f64, usize) -> String) = match quantity {
        Measured::TestAccuracy => ("test accuracy, %", as_percent),
        Measured::LatencyP50 => ("latency p50, ms", plain),
        Measured::LatencyP90 => ("latency p90, ms", plain),
        Measured::PeakMemory => ("peak memory, MiB", plain),
        Measured::ModelBytes => ("file size, MiB", plain),
        Measured::Energy => ("energy of one image, mJ", plain),
    };
    let x = Axis::new(Scale::around(places.iter().map(|(_, at)| at[0])), "M", plain);
    let y = Axis::new(Scale::around(places.iter().map(|(_, at)| at[1])), label, format);
    let mut chart = Chart::new(FIGURE[0], FIGURE[1], x, y);
    for (row, at) in &places {
        chart.point(row_point(row, *at));
    }
    let agreement = bench.agreement.iter().find(|a| a.ranking == Ranking::MFactor && a.quantity == quantity);
    let caption = agreement.map_or_else(String::new, in_words);
    let name = format!("M against {}", quantity.label());
    let description = format!("{name} of {} models: {caption}.", places.len());
    Some(figure(&name, chart.draw(&description), &caption))
}

/// An agreement as a caption: `tau-b +0.73 (+0.56 to +0.87), n = 22: agrees`.
pub(crate) fn in_words(agreement: &Agreement) -> String {
    let verdict = agreement.verdict.words(agreement.n);
    let Some(tau) = agreement.kendall else { return verdict };
    let interval = tau.interval.map_or_else(String::new, |[low, high]| format!(" ({low:+.2} to {high:+.2})"));
    format!("τ-b {:+.2}{interval}, n = {}: {verdict}", tau.value, agreement.n)
}

/// Test accuracy against median latency with the Pareto front.
pub(crate) fn accuracy_against_latency(bench: &BenchComparison) -> Option<Element> {
    let place = |row: &MeasuredModel| Some([row.figures.latency_p50_ms, row.figures.test_accuracy?]);
    let places: Vec<(&MeasuredModel, [f64; 2])> =
        bench.models.iter().filter_map(|row| Some((row, place(row)?))).collect();
    let points: Vec<[f64; 2]> = places.iter().map(|(_, at)| *at).collect();
    if points.is_empty() {
        return None;
    }
    let x = Axis::new(Scale::around(points.iter().map(|at| at[0])), "latency p50, ms", plain);
    let y = Axis::new(Scale::around(points.iter().map(|at| at[1])), "test accuracy, %", as_percent);
    let mut chart = Chart::new(FIGURE[0], FIGURE[1], x, y);
    let front = front(&points);
    chart.line(front.iter().map(|index| points[*index]), "front", "the Pareto front");
    places.iter().for_each(|(row, at)| chart.point(row_point(row, *at)));
    let caption = front_caption(front.len());
    let description = format!("Test accuracy against median latency of {} models.", points.len());
    Some(figure("Accuracy against latency", chart.draw(&description), &caption))
}

/// The distribution of the latency of each model, best M first.
pub(crate) fn latencies(bench: &BenchComparison, measurements: &[&Measurement]) -> Element {
    let shown = measurements.len().min(DISTRIBUTIONS);
    let scale =
        Scale::around(measurements[..shown].iter().flat_map(|m| [m.latency.min_ms, m.latency.p99_ms]));
    let names = bench.models[..shown].iter().map(|row| row.model.architecture.to_string()).collect();
    let mut rows = Rows::new(scale, names, 18.0, 108.0);
    for (index, (model, measurement)) in bench.models.iter().zip(measurements).take(shown).enumerate() {
        rows.mark(distribution(model, measurement, rows.y(index), &|value| rows.x(value)));
    }
    let omitted = measurements.len() - shown;
    let more = if omitted > 0 { format!("; {omitted} more are not drawn") } else { String::new() };
    let caption = format!("line: smallest to p99; bar: p10 to p90; tick: median; best M first{more}");
    let description =
        "Latency of each model: smallest to 99th percentile, 10th to 90th percentile, and median.";
    figure("Latency of one image", rows.draw(plain, ["", "ms"], description), &caption)
}

fn distribution(
    model: &MeasuredModel,
    measurement: &Measurement,
    y: f64,
    place: &dyn Fn(f64) -> f64,
) -> Element {
    let latency = &measurement.latency;
    let mut sorted: Vec<f64> = latency.samples_ns.iter().map(|ns| *ns as f64 / 1e6).collect();
    sorted.sort_by(f64::total_cmp);
    let share = |fraction| quantile(&sorted, fraction).unwrap_or(latency.p50_ms);
    let [low, high] = [share(0.1), share(0.9)].map(place);
    let middle = place(latency.p50_ms);
    let look = look::strategy(&model.model.strategy);
    let whisker = [("x1", place(latency.min_ms)), ("x2", place(latency.p99_ms)), ("y1", y), ("y2", y)];
    let bar = [("x", low), ("y", y - 4.0), ("width", (high - low).max(1.0)), ("height", 8.0)];
    let tick = [("x1", middle), ("x2", middle), ("y1", y - 6.5), ("y2", y + 6.5)];
    let samples = format!("{} samples\n{}", sorted.len(), measured(&model.figures));
    Element::new("g")
        .class(&format!("latency {}", look.class))
        .attr("data-trial", model.model.trial)
        .child(Element::new("line").class("whisker").place(whisker))
        .child(Element::new("rect").place(bar))
        .child(Element::new("line").class("median").place(tick))
        .child(Element::new("title").text(title(&model.model, &samples)))
}

/// tau-b of every ranking with every quantity; M with its interval.
pub(crate) fn agreements(bench: &BenchComparison) -> Element {
    let measured = |quantity: &Measured| bench.agreement.iter().any(|a| a.quantity == *quantity);
    let quantities: Vec<Measured> = Measured::ALL.into_iter().filter(measured).collect();
    let names = quantities.iter().map(|quantity| quantity.label().to_owned()).collect();
    let mut rows = Rows::new(Scale::exactly(-1.0, 1.0), names, 40.0, 100.0);
    for (index, quantity) in quantities.iter().enumerate() {
        for mark in rankings_of(bench, *quantity, rows.y(index), &|value| rows.x(value)) {
            rows.mark(mark);
        }
    }
    let ends = ["← wrong way round", "agrees →"];
    let drawing = rows.draw(plain, ends, "Kendall's tau-b of five rankings with each measured quantity.");
    let caption = "of the rankings with each measured quantity; the bar is M's 95 % interval";
    let label = |ranking: Ranking| ranking.label(accuracy_of(bench));
    let legend = look::legend(Ranking::ALL.map(|ranking| (look::ranking(ranking), label(ranking))));
    figure("Kendall's τ-b", Element::new("div").child(drawing).child(legend), caption)
}

/// Which accuracy the models of a bench were chosen by.
fn accuracy_of(bench: &BenchComparison) -> AccuracyKind {
    bench.models.first().map(|row| row.model.accuracy).unwrap_or_default()
}

fn rankings_of(
    bench: &BenchComparison,
    quantity: Measured,
    y: f64,
    place: &dyn Fn(f64) -> f64,
) -> Vec<Element> {
    let mut marks = Vec::new();
    // M is drawn last, on top of the others.
    for ranking in Ranking::ALL.into_iter().rev() {
        let found = bench.agreement.iter().find(|a| a.ranking == ranking && a.quantity == quantity);
        let Some((agreement, tau)) = found.and_then(|a| Some((a, a.kendall?))) else { continue };
        let is_m = ranking == Ranking::MFactor;
        let y = if is_m { y - 6.0 } else { y + 7.0 };
        let look = look::ranking(ranking);
        let mut group = Element::new("g").class(look.class);
        if let Some([low, high]) = tau.interval.filter(|_| is_m) {
            let bar = [("x1", place(low)), ("x2", place(high)), ("y1", y), ("y2", y)];
            group = group.child(Element::new("line").class("interval").place(bar));
        }
        let radius = if is_m { 5.0 } else { 4.0 };
        let mark = shape(look.shape, place(tau.value), y, radius).class(&format!("mark {}", look.class));
        let name = ranking.label(accuracy_of(bench));
        let title = format!("{name} and {}: {}", quantity.label(), in_words(agreement));
        marks.push(group.child(mark).child(Element::new("title").text(title)));
    }
    marks
}

/// tau-b of M with each quantity as α goes from 0.1 to 10.
pub(crate) fn sweep(view: &View<'_>, bench: &BenchComparison) -> Element {
    let alphas = &view.comparison.alphas;
    let x = Axis::new(Scale::exactly(0.1, 10.0).logarithmic(), "α", tick_of_alpha);
    let y = Axis::new(Scale::exactly(-1.05, 1.05), "τ-b of M", plain);
    let mut chart = Chart::new(FIGURE[0], FIGURE[1], x, y).room_right(92.0);
    chart.level(0.0, "zero", "no agreement");
    let mut ends = Vec::new();
    for sweep in &bench.sweep {
        let class = look::quantity(sweep.quantity);
        let places: Vec<[f64; 2]> =
            alphas.iter().zip(&sweep.kendall).filter_map(|(alpha, tau)| Some([*alpha, (*tau)?])).collect();
        chart.line(places.iter().copied(), &format!("series {class}"), sweep.quantity.label());
        for at in &places {
            let title = format!("{} at α = {:.2}: τ-b {:+.3}", sweep.quantity.label(), at[0], at[1]);
            let class = format!("small {class}");
            chart.point(Point { at: *at, shape: Shape::Circle, class, title, trial: None });
        }
        ends.extend(places.last().map(|at| (at[1], class, sweep.quantity.label())));
    }
    chart.end_labels(ends);
    let caption = "how M agrees with each quantity when α changes; the study's α is marked";
    chart.upright(view.comparison.alpha, "reference", &format!("α = {}", view.comparison.alpha));
    figure(
        "The choice of α",
        chart.draw("Kendall's tau-b of M with each quantity over α from 0.1 to 10."),
        caption,
    )
}

fn tick_of_alpha(value: f64, _: usize) -> String {
    value.to_string()
}
