//! Multi-trial random search: uniform draws without repetition. The baseline of every comparison.

use mfactor::Point;
use rand_chacha::ChaCha8Rng;

use super::history::History;
use super::{Observation, Sought, Strategy};

/// Draws uniformly among the points that were not tried yet.
#[derive(Default)]
pub struct Random {
    history: History,
}

impl Strategy for Random {
    fn propose(
        &mut self,
        sought: &Sought,
        observations: &[Observation],
        rng: &mut ChaCha8Rng,
    ) -> Option<Point> {
        self.history.follow(&sought.space, observations);
        self.history.sample_new(rng)
    }
}
