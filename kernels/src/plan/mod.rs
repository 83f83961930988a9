//! A network, made ready for a processor: buffers, kernels and packed weights.

mod check;
pub(crate) mod choice;
mod layout;
mod magnitude;
pub(crate) mod network;
pub(crate) mod pack;
mod step;

use std::fmt;
use std::sync::Arc;

use self::layout::Buffer;
use self::magnitude::{Bounds, MOST};
use self::network::{Image, Network, Operation, Shape};
use self::step::Step;
use crate::InstructionSet;
use crate::memory::Lines;
use crate::routines::{self, Routines};

/// Numbers of the largest piece of memory for all values: 1 GiB.
const MOST_MEMORY: usize = 1 << 28;

/// Why a network cannot be planned: a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported(String);

impl fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}

fn refused<T>(reason: &str) -> Result<T, Unsupported> {
    Err(Unsupported(reason.to_owned()))
}

/// A run's values became larger than can be computed with, or were not numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a layer's values are not numbers or are beyond {MOST:e}")
    }
}

impl std::error::Error for Overflow {}

/// A network, made ready for an instruction set. It holds its own copy of the weights, in the order in which kernels read them.
pub struct Plan {
    set: InstructionSet,
    routines: &'static Routines,
    image: Image,
    /// A place for each value.
    buffers: Vec<Buffer>,
    steps: Vec<Step>,
    /// Numbers of memory for all values, and beside them for the largest step.
    memory: usize,
    scratch: usize,
}

impl Plan {
    /// Plans a network.
    ///
    /// # Errors
    /// [`Unsupported`] if the processor has not the instructions, sizes do not fit or are huge, there is no kernel for a layer, or
    /// weights are so large that sums could overflow, or not numbers.
    pub fn new(network: &Network<'_>, set: InstructionSet) -> Result<Self, Unsupported> {
        let routines = routines::of(set).filter(|_| set.is_available());
        let Some(routines) = routines else { return refused(&format!("this processor has no {set}")) };
        let shapes = check::shapes(network, routines)?;
        let mut bounds = Bounds::of_image(&network.image)?;
        let mut buffers: Vec<Buffer> = shapes
            .iter()
            .enumerate()
            .map(|(value, shape)| {
                let as_it_is = value == 0 && image_is_read_by_direct_kernels_only(network);
                let pixel =
                    if as_it_is { shape.channels } else { shape.channels.next_multiple_of(routines.lanes) };
                Buffer::new(*shape, pixel)
            })
            .collect();
        let mut steps = vec![];
        for (number, layer) in network.layers.iter().enumerate() {
            let is_looked_at = bounds
                .next(layer)
                .map_err(|Unsupported(reason)| Unsupported(format!("layer {number}: {reason}")))?;
            let (source, target) = (&buffers[layer.source], &buffers[number + 1]);
            let step = Step::new(routines, layer, number + 1, source, target, is_looked_at);
            let border = step.reach(routines, source, target);
            buffers[layer.source].reach(border);
            steps.push(step);
        }
        let memory = layout::place(&mut buffers, &last_readers(network));
        let scratch = steps.iter().map(|step| step.scratch()).max().unwrap_or(0);
        match memory {
            Some(memory) if memory.max(scratch) <= MOST_MEMORY => {
                Ok(Self { set, routines, image: network.image.clone(), buffers, steps, memory, scratch })
            }
            _ => refused("its values need too much memory"),
        }
    }

    /// The size of what comes out.
    pub fn output(&self) -> Shape {
        self.last().shape
    }

    /// The instructions that it is made for.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    /// How many layers are computed by the minimal filtering algorithm, by direct and by depthwise kernels, as
    /// `12 winograd 4x4, 3 direct`, with the size of tiles; kinds that are not there are left out.
    pub fn kernels(&self) -> String {
        let kinds = ["winograd 4x4", "winograd 2x2", "direct", "depthwise"].map(|kind| {
            let count = self.kernel_of_each().filter(|of| *of == Some(kind)).count();
            (count > 0).then(|| format!("{count} {kind}"))
        });
        kinds.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The kind of kernel that computes each layer, in their order; `None` where there is nothing to choose. Two
    /// instruction sets answer alike in every digit if they agree in this, which their counts cannot tell.
    pub fn kernel_of_each(&self) -> impl Iterator<Item = Option<&'static str>> {
        self.steps.iter().map(|step| step.kind(self.routines))
    }

    fn last(&self) -> &Buffer {
        self.buffers.last().expect("a value for the image and each layer")
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Plan({}: {})", self.set, self.kernels())
    }
}

/// Whether the image's pixels may lie without gaps: only direct kernels read numbers one by one.
fn image_is_read_by_direct_kernels_only(network: &Network<'_>) -> bool {
    network.layers.iter().all(|layer| {
        let is_direct =
            matches!(&layer.operation, Operation::Convolution(of) if of.groups == network::Groups::One);
        (layer.source != 0 || is_direct) && layer.sum_with != Some(0)
    })
}

/// The last layer that reads each value.
fn last_readers(network: &Network<'_>) -> Vec<Option<usize>> {
    let mut readers = vec![None; network.layers.len() + 1];
    for (number, layer) in network.layers.iter().enumerate() {
        readers[layer.source] = Some(number);
        if let Some(other) = layer.sum_with {
            readers[other] = Some(number);
        }
    }
    readers
}

/// A plan and the memory to run it in.
#[derive(Debug)]
pub struct Workspace {
    plan: Arc<Plan>,
    values: Lines,
    scratch: Lines,
}

impl Workspace {
    /// Memory for a plan.
    pub fn new(plan: Arc<Plan>) -> Self {
        let (values, scratch) = (Lines::zeros(plan.memory), Lines::zeros(plan.scratch));
        Self { plan, values, scratch }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Runs the plan on an image, channel × row × column, and writes the last layer's values in the same order.
    ///
    /// # Errors
    /// [`Overflow`] if values are too large to be sure of; what is written is then of no use.
    ///
    /// # Panics
    /// If image or output have not the plan's sizes.
    pub fn run(&mut self, image: &[u8], output: &mut [f32]) -> Result<(), Overflow> {
        let plan = Arc::clone(&self.plan);
        self.read(image);
        for step in &plan.steps {
            step.run(plan.routines, &plan.buffers, &mut self.values, &mut self.scratch);
            if step.is_looked_at && !self.is_safe(&plan.buffers[step.target]) {
                return Err(Overflow);
            }
        }
        self.write(output);
        Ok(())
    }

    fn read(&mut self, image: &[u8]) {
        let (of, buffer) = (&self.plan.image, &self.plan.buffers[0]);
        assert_eq!(image.len(), of.shape.values(), "the image has the plan's size");
        let values = self.values.as_mut_slice();
        let planes = image.chunks_exact(of.shape.rows * of.shape.columns);
        for (channel, plane) in planes.enumerate() {
            let (scale, shift) = (of.scale[channel], of.shift[channel]);
            for (row, bytes) in plane.chunks_exact(of.shape.columns).enumerate() {
                let pixels = values[buffer.origin() + row * buffer.row()..].chunks_exact_mut(buffer.pixel);
                for (pixel, byte) in pixels.zip(bytes) {
                    pixel[channel] = f32::from(*byte) * scale + shift;
                }
            }
        }
    }

    fn write(&self, output: &mut [f32]) {
        let buffer = self.plan.last();
        let Shape { rows, columns, .. } = buffer.shape;
        assert_eq!(output.len(), buffer.shape.values(), "the output has the plan's size");
        let values = self.values.as_slice();
        for (channel, plane) in output.chunks_exact_mut(rows * columns).enumerate() {
            for (row, to) in plane.chunks_exact_mut(columns).enumerate() {
                let pixels = values[buffer.origin() + row * buffer.row()..].chunks_exact(buffer.pixel);
                for (value, pixel) in to.iter_mut().zip(pixels) {
                    *value = pixel[channel];
                }
            }
        }
    }

    /// Whether all values are numbers and no larger than the next layers are sure with.
    fn is_safe(&self, buffer: &Buffer) -> bool {
        let values = self.values.as_slice();
        (0..buffer.shape.rows).all(|row| {
            let row = &values[buffer.origin() + row * buffer.row()..][..buffer.shape.columns * buffer.pixel];
            row.iter().fold(true, |safe, value| safe & (value.abs() <= MOST))
        })
    }
}
