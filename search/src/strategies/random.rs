//! Multi-trial random search: uniform draws without repetition. The baseline of every comparison.

use mfactor::{Architecture, SearchSpace, Trial};
use rand_chacha::ChaCha8Rng;

use super::Strategy;
use super::history::History;

/// Draws uniformly among the architectures that were not tried yet.
#[derive(Default)]
pub struct Random {
    history: History,
}

impl Strategy for Random {
    fn propose(
        &mut self,
        space: &SearchSpace,
        trials: &[Trial],
        rng: &mut ChaCha8Rng,
    ) -> Option<Architecture> {
        self.history.follow(space, trials);
        self.history.sample_new(rng).map(|row| self.history.architecture(&row))
    }
}
