//! One layer, made ready: its kernel and its packed weights.

use super::choice::{Choice, choose};
use super::layout::{Border, Buffer};
use super::network::{Activation, Convolution, Layer, Operation};
use super::pack;
use crate::depthwise::Depthwise;
use crate::direct::Direct;
use crate::memory::{Lines, Source, Target};
use crate::pointwise::Pointwise;
use crate::routines::Routines;
use crate::winograd::{self, Winograd};

/// A layer's work.
pub(super) struct Step {
    source: usize,
    pub target: usize,
    sum_with: Option<usize>,
    activation: Activation,
    work: Work,
    /// Whether its values are to be looked at in each run; see `magnitude`.
    pub is_looked_at: bool,
}

enum Work {
    Convolution(Prepared),
    Mean,
    Copy,
}

/// A convolution with its kernel and weights.
struct Prepared {
    choice: Choice,
    kernel: usize,
    stride: usize,
    /// Above and to the left.
    padding: [usize; 2],
    weights: Lines,
    bias: Lines,
    /// Room that it needs while it runs, in numbers.
    scratch: usize,
}

impl Step {
    /// Chooses a kernel for a layer that has passed the check, and packs its weights.
    pub(super) fn new(
        routines: &Routines,
        layer: &Layer<'_>,
        target: usize,
        from: &Buffer,
        to: &Buffer,
        is_looked_at: bool,
    ) -> Self {
        let work = match &layer.operation {
            Operation::Convolution(of) => {
                let choice = choose(routines, of, from.shape, to.shape, layer.source == 0);
                Work::Convolution(Prepared::new(routines, of, choice, from, to))
            }
            Operation::Mean => Work::Mean,
            Operation::Copy => Work::Copy,
        };
        let Layer { source, sum_with, activation, .. } = *layer;
        Self { source, target, sum_with, activation, work, is_looked_at }
    }

    /// How far beyond its source it reads.
    pub(super) fn reach(&self, routines: &Routines, from: &Buffer, to: &Buffer) -> Border {
        let Work::Convolution(of) = &self.work else { return [0; 4] };
        let [above, left] = of.padding;
        let beyond = |outputs: usize, before: usize, values: usize| {
            let outputs = match of.choice {
                Choice::Winograd { transforms, .. } => {
                    outputs.next_multiple_of(routines.transforms[transforms].outputs)
                }
                _ => outputs,
            };
            ((outputs - 1) * of.stride + of.kernel).saturating_sub(before + values)
        };
        let below = beyond(to.shape.rows, above, from.shape.rows);
        [above, left, below, beyond(to.shape.columns, left, from.shape.columns)]
    }

    /// Room that it needs while it runs, in numbers.
    pub(super) fn scratch(&self) -> usize {
        match &self.work {
            Work::Convolution(of) => of.scratch,
            _ => 0,
        }
    }

    /// What kind of kernel computes it; `None` if there is nothing to choose.
    pub(super) fn kind(&self, routines: &Routines) -> Option<&'static str> {
        let Work::Convolution(of) = &self.work else { return None };
        Some(match of.choice {
            Choice::Winograd { transforms, .. } if routines.transforms[transforms].outputs == 2 => {
                "winograd 2x2"
            }
            Choice::Winograd { .. } => "winograd 4x4",
            Choice::Direct { .. } => "direct",
            Choice::Depthwise { .. } => "depthwise",
        })
    }

    /// Computes it.
    pub(super) fn run(
        &self,
        routines: &Routines,
        buffers: &[Buffer],
        values: &mut Lines,
        scratch: &mut Lines,
    ) {
        let memory = values.as_mut_ptr();
        let (from, to) = (&buffers[self.source], &buffers[self.target]);
        let nothing = Source { at: std::ptr::null(), row: 0, pixel: 0 };
        let sum_with = self.sum_with.map_or(nothing, |value| buffers[value].source(memory, 0, 0));
        // SAFETY: the first pixel of a buffer that lies in this memory.
        let at = unsafe { memory.add(to.origin()) };
        let target =
            Target { at, row: to.row(), pixel: to.pixel, sum_with, bounds: self.activation.bounds() };
        let pixels = Pointwise {
            source: from.source(memory, 0, 0),
            rows: from.shape.rows,
            columns: from.shape.columns,
            channels: to.pixel,
            target,
            grid: match self.activation {
                Activation::Grid { step, least, most } => [step, least, most],
                _ => [1.0; 3],
            },
        };
        // SAFETY: the plan has checked all sizes, made borders as wide as `reach` says, and is made only for instructions that the
        // processor has. A value's place is not used again before its last reader has run.
        unsafe {
            match &self.work {
                Work::Convolution(of) => of.run(routines, from, to, memory, target, scratch),
                Work::Mean => (routines.mean)(&pixels),
                Work::Copy => (routines.copy)(&pixels),
            }
            let function = match self.activation {
                Activation::HardSwish => routines.hard_swish,
                Activation::Grid { .. } => routines.grid,
                Activation::None | Activation::Relu | Activation::Relu6 => return,
            };
            let (source, target) = (to.source(memory, 0, 0), Target { sum_with: nothing, ..target });
            let (rows, columns) = (to.shape.rows, to.shape.columns);
            function(&Pointwise { source, rows, columns, target, ..pixels });
        }
    }
}

impl Prepared {
    fn new(routines: &Routines, of: &Convolution<'_>, choice: Choice, from: &Buffer, to: &Buffer) -> Self {
        let area = of.kernel * of.kernel;
        let (weights, scratch) = match choice {
            Choice::Winograd { transforms, panel } => {
                let transforms = &routines.transforms[transforms];
                let weights = pack::at_points(
                    routines,
                    transforms,
                    &routines.panels[panel],
                    of.weights,
                    of.output_channels,
                );
                let scratch = winograd::scratch(transforms.points, routines.tiles, from.pixel, to.pixel);
                (weights, scratch)
            }
            Choice::Direct { panel } => {
                let width = routines.lanes * routines.panels[panel].vectors;
                (pack::direct(width, of.weights, of.output_channels, area), 0)
            }
            // One input channel each: what is left is a block of channels by taps.
            Choice::Depthwise { .. } => {
                (pack::direct(routines.lanes, of.weights, of.output_channels, area), 0)
            }
        };
        let bias = pack::filled(of.bias, to.pixel);
        let padding = [of.padding[0], of.padding[1]];
        Self { choice, kernel: of.kernel, stride: of.stride, padding, weights, bias, scratch }
    }

    /// # Safety
    /// As for [`winograd::run`].
    unsafe fn run(
        &self,
        routines: &Routines,
        from: &Buffer,
        to: &Buffer,
        memory: *const f32,
        target: Target,
        scratch: &mut Lines,
    ) {
        let source = from.source(memory, self.padding[0], self.padding[1]);
        let (rows, columns) = (to.shape.rows, to.shape.columns);
        let (weights, bias) = (self.weights.as_ptr(), self.bias.as_ptr());
        match self.choice {
            Choice::Winograd { transforms, panel } => {
                assert!(self.scratch <= scratch.len(), "the plan has made room");
                let task = Winograd {
                    source,
                    input_channels: from.shape.channels,
                    output_channels: to.pixel,
                    rows,
                    columns,
                    transforms,
                    panel,
                    weights,
                    bias,
                    target,
                    scratch: scratch.as_mut_ptr(),
                    tiles: routines.tiles,
                };
                // SAFETY: the caller's promise.
                unsafe { winograd::run(routines, &task) }
            }
            Choice::Direct { panel } => {
                let panel = &routines.panels[panel];
                let together = from.pixel == from.shape.channels;
                let runs = if together { 1 } else { self.kernel };
                let task = Direct {
                    source,
                    stride: [self.stride; 2],
                    taps: self.kernel,
                    runs,
                    run_length: self.kernel / runs * from.shape.channels,
                    run_distance: from.pixel,
                    rows,
                    columns,
                    blocks: to.pixel / (routines.lanes * panel.vectors),
                    weights,
                    bias,
                    target,
                };
                // SAFETY: the caller's promise.
                unsafe { (panel.direct)(&task) }
            }
            Choice::Depthwise { kernel } => {
                let task = Depthwise { source, rows, columns, channels: to.pixel, weights, bias, target };
                // SAFETY: the caller's promise.
                unsafe { (routines.depthwise[kernel].run)(&task) }
            }
        }
    }
}
