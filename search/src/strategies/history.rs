//! What a strategy knows of its history: the points that were tried, and their scores.

use std::collections::HashSet;

use mfactor::{Point, SearchSpace};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Observation, Observed};

/// Draws of a strategy before it gives up on finding something new by chance and walks.
pub(super) const ATTEMPTS: usize = 200;

/// A cache of what can be read from a space and its observations. After [`History::follow`] it is the same whether
/// it was built at once or grew trial by trial.
#[derive(Default)]
pub(super) struct History {
    space: Option<SearchSpace>,
    options: Vec<u8>,
    followed: Vec<Point>,
    tried: HashSet<Point>,
}

impl History {
    /// Brings the cache up to date with `observations`, which usually are those of the last call and a few more.
    pub fn follow(&mut self, space: &SearchSpace, observations: &[Observation]) {
        let continues = self.space.as_ref() == Some(space)
            && self.followed.len() <= observations.len()
            && self.followed.iter().zip(observations).all(|(followed, seen)| *followed == seen.point);
        if !continues {
            let options = space.choices().map(|choice| choice.options.len() as u8).collect();
            *self = Self { space: Some(space.clone()), options, ..Self::default() };
        }
        for observation in &observations[self.followed.len()..] {
            self.tried.insert(observation.point.clone());
            self.followed.push(observation.point.clone());
        }
    }

    /// Number of options of each choice.
    pub fn options(&self) -> &[u8] {
        &self.options
    }

    /// Whether this point was never tried.
    pub fn is_new(&self, point: &Point) -> bool {
        !self.tried.contains(point)
    }

    /// Whether every point was tried.
    pub fn is_exhausted(&self) -> bool {
        self.tried.len() as u64 >= self.size()
    }

    /// The first new point in a bounded number of draws.
    pub fn first_new(&self, mut draw: impl FnMut() -> Point) -> Option<Point> {
        (0..ATTEMPTS).map(|_| draw()).find(|point| self.is_new(point))
    }

    /// A new point, drawn uniformly as long as chance finds one; `None` if there is none.
    pub fn sample_new(&self, rng: &mut ChaCha8Rng) -> Option<Point> {
        if self.is_exhausted() {
            return None;
        }
        self.first_new(|| self.sample(rng)).or_else(|| self.walk_from(self.sample(rng)))
    }

    /// A point drawn uniformly, new or not.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> Point {
        Point::new(self.options.iter().map(|options| rng.random_range(0..*options)).collect())
    }

    fn size(&self) -> u64 {
        self.space.as_ref().expect("follow comes first").size()
    }

    /// The first new point from `start` on, counting up as an odometer does. One more step than there are tried
    /// points is enough, so this never walks a large space.
    fn walk_from(&self, start: Point) -> Option<Point> {
        let mut point = start;
        for _ in 0..=self.tried.len() {
            if self.is_new(&point) {
                return Some(point);
            }
            for (digit, options) in point.options_mut().iter_mut().zip(&self.options).rev() {
                *digit = (*digit + 1) % options;
                if *digit != 0 {
                    break;
                }
            }
        }
        None
    }
}

/// Points and scores of the trials that have one, by trial number.
pub(super) fn scored(observations: &[Observation]) -> Vec<(&Point, f64)> {
    let scored = |observation: &Observation| match observation.observed {
        Observed::Scored(score) => Some(score),
        Observed::Running | Observed::Failed => None,
    };
    observations.iter().filter_map(|seen| Some((&seen.point, scored(seen)?))).collect()
}

/// Points of the trials that run, by trial number.
pub(super) fn running(observations: &[Observation]) -> impl Iterator<Item = &Point> {
    let is_running = |seen: &&Observation| seen.observed == Observed::Running;
    observations.iter().filter(is_running).map(|seen| &seen.point)
}
