//! A confusion matrix and the recalls beside it, or of many classes the worst.

use mfactor::numbers::{counted, percent, thousands};

use super::element::Element;
use super::search_figures::{heat_cell, shaded};
use super::sections::{cell, heading, table};
use super::view::{View, figure};
use crate::by_class::ByClass;

/// Space for the names of the classes, left and above.
const NAMES: [f64; 2] = [104.0, 84.0];
/// Width of the drawing, and least and most of a cell's side.
const WIDTH: f64 = 560.0;
const CELL: [f64; 2] = [20.0, 34.0];
/// Characters of a name that are drawn.
const LETTERS: usize = 14;

/// The winners, class by class; nothing of a study that does not know it.
pub(super) fn by_class(view: &View<'_>) -> Vec<Element> {
    let winners = &view.comparison.by_class;
    if winners.is_empty() {
        return vec![];
    }
    let drawings = winners.iter().map(|of| match of.counts.is_empty() {
        true => worst(of),
        false => matrix(of),
    });
    let words = winners.iter().map(|of| Element::new("li").text(of.words()));
    vec![
        Element::of("h3", "", "Class by class"),
        Element::new("ul").class("words").children(words),
        Element::new("div").class("figures").children(drawings),
    ]
}

/// A row for each true class with its recall at the end, a column for each predicted one.
fn matrix(of: &ByClass) -> Element {
    let classes = of.classes.len() as f64;
    let side = ((WIDTH - NAMES[0]) / (classes + 2.0)).clamp(CELL[0], CELL[1]);
    let [left, top] = NAMES;
    let mut drawing = Element::new("svg")
        .class("chart heat")
        .attr("viewBox", format!("0 0 {WIDTH} {}", top + side * classes + 8.0))
        .attr("role", "img")
        .attr("aria-label", format!("Confusion matrix of {} on the validation split.", of.architecture));
    let recalls = left + side * (classes + 0.5);
    for (row, class) in of.classes.iter().enumerate() {
        let (y, along) = (top + side * row as f64, left + side * row as f64);
        drawing = drawing.child(name(&class.name).place([("x", left - 6.0), ("y", y + side / 2.0 + 4.0)]));
        drawing = drawing.child(column_name(&class.name, along + side / 2.0));
        for (column, count) in of.counts[row].iter().enumerate() {
            let title = format!(
                "{}: {} of {} taken for {}",
                class.name,
                thousands(*count),
                thousands(class.images),
                of.classes[column].name
            );
            let at = [left + side * column as f64, y];
            drawing = drawing.child(heat_cell(at, [side; 2], *count as usize, class.images as usize, &title));
        }
        if let Some(recall) = class.recall {
            let title = format!("recall of {}: {}", class.name, percent(recall));
            let text = format!("{:.1}", 100.0 * recall);
            drawing = drawing.child(shaded([recalls, y], [1.5 * side, side], recall, &text, &title));
        }
    }
    drawing = drawing.child(column_name("recall", recalls + 0.75 * side));
    let caption = format!("{}, % of each true class (rows) by what it was taken for", of.architecture);
    figure("Confusion matrix", drawing, &caption)
}

fn name(text: &str) -> Element {
    Element::of("text", "tick", cut(text)).attr("text-anchor", "end").child(Element::new("title").text(text))
}

/// Above a column, slanted so that long names keep out of each other's way.
fn column_name(text: &str, x: f64) -> Element {
    let y = NAMES[1] - 6.0;
    Element::of("text", "tick", cut(text))
        .place([("x", x), ("y", y)])
        .attr("transform", format!("rotate(-50 {x:.2} {y:.2})"))
        .child(Element::new("title").text(text))
}

fn cut(text: &str) -> String {
    match text.chars().count() {
        0..=LETTERS => text.to_owned(),
        _ => text.chars().take(LETTERS - 1).chain(['…']).collect(),
    }
}

/// The classes with the lowest recall, and the pairs that are mistaken most.
fn worst(of: &ByClass) -> Element {
    let classes = of.classes.iter().map(|class| {
        vec![
            heading(&class.name),
            cell(class.recall.map_or_else(String::new, percent)),
            cell(thousands(class.images)),
        ]
    });
    let pairs = of.mistaken.iter().map(|pair| {
        vec![
            heading(&pair.class),
            cell(&pair.taken_for),
            cell(percent(pair.share)),
            cell(thousands(pair.count)),
        ]
    });
    let caption = format!("{}: the lowest recalls of {}", of.architecture, counted(of.class_count, "class"));
    Element::new("article")
        .child(Element::of("h4", "", caption))
        .child(table("classes", &["class", "recall", "images"], classes))
        .child(Element::of("h4", "", "What is mistaken most"))
        .child(table("classes", &["class", "taken for", "share", "images"], pairs))
}
