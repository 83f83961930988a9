//! The parts of the page that are text and tables.

use mfactor::AccuracyKind;
use mfactor::numbers::{bytes, counted, duration, milliseconds, percent, thousands};

use super::bench_figures;
use super::element::Element;
use super::look;
use super::network::network;
use super::view::View;
use crate::agreement::{Agreement, Verdict};
use crate::compare::BenchComparison;
use crate::inversions::PairCount;
use crate::measured::{Measured, Ranking};
use crate::models::{Figures, Model};
use crate::recommendation::Recommendation;
use crate::resample::Coefficient;

/// Wrong pairs that are listed of one quantity.
const WORST: usize = 5;

/// One recommendation: the model, its figures, its network, and how it compares.
pub(crate) fn recommendation(view: &View<'_>, recommendation: &Recommendation) -> Element {
    let mut card = Element::new("article").class("ship");
    let bench = recommendation.bench.as_ref().map_or_else(
        || "By the study alone: nothing that counts was measured yet".to_owned(),
        |bench| format!("On {bench}"),
    );
    card = card.child(Element::of("p", "bench", bench));
    if let Some(candidate) = &recommendation.model {
        let id = Element::of("span", "architecture", &candidate.model.architecture);
        card = card
            .child(Element::new("h3").text("Ship ").child(id))
            .child(tiles(view, &candidate.model, candidate.measured.as_ref()))
            .child(network(view.input.space, &candidate.model.architecture));
    }
    // The first sentence repeats what stands above it, unless there is no model.
    let said = usize::from(recommendation.model.is_some());
    let words = recommendation.words(&view.comparison.baselines);
    let words = words.into_iter().skip(said).map(|words| Element::new("li").text(words));
    card.child(Element::new("ul").class("words").children(words))
}

fn tiles(view: &View<'_>, model: &Model, figures: Option<&Figures>) -> Element {
    let on_validation = format!("validation {}", view.objective.accuracy().label());
    let mut tiles = vec![("M", format!("{:.4}", model.m_factor))];
    match figures.and_then(|figures| figures.test_accuracy) {
        Some(accuracy) => tiles.push(("test accuracy", percent(accuracy))),
        None => tiles.push((&on_validation, percent(model.validation_accuracy))),
    }
    tiles.push(("parameters", thousands(model.parameters)));
    if let Some(figures) = figures {
        tiles.push(("latency p50", milliseconds(figures.latency_p50_ms)));
        tiles.push(("latency p90", milliseconds(figures.latency_p90_ms)));
        tiles.extend(figures.peak_rss_bytes.map(|memory| ("peak memory", bytes(memory))));
    }
    let tile = |(name, value): (&str, String)| {
        Element::new("div").child(Element::of("dt", "", name)).child(Element::of("dd", "", value))
    };
    Element::new("dl").class("tiles").children(tiles.into_iter().map(tile))
}

/// A table with a heading row; the first column names the row.
pub(crate) fn table(class: &str, headings: &[&str], rows: impl IntoIterator<Item = Vec<Element>>) -> Element {
    let head = headings.iter().map(|heading| Element::new("th").attr("scope", "col").text(heading));
    let rows = rows.into_iter().map(|cells| {
        let empty = std::iter::repeat_n(cell(""), headings.len().saturating_sub(cells.len()));
        Element::new("tr").children(cells).children(empty)
    });
    let table = Element::new("table")
        .class(class)
        .child(Element::new("thead").child(Element::new("tr").children(head)))
        .child(Element::new("tbody").children(rows));
    Element::new("div").class("scroll").attr("tabindex", 0).child(table)
}

pub(crate) fn cell(text: impl ToString) -> Element {
    Element::new("td").text(text)
}

pub(crate) fn heading(text: impl ToString) -> Element {
    Element::new("th").attr("scope", "row").text(text)
}

/// Agreement of M with every quantity, and beside it the other rankings.
pub(crate) fn agreement(bench: &BenchComparison) -> Element {
    let headings = [
        "measured",
        "M's ranking",
        "τ-b",
        "95 % interval",
        "p",
        "ρ",
        "95 % interval",
        "p",
        "n",
        "ties",
        "top 3",
    ];
    let of_m = bench.agreement.iter().filter(|agreement| agreement.ranking == Ranking::MFactor);
    table("agreement", &headings, of_m.map(|agreement| agreement_row(agreement, bench)))
}

fn agreement_row(agreement: &Agreement, bench: &BenchComparison) -> Vec<Element> {
    let top = bench.top.iter().find(|top| top.quantity == agreement.quantity && top.k == 3);
    let top =
        top.map_or_else(String::new, |top| format!("{:.1} ({:.1} by chance)", top.overlap, top.by_chance));
    let class = match agreement.verdict {
        Verdict::Agrees => "verdict good",
        Verdict::Contradicts => "verdict bad",
        Verdict::TooFew | Verdict::NothingToRank | Verdict::Undecided => "verdict",
    };
    let mut cells = vec![
        heading(agreement.quantity.label()),
        Element::of("td", class, agreement.verdict.words(agreement.n)),
    ];
    cells.extend(coefficient(agreement.kendall.as_ref()));
    cells.extend(coefficient(agreement.spearman.as_ref()));
    let [in_m, measured] = agreement.ties;
    cells.extend([cell(agreement.n), cell(format!("{in_m}, {measured}")), cell(top)]);
    cells
}

/// A coefficient, its interval, and its p-value.
fn coefficient(coefficient: Option<&Coefficient>) -> [Element; 3] {
    let text = |write: &dyn Fn(&Coefficient) -> Option<String>| {
        cell(coefficient.and_then(write).unwrap_or_default())
    };
    let p = |p: f64| if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") };
    [
        text(&|value| Some(format!("{:+.2}", value.value))),
        text(&|value| value.interval.map(|[low, high]| format!("{low:+.2} to {high:+.2}"))),
        text(&|value| value.p_value.map(p)),
    ]
}

/// The pairs that M orders wrongly: counts of all quantities, and the worst of accuracy and latency.
pub(crate) fn pairs(bench: &BenchComparison, kind: AccuracyKind) -> Vec<Element> {
    let sentence = |pairs: &PairCount| {
        let (inverted, noise) = (thousands(pairs.inverted as u64), thousands(pairs.within_noise as u64));
        let label = pairs.quantity.label();
        format!(
            "{label}: {inverted} of {}, {noise} of them within what chance gives",
            counted(pairs.pairs, "pair")
        )
    };
    let counts = bench.pairs.iter().map(|pairs| Element::new("li").text(sentence(pairs)));
    let mut parts = vec![Element::new("ul").class("words").children(counts)];
    let listed = |pairs: &&PairCount| {
        matches!(pairs.quantity, Measured::TestAccuracy | Measured::LatencyP50) && !pairs.worst.is_empty()
    };
    for pairs in bench.pairs.iter().filter(listed) {
        let headings = ["M prefers", "to", "M", "measured", "why"];
        let rows = pairs.worst.iter().take(WORST).map(|pair| {
            let [preferred, better] = pair.values.map(|value| pairs.quantity.format(value));
            let [high, low] = pair.m_factors;
            vec![
                heading(&pair.preferred),
                cell(&pair.better),
                cell(format!("{high:.3}, not {low:.3}")),
                cell(format!("{preferred}, not {better}")),
                Element::of("td", "why", pair.why(kind)),
            ]
        });
        parts.push(Element::new("h4").text(format!("Worst in {}", pairs.quantity.label())));
        parts.push(table("pairs", &headings, rows));
    }
    parts
}

/// The strategies beside the two baselines.
pub(crate) fn strategies(view: &View<'_>) -> Element {
    let comparison = view.comparison;
    let accuracy = comparison.accuracy.label();
    let mut headings =
        vec!["strategy", "best M", "model", accuracy, "parameters", "found at", "mean M", "failed", "time"];
    headings.extend(comparison.sought_front.iter().flat_map(|_| ["covered", "of the front"]));
    let mut rows: Vec<Vec<Element>> = Vec::new();
    for summary in &comparison.strategies {
        let mut cells = best_cells(&summary.strategy, summary.best.as_ref());
        cells.extend([
            cell(summary.found_at.map_or_else(String::new, |at| format!("{at} of {}", summary.trials))),
            cell(summary.mean_m_factor.map_or_else(String::new, |mean| format!("{mean:.4}"))),
            cell(summary.failed),
            cell(duration(summary.seconds)),
        ]);
        let front = comparison.sought_front.as_ref().and_then(|front| front.of(&summary.strategy));
        cells.extend(front.iter().flat_map(|of| [cell(percent(of.covered)), cell(of.on_front)]));
        rows.push(cells);
    }
    let smallest = &comparison.baselines.smallest;
    let mut cells = best_cells("smallest architecture", smallest.trained.as_ref());
    if smallest.trained.is_none() {
        let untrained = [
            heading("smallest architecture"),
            cell("not trained"),
            Element::of("td", "architecture", &smallest.architecture),
            cell(""),
            cell(thousands(smallest.parameters)),
        ];
        cells = untrained.to_vec();
    }
    rows.push(cells);
    if let Some(random) = &comparison.baselines.random {
        rows.push(vec![
            heading("average of random"),
            cell(""),
            cell(""),
            cell(percent(random.accuracy)),
            cell(thousands(random.parameters as u64)),
            cell(""),
            cell(format!("{:.4}", random.m_factor)),
        ]);
    }
    table("strategies", &headings, rows)
}

fn best_cells(name: &str, best: Option<&Model>) -> Vec<Element> {
    let of_best = |value: &dyn Fn(&Model) -> String| best.map_or_else(String::new, value);
    vec![
        heading(name),
        cell(of_best(&|model| format!("{:.4}", model.m_factor))),
        Element::of("td", "architecture", of_best(&|model| model.architecture.to_string())),
        cell(of_best(&|model| percent(model.validation_accuracy))),
        cell(of_best(&|model| thousands(model.parameters))),
    ]
}

/// The best trial over the sweep of α, one row for every stretch of α with the same best trial.
pub(crate) fn best_by_alpha(view: &View<'_>) -> Element {
    let comparison = view.comparison;
    let sweep: Vec<(f64, &Model)> =
        comparison.alphas.iter().copied().zip(&comparison.best_by_alpha).collect();
    let rows = sweep.chunk_by(|(_, a), (_, b)| a.trial == b.trial).map(|stretch| {
        let (first, model) = stretch[0];
        let last = stretch[stretch.len() - 1].0;
        let range = if first == last { format!("{first:.2}") } else { format!("{first:.2} to {last:.2}") };
        vec![
            heading(range),
            Element::of("td", "architecture", &model.architecture),
            cell(look::strategy_label(&model.strategy)),
            cell(percent(model.validation_accuracy)),
            cell(thousands(model.parameters)),
        ]
    });
    let accuracy = comparison.accuracy.label();
    table("alphas", &["α", "best model", "strategy", accuracy, "parameters"], rows)
}

/// What was measured and left out.
pub(crate) fn left_out(view: &View<'_>) -> Element {
    let rows = view.comparison.left_out.iter().map(|row| {
        let (model, figures) = (&row.model.model, &row.model.figures);
        vec![
            heading(&model.architecture),
            cell(&row.bench),
            cell(figures.test_accuracy.map_or_else(|| "–".to_owned(), percent)),
            cell(milliseconds(figures.latency_p50_ms)),
            Element::of("td", "why", row.reasons.join("; ")),
        ]
    });
    table("left-out", &["model", "on", "test accuracy", "p50", "why it does not count"], rows)
}

/// The legend of the strategies that have trials.
pub(crate) fn strategy_legend(view: &View<'_>) -> Element {
    look::legend(view.strategies().into_iter().map(|name| (look::strategy(name), look::strategy_label(name))))
}

/// All that was measured, bench by bench.
pub(crate) fn benches(view: &View<'_>) -> Vec<Element> {
    if view.comparison.benches.is_empty() {
        let nothing = "Nothing that counts was measured yet. Run mfactor measure on this machine, or mfactor \
                       flash for a board, and compare again.";
        return vec![Element::new("p").text(nothing)];
    }
    let benches = (0..view.comparison.benches.len()).map(|index| bench(view, index));
    [strategy_legend(view)].into_iter().chain(benches).collect()
}

/// All that is said of one bench.
fn bench(view: &View<'_>, index: usize) -> Element {
    let bench = &view.comparison.benches[index];
    let mut figures = vec![bench_figures::agreements(bench), bench_figures::sweep(view, bench)];
    figures.extend(bench_figures::accuracy_against_latency(bench));
    figures.extend(bench_figures::against_m(bench));
    figures.push(bench_figures::latencies(bench, &view.benches[index]));
    Element::new("article")
        .child(Element::new("h3").text(format!("On {}", bench.bench)))
        .child(agreement(bench))
        .child(Element::new("div").class("figures").children(figures))
        .child(Element::new("h4").text("Pairs that M orders wrongly"))
        .children(pairs(bench, view.comparison.accuracy))
}
