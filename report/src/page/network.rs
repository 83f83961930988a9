//! A drawing of one network: every block with its kernel, cell by cell.

use mfactor::block::Block;
use mfactor::{Architecture, SearchSpace};

use super::element::Element;

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 104.0;
/// Space for the image's arrow on the left and the classes on the right.
const SIDE: f64 = 34.0;
/// Least width of a block that is named by its token.
const ROOM_FOR_TOKENS: f64 = 30.0;

/// The blocks of an architecture from image to classes; the squares are their kernels.
pub(crate) fn network(space: &SearchSpace, architecture: &Architecture) -> Element {
    let plan = space.plan_of(architecture).expect("a comparison holds architectures of its space alone");
    let blocks = architecture.blocks().count() as f64;
    let gaps = plan.stages.len() as f64;
    let slot = ((WIDTH - 2.0 * SIDE - 8.0 * gaps) / blocks).min(36.0);
    let cell = slot / 9.0;
    let mut drawing = Element::new("svg")
        .class("network")
        .attr("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
        .attr("role", "img")
        .attr(
            "aria-label",
            format!("The network {architecture}: the blocks of its stages and their kernels."),
        );
    let middle = 56.0;
    let through = [("x1", 8.0), ("x2", WIDTH - 8.0), ("y1", middle), ("y2", middle)];
    drawing = drawing.child(Element::new("line").class("wire").place(through));
    let mut x = (WIDTH - slot * blocks - 8.0 * (gaps - 1.0)) / 2.0;
    for (number, stage) in (1..).zip(&plan.stages) {
        let span = slot * stage.blocks.len() as f64;
        let frame = [("x", x), ("y", 24.0), ("width", span), ("height", 64.0), ("rx", 6.0)];
        drawing = drawing.child(Element::new("rect").class("stage").place(frame)).child(
            Element::of("text", "tick", format!("stage {number}, {} ch.", stage.width))
                .place([("x", x + span / 2.0), ("y", 16.0)])
                .attr("text-anchor", "middle"),
        );
        for (position, block) in (1..).zip(&stage.blocks) {
            drawing = drawing
                .child(kernel_grid(
                    block.kernel,
                    x + slot / 2.0,
                    middle - 4.0,
                    cell,
                    &format!("stage {number}, block {position}, {}", block.kind.name()),
                ))
                .child(
                    Element::of("text", "tick", label(space, block, slot))
                        .place([("x", x + slot / 2.0), ("y", 84.0)])
                        .attr("text-anchor", "middle"),
                );
            x += slot;
        }
        x += 8.0;
    }
    let ends = [(4.0, "start", "image"), (WIDTH - 4.0, "end", "classes")];
    drawing.children(ends.map(|(x, anchor, text)| {
        Element::of("text", "tick", text).place([("x", x), ("y", 102.0)]).attr("text-anchor", anchor)
    }))
}

/// The kernel of a block, or its token where blocks are of several kinds and there is room for it.
fn label(space: &SearchSpace, block: &Block, slot: f64) -> String {
    if space.names_kernels_alone() || slot < ROOM_FOR_TOKENS {
        return block.kernel.to_string();
    }
    block.to_string()
}

/// A kernel as a square of as many cells, around a centre.
fn kernel_grid(kernel: u8, x: f64, y: f64, cell: f64, name: &str) -> Element {
    let side = f64::from(kernel) * cell;
    let (left, top) = (x - side / 2.0, y - side / 2.0);
    let frame = [("x", left), ("y", top), ("width", side), ("height", side)];
    let mut grid = Element::new("g")
        .class("kernel")
        .child(Element::new("title").text(format!("{name}: {kernel}×{kernel}")))
        .child(Element::new("rect").place(frame));
    for line in 1..kernel {
        let offset = f64::from(line) * cell;
        let down = [("x1", left + offset), ("x2", left + offset), ("y1", top), ("y2", top + side)];
        let across = [("x1", left), ("x2", left + side), ("y1", top + offset), ("y2", top + offset)];
        grid = grid.children([down, across].map(|place| Element::new("line").place(place)));
    }
    grid
}
