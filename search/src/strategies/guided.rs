//! A search guided by a regression: what the trials so far say of all others, at costs that are known.

mod candidates;
mod features;
mod outlook;
mod predictor;
mod ridge;

use std::cmp::Ordering;

use mfactor::Point;
use mfactor::front::{Losses, front};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use self::candidates::{Candidate, Candidates};
use super::history::History;
use super::{Observation, Sought, Strategy};

pub use self::candidates::drawn;
pub use self::outlook::{Expected, Outlook, outlook};
pub use self::predictor::Prediction;
use self::predictor::Predictor;

/// Trials with an accuracy before the regression is asked; and where there are ratings of untrained networks, from which it
/// learns something before any training.
const STARTUP: usize = 20;
const STARTUP_RATED: usize = 10;
/// Share of proposals that are random all the same, so that the regression hears of what it thinks nothing of.
const EXPLORATION: f64 = 0.1;
/// Trials at the most whose neighbours are candidates: those of the front, or those with the best scores.
const CENTRES: usize = 10;

/// Fits a ridge regression to the ranks of the accuracies and proposes the candidate with the best predicted
/// score; where a front is sought, the one that would add the most to its hypervolume. What breaks a limit is no candidate.
#[derive(Default)]
pub struct Guided {
    history: History,
    candidates: Candidates,
}

impl Strategy for Guided {
    fn propose(
        &mut self,
        sought: &Sought,
        observations: &[Observation],
        rng: &mut ChaCha8Rng,
    ) -> Option<Point> {
        self.history.follow(&sought.space, observations);
        let known: Vec<Known> = observations.iter().filter_map(|seen| Known::of(seen, sought)).collect();
        let startup = if sought.ratings.is_some() { STARTUP_RATED } else { STARTUP };
        let is_random = rng.random_bool(EXPLORATION) || known.len() < startup || self.history.is_exhausted();
        if is_random {
            return self.history.sample_new(rng);
        }
        let losses: Vec<Losses> = known.iter().map(|known| known.losses).collect();
        let front = front(&losses);
        self.candidates.follow(sought);
        let centres = if sought.is_front { front.clone() } else { by_score(&known) };
        let centres: Vec<&Point> =
            centres.iter().take(CENTRES).map(|place| &known[*place].seen.point).collect();
        self.candidates.add_neighbours(&centres, self.history.shape(), rng);
        let trials: Vec<(&Observation, f64)> =
            known.iter().map(|known| (known.seen, known.accuracy)).collect();
        let predictor = Predictor::fit(self.candidates.features(), &trials);
        let front: Vec<Losses> = front.into_iter().map(|place| losses[place]).collect();
        let new = self.candidates.iter().filter(|candidate| {
            self.history.is_new(&candidate.point) && sought.objective.breach(&candidate.cost).is_none()
        });
        let rated = new.map(|candidate| (worth(candidate, sought, &front, &predictor), candidate));
        // The first of equals.
        let best = rated.reduce(|best, next| if by_worth(next.0, best.0).is_gt() { next } else { best });
        best.map(|(_, candidate)| candidate.point.clone()).or_else(|| self.history.sample_new(rng))
    }
}

/// What a candidate would bring, given the `front` that is known, and its predicted score: where nothing would be added, what
/// is predicted to be the most accurate comes closest.
fn worth(candidate: &Candidate, sought: &Sought, front: &[Losses], predictor: &Predictor) -> (f64, f64) {
    let accuracy = predictor.accuracy(&candidate.features);
    let worth = match sought.is_front {
        true => sought.front.gain(&sought.front.losses(accuracy, &candidate.cost), front),
        false => sought.objective.m_factor(accuracy, sought.objective.exact_size_score(&candidate.cost)),
    };
    (worth, predictor.score(&candidate.features))
}

fn by_worth(one: (f64, f64), other: (f64, f64)) -> Ordering {
    one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1))
}

/// A trial with an accuracy.
struct Known<'a> {
    seen: &'a Observation,
    score: f64,
    accuracy: f64,
    losses: Losses,
}

impl<'a> Known<'a> {
    fn of(seen: &'a Observation, sought: &Sought) -> Option<Self> {
        let (score, accuracy) = seen.ending()?;
        Some(Self { seen, score, accuracy, losses: sought.front.losses(accuracy, &seen.cost) })
    }
}

/// Places of trials by falling score; of equals the first.
fn by_score(known: &[Known]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..known.len()).collect();
    places.sort_by(|a, b| known[*b].score.total_cmp(&known[*a].score));
    places
}
