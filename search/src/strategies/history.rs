//! What a strategy knows of its history: the points that were tried, and their scores.

use std::collections::HashSet;

use mfactor::point::Condition;
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
    shape: Shape,
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
            *self = Self { space: Some(space.clone()), shape: Shape::of(space), ..Self::default() };
        }
        for observation in &observations[self.followed.len()..] {
            self.tried.insert(observation.point.clone());
            self.followed.push(observation.point.clone());
        }
    }

    /// The choices.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether this point was never tried.
    pub fn is_new(&self, point: &Point) -> bool {
        !self.tried.contains(point)
    }

    /// Whether every point was tried.
    pub fn is_exhausted(&self) -> bool {
        self.tried.len() as u128 >= self.size()
    }

    /// The first new point in a bounded number of draws of canonical points.
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

    /// A point whose every choice is drawn uniformly, new or not.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> Point {
        let draw = |options: &u8| rng.random_range(0..*options);
        self.shape.canonical(Point::new(self.shape.options.iter().map(draw).collect()))
    }

    fn size(&self) -> u128 {
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
            self.shape.count_up(&mut point);
        }
        None
    }
}

/// The choices of a space as strategies need them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Shape {
    /// Number of options of each choice.
    pub options: Vec<u8>,
    /// When a choice is active; always if `None`.
    when: Vec<Option<Condition>>,
}

impl Shape {
    fn of(space: &SearchSpace) -> Self {
        let (options, when) = space.choices().map(|choice| (choice.options.len() as u8, choice.when)).unzip();
        Self { options, when }
    }

    /// Choices that are always active, with so many options each.
    #[cfg(test)]
    pub fn flat(options: &[u8]) -> Self {
        Self { options: options.to_vec(), when: vec![None; options.len()] }
    }

    /// Choices with so many options each, and when they are active.
    #[cfg(test)]
    pub fn conditional(options: &[u8], when: &[Option<Condition>]) -> Self {
        Self { options: options.to_vec(), when: when.to_vec() }
    }

    /// Whether all choices are always active.
    pub fn is_flat(&self) -> bool {
        self.when.iter().all(Option::is_none)
    }

    /// Whether a choice is there to be made at a point.
    pub fn is_active(&self, point: &Point, choice: usize) -> bool {
        self.when[choice].is_none_or(|when| when.holds(point))
    }

    /// The point with 0 for every inactive choice.
    pub fn canonical(&self, mut point: Point) -> Point {
        for choice in 0..self.options.len() {
            if !self.is_active(&point, choice) {
                point.options_mut()[choice] = 0;
            }
        }
        point
    }

    /// The parent with one choice, of those that are active and have several options, changed to another one. What becomes
    /// active by that is drawn.
    pub fn mutate(&self, parent: &Point, rng: &mut ChaCha8Rng) -> Point {
        let options = &self.options;
        let is_open = |choice: &usize| options[*choice] > 1 && self.is_active(parent, *choice);
        let open: Vec<usize> = (0..options.len()).filter(is_open).collect();
        let mut child = parent.clone();
        if !open.is_empty() {
            let choice = open[rng.random_range(0..open.len())];
            let step = rng.random_range(1..options[choice]);
            let taken = &mut child.options_mut()[choice];
            *taken = (*taken + step) % options[choice];
        }
        for (choice, options) in options.iter().enumerate() {
            if self.is_active(&child, choice) && !self.is_active(parent, choice) {
                child.options_mut()[choice] = rng.random_range(0..*options);
            }
        }
        self.canonical(child)
    }

    /// The next canonical point, as an odometer counts; the first after the last.
    fn count_up(&self, point: &mut Point) {
        for choice in (0..self.options.len()).rev() {
            if !self.is_active(point, choice) {
                continue;
            }
            let digit = &mut point.options_mut()[choice];
            *digit = (*digit + 1) % self.options[choice];
            if *digit != 0 {
                break;
            }
        }
    }
}

/// Points and scores of the trials that have one, by trial number.
pub(super) fn scored(observations: &[Observation]) -> Vec<(&Point, f64)> {
    observations.iter().filter_map(|seen| Some((&seen.point, seen.ending()?.0))).collect()
}

/// Points of the trials that run, by trial number.
pub(super) fn running(observations: &[Observation]) -> impl Iterator<Item = &Point> {
    let is_running = |seen: &&Observation| seen.observed == Observed::Running;
    observations.iter().filter(is_running).map(|seen| &seen.point)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn counting_up_visits_every_canonical_point_once() {
        let when = Some(Condition { choice: 0, least: 1 });
        let later = Some(Condition { choice: 0, least: 2 });
        let shape = Shape::conditional(&[3, 2, 3, 2], &[None, None, when, later]);
        let mut point = Point::new(vec![0; 4]);
        let mut seen = HashSet::new();
        while seen.insert(point.clone()) {
            assert_eq!(shape.canonical(point.clone()), point);
            shape.count_up(&mut point);
        }
        assert_eq!(seen.len(), 2 * (1 + 3 + 3 * 2));
    }

    #[test]
    fn shapes_say_what_the_space_says() {
        let space = SearchSpace::load(Path::new("edge32")).unwrap();
        let shape = Shape::of(&space);
        let depth = space.choices().position(|choice| choice.name == "stage2.depth").unwrap();
        let mut point = Point::new(vec![0; shape.options.len()]);
        point.options_mut()[depth] = 1;
        for choice in 0..shape.options.len() {
            assert_eq!(shape.is_active(&point, choice), space.is_active(&point, choice));
        }
        assert!(!shape.is_flat());
    }

    #[test]
    fn a_mutation_changes_one_open_decision_to_any_other_value() {
        use rand_chacha::rand_core::SeedableRng;
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let parent = Point::new(vec![0, 1, 0]);
        let mut children: Vec<Point> =
            (0..200).map(|_| Shape::flat(&[1, 3, 2]).mutate(&parent, &mut rng)).collect();
        children.sort();
        children.dedup();
        assert_eq!(children, [[0, 0, 0], [0, 1, 1], [0, 2, 0]].map(|options| Point::new(options.to_vec())));
    }

    #[test]
    fn what_a_mutation_makes_active_is_drawn_and_what_is_inactive_is_never_the_change() {
        use rand_chacha::rand_core::SeedableRng;
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let shape = Shape::conditional(&[2, 4], &[None, Some(Condition { choice: 0, least: 1 })]);
        let shallow = Point::new(vec![0, 0]);
        let mut children: Vec<Point> = (0..200).map(|_| shape.mutate(&shallow, &mut rng)).collect();
        children.sort();
        children.dedup();
        assert_eq!(children, [0, 1, 2, 3].map(|option| Point::new(vec![1, option])));
        let deep = Point::new(vec![1, 3]);
        assert!((0..200).map(|_| shape.mutate(&deep, &mut rng)).any(|child| child == shallow));
    }
}
