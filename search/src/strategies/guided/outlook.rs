//! What the regression says of a study, for people: how far it can be trusted, and what it expects of what was not tried.

use std::collections::HashSet;

use mfactor::front::{Losses, front};
use mfactor::{Architecture, Cost, Point};

use super::candidates::{Candidate, Candidates};
use super::predictor::{Prediction, Predictor};
use super::{Known, by_worth, worth};
use crate::strategies::{Observation, Sought};

/// What a regression over the trials of a study says.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// Of each trial with an accuracy, what the others say of it: their agreement is how far the rest can be trusted.
    pub known: Vec<Prediction>,
    /// Architectures that were not tried, what would bring the most first: the largest M, or the most of the front that is
    /// sought.
    pub untried: Vec<Expected>,
}

/// What is expected of an architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The architecture.
    pub architecture: Architecture,
    /// What it costs.
    pub cost: Cost,
    /// The accuracy that is predicted, 0 to 1.
    pub accuracy: f64,
}

/// The outlook after these observations, with the `count` best that were not tried. `None` without an accuracy.
pub fn outlook(sought: &Sought, observations: &[Observation], count: usize) -> Option<Outlook> {
    let known: Vec<Known> = observations.iter().filter_map(|seen| Known::of(seen, sought)).collect();
    if known.is_empty() {
        return None;
    }
    let mut candidates = Candidates::default();
    candidates.follow(sought);
    let trials: Vec<(&Observation, f64)> = known.iter().map(|known| (known.seen, known.accuracy)).collect();
    let predictor = Predictor::fit(candidates.features(), &trials);
    let losses: Vec<Losses> = known.iter().map(|known| known.losses).collect();
    let standing: Vec<Losses> = front(&losses).into_iter().map(|place| losses[place]).collect();
    let tried: HashSet<&Point> = observations.iter().map(|seen| &seen.point).collect();
    let new = candidates.iter().filter(|candidate| {
        !tried.contains(&candidate.point) && sought.objective.breach(&candidate.cost).is_none()
    });
    let mut rated: Vec<((f64, f64), &Candidate)> =
        new.map(|candidate| (worth(candidate, sought, &standing, &predictor), candidate)).collect();
    rated.sort_by(|(a, _), (b, _)| by_worth(*b, *a));
    let expected = |(_, candidate): &(_, &Candidate)| Expected {
        architecture: sought.space.architecture(&candidate.point),
        cost: candidate.cost,
        accuracy: predictor.accuracy(&candidate.features),
    };
    let untried = rated.iter().take(count).map(expected).collect();
    Some(Outlook { known: predictor.leave_one_out(), untried })
}
