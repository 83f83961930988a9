//! What training in float32 needs on a CPU: convolutions of batches with both gradients, by the minimal filtering algorithm, as
//! products of pixels, or with channels kept apart, and batch norms that read and write their images as seldom as can be, of f32 or bfloat16.
//!
//! Images lie in memory as image × row × column × channel, without borders. Channels come in multiples of [`CHANNELS`].

mod batch_norm;
mod depthwise;
mod depthwise_passes;
mod domain;
mod element;
mod filter;
mod gradient;
mod normalise;
mod pointwise;
mod routines;
mod threads;
mod tiles;
mod weights;

pub use batch_norm::{AffineGradient, BatchNorm};
pub use depthwise::Depthwise;
pub use element::Element;
pub use filter::Filter;
pub use pointwise::Pointwise;

pub use crate::vector::Bfloat16;

use threads::side_by_side;

use crate::InstructionSet;

/// Channels come in multiples of this: whole vectors, or halves of the longest.
pub const CHANNELS: usize = 8;

/// The instructions for so many channels: where they fill no whole vectors of AVX-512, those of AVX2.
///
/// # Panics
/// If the processor has not the instructions.
fn for_channels(set: InstructionSet, channels: &[usize]) -> InstructionSet {
    let is_whole = channels.iter().all(|count| count.is_multiple_of(2 * CHANNELS));
    let set = match set.of_numbers() {
        InstructionSet::Avx512 if !is_whole => InstructionSet::Avx2,
        set => set,
    };
    assert!(set.is_available(), "this processor has no {set}");
    set
}

/// How many of `count` each thread works on, the last one perhaps on fewer.
fn share(count: usize, threads: usize) -> usize {
    count.div_ceil(threads.max(1)).max(1)
}
