//! A chart with two axes as SVG. Colours, fonts and line widths are the style sheet's business, so that one
//! drawing serves light, dark and print; every mark has a `<title>` with the exact values.

use super::element::{Element, pixels};
use super::scale::Scale;

/// Space around the plot for axis texts.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 38.0;

/// One axis.
pub(crate) struct Axis {
    pub(crate) scale: Scale,
    pub(crate) label: String,
    /// Turns a tick with its decimals into text.
    pub(crate) format: fn(f64, usize) -> String,
}

impl Axis {
    pub(crate) fn new(scale: Scale, label: impl ToString, format: fn(f64, usize) -> String) -> Self {
        Self { scale, label: label.to_string(), format }
    }
}

/// The form of a point. Strategies differ in form as well as in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
}

/// One point of a chart.
pub(crate) struct Point {
    pub(crate) at: [f64; 2],
    pub(crate) shape: Shape,
    pub(crate) class: String,
    /// Exact values, shown on hover.
    pub(crate) title: String,
    /// The trial it stands for.
    pub(crate) trial: Option<u64>,
}

/// A chart under construction.
pub(crate) struct Chart {
    width: f64,
    height: f64,
    right: f64,
    x: Axis,
    y: Axis,
    marks: Vec<Element>,
}

impl Chart {
    pub(crate) fn new(width: f64, height: f64, x: Axis, y: Axis) -> Self {
        Self { width, height, right: RIGHT, x, y, marks: Vec::new() }
    }

    /// Leaves room to the right of the plot, for labels of lines.
    pub(crate) fn room_right(mut self, pixels: f64) -> Self {
        self.right = pixels;
        self
    }

    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            self.x.scale.place(x, LEFT, self.width - self.right),
            self.y.scale.place(y, self.height - BOTTOM, TOP),
        ]
    }

    pub(crate) fn point(&mut self, point: Point) {
        let [x, y] = self.place(point.at);
        let mark = shape(point.shape, x, y, 4.0).class(&format!("mark {}", point.class));
        let mark = match point.trial {
            Some(trial) => mark.attr("data-trial", trial),
            None => mark,
        };
        self.marks.push(mark.child(Element::new("title").text(point.title)));
    }

    /// An interval upwards and downwards of a point.
    pub(crate) fn whisker(&mut self, x: f64, [low, high]: [f64; 2], class: &str) {
        let ends = [self.place([x, low]), self.place([x, high])];
        let line = [("x1", ends[0][0]), ("x2", ends[1][0]), ("y1", ends[0][1]), ("y2", ends[1][1])];
        self.marks.push(Element::new("line").class(class).place(line));
    }

    /// Left, right, upper and lower end of the plot, in pixels.
    pub(crate) fn plot(&self) -> [f64; 4] {
        [LEFT, self.width - self.right, TOP, self.height - BOTTOM]
    }

    /// A line through points in the domain.
    pub(crate) fn line(&mut self, points: impl IntoIterator<Item = [f64; 2]>, class: &str, title: &str) {
        let inside = |[x, y]: &[f64; 2]| self.x.scale.contains(*x) && self.y.scale.contains(*y);
        let placed: Vec<String> = points
            .into_iter()
            .filter(inside)
            .map(|point| self.place(point))
            .map(|[x, y]| format!("{},{}", pixels(x), pixels(y)))
            .collect();
        if placed.len() < 2 {
            return;
        }
        let line = Element::new("polyline").class(class).attr("points", placed.join(" "));
        self.marks.push(line.child(Element::new("title").text(title)));
    }

    /// The area between two lines over the same `x`.
    pub(crate) fn band(
        &mut self,
        low: impl DoubleEndedIterator<Item = [f64; 2]>,
        high: impl Iterator<Item = [f64; 2]>,
        class: &str,
    ) {
        let corner = |at| {
            let [x, y] = self.place(at);
            format!("{},{}", pixels(x), pixels(y))
        };
        let corners: Vec<String> = high.chain(low.rev()).map(corner).collect();
        let class = format!("band {class}");
        self.marks.push(Element::new("polygon").class(&class).attr("points", corners.join(" ")));
    }

    /// A text beside a place, moved by `shift` pixels.
    pub(crate) fn label(&mut self, at: [f64; 2], shift: [f64; 2], anchor: &str, class: &str, text: &str) {
        let [x, y] = self.place(at);
        let label = Element::of("text", class, text)
            .place([("x", x + shift[0]), ("y", y + shift[1])])
            .attr("text-anchor", anchor);
        self.marks.push(label);
    }

    /// A line of equal value with its name where it stands lowest in the plot.
    pub(crate) fn contour(&mut self, points: &[[f64; 2]], name: &str) {
        let inside = |[x, y]: &&[f64; 2]| self.x.scale.contains(*x) && self.y.scale.contains(*y);
        let foot = points.iter().filter(inside).min_by(|a, b| a[1].total_cmp(&b[1])).copied();
        if let Some(foot) = foot {
            self.line(points.iter().copied(), "contour", name);
            let room = self.width - self.right - self.place(foot)[0];
            let (shift, anchor) = if room > 40.0 { (3.0, "start") } else { (-3.0, "end") };
            self.label(foot, [shift, -4.0], anchor, "contour-name", name);
        }
    }

    /// A horizontal line across the plot.
    pub(crate) fn level(&mut self, y: f64, class: &str, title: &str) {
        let [low, high] = self.x.scale.domain();
        self.line([[low, y], [high, y]], class, title);
    }

    /// A vertical line across the plot, if `x` lies in it.
    pub(crate) fn upright(&mut self, x: f64, class: &str, title: &str) {
        let [low, high] = self.y.scale.domain();
        self.line([[x, low], [x, high]], class, title);
    }

    /// Names of lines beside their right ends, moved apart where they would overlap.
    pub(crate) fn end_labels(&mut self, mut ends: Vec<(f64, &str, &str)>) {
        ends.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut free = f64::NEG_INFINITY;
        for (value, class, text) in ends {
            let y = (self.y.scale.place(value, self.height - BOTTOM, TOP) + 4.0).max(free);
            free = y + 14.0;
            let place = [("x", self.width - self.right + 8.0), ("y", y)];
            self.marks.push(Element::of("text", &format!("end {class}"), text).place(place));
        }
    }

    /// The finished drawing; `description` says in words what it shows.
    pub(crate) fn draw(self, description: &str) -> Element {
        let view = format!("0 0 {} {}", pixels(self.width), pixels(self.height));
        let svg = Element::new("svg")
            .class("chart")
            .attr("viewBox", view)
            .attr("role", "img")
            .attr("aria-label", description);
        let axes = [self.y_axis(), self.x_axis()];
        svg.children(axes).children(self.marks)
    }

    fn x_axis(&self) -> Element {
        let base = self.height - BOTTOM;
        let (ticks, decimals) = self.x.scale.ticks(5);
        let mut axis = Element::new("g").class("axis").child(Element::new("line").class("base").place([
            ("x1", LEFT),
            ("x2", self.width - self.right),
            ("y1", base),
            ("y2", base),
        ]));
        for tick in ticks {
            let x = self.x.scale.place(tick, LEFT, self.width - self.right);
            let stroke = [("x1", x), ("x2", x), ("y1", base), ("y2", base + 4.0)];
            axis = axis.child(Element::new("line").place(stroke)).child(
                Element::new("text")
                    .place([("x", x), ("y", base + 17.0)])
                    .attr("text-anchor", "middle")
                    .text((self.x.format)(tick, decimals)),
            );
        }
        axis.child(
            Element::of("text", "label", &self.x.label)
                .place([("x", self.width - self.right), ("y", self.height - 4.0)])
                .attr("text-anchor", "end"),
        )
    }

    fn y_axis(&self) -> Element {
        let (ticks, decimals) = self.y.scale.ticks(5);
        let mut axis = Element::new("g").class("axis");
        for tick in ticks {
            let y = self.y.scale.place(tick, self.height - BOTTOM, TOP);
            let grid = [("x1", LEFT), ("x2", self.width - self.right), ("y1", y), ("y2", y)];
            axis = axis.child(Element::new("line").class("grid").place(grid)).child(
                Element::new("text")
                    .place([("x", LEFT - 6.0), ("y", y + 4.0)])
                    .attr("text-anchor", "end")
                    .text((self.y.format)(tick, decimals)),
            );
        }
        axis.child(Element::of("text", "label", &self.y.label).place([("x", 2.0), ("y", 13.0)]))
    }
}

/// A shape of about the same area for every form, around a centre.
pub(crate) fn shape(shape: Shape, x: f64, y: f64, radius: f64) -> Element {
    let path = |corners: &[[f64; 2]]| {
        let corners: Vec<String> = corners
            .iter()
            .map(|[dx, dy]| format!("{},{}", pixels(x + radius * dx), pixels(y + radius * dy)))
            .collect();
        Element::new("polygon").attr("points", corners.join(" "))
    };
    match shape {
        Shape::Circle => Element::new("circle").place([("cx", x), ("cy", y), ("r", radius)]),
        Shape::Square => path(&[[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]),
        Shape::Triangle => path(&[[0.0, -1.25], [1.15, 0.85], [-1.15, 0.85]]),
        Shape::Diamond => path(&[[0.0, -1.35], [1.35, 0.0], [0.0, 1.35], [-1.35, 0.0]]),
        Shape::Cross => path(&[
            [-1.1, -0.7],
            [-0.7, -1.1],
            [0.0, -0.4],
            [0.7, -1.1],
            [1.1, -0.7],
            [0.4, 0.0],
            [1.1, 0.7],
            [0.7, 1.1],
            [0.0, 0.4],
            [-0.7, 1.1],
            [-1.1, 0.7],
            [-0.4, 0.0],
        ]),
    }
}
