//! The table of all trials, which the page's script sorts, filters and ranks anew.

use std::collections::BTreeMap;

use mfactor::text::visible;
use mfactor::{Trial, TrialState};
use serde::Serialize;

use mfactor::numbers::{millions, percent, thousands};

use super::element::Element;
use super::look;
use super::view::View;
use crate::models::{MeasuredModel, Model};

/// A column of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Column {
    /// Key of its value in a [`Row`].
    key: String,
    /// Heading.
    label: String,
    /// What the heading means, in a sentence.
    explanation: String,
    /// Whether a first click sorts the largest to the top.
    falling: bool,
}

/// The values of one trial, for the page's script and for whoever reads the page's data.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    trial: u64,
    architecture: String,
    strategy: String,
    state: TrialState,
    accuracy: Option<f64>,
    m_factor: Option<f64>,
    size_score: f64,
    parameters: u64,
    macs: u64,
    front: bool,
    measured: bool,
    /// Measured values, by column key.
    #[serde(flatten)]
    figures: BTreeMap<String, f64>,
}

/// The columns: what the search knows, then what each bench measured.
pub(crate) fn columns(view: &View<'_>) -> Vec<Column> {
    let column = |key: &str, label: &str, explanation: &str, falling: bool| Column {
        key: key.to_owned(),
        label: label.to_owned(),
        explanation: explanation.to_owned(),
        falling,
    };
    let accuracy = view.objective.accuracy().label();
    let mut columns = vec![
        column("rank", "#", "Rank by M at the α of the slider", false),
        column("architecture", "model", "Kernel sizes, stage by stage", false),
        column("strategy", "strategy", "The strategy that proposed it", false),
        column("trial", "trial", "Id of the trial", false),
        column("m_factor", "M", "M-factor at the α of the slider", true),
        column("accuracy", accuracy, &format!("A: {accuracy} on the validation split"), true),
        column("size_score", "S'", &format!("Size score, {}", view.objective.words()), true),
        column("parameters", "parameters", "Trainable parameters", false),
        column("macs", "MACs", "Multiply-accumulates for one image", false),
    ];
    for (number, bench) in (1..).zip(&view.comparison.benches) {
        if bench.models.iter().any(|row| row.figures.test_accuracy.is_some()) {
            let explanation = format!("Test accuracy on {}", bench.bench);
            columns.push(column(&test_key(number), &format!("test {number}"), &explanation, true));
        }
        let explanation = format!("Median latency in ms on {}", bench.bench);
        columns.push(column(&latency_key(number), &format!("p50 ms {number}"), &explanation, false));
    }
    columns
}

fn test_key(bench: usize) -> String {
    format!("test_accuracy_{bench}")
}

fn latency_key(bench: usize) -> String {
    format!("latency_p50_ms_{bench}")
}

/// The rows, best M first, trials without an M at the end.
pub(crate) fn rows(view: &View<'_>) -> Vec<Row> {
    let complete = view.complete.iter().map(|(trial, model)| row(view, trial, Some(model)));
    let others = view.input.trials.iter().filter(|trial| trial.accuracy.is_none());
    complete.chain(others.map(|trial| row(view, trial, None))).collect()
}

fn row(view: &View<'_>, trial: &Trial, model: Option<&Model>) -> Row {
    let mut figures = BTreeMap::new();
    for (number, bench) in (1..).zip(&view.comparison.benches) {
        let own = |row: &&MeasuredModel| {
            row.model.trial == trial.id && row.model.architecture == trial.architecture
        };
        let Some(measured) = bench.models.iter().find(own) else { continue };
        figures.insert(latency_key(number), measured.figures.latency_p50_ms);
        figures.extend(measured.figures.test_accuracy.map(|accuracy| (test_key(number), accuracy)));
    }
    Row {
        trial: trial.id,
        architecture: trial.architecture.to_string(),
        // The page's script shows and copies it.
        strategy: visible(trial.proposer.name()).into_owned(),
        state: trial.state,
        accuracy: trial.accuracy,
        m_factor: model.map(|model| model.m_factor),
        size_score: view.objective.exact_size_score(&trial.cost),
        parameters: trial.cost.parameters,
        macs: trial.cost.macs,
        front: view.comparison.front.contains(&trial.id),
        measured: !figures.is_empty(),
        figures,
    }
}

/// The table itself, readable without any script.
pub(crate) fn table(columns: &[Column], rows: &[Row]) -> Element {
    let head = columns.iter().map(|column| {
        let button = Element::new("button")
            .attr("type", "button")
            .attr("data-key", &column.key)
            .attr("title", &column.explanation)
            .text(&column.label);
        let sort = if column.key == "m_factor" { "descending" } else { "none" };
        Element::new("th").attr("scope", "col").attr("aria-sort", sort).child(button)
    });
    let body = (1..).zip(rows).map(|(rank, row)| {
        let cells = columns.iter().map(|column| cell(&column.key, rank, row));
        let class = if row.front { "front" } else { "" };
        Element::new("tr").class(class).attr("data-trial", row.trial).children(cells)
    });
    Element::new("table")
        .attr("id", "trials")
        .child(Element::new("thead").child(Element::new("tr").children(head)))
        .child(Element::new("tbody").children(body))
}

fn cell(key: &str, rank: usize, row: &Row) -> Element {
    let missing = || "–".to_owned();
    let text = match key {
        "rank" => row.m_factor.map_or_else(missing, |_| rank.to_string()),
        "strategy" => look::strategy_label(&row.strategy).to_owned(),
        "trial" => row.trial.to_string(),
        "m_factor" => row.m_factor.map_or_else(missing, |m| format!("{m:.4}")),
        "accuracy" => row.accuracy.map_or_else(|| row.state.name().to_owned(), percent),
        "size_score" => format!("{:.4}", row.size_score),
        "parameters" => thousands(row.parameters),
        "macs" => millions(row.macs),
        "architecture" => return Element::of("th", "architecture", &row.architecture).attr("scope", "row"),
        measured => match row.figures.get(measured) {
            None => missing(),
            Some(accuracy) if measured.starts_with("test") => percent(*accuracy),
            Some(latency) => format!("{latency:.3}"),
        },
    };
    Element::of("td", if key == "strategy" { "word" } else { "" }, text)
}
