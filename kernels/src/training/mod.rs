//! What training in float32 needs on a CPU: convolutions of batches with both gradients, by the minimal filtering algorithm, and
//! batch norms that read and write their images as seldom as can be.
//!
//! Images lie in memory as image × row × column × channel, without borders. Channels come in multiples of [`CHANNELS`].

mod batch_norm;
mod filter;
mod gradient;
mod normalise;
mod routines;
mod tiles;

pub use batch_norm::{AffineGradient, BatchNorm};
pub use filter::Filter;

/// Channels come in multiples of this: of any processor's vectors.
pub const CHANNELS: usize = 16;

/// How many of `count` each thread works on, the last one perhaps on fewer.
fn share(count: usize, threads: usize) -> usize {
    count.div_ceil(threads.max(1)).max(1)
}

/// Does all of `work`, each piece in a thread of its own.
fn side_by_side<W: Send, R: Send>(work: impl Iterator<Item = W>, run: impl Fn(W) -> R + Sync) -> Vec<R> {
    let mut work: Vec<W> = work.collect();
    let Some(last) = work.pop() else { return vec![] };
    let run = &run;
    std::thread::scope(|scope| {
        let others: Vec<_> = work.into_iter().map(|piece| scope.spawn(move || run(piece))).collect();
        let last = run(last);
        let done = others.into_iter().map(|thread| thread.join().expect("a pass over images does not panic"));
        done.chain([last]).collect()
    })
}
