//! The baseline that every summary shows: the smallest architecture of the space, and nothing else.

use mfactor::{Architecture, SearchSpace, Trial};
use rand_chacha::ChaCha8Rng;

use super::Strategy;

/// Proposes the smallest architecture once. Not a way to search, so it is not in the list of strategies.
pub struct Smallest;

impl Strategy for Smallest {
    fn propose(&mut self, space: &SearchSpace, trials: &[Trial], _: &mut ChaCha8Rng) -> Option<Architecture> {
        trials.is_empty().then(|| space.smallest())
    }
}
