//! One layer, made ready: its kernel, and what is done to what that has written.

use super::convolution::Prepared;
use super::integers::Integers;
use super::layout::{Border, Buffer};
use super::network::{Activation, Grid, Layer, Operation};
use super::quantized::Quantized;
use crate::finish::{Finish, Function, More, Rounded, Steps, Target};
use crate::integer::Stored;
use crate::memory::{Lines, Place, whole_lines};
use crate::pointwise::{Destination, Mean, Pointwise, Values};
use crate::routines::Routines;

/// A layer's work.
pub(super) struct Step {
    source: usize,
    pub target: usize,
    sum_with: Option<usize>,
    activation: Activation,
    rounded: Option<Grid>,
    stored: Option<Grid>,
    work: Work,
    /// Room that its kernel needs while it runs, and behind that for what a kernel of numbers writes if bytes are to be stored.
    scratch: [usize; 2],
    /// Whether its values are to be looked at in each run; see `magnitude`.
    pub is_looked_at: bool,
}

enum Work {
    Integers(Integers),
    Convolution(Prepared),
    Mean,
    /// A pass alone, with a gate or without.
    Pass(Option<usize>),
}

/// What steps run on.
pub(super) struct Run<'a> {
    pub routines: &'a Routines,
    pub buffers: &'a [Buffer],
    /// The grid of each value that is stored in bytes.
    pub grids: &'a [Option<Grid>],
    pub values: &'a mut Lines,
    pub scratch: &'a mut Lines,
    /// The step that comes after.
    pub next: Option<&'a Step>,
}

impl Step {
    /// Chooses a kernel for a layer that has passed the check, and packs its weights. `buffers` are those of the layer's source and target.
    pub(super) fn new(
        tools: (&Routines, Option<&'static crate::integer::Routines>),
        layer: &Layer<'_>,
        target: usize,
        quantized: Option<Quantized>,
        [from, to]: [&Buffer; 2],
        is_looked_at: bool,
    ) -> Self {
        let (routines, integer) = tools;
        let work = match (&layer.operation, quantized, integer) {
            (Operation::Convolution(of), Some(quantized), Some(integer)) => {
                Work::Integers(Integers::new(integer, routines.lanes, of, quantized, [from, to]))
            }
            (Operation::Convolution(of), ..) => {
                Work::Convolution(Prepared::new(routines, of, from, to, layer.source == 0))
            }
            (Operation::Mean, ..) => Work::Mean,
            (Operation::Copy, ..) => Work::Pass(None),
            (Operation::Scale(gate), ..) => Work::Pass(Some(*gate)),
        };
        let own = match &work {
            Work::Convolution(of) => of.scratch,
            _ => 0,
        };
        let is_beside = to.zero.is_some() && matches!(work, Work::Convolution(_) | Work::Mean);
        let beside = if is_beside { to.shape.rows * to.shape.columns * to.pixel } else { 0 };
        let Layer { source, sum_with, activation, rounded, stored, .. } = *layer;
        let scratch = [whole_lines(own), beside];
        Self { source, target, sum_with, activation, rounded, stored, work, scratch, is_looked_at }
    }

    /// How far beyond its source it reads.
    pub(super) fn reach(&self, routines: &Routines, from: &Buffer, to: &Buffer) -> Border {
        match &self.work {
            Work::Integers(of) => of.window.reach(from, to, 1),
            Work::Convolution(of) => of.reach(routines, from, to),
            Work::Mean | Work::Pass(_) => [0; 4],
        }
    }

    /// Room that it needs while it runs, in numbers.
    pub(super) fn scratch(&self) -> usize {
        self.scratch.iter().sum()
    }

    /// What kind of kernel computes it; `None` if there is nothing to choose.
    pub(super) fn kind(&self, routines: &Routines) -> Option<&'static str> {
        match &self.work {
            Work::Integers(of) => Some(of.kind()),
            Work::Convolution(of) => Some(of.kind(routines)),
            Work::Mean | Work::Pass(_) => None,
        }
    }

    /// The numbers that it reads first, beside the image.
    fn weights(&self) -> Option<*const f32> {
        match &self.work {
            Work::Convolution(of) => Some(of.weights()),
            Work::Integers(_) | Work::Mean | Work::Pass(_) => None,
        }
    }

    /// Computes it.
    pub(super) fn run(&self, run: Run<'_>) {
        let Run { routines, buffers, grids, values, scratch, next } = run;
        let memory = values.as_mut_ptr();
        let (from, to) = (&buffers[self.source], &buffers[self.target]);
        let read = |value: usize| read(memory, &buffers[value], grids[value]);
        let sum_with = self.sum_with.map(read);
        assert!(self.scratch() <= scratch.len(), "the plan has made room");
        if let Work::Integers(of) = &self.work {
            // SAFETY: as below.
            return unsafe { of.run(from, to, memory, destination(memory, to), sum_with) };
        }
        let beside = Place {
            // SAFETY: within the scratch, by the assertion.
            at: unsafe { scratch.as_mut_ptr().add(self.scratch[0]) },
            row: to.shape.columns * to.pixel,
            pixel: to.pixel,
        };
        let place = if to.zero.is_some() { beside } else { to.place(memory) };
        let at_once = self.at_once(place, sum_with, to);
        let target = at_once.unwrap_or(Target::of(place));
        // SAFETY: the plan has checked all sizes, made borders as wide as `reach` says, and is made only for instructions that the
        // processor has. A value's place is not used again before its last reader has run.
        unsafe {
            match &self.work {
                Work::Integers(_) | Work::Pass(_) => {}
                Work::Convolution(of) => {
                    let next = next.and_then(Self::weights).unwrap_or(of.weights());
                    of.run(routines, [from, to], memory, target, scratch, next);
                }
                Work::Mean => {
                    let (rows, columns, source) = (from.shape.rows, from.shape.columns, read(self.source));
                    (routines.mean)(&Mean { source, rows, columns, channels: to.pixel, target });
                }
            }
            let source = match &self.work {
                Work::Pass(_) => read(self.source),
                _ if at_once.is_some() => return,
                _ => Values::Numbers(place.source()),
            };
            let gate = match self.work {
                Work::Pass(Some(gate)) => buffers[gate].source(memory, 0, 0).at,
                _ => std::ptr::null(),
            };
            (routines.pointwise)(&Pointwise {
                source,
                rows: to.shape.rows,
                columns: to.shape.columns,
                channels: to.pixel,
                gate,
                sum_with,
                finish: self.finish(to),
                target: destination(memory, to),
            });
        }
    }

    /// How a kernel of numbers can do all there is to do as it writes: unless bytes are added or stored.
    fn at_once(&self, place: Place, sum_with: Option<Values>, to: &Buffer) -> Option<Target> {
        let nothing = Target::of(place).sum_with;
        let sum_with = match sum_with {
            Some(Values::Numbers(other)) => other,
            Some(Values::Bytes(_)) => return None,
            None => nothing,
        };
        to.zero.is_none().then(|| Target { place, sum_with, finish: self.finish(to) })
    }

    /// What is done to values before they are written.
    fn finish(&self, to: &Buffer) -> Finish {
        let function = match self.activation {
            Activation::None | Activation::Relu | Activation::Relu6 => Function::Identity,
            Activation::HardSwish => Function::HardSwish,
            Activation::HardSigmoid { slope, shift } => Function::HardSigmoid { slope, shift },
        };
        let steps = |grid: Grid, step: f32| Steps {
            inverse: grid.step.recip(),
            to: Rounded { bounds: grid.bounds(), step },
        };
        let rounded = self.rounded.map(|grid| steps(grid, grid.step));
        // Integers are what is stored in bytes.
        let stored = self.stored.map(|grid| steps(grid, if to.zero.is_some() { 1.0 } else { grid.step }));
        let more = More { rounded, function, stored };
        let nothing = More { rounded: None, function: Function::Identity, stored: None };
        Finish { bounds: self.activation.bounds(), more: (more != nothing).then_some(more) }
    }
}

/// A value to be read.
fn read(memory: *mut f32, buffer: &Buffer, grid: Option<Grid>) -> Values {
    match (grid, buffer.zero) {
        (Some(grid), Some(zero)) => {
            let (source, step) = (buffer.bytes(memory, 0, 0), grid.step);
            Values::Bytes(Stored { source, step, zero: zero as f32 })
        }
        _ => Values::Numbers(buffer.source(memory, 0, 0)),
    }
}

/// A value to be written.
fn destination(memory: *mut f32, buffer: &Buffer) -> Destination {
    match buffer.zero {
        Some(zero) => Destination::Bytes(buffer.byte_place(memory), zero),
        None => Destination::Numbers(buffer.place(memory)),
    }
}
