//! Architectures that the user names: no search, but trained, recorded and shown as the strategies' proposals are.

use mfactor::{Point, SearchSpace};
use rand_chacha::ChaCha8Rng;

use super::{Observation, Strategy};

/// Proposes the points of a list, in their order. Not a way to search, so it is not in the list of strategies.
pub struct Given {
    /// Points of the space, none of them twice.
    pub points: Vec<Point>,
}

impl Strategy for Given {
    fn propose(
        &mut self,
        _: &SearchSpace,
        observations: &[Observation],
        _: &mut ChaCha8Rng,
    ) -> Option<Point> {
        self.points.get(observations.len()).cloned()
    }
}
