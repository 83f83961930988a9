//! Which kernel computes a convolution: a fixed rule, so that the same network runs the same way every time.
//!
//! The rule counts vector instructions. It is as good as trying them all out (0.152 against 0.153 ms for the paper's
//! smallest network) and takes no time.

use super::network::{Convolution, Groups, Shape};
use crate::routines::{Routines, Sums};

/// A kernel, by its place in the tables of [`Routines`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    Winograd { transforms: usize, panel: usize },
    Direct { panel: usize },
    Depthwise { kernel: usize },
}

/// What a sum takes, in units of half a cycle of a processor that can multiply twice and load twice a cycle, and where a
/// multiplication takes four.
fn cost(Sums { rows, vectors }: Sums) -> f64 {
    (rows * vectors).max(rows + vectors).max(8) as f64 / (rows * vectors) as f64
}

/// The cheapest of some panels that divides so many vectors, if `waste` says how much of its work is in vain for so many rows.
pub(crate) fn cheapest(
    panels: impl Iterator<Item = Sums>,
    vectors: usize,
    waste: impl Fn(usize) -> f64,
) -> (usize, f64) {
    let costs = panels.enumerate().filter(|(_, sums)| vectors.is_multiple_of(sums.vectors));
    let costs = costs.map(|(place, sums)| (place, cost(sums) * waste(sums.rows)));
    // Of equals the first.
    costs
        .reduce(|best, next| if next.1 < best.1 { next } else { best })
        .expect("a panel of one vector divides all")
}

/// The cheapest of some panels for a direct convolution with rows of so many outputs, which has no other use for rows that are longer than
/// that.
pub(super) fn cheapest_direct(
    panels: impl Iterator<Item = Sums>,
    vectors: usize,
    columns: usize,
) -> (usize, f64) {
    let single = cost(Sums { rows: 1, vectors: 1 });
    cheapest(panels, vectors, |rows| match columns {
        columns if columns >= rows => columns.next_multiple_of(rows) as f64 / columns as f64,
        _ => single,
    })
}

/// The kernel for a convolution of an image into an output. The first layer reads an image whose pixels are not filled up to
/// vectors.
pub(super) fn choose(
    routines: &Routines,
    of: &Convolution<'_>,
    source: Shape,
    output: Shape,
    is_first: bool,
) -> Choice {
    if of.groups == Groups::Each {
        let kernel = routines.depthwise(of.kernel, of.stride).expect("checked with the network");
        return Choice::Depthwise { kernel };
    }
    let lanes = routines.lanes;
    let vectors = output.channels.div_ceil(lanes);
    let panels = || routines.panels.iter().map(|panel| panel.sums);
    let (panel, direct) = cheapest_direct(panels(), vectors, output.columns);
    let outputs = (output.rows * output.columns) as f64;
    let area = (of.kernel * of.kernel) as f64;
    let products = (source.channels * vectors) as f64;
    let direct = area * products * (direct * outputs + routines.fetch);
    let mut best = (Choice::Direct { panel }, direct);
    let taps = taps(of);
    let fitting = routines.transforms.iter().enumerate();
    for (place, transforms) in fitting.filter(|(_, of)| Some(of.kernel) == taps && !is_first) {
        let (points, outputs) = (transforms.points, transforms.outputs);
        let tiles = output.rows.div_ceil(outputs) * output.columns.div_ceil(outputs);
        let (panel, winograd) =
            cheapest(panels(), vectors, |rows| tiles.next_multiple_of(rows) as f64 / tiles as f64);
        let area = (points * points) as f64;
        let inputs = summed_channels(of, source.channels, lanes);
        let products = (inputs * vectors) as f64;
        // A transform takes about as many instructions a value as there are points in a line.
        let moved = points as f64 * (inputs.div_ceil(lanes) + vectors) as f64;
        let fetched = products * routines.fetch;
        let cost = area * (tiles as f64 * (winograd * products + moved) + fetched);
        if cost < best.1 {
            best = (Choice::Winograd { transforms: place, panel }, cost);
        }
    }
    best.0
}

/// Rows of the kernels that the minimal filtering algorithm works with, for steps of 1 and 2: there are transforms for odd numbers.
fn taps(of: &Convolution<'_>) -> Option<usize> {
    match of.stride {
        1 => Some(of.kernel),
        2 => Some(of.kernel.div_ceil(2) | 1),
        _ => None,
    }
}

/// Channels that it sums over: in steps of 2 those of four images, each in whole vectors.
pub(super) fn summed_channels(of: &Convolution<'_>, channels: usize, lanes: usize) -> usize {
    if of.stride == 1 { channels } else { 4 * channels.next_multiple_of(lanes) }
}
