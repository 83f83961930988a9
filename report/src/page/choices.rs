//! A heat map of all choices of a space, a row each.

use super::element::Element;
use super::search_figures::{FIGURE, heat_cell};
use super::view::{View, figure};

/// Space for the names of the choices.
const NAMES: f64 = 104.0;
/// Height of a row, and of the share in it; the option's name stands above.
const ROW: f64 = 40.0;
const CELL: f64 = 24.0;

/// How often each option of each choice was taken among those of the best fifth of trials that had the choice.
pub(super) fn heat_map(view: &View<'_>) -> Element {
    let (best, space) = (view.best_fifth(), view.input.space);
    let points: Vec<_> = best.iter().filter_map(|(trial, _)| space.point(&trial.architecture).ok()).collect();
    let rows: Vec<_> = space.choices().collect();
    let most = rows.iter().map(|choice| choice.options.len()).max().unwrap_or(1);
    let width = (FIGURE[0] - NAMES - 8.0) / most as f64;
    let mut drawing = Element::new("svg")
        .class("chart heat")
        .attr("viewBox", format!("0 0 {} {}", FIGURE[0], ROW * rows.len() as f64 + 8.0))
        .attr("role", "img")
        .attr("aria-label", "Share of each option of each choice among the best fifth of trials.");
    for (row, choice) in rows.iter().enumerate() {
        let y = ROW * row as f64;
        let name = Element::of("text", "tick", &choice.name).place([("x", NAMES - 6.0), ("y", y + 32.0)]);
        drawing = drawing.child(name.attr("text-anchor", "end"));
        let active: Vec<_> = points.iter().filter(|point| space.is_active(point, row)).collect();
        for (option, label) in choice.options.iter().enumerate() {
            let taken = active.iter().filter(|point| usize::from(point.options()[row]) == option).count();
            let x = NAMES + width * option as f64;
            let title = format!("{}: {label} in {taken} of {}", choice.name, active.len());
            let text = Element::of("text", "tick", label).place([("x", x + width / 2.0), ("y", y + 13.0)]);
            drawing = drawing.child(text.attr("text-anchor", "middle")).child(heat_cell(
                [x, y + ROW - CELL],
                [width, CELL],
                taken,
                active.len(),
                &title,
            ));
        }
    }
    let caption = format!("share of each option among the best {} of {}, %", best.len(), view.complete.len());
    figure("Options of each choice", drawing, &caption)
}
