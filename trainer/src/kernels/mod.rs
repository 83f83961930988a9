//! Layers of this project's own, for training in float32 on a CPU, where they are quicker than libtorch's: convolutions that need a
//! fraction of the multiplications, and batch norms that read and write their images as seldom as can be.
//!
//! Images lie in memory as image × row × column × channel. All but [`tensors`] knows slices of numbers and not libtorch.

mod batch_norm;
mod convolution;
pub mod tensors;
mod winograd;

use pulp::{Arch, WithSimd};

pub use batch_norm::BatchNorm;
pub use convolution::Convolution;

/// Channels come in multiples of this: of any processor's vectors, and of two of them.
const CHANNELS: usize = 16;

/// Whether the processor has vectors.
fn has_vectors() -> bool {
    !matches!(Arch::new(), Arch::Scalar)
}

/// How many of `count` each thread works on, the last one perhaps on fewer.
fn share(count: usize, threads: usize) -> usize {
    count.div_ceil(threads.max(1)).max(1)
}

/// Does all of `work`, each piece in a thread of its own.
fn side_by_side<W: WithSimd<Output: Send> + Send>(work: impl Iterator<Item = W>) -> Vec<W::Output> {
    let arch = Arch::new();
    let mut work: Vec<W> = work.collect();
    let Some(last) = work.pop() else { return vec![] };
    std::thread::scope(|scope| {
        let others: Vec<_> =
            work.into_iter().map(|piece| scope.spawn(move || arch.dispatch(piece))).collect();
        let last = arch.dispatch(last);
        let done = others.into_iter().map(|thread| thread.join().expect("a pass over images does not panic"));
        done.chain([last]).collect()
    })
}
