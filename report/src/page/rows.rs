//! A chart of named rows with one common axis below them.

use super::element::Element;
use super::scale::Scale;
use super::search_figures::FIGURE;

/// Space above the first row and to the right of the axis.
const TOP: f64 = 10.0;
const RIGHT: f64 = 14.0;

/// Rows under construction.
pub(crate) struct Rows {
    scale: Scale,
    left: f64,
    height: f64,
    names: Vec<String>,
    marks: Vec<Element>,
}

impl Rows {
    /// Rows of a height in pixels, with `left` pixels for their names.
    pub(crate) fn new(scale: Scale, names: Vec<String>, height: f64, left: f64) -> Self {
        Self { scale, left, height, names, marks: Vec::new() }
    }

    /// Where a value lies.
    pub(crate) fn x(&self, value: f64) -> f64 {
        self.scale.place(value, self.left, FIGURE[0] - RIGHT)
    }

    /// The middle of a row.
    pub(crate) fn y(&self, row: usize) -> f64 {
        TOP + self.height * (row as f64 + 0.5)
    }

    pub(crate) fn mark(&mut self, mark: Element) {
        self.marks.push(mark);
    }

    /// The finished drawing: `format` writes a tick with its decimals, `ends` stand below the axis on the left
    /// and on the right, `description` says in words what is shown.
    pub(crate) fn draw(
        self,
        format: fn(f64, usize) -> String,
        ends: [&str; 2],
        description: &str,
    ) -> Element {
        let bottom = TOP + self.height * self.names.len() as f64;
        let names = self.names.iter().enumerate().map(|(row, name)| {
            let place = [("x", self.left - 9.0), ("y", self.y(row) + 4.0)];
            Element::of("text", "tick", name).place(place).attr("text-anchor", "end")
        });
        Element::new("svg")
            .class("chart")
            .attr("viewBox", format!("0 0 {} {}", FIGURE[0], bottom + 40.0))
            .attr("role", "img")
            .attr("aria-label", description)
            .child(self.axis(bottom, format).children(self.ends(bottom, ends)))
            .children(names)
            .children(self.marks)
    }

    fn axis(&self, bottom: f64, format: fn(f64, usize) -> String) -> Element {
        let (ticks, decimals) = self.scale.ticks(5);
        let mut axis = Element::new("g").class("axis");
        for tick in ticks {
            let x = self.x(tick);
            let line = [("x1", x), ("x2", x), ("y1", TOP), ("y2", bottom)];
            let class = if tick == 0.0 { "base" } else { "grid" };
            let text = Element::new("text").place([("x", x), ("y", bottom + 16.0)]);
            axis = axis
                .child(Element::new("line").class(class).place(line))
                .child(text.attr("text-anchor", "middle").text(format(tick, decimals)));
        }
        axis
    }

    fn ends(&self, bottom: f64, ends: [&str; 2]) -> Vec<Element> {
        let places = [(self.left, "start", ends[0]), (FIGURE[0] - RIGHT, "end", ends[1])];
        let end = |(x, anchor, text): (f64, &str, &str)| {
            Element::of("text", "label", text)
                .place([("x", x), ("y", bottom + 34.0)])
                .attr("text-anchor", anchor)
        };
        places.into_iter().filter(|(_, _, text)| !text.is_empty()).map(end).collect()
    }
}
