//! The points among which the regression chooses.

use std::collections::HashSet;
use std::sync::Arc;

use mfactor::cost_model::CostModels;
use mfactor::{Architecture, Cost, Point, SearchSpace};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::features::Features;
use crate::ratings::Ratings;
use crate::strategies::Sought;
use crate::strategies::history::Shape;

/// Points of a space that are all looked at where it has no more.
const WHOLE: usize = 8192;
/// Points that are drawn of a larger one.
const DRAWN: usize = 2048;
/// Neighbours of each promising trial that are looked at beside.
const NEIGHBOURS: usize = 10;

/// A point, what it costs, and its row in the regression.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub point: Point,
    pub cost: Cost,
    pub features: Vec<f64>,
}

/// A pool that depends on the space alone, and neighbours of what looks promising.
#[derive(Default)]
pub(super) struct Candidates {
    space: Option<SearchSpace>,
    ratings: Option<Arc<Ratings>>,
    models: CostModels,
    features: Features,
    pool: Vec<Candidate>,
    neighbours: Vec<Candidate>,
}

impl Candidates {
    /// Makes the pool of a space, unless it is there.
    pub fn follow(&mut self, sought: &Sought) {
        let Sought { space, ratings, objective, .. } = sought;
        let models = objective.models();
        if self.space.as_ref() == Some(space) && self.ratings == *ratings && self.models == *models {
            return;
        }
        self.models.clone_from(models);
        let points: Vec<(Point, Cost)> =
            pool(space).into_iter().map(|point| with_cost(space, &self.models, point)).collect();
        self.features = Features::new(space, &points, ratings.clone());
        self.ratings.clone_from(ratings);
        self.pool =
            points.into_iter().map(|(point, cost)| candidate(&self.features, space, point, cost)).collect();
        self.space = Some(space.clone());
    }

    /// Draws neighbours of these points in place of the last ones.
    pub fn add_neighbours(&mut self, centres: &[&Point], shape: &Shape, rng: &mut ChaCha8Rng) {
        let space = self.space.as_ref().expect("follow comes first");
        let mut seen = HashSet::new();
        let drawn = centres.iter().flat_map(|centre| vec![*centre; NEIGHBOURS]);
        let drawn: Vec<Point> = drawn.map(|centre| shape.mutate(centre, rng)).collect();
        let is_whole = self.pool.len() as u128 == space.size();
        let new = drawn.into_iter().filter(|point| !is_whole && seen.insert(point.clone()));
        let new = new.map(|point| with_cost(space, &self.models, point));
        self.neighbours = new.map(|(point, cost)| candidate(&self.features, space, point, cost)).collect();
    }

    /// What a regression over this space needs.
    pub fn features(&self) -> (&Features, &SearchSpace) {
        (&self.features, self.space.as_ref().expect("follow comes first"))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.pool.iter().chain(&self.neighbours)
    }
}

fn candidate(features: &Features, space: &SearchSpace, point: Point, cost: Cost) -> Candidate {
    let features = features.row(space, &point, &cost);
    Candidate { point, cost, features }
}

fn with_cost(space: &SearchSpace, models: &CostModels, point: Point) -> (Point, Cost) {
    let cost = models.cost(space, &space.architecture(&point));
    (point, cost)
}

/// All points of a small space; of a large one some, which are always the same.
fn pool(space: &SearchSpace) -> Vec<Point> {
    let architectures =
        if space.size() <= WHOLE as u128 { space.architectures().collect() } else { drawn(space, DRAWN) };
    let point = |architecture| space.point(architecture).expect("an architecture of this space");
    architectures.iter().map(point).collect()
}

/// Different architectures of a space, as many as `count` draws give. They are always the same, and those that a guided search
/// begins with.
pub fn drawn(space: &SearchSpace, count: usize) -> Vec<Architecture> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut seen = HashSet::new();
    let drawn = (0..count).map(|_| space.sample(&mut rng));
    drawn.filter(|architecture| seen.insert(architecture.clone())).collect()
}
