//! Architectures that the user names: no search, but trained, recorded and shown as the strategies' proposals are.

use mfactor::{Architecture, Point};
use rand_chacha::ChaCha8Rng;

use super::{Observation, Sought, Strategy};

/// Proposes the architectures of a list, in their order. Not a way to search, so it is not in the list of
/// strategies.
pub struct Given {
    /// Architectures of the space, none of them twice.
    pub architectures: Vec<Architecture>,
}

impl Strategy for Given {
    fn propose(
        &mut self,
        sought: &Sought,
        observations: &[Observation],
        _: &mut ChaCha8Rng,
    ) -> Option<Point> {
        let next = self.architectures.get(observations.len())?;
        Some(
            sought.space.point(next).expect("a study's configuration names architectures of its space alone"),
        )
    }
}
