//! Policy-based reinforcement learning: proximal policy optimisation (Schulman et al., arXiv:1707.06347)
//! with generalised advantage estimation (arXiv:1506.02438).
//!
//! An architecture is an episode of one step a choice, and its M-factor is known at the end alone. In studies
//! of some fifty trials a recurrent network has nothing to learn from, so the policy is a softmax for each choice
//! and the critic is additive over the options made so far: few enough numbers for so few trials. A choice that is
//! inactive is no step of the episode: neither of the two learns from it.

mod critic;
mod policy;

use mfactor::Point;
use rand_chacha::ChaCha8Rng;

use self::critic::Critic;
use self::policy::Policy;
use super::history::{History, scored};
use super::{Observation, Sought, Strategy};

/// Complete trials before the first update; until then the policy is uniform.
const FIRST_UPDATE: usize = 15;
/// Complete trials between two updates.
const UPDATE_EVERY: usize = 5;
/// Episodes of one update: the youngest ones.
const EPISODES: usize = 20;
/// How much warmer each draw that was tried already makes the next one.
const WARMING: f64 = 0.02;

/// One episode: the options and the M-factor they led to.
type Episode = (Point, f64);

/// Samples new architectures from a policy that learns from the complete trials. The policy is a function of
/// the history: it is kept between calls, and learned again from the start when the history is another one.
#[derive(Default)]
pub struct PolicyRl {
    history: History,
    policy: Policy,
    learned: Vec<Episode>,
}

impl Strategy for PolicyRl {
    fn propose(
        &mut self,
        sought: &Sought,
        observations: &[Observation],
        rng: &mut ChaCha8Rng,
    ) -> Option<Point> {
        self.history.follow(&sought.space, observations);
        self.learn(observations);
        if self.history.is_exhausted() {
            return None;
        }
        // A policy that is sure of itself repeats what was tried; a warmer one looks around it.
        let mut temperature = 1.0;
        let draw = || {
            let point = self.policy.sample(temperature, rng);
            temperature += WARMING;
            point
        };
        self.history.first_new(draw).or_else(|| self.history.sample_new(rng))
    }
}

impl PolicyRl {
    /// Makes every update that the history allows and that was not made yet.
    fn learn(&mut self, observations: &[Observation]) {
        let episodes: Vec<Episode> =
            scored(observations).into_iter().map(|(point, m_factor)| (point.clone(), m_factor)).collect();
        let continues = self.policy.fits(self.history.shape()) && episodes.starts_with(&self.learned);
        if !continues {
            self.policy = Policy::uniform(self.history.shape().clone());
            self.learned.clear();
        }
        loop {
            let until = FIRST_UPDATE.max(self.learned.len() + UPDATE_EVERY);
            if until > episodes.len() {
                break;
            }
            self.update(&episodes[..until]);
            self.learned.extend_from_slice(&episodes[self.learned.len()..until]);
        }
    }

    /// One update from `episodes`: the critic learns from all of them, the policy from the youngest.
    fn update(&mut self, episodes: &[Episode]) {
        let critic = Critic::fit(self.history.shape(), episodes);
        let youngest = episodes.len().saturating_sub(EPISODES);
        let probabilities = self.policy.probabilities(1.0);
        let mut steps: Vec<Vec<Option<f64>>> = (youngest..episodes.len())
            .map(|episode| critic.advantages(&probabilities, &episodes[episode].0, episode))
            .collect();
        if standardise(&mut steps) {
            let points: Vec<&Point> = episodes[youngest..].iter().map(|(point, _)| point).collect();
            self.policy.improve(&points, &steps);
        }
    }
}

/// Shifts and scales all values that there are to mean 0 and deviation 1; `false` if they do not differ.
fn standardise(values: &mut [Vec<Option<f64>>]) -> bool {
    let count = values.iter().flatten().flatten().count() as f64;
    let mean = values.iter().flatten().flatten().sum::<f64>() / count;
    let square = values.iter().flatten().flatten().map(|value| (value - mean).powi(2)).sum::<f64>();
    let deviation = (square / count).sqrt();
    values.iter_mut().flatten().flatten().for_each(|value| *value = (*value - mean) / deviation);
    deviation > 1e-12
}
