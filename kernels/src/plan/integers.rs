//! A convolution of bytes, made ready.

use super::choice::cheapest_direct;
use super::layout::Buffer;
use super::network::{Convolution, Groups};
use super::pack;
use super::quantized::Quantized;
use super::window::Window;
use crate::depthwise::Depthwise;
use crate::integer::{Direct, GROUP, Output, Routines, Stored};
use crate::memory::Lines;
use crate::pointwise::{Destination, Values};

/// A convolution with its kernel and weights.
pub(super) struct Integers {
    routines: &'static Routines,
    kernel: Kernel,
    pub window: Window,
    /// Vectors of its output's pixels, each of so many numbers.
    lanes: usize,
    scale: Lines,
    bias: Lines,
    quantized: Quantized,
}

/// Its place in the table of routines, and its packed weights.
enum Kernel {
    Direct { panel: usize, weights: Lines, first: Vec<i32> },
    Depthwise { kernel: usize, weights: Lines, first: Lines },
}

impl Integers {
    /// `buffers` are those of its source and target.
    pub(super) fn new(
        routines: &'static Routines,
        lanes: usize,
        of: &Convolution<'_>,
        mut quantized: Quantized,
        [from, to]: [&Buffer; 2],
    ) -> Self {
        let channels = to.pixel;
        let weights = std::mem::take(&mut quantized.weights);
        let kernel = match of.groups {
            Groups::One => {
                let panels = routines.panels.iter().map(|panel| panel.sums);
                let (panel, _) = cheapest_direct(panels, channels / lanes, to.shape.columns);
                let width = lanes * routines.panels[panel].sums.vectors;
                let weights = pack::bytes(width, &weights, from.shape.channels, of);
                let mut first = std::mem::take(&mut quantized.first);
                first.resize(channels, 0);
                Kernel::Direct { panel, weights, first }
            }
            Groups::Each => {
                let numbers: Vec<f32> = weights.into_iter().map(f32::from).collect();
                let first: Vec<f32> = quantized.first.iter().map(|sum| *sum as f32).collect();
                let kernel = routines.depthwise(of.kernel, of.stride).expect("decided with the storage");
                let weights = pack::direct(lanes, &numbers, of.output_channels, of.kernel * of.kernel);
                Kernel::Depthwise { kernel, weights, first: pack::filled(&first, channels) }
            }
        };
        let scale = pack::filled(&quantized.scale, channels);
        let bias = pack::filled(&quantized.bias, channels);
        Self { routines, kernel, window: Window::new(of), lanes, scale, bias, quantized }
    }

    /// What kind of kernel computes it.
    pub(super) fn kind(&self) -> &'static str {
        match self.kernel {
            Kernel::Direct { .. } => "direct int8",
            Kernel::Depthwise { .. } => "depthwise int8",
        }
    }

    /// # Safety
    /// As for `winograd::run`.
    pub(super) unsafe fn run(
        &self,
        from: &Buffer,
        to: &Buffer,
        memory: *mut f32,
        target: Destination,
        sum_with: Option<Values>,
    ) {
        let output = self.output(target, sum_with);
        let Window { kernel: taps, stride, padding: [above, left] } = self.window;
        let source = from.bytes(memory, above, left);
        let (rows, columns) = (to.shape.rows, to.shape.columns);
        match &self.kernel {
            Kernel::Direct { panel, weights, first } => {
                let panel = &self.routines.panels[*panel];
                let groups = from.shape.channels.div_ceil(GROUP);
                let together = from.pixel == groups * GROUP;
                let task = Direct {
                    source,
                    stride,
                    lines: if together { 1 } else { taps },
                    runs: taps,
                    run_groups: if together { taps * groups } else { groups },
                    run_distance: if together { from.row() } else { from.pixel },
                    rows,
                    columns,
                    blocks: to.pixel / (self.lanes * panel.sums.vectors),
                    weights: weights.as_ptr().cast(),
                    first: first.as_ptr(),
                    output,
                };
                // SAFETY: the caller's promise.
                unsafe { (panel.direct)(&task) }
            }
            Kernel::Depthwise { kernel, weights, first } => {
                let task = Depthwise {
                    source,
                    rows,
                    columns,
                    channels: to.pixel,
                    weights: weights.as_ptr(),
                    bias: first.as_ptr(),
                    target: output,
                };
                // SAFETY: the caller's promise.
                unsafe { (self.routines.depthwise[*kernel].run)(&task) }
            }
        }
    }

    fn output(&self, target: Destination, sum_with: Option<Values>) -> Output {
        let of = &self.quantized;
        let added = sum_with.map(|values| match values {
            Values::Bytes(other) => Stored { step: of.added, ..other },
            Values::Numbers(_) => unreachable!("what is added to bytes is stored in bytes"),
        });
        Output {
            scale: self.scale.as_ptr(),
            bias: self.bias.as_ptr(),
            rounded: of.rounded,
            added,
            hard_swish: of.hard_swish,
            bounds: of.bounds,
            step: of.step,
            target,
        }
    }
}
