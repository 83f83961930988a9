//! A search guided by a regression: what the trials so far say of all others, at costs that are known.

mod candidates;
mod predictor;
mod ridge;

use mfactor::Point;
use mfactor::front::{Losses, front};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use self::candidates::{Candidate, Candidates};
use super::history::History;
use super::{Observation, Sought, Strategy};

pub use self::predictor::{Prediction, Predictor};

/// Trials with an accuracy before the regression is asked.
const STARTUP: usize = 20;
/// Share of proposals that are random all the same, so that the regression hears of what it thinks nothing of.
const EXPLORATION: f64 = 0.1;
/// Trials at the most whose neighbours are candidates: those of the front, or those with the best scores.
const CENTRES: usize = 10;

/// Fits a ridge regression to the ranks of the accuracies ([`Predictor`]) and proposes the candidate with the best predicted
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
        let is_random = rng.random_bool(EXPLORATION) || known.len() < STARTUP || self.history.is_exhausted();
        if is_random {
            return self.history.sample_new(rng);
        }
        let losses: Vec<Losses> = known.iter().map(|known| known.losses).collect();
        let front = front(&losses);
        self.candidates.follow(&sought.space);
        let centres = if sought.is_front { front.clone() } else { by_score(&known) };
        let centres: Vec<&Point> =
            centres.iter().take(CENTRES).map(|place| &known[*place].seen.point).collect();
        self.candidates.add_neighbours(&centres, self.history.shape(), rng);
        let trials: Vec<(&Observation, f64)> =
            known.iter().map(|known| (known.seen, known.accuracy)).collect();
        let predictor = Predictor::fit(self.candidates.features(), &trials);
        let front: Vec<Losses> = front.into_iter().map(|place| losses[place]).collect();
        self.best(sought, &front, &predictor).or_else(|| self.history.sample_new(rng))
    }
}

impl Guided {
    /// The new candidate that is worth the most, given the `front` that is known; the first of equals.
    fn best(&self, sought: &Sought, front: &[Losses], predictor: &Predictor) -> Option<Point> {
        // Where nothing would be added, what is predicted to be the most accurate comes closest.
        let worth = |candidate: &Candidate| {
            let accuracy = predictor.accuracy(&candidate.features);
            let score = match sought.is_front {
                true => sought.front.gain(&sought.front.losses(accuracy, &candidate.cost), front),
                false => {
                    sought.objective.m_factor(accuracy, sought.objective.exact_size_score(&candidate.cost))
                }
            };
            (score, predictor.score(&candidate.features))
        };
        let is_allowed = |candidate: &&Candidate| {
            self.history.is_new(&candidate.point)
                && sought.objective.breach(&candidate.cost.values()).is_none()
        };
        let rated = self.candidates.iter().filter(is_allowed).map(|candidate| (worth(candidate), candidate));
        let best = rated.reduce(|best, next| if is_more(next.0, best.0) { next } else { best });
        best.map(|(_, candidate)| candidate.point.clone())
    }
}

fn is_more(one: (f64, f64), other: (f64, f64)) -> bool {
    one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)).is_gt()
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
