//! The comparison for a terminal of 80 columns: which model to ship, whether M told the truth, where it did
//! not, how the strategies did, and what was left out.

mod bench;

use mfactor::columns::{Style, Table, WIDTH};
use mfactor::numbers::{bytes, counted, duration, milliseconds, percent, thousands};

use crate::compare::{BenchComparison, Comparison};
use crate::models::{MeasuredModel, Model};
use crate::side_by_side::SideBySide;
use crate::strategies::BASELINE;
use crate::text::{Text, cut};
use bench::{agreement, p_value, pairs, signed, sweep, told};

/// Models that are listed of one bench.
const LISTED_MODELS: usize = 6;
/// Models that are listed side by side.
const SIDE_BY_SIDE_MODELS: usize = 10;
/// Widest column of a bench.
const COLUMN: usize = 20;
/// Narrowest column of a bench: a latency and a rank.
const RANKED: usize = 12;

/// The comparison as text of at most 80 columns, with ANSI colours if `colour` is set.
pub fn terminal(comparison: &Comparison, colour: bool) -> String {
    let mut text = Text::new(colour);
    text.heading(&format!(
        "{}: {}, {} complete; space {}; α = {}",
        comparison.study,
        counted(comparison.trials, "trial"),
        thousands(comparison.complete as u64),
        comparison.space,
        comparison.alpha
    ));
    if let Ok(objective) = comparison.objective()
        && !objective.is_papers(comparison.minimum_parameters)
    {
        text.paragraph(Style::Plain, &format!("S' = {}", objective.words()));
    }
    if !comparison.accuracy.is_plain() {
        let label = comparison.accuracy.label();
        text.paragraph(Style::Plain, &format!("A of M is {label}, the mean of the classes' recalls."));
    }
    comparison.headline().iter().for_each(|words| text.paragraph(Style::Plain, words));
    recommendations(&mut text, comparison);
    side_by_side(&mut text, comparison);
    for bench in &comparison.benches {
        agreement(&mut text, bench);
        sweep(&mut text, bench, &comparison.alphas);
        pairs(&mut text, bench, comparison.accuracy);
        told(&mut text, bench);
    }
    by_class(&mut text, comparison);
    strategies(&mut text, comparison);
    seeds(&mut text, comparison);
    left_out(&mut text, comparison);
    let notes = comparison.notes();
    if !notes.is_empty() {
        text.heading("To know");
        notes.iter().for_each(|note| text.paragraph(Style::Plain, note));
    }
    text.out
}

fn recommendations(text: &mut Text, comparison: &Comparison) {
    for recommendation in &comparison.recommendations {
        match &recommendation.bench {
            Some(bench) => text.heading(&format!("Which model to ship on {bench}")),
            None => text.heading("Which model to ship"),
        }
        let words = recommendation.words(&comparison.baselines);
        words.iter().for_each(|words| text.paragraph(Style::Plain, words));
        let bench =
            comparison.benches.iter().find(|bench| Some(&bench.bench) == recommendation.bench.as_ref());
        if let Some(bench) = bench {
            text.out.push('\n');
            models(text, bench, comparison);
        }
    }
}

fn models(text: &mut Text, bench: &BenchComparison, comparison: &Comparison) {
    let headings = ["model", "strategy", ">M", ">test", ">parameters", ">p50", ">memory"];
    let mut table = Table::new(&headings);
    let smallest = &comparison.baselines.smallest.architecture;
    let first = bench.models.iter().take(LISTED_MODELS);
    let rest = bench.models.iter().skip(LISTED_MODELS).filter(|row| row.model.architecture == *smallest);
    first.chain(rest).for_each(|row| table.row(model_row(row)));
    if let Some(random) = &comparison.baselines.random {
        table.row(
            [
                "random average",
                "",
                &format!("{:.4}", random.m_factor),
                "",
                &thousands(random.parameters as u64),
            ]
            .map(|cell| (Style::Quiet, cell.to_owned())),
        );
    }
    text.table(&table);
}

fn model_row(row: &MeasuredModel) -> Vec<(Style, String)> {
    let (model, figures) = (&row.model, &row.figures);
    let style = if figures.violations.is_empty() { Style::Plain } else { Style::Bad };
    let cells = [
        cut(&model.architecture.to_string(), 12),
        cut(&model.strategy, 12),
        format!("{:.4}", model.m_factor),
        figures.test_accuracy.map_or_else(|| "–".to_owned(), percent),
        thousands(model.parameters),
        milliseconds(figures.latency_p50_ms),
        figures.peak_rss_bytes.map_or_else(|| "–".to_owned(), bytes),
    ];
    cells.map(|cell| (style, cell)).to_vec()
}

/// The latency of the models, a column a bench; benches that do not fit beside the others stand below.
fn side_by_side(text: &mut Text, comparison: &Comparison) {
    let Some(side_by_side) = &comparison.side_by_side else { return };
    text.heading("Side by side: median latency in ms, and the rank by it");
    let mut first = 0;
    while first < side_by_side.columns.len() {
        let mut room = WIDTH - 2 - 12 - 8;
        let fit = side_by_side.columns[first..].iter().take_while(|name| {
            let needed = 2 + name.chars().count().clamp(RANKED, COLUMN);
            let fits = needed <= room;
            room = room.saturating_sub(needed);
            fits
        });
        let next = first + fit.count().max(1);
        text.table(&latencies(side_by_side, first..next));
        first = next;
    }
    side_by_side.contrasts.iter().for_each(|contrast| text.item(&contrast.words()));
}

fn latencies(side_by_side: &SideBySide, columns: std::ops::Range<usize>) -> Table {
    let names = side_by_side.columns[columns.clone()].iter().map(|name| format!(">{}", cut(name, COLUMN)));
    let headings: Vec<String> = ["model".to_owned(), ">M".to_owned()].into_iter().chain(names).collect();
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    for row in side_by_side.rows.iter().take(SIDE_BY_SIDE_MODELS) {
        let latency = |bench: usize| {
            row.on(bench).map_or_else(
                || "–".to_owned(),
                |(figures, rank)| format!("{:.3} {:>4}", figures.latency_p50_ms, format!("({rank})")),
            )
        };
        let known = [cut(&row.architecture.to_string(), 12), format!("{:.4}", row.m_factor)];
        table.plain_row(known.into_iter().chain(columns.clone().map(latency)));
    }
    table
}

fn strategies(text: &mut Text, comparison: &Comparison) {
    text.heading("How the strategies did");
    let headings =
        ["strategy", ">best M", "model", accuracy(comparison), ">params", ">best at", ">failed", ">time"];
    let mut table = Table::new(&headings);
    for summary in &comparison.strategies {
        let best = summary.best.as_ref();
        let of_best = |cell: &dyn Fn(&Model) -> String| best.map_or_else(String::new, cell);
        table.plain_row([
            cut(&summary.strategy, 12),
            of_best(&|best| format!("{:.4}", best.m_factor)),
            of_best(&|best| cut(&best.architecture.to_string(), 12)),
            of_best(&|best| percent(best.validation_accuracy)),
            of_best(&|best| thousands(best.parameters)),
            summary.found_at.map_or_else(String::new, |trial| format!("{trial} of {}", summary.trials)),
            summary.failed.to_string(),
            duration(summary.seconds),
        ]);
    }
    baseline_rows(&mut table, comparison);
    text.table(&table);
    front(text, comparison);
    comparison.strategy_words().iter().for_each(|words| text.paragraph(Style::Plain, words));
}

/// What each strategy has of the front that was sought.
fn front(text: &mut Text, comparison: &Comparison) {
    let Some(front) = &comparison.sought_front else { return };
    text.out.push('\n');
    let mut table = Table::new(&["strategy", ">covered", ">of the front"]);
    for of in &front.strategies {
        let on_front = format!("{} of {}", of.on_front, front.trials.len());
        table.plain_row([cut(&of.strategy, 12), percent(of.covered), on_front]);
    }
    text.table(&table);
}

/// A's heading in a narrow column.
fn accuracy(comparison: &Comparison) -> &'static str {
    if comparison.accuracy.is_plain() { ">accuracy" } else { ">balanced" }
}

/// The winners, class by class.
fn by_class(text: &mut Text, comparison: &Comparison) {
    if comparison.by_class.is_empty() {
        return;
    }
    text.heading("Class by class");
    comparison.by_class.iter().for_each(|of| text.paragraph(Style::Plain, &of.words()));
}

/// The strategies over all seeds, and every pair of them.
fn seeds(text: &mut Text, comparison: &Comparison) {
    let Some(seeds) = &comparison.seeds else { return };
    text.heading(&format!("The strategies over {}", counted(seeds.seeds.len(), "seed")));
    let headings = ["strategy", ">mean best M", ">deviation", ">95 % of the mean", ">lowest", ">highest"];
    let mut table = Table::new(&headings);
    for strategy in &seeds.strategies {
        let [low, high] = strategy.interval;
        let extreme =
            |pick: fn(f64, f64) -> f64| strategy.best.iter().copied().reduce(pick).unwrap_or(f64::NAN);
        let style = if strategy.strategy == BASELINE { Style::Quiet } else { Style::Plain };
        table.row(
            [
                strategy_label(&strategy.strategy),
                format!("{:.4}", strategy.mean),
                strategy.deviation.map_or_else(String::new, |deviation| format!("{deviation:.4}")),
                format!("{low:.4} to {high:.4}"),
                format!("{:.4}", extreme(f64::min)),
                format!("{:.4}", extreme(f64::max)),
            ]
            .map(|cell| (style, cell)),
        );
    }
    text.table(&table);
    text.out.push('\n');
    let headings = ["pair", ">difference", ">better in", ">p (Holm)", ">rank-biserial", ">A"];
    let mut table = Table::new(&headings);
    for pair in seeds.pairs.iter().chain(&seeds.against_smallest) {
        let style = if pair.is_told_from_chance() { Style::Good } else { Style::Plain };
        table.row([
            (Style::Plain, format!("{} – {}", strategy_label(&pair.first), strategy_label(&pair.second))),
            (style, format!("{:+.4}", pair.difference)),
            (Style::Plain, format!("{} of {}", pair.seeds[0], seeds.seeds.len())),
            (style, p_value(pair.corrected_p)),
            (Style::Plain, signed(pair.test.map(|test| test.rank_biserial))),
            (Style::Plain, format!("{:.2}", pair.superiority)),
        ]);
    }
    text.table(&table);
    seeds.words().iter().for_each(|words| text.paragraph(Style::Plain, words));
}

fn strategy_label(name: &str) -> String {
    if name == BASELINE { "smallest".to_owned() } else { cut(name, 12) }
}

fn baseline_rows(table: &mut Table, comparison: &Comparison) {
    let smallest = &comparison.baselines.smallest;
    let trained = smallest.trained.as_ref();
    let quiet = |cells: [String; 5]| cells.map(|cell| (Style::Quiet, cell));
    table.row(quiet([
        "smallest".to_owned(),
        trained.map_or_else(|| "not trained".to_owned(), |model| format!("{:.4}", model.m_factor)),
        cut(&smallest.architecture.to_string(), 12),
        trained.map_or_else(String::new, |model| percent(model.validation_accuracy)),
        thousands(smallest.parameters),
    ]));
    if let Some(random) = &comparison.baselines.random {
        table.row(quiet([
            "random mean".to_owned(),
            format!("{:.4}", random.m_factor),
            String::new(),
            percent(random.accuracy),
            thousands(random.parameters as u64),
        ]));
    }
}

fn left_out(text: &mut Text, comparison: &Comparison) {
    if comparison.left_out.is_empty() {
        return;
    }
    text.heading("Measured, and left out of every statistic");
    for row in &comparison.left_out {
        let model = &row.model;
        let latency = milliseconds(model.figures.latency_p50_ms);
        let accuracy = model.figures.test_accuracy.map_or_else(|| "–".to_owned(), percent);
        text.paragraph(
            Style::Quiet,
            &format!(
                "{} on {}: {accuracy}, p50 {latency}; {}",
                model.model.architecture,
                row.bench,
                row.reasons.join("; ")
            ),
        );
    }
}
