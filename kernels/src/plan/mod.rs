//! A network, made ready for a processor: buffers, kernels and packed weights.

mod check;
pub(crate) mod choice;
mod convolution;
mod integers;
mod layout;
mod magnitude;
pub(crate) mod network;
pub(crate) mod pack;
mod quantized;
mod step;
mod window;

use std::fmt;
use std::sync::Arc;

use self::layout::Buffer;
use self::magnitude::{Bounds, MOST};
use self::network::{Grid, Image, Network, Operation, Shape};
use self::quantized::Storage;
use self::step::{Run, Step};
use crate::InstructionSet;
use crate::integer::{self, GROUP};
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
    /// The grid of each value that is stored in bytes.
    grids: Vec<Option<Grid>>,
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
        let integer = integer::of(set);
        let Storage { grids, layers } = quantized::decide(network, &shapes, integer);
        let byte_zero = integer.map_or(0, |integer| integer.byte_zero);
        let mut buffers = buffers(network, &shapes, &grids, routines.lanes, byte_zero);
        let mut bounds = Bounds::of_image(&network.image)?;
        let mut steps = vec![];
        for ((number, layer), quantized) in network.layers.iter().enumerate().zip(layers) {
            let is_looked_at = bounds
                .next(layer)
                .map_err(|Unsupported(reason)| Unsupported(format!("layer {number}: {reason}")))?;
            let (source, target) = (&buffers[layer.source], &buffers[number + 1]);
            let tools = (routines, integer);
            let step = Step::new(tools, layer, number + 1, quantized, [source, target], is_looked_at);
            let border = step.reach(routines, source, target);
            buffers[layer.source].reach(border);
            steps.push(step);
        }
        let memory = layout::place(&mut buffers, &last_readers(network));
        let scratch = steps.iter().map(|step| step.scratch()).max().unwrap_or(0);
        match memory {
            Some(memory) if memory.max(scratch) <= MOST_MEMORY => {
                let image = network.image.clone();
                Ok(Self { set, routines, image, buffers, grids, steps, memory, scratch })
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
    /// `12 winograd 4x4, 3 direct`, with the size of tiles, and how many of bytes; kinds that are not there are left out.
    pub fn kernels(&self) -> String {
        let all = ["winograd 4x4", "winograd 2x2", "direct", "depthwise", "direct int8", "depthwise int8"];
        let kinds = all.map(|kind| {
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

/// Memory for each value, not yet placed.
fn buffers(
    network: &Network<'_>,
    shapes: &[Shape],
    grids: &[Option<Grid>],
    lanes: usize,
    byte_zero: u8,
) -> Vec<Buffer> {
    let zeros = grids.iter().map(|grid| grid.map(|grid| i32::from(grid.zero_point) - i32::from(byte_zero)));
    let values = shapes.iter().zip(zeros).enumerate();
    let buffers = values.map(|(value, (shape, zero))| {
        let pixel = match (value, zero) {
            (0, Some(_)) => shape.channels.next_multiple_of(GROUP),
            (0, None) if image_is_read_by_direct_kernels_only(network) => shape.channels,
            _ => shape.channels.next_multiple_of(lanes),
        };
        Buffer::new(*shape, pixel, zero)
    });
    buffers.collect()
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
        let gate = match layer.operation {
            Operation::Scale(gate) => Some(gate),
            _ => None,
        };
        for other in layer.sum_with.into_iter().chain(gate) {
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
        let (mut values, scratch) = (Lines::zeros(plan.memory), Lines::zeros(plan.scratch));
        plan.buffers.iter().for_each(|buffer| buffer.clear(&mut values));
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
        for (number, step) in plan.steps.iter().enumerate() {
            step.run(Run {
                next: plan.steps.get(number + 1),
                routines: plan.routines,
                buffers: &plan.buffers,
                grids: &plan.grids,
                values: &mut self.values,
                scratch: &mut self.scratch,
            });
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
        match buffer.zero {
            // Signed bytes are 128 less.
            Some(zero) => {
                let less = self.plan.grids[0].map_or(0, |grid| grid.zero_point).wrapping_sub(zero as u8);
                let store = |_, byte: u8| byte.wrapping_sub(less);
                interleave(image, of.shape, buffer, self.values.as_mut_bytes(), store);
            }
            None => {
                let store = |channel: usize, byte| f32::from(byte) * of.scale[channel] + of.shift[channel];
                interleave(image, of.shape, buffer, self.values.as_mut_slice(), store);
            }
        }
    }

    fn write(&self, output: &mut [f32]) {
        let buffer = self.plan.last();
        assert_eq!(output.len(), buffer.shape.values(), "the output has the plan's size");
        match (buffer.zero, self.plan.grids.last()) {
            (Some(zero), Some(Some(grid))) => {
                let less = grid.zero_point.wrapping_sub(zero as u8);
                let (zero_point, step) = (f32::from(grid.zero_point), grid.step);
                let number = |byte: u8| (f32::from(byte.wrapping_add(less)) - zero_point) * step;
                separate(self.values.as_bytes(), buffer, output, number);
            }
            _ => separate(self.values.as_slice(), buffer, output, |value| value),
        }
    }

    /// Whether all values are numbers and no larger than the next layers are sure with.
    fn is_safe(&self, buffer: &Buffer) -> bool {
        // Bytes are integers of a sound step.
        if buffer.zero.is_some() {
            return true;
        }
        let values = self.values.as_slice();
        (0..buffer.shape.rows).all(|row| {
            let row = &values[buffer.origin() + row * buffer.row()..][..buffer.shape.columns * buffer.pixel];
            row.iter().fold(true, |safe, value| safe & (value.abs() <= MOST))
        })
    }
}

/// Writes an image, channel × row × column, as row × column × channel.
fn interleave<T>(
    image: &[u8],
    shape: Shape,
    buffer: &Buffer,
    values: &mut [T],
    store: impl Fn(usize, u8) -> T,
) {
    for (channel, plane) in image.chunks_exact(shape.rows * shape.columns).enumerate() {
        for (row, bytes) in plane.chunks_exact(shape.columns).enumerate() {
            let pixels = values[buffer.origin() + row * buffer.row()..].chunks_exact_mut(buffer.pixel);
            for (pixel, byte) in pixels.zip(bytes) {
                pixel[channel] = store(channel, *byte);
            }
        }
    }
}

/// The other way round.
fn separate<T: Copy>(values: &[T], buffer: &Buffer, output: &mut [f32], number: impl Fn(T) -> f32) {
    let Shape { rows, columns, .. } = buffer.shape;
    for (channel, plane) in output.chunks_exact_mut(rows * columns).enumerate() {
        for (row, to) in plane.chunks_exact_mut(columns).enumerate() {
            let pixels = values[buffer.origin() + row * buffer.row()..].chunks_exact(buffer.pixel);
            for (value, pixel) in to.iter_mut().zip(pixels) {
                *value = number(pixel[channel]);
            }
        }
    }
}
