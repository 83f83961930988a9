//! The baseline that the best are held against: the smallest architecture of the space, and nothing else.

use mfactor::Point;
use rand_chacha::ChaCha8Rng;

use super::{Observation, Sought, Strategy};

/// Proposes the smallest architecture once. Not a way to search, so it is not in the list of strategies.
pub struct Smallest;

impl Strategy for Smallest {
    fn propose(
        &mut self,
        sought: &Sought,
        observations: &[Observation],
        _: &mut ChaCha8Rng,
    ) -> Option<Point> {
        observations.is_empty().then(|| {
            sought
                .space
                .point(&sought.space.smallest())
                .expect("the smallest architecture is one of its space")
        })
    }
}
