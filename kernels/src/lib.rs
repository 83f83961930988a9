//! Vector code for convolutions on small processors, for inference on one thread: the minimal filtering algorithm of Winograd,
//! direct and depthwise convolutions, with sums and activations on the way. It depends on nothing.
//!
//! A caller describes a [`Network`] as a list of layers, makes a [`Plan`] of it once, and runs that on images. Vectors and pointers,
//! and so nearly all that is `unsafe`, live in this crate alone: a plan checks every size when it is made, and what runs afterwards trusts it.
//!
//! | module | what |
//! |---|---|
//! | `vector` | one trait over the vector instructions: AVX2, AVX-512, NEON, and plain arrays |
//! | `points` | the domain of the minimal filtering algorithm, for any number of outputs and any kernel |
//! | `winograd`, `direct`, `depthwise`, `pointwise` | the kernels, generic over a vector |
//! | `integer` | direct and depthwise convolutions of bytes |
//! | `memory` | lines of the cache, and where images lie in them |
//! | `finish` | what becomes of sums on the way out: rounding, sums, activations |
//! | `instruction_set`, `setting` | what a processor has, the words for it, and what the environment asks for |
//! | `routines` | the kernels made for each instruction set: tables of functions without type parameters |
//! | [`training`] | batches: both gradients of convolutions, batch norms |
//! | `plan` | layers to buffers with borders, the choice of kernels, packed weights, and the run |
//!
//! Entry points have no type parameters: generic code would be compiled with the optimisation level of the crate that uses it, and
//! these kernels take four times as long when they are optimised for size.
#![expect(unsafe_code, reason = "the room for it: vector instructions and pointers into checked buffers")]
#![expect(
    clippy::needless_range_loop,
    reason = "iterators over vectors would be functions of their own, without the instructions"
)]

mod depthwise;
mod direct;
mod finish;
mod instruction_set;
mod integer;
mod memory;
mod plan;
mod points;
mod pointwise;
mod routines;
mod setting;
pub mod training;
mod vector;
mod winograd;

pub use instruction_set::{InstructionSet, UnknownInstructionSet};
pub use plan::network::{Activation, Convolution, Grid, Groups, Image, Layer, Network, Operation, Shape};
pub use plan::{Overflow, Plan, Unsupported, Workspace};
pub use setting::{BadSetting, KNOB, Setting};
