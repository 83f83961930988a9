//! What spans several benches, and several seeds.

use mfactor::numbers::{bytes, counted, millijoules, milliseconds, percent};

use super::chart::{Axis, Chart, shape};
use super::element::Element;
use super::look::{self, strategy_label};
use super::rows::Rows;
use super::scale::Scale;
use super::search_figures::FIGURE;
use super::sections::{cell, heading, table};
use super::view::{View, figure, plain};
use crate::agreement::{Agreement, Verdict};
use crate::compare::BenchComparison;
use crate::measured::{Measured, Ranking, latency_noise};
use crate::models::Figures;
use crate::seeds::{Pair, Seeds, StrategyOverSeeds};
use crate::side_by_side::{Row, SideBySide};

/// Rows of a table that stand in the open; more are a click away.
const OPEN_ROWS: usize = 8;

/// M's agreement with every quantity on every bench, where there are two or more.
pub(crate) fn matrix(view: &View<'_>) -> Vec<Element> {
    let benches = &view.comparison.benches;
    if benches.len() < 2 {
        return Vec::new();
    }
    let headings: Vec<&str> =
        std::iter::once("M against").chain(benches.iter().map(|bench| bench.short.as_str())).collect();
    let of_m = |bench: &BenchComparison, quantity: Measured| {
        let mut own = bench.agreement.iter().filter(|own| own.ranking == Ranking::MFactor);
        own.find(|own| own.quantity == quantity).map_or_else(|| cell("–"), matrix_cell)
    };
    let rows = Measured::ALL.into_iter().filter(|quantity| {
        benches.iter().any(|bench| bench.agreement.iter().any(|own| own.quantity == *quantity))
    });
    let rows = rows.map(|quantity| {
        let cells = benches.iter().map(|bench| of_m(bench, quantity));
        std::iter::once(heading(quantity.label())).chain(cells).collect()
    });
    vec![table("matrix", &headings, rows)]
}

fn matrix_cell(agreement: &Agreement) -> Element {
    let class = match agreement.verdict {
        Verdict::Agrees => "holds",
        Verdict::Contradicts => "fails",
        Verdict::TooFew | Verdict::NothingToRank | Verdict::Undecided => "",
    };
    let tau = agreement.kendall.map_or_else(|| "–".to_owned(), |tau| format!("τ-b {:+.2}", tau.value));
    Element::new("td").class(class).text(tau).child(Element::of(
        "small",
        "",
        agreement.verdict.words(agreement.n),
    ))
}

/// The benches side by side, where there are two or more.
pub(crate) fn side_by_side(view: &View<'_>) -> Vec<Element> {
    let Some(side_by_side) = &view.comparison.side_by_side else { return Vec::new() };
    let words = side_by_side.contrasts.iter().map(|contrast| Element::new("li").text(contrast.words()));
    let open = side_by_side.rows.len().min(OPEN_ROWS);
    let closed = &side_by_side.rows[open..];
    let rest = if closed.is_empty() {
        Element::new("div")
    } else {
        Element::new("details")
            .child(Element::new("summary").text(format!("{} more models", closed.len())))
            .child(benches_table(side_by_side, closed))
    };
    vec![
        Element::new("h3").text("Side by side"),
        Element::new("p").text(
            "Median latency, and below it the model's rank by it there, the accuracy on test records and the size of the file; \
             models stand in the order of M. The soonest answer of each model is set in bold.",
        ),
        benches_table(side_by_side, &side_by_side.rows[..open]),
        rest,
        Element::new("ul").class("words").children(words),
    ]
}

fn benches_table(side_by_side: &SideBySide, rows: &[Row]) -> Element {
    let names = side_by_side.columns.iter().map(String::as_str);
    let headings: Vec<&str> = ["model", "M"].into_iter().chain(names).collect();
    let row = |row: &Row| {
        let measured = row.figures.iter().flatten();
        let soonest = measured.min_by(|a, b| a.latency_p50_ms.total_cmp(&b.latency_p50_ms));
        let cells = (0..row.figures.len()).map(|bench| bench_cell(row.on(bench), soonest));
        let known = [heading(&row.architecture), cell(format!("{:.4}", row.m_factor))];
        known.into_iter().chain(cells).collect()
    };
    table("benches", &headings, rows.iter().map(row))
}

fn bench_cell(measured: Option<(&Figures, usize)>, soonest: Option<&Figures>) -> Element {
    let Some((figures, rank)) = measured else { return cell("–") };
    let is_soonest = soonest.is_some_and(|soonest| {
        figures.latency_p50_ms - soonest.latency_p50_ms <= latency_noise(figures, soonest)
    });
    let name = if is_soonest { "strong" } else { "span" };
    let mut more = vec![format!("rank {rank}")];
    more.extend(figures.test_accuracy.map(percent));
    more.push(bytes(figures.file_bytes));
    more.extend(figures.energy_mj.map(millijoules));
    Element::new("td")
        .child(Element::new(name).text(milliseconds(figures.latency_p50_ms)))
        .child(Element::of("small", "", more.join(", ")))
}

/// The strategies over all seeds, where there are several.
pub(crate) fn seeds(view: &View<'_>) -> Vec<Element> {
    let Some(seeds) = &view.comparison.seeds else { return Vec::new() };
    let words = seeds.words().into_iter().map(|words| Element::new("li").text(words));
    vec![
        Element::new("h3").text(format!("The strategies over {}", counted(seeds.seeds.len(), "seed"))),
        Element::new("ul").class("words").children(words),
        Element::new("div").class("figures").child(best_of_seeds(seeds)).child(curves(seeds)),
        pairs_table(seeds),
    ]
}

/// The best M of each seed, the mean, and the interval of the mean, strategy by strategy.
fn best_of_seeds(seeds: &Seeds) -> Element {
    let all = seeds.strategies.iter().flat_map(|strategy| strategy.best.iter().copied());
    let names = seeds.strategies.iter().map(|strategy| short_label(&strategy.strategy)).collect();
    let mut rows = Rows::new(Scale::around(all), names, 34.0, 84.0);
    for (index, strategy) in seeds.strategies.iter().enumerate() {
        for mark in marks(strategy, seeds, rows.y(index), &|value| rows.x(value)) {
            rows.mark(mark);
        }
    }
    let drawing =
        rows.draw(plain, ["", "best M"], "The best M of each strategy, seed by seed, and their mean.");
    figure("Best M of each seed", drawing, "tick: mean over the seeds; bar: its 95 % interval")
}

fn marks(strategy: &StrategyOverSeeds, seeds: &Seeds, y: f64, x: &dyn Fn(f64) -> f64) -> Vec<Element> {
    let look = look::strategy(&strategy.strategy);
    let [low, high] = strategy.interval;
    let bar = [("x1", x(low)), ("x2", x(high)), ("y1", y), ("y2", y)];
    let tick = [("x1", x(strategy.mean)), ("x2", x(strategy.mean)), ("y1", y - 11.0), ("y2", y + 11.0)];
    let mean = format!("{}: mean {:.4}, 95 % {low:.4} to {high:.4}", strategy.strategy, strategy.mean);
    let spread = Element::new("g")
        .class(look.class)
        .child(Element::new("line").class("interval").place(bar))
        .child(Element::new("line").class("mean").place(tick))
        .child(Element::new("title").text(mean));
    let dots = seeds.seeds.iter().zip(&strategy.best).map(|(seed, best)| {
        let title = format!("{}, seed {seed}: best M {best:.4}", strategy.strategy);
        shape(look.shape, x(*best), y, 4.0)
            .class(&format!("mark {}", look.class))
            .child(Element::new("title").text(title))
    });
    std::iter::once(spread).chain(dots).collect()
}

/// The best M so far over the trials: mean over the seeds, and from the lowest to the highest.
fn curves(seeds: &Seeds) -> Element {
    let searched = || seeds.strategies.iter().filter(|strategy| strategy.curve.len() > 1);
    let all = searched().flat_map(|strategy| strategy.curve.iter().flatten().copied());
    let x = Axis::new(Scale::exactly(0.0, seeds.budget as f64 + 0.5), "trial", plain);
    let y = Axis::new(Scale::around(all), "best M so far", plain);
    let mut chart = Chart::new(FIGURE[0], FIGURE[1], x, y).room_right(74.0);
    let mut ends = Vec::new();
    for strategy in searched() {
        let class = look::strategy(&strategy.strategy).class;
        let before = seeds.budget as usize - strategy.curve.len();
        let at = |pick: usize| {
            let place =
                move |(index, values): (usize, &[f64; 3])| [(before + index + 1) as f64, values[pick]];
            strategy.curve.iter().enumerate().map(place)
        };
        chart.band(at(1), at(2), class);
        let title = format!("{}: mean over the seeds", strategy.strategy);
        chart.line(at(0), &format!("running {class}"), &title);
        ends.extend(strategy.curve.last().map(|values| (values[0], class, strategy.strategy.as_str())));
    }
    chart.end_labels(ends);
    let description = "The best M so far over the trials of each strategy, averaged over the seeds.";
    figure("Best M so far", chart.draw(description), "line: mean over the seeds; shade: lowest to highest")
}

fn pairs_table(seeds: &Seeds) -> Element {
    let headings =
        ["pair", "difference of best M", "better in", "p (Wilcoxon, Holm)", "rank-biserial", "A", "size"];
    let row = |pair: &Pair| {
        let told = if pair.is_told_from_chance() { "verdict good" } else { "verdict" };
        vec![
            heading(format!("{} – {}", short_label(&pair.first), short_label(&pair.second))),
            cell(format!("{:+.4}", pair.difference)),
            cell(format!("{} of {}", pair.seeds[0], seeds.seeds.len())),
            Element::of("td", told, format!("{:.4}", pair.corrected_p)),
            cell(pair.test.map_or_else(String::new, |test| format!("{:+.2}", test.rank_biserial))),
            cell(format!("{:.2}", pair.superiority)),
            cell(pair.size()),
        ]
    };
    table("seed-pairs", &headings, seeds.pairs.iter().chain(&seeds.against_smallest).map(row))
}

fn short_label(name: &str) -> String {
    strategy_label(name).trim_end_matches(" (baseline)").to_owned()
}
