//! A convolution of numbers, made ready.

use super::choice::{Choice, choose, summed_channels};
use super::layout::{Border, Buffer};
use super::network::Convolution;
use super::pack;
use super::window::Window;
use crate::depthwise::Depthwise;
use crate::direct::Direct;
use crate::finish::Target;
use crate::memory::Lines;
use crate::routines::{Routines, Transforms};
use crate::winograd::{self, Winograd};

/// A convolution with its kernel and weights.
pub(super) struct Prepared {
    choice: Choice,
    window: Window,
    /// Channels that are summed over by the minimal filtering algorithm.
    inputs: usize,
    weights: Lines,
    bias: Lines,
    /// Room that it needs while it runs, in numbers.
    pub scratch: usize,
}

impl Prepared {
    pub(super) fn new(
        routines: &Routines,
        of: &Convolution<'_>,
        from: &Buffer,
        to: &Buffer,
        is_first: bool,
    ) -> Self {
        let choice = choose(routines, of, from.shape, to.shape, is_first);
        let area = of.kernel * of.kernel;
        let inputs = summed_channels(of, from.shape.channels, routines.lanes);
        let (weights, scratch) = match choice {
            Choice::Winograd { transforms, panel } => {
                let (transforms, panel) = (&routines.transforms[transforms], &routines.panels[panel]);
                let apart = (of.stride > 1).then(|| pack::apart(of, inputs, transforms.kernel));
                let weights = apart.as_deref().unwrap_or(of.weights);
                let weights = pack::at_points(routines, transforms, panel, weights, of.output_channels);
                let filled = inputs.next_multiple_of(routines.lanes);
                let scratch = winograd::scratch(routines, transforms.points, [filled, to.pixel]);
                (weights, scratch)
            }
            Choice::Direct { panel } => {
                let width = routines.lanes * routines.panels[panel].sums.vectors;
                (pack::direct(width, of.weights, of.output_channels, area), 0)
            }
            // One input channel each: what is left is a block of channels by taps.
            Choice::Depthwise { .. } => {
                (pack::direct(routines.lanes, of.weights, of.output_channels, area), 0)
            }
        };
        let bias = pack::filled(of.bias, to.pixel);
        Self { choice, window: Window::new(of), inputs, weights, bias, scratch }
    }

    /// How far beyond its image it reads.
    pub(super) fn reach(&self, routines: &Routines, from: &Buffer, to: &Buffer) -> Border {
        match self.choice {
            Choice::Winograd { transforms, .. } => {
                let Transforms { kernel, outputs, .. } = routines.transforms[transforms];
                Window { kernel: kernel * self.window.stride, ..self.window }.reach(from, to, outputs)
            }
            Choice::Direct { .. } | Choice::Depthwise { .. } => self.window.reach(from, to, 1),
        }
    }

    /// Where its packed weights begin.
    pub(super) fn weights(&self) -> *const f32 {
        self.weights.as_ptr()
    }

    /// What kind of kernel computes it.
    pub(super) fn kind(&self, routines: &Routines) -> &'static str {
        match self.choice {
            Choice::Winograd { transforms, .. } if routines.transforms[transforms].outputs == 2 => {
                "winograd 2x2"
            }
            Choice::Winograd { .. } => "winograd 4x4",
            Choice::Direct { .. } => "direct",
            Choice::Depthwise { .. } => "depthwise",
        }
    }

    /// `next` are the weights that will be read after its own.
    ///
    /// # Safety
    /// As for [`winograd::run`].
    pub(super) unsafe fn run(
        &self,
        routines: &Routines,
        [from, to]: [&Buffer; 2],
        memory: *mut f32,
        target: Target,
        scratch: &mut Lines,
        next: *const f32,
    ) {
        let Window { kernel, stride, padding: [above, left] } = self.window;
        let source = from.source(memory, above, left);
        let (rows, columns) = (to.shape.rows, to.shape.columns);
        let (weights, bias) = (self.weights.as_ptr(), self.bias.as_ptr());
        match self.choice {
            Choice::Winograd { transforms, panel } => {
                let task = Winograd {
                    source,
                    stride,
                    input_channels: self.inputs,
                    output_channels: to.pixel,
                    rows,
                    columns,
                    transforms,
                    panel,
                    weights,
                    next,
                    bias,
                    target,
                    scratch: scratch.as_mut_ptr(),
                };
                // SAFETY: the caller's promise.
                unsafe { winograd::run(routines, &task) }
            }
            Choice::Direct { panel } => {
                let panel = &routines.panels[panel];
                let together = from.pixel == from.shape.channels;
                let task = Direct {
                    source,
                    stride: [stride; 2],
                    lines: if together { 1 } else { kernel },
                    runs: kernel,
                    run_length: if together { kernel } else { 1 } * from.shape.channels,
                    run_distance: if together { from.row() } else { from.pixel },
                    rows,
                    columns,
                    blocks: to.pixel / (routines.lanes * panel.sums.vectors),
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
