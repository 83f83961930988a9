//! A search guided by a regression: what the trials so far say of all others, at costs that are known.

mod candidates;
mod predictor;
mod ridge;

use mfactor::Point;
use mfactor::front::Losses;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use self::candidates::{Candidate, Candidates};
use super::history::History;
use super::{Observation, Observed, Sought, Strategy};

pub use self::predictor::{Prediction, Predictor};

/// Trials with an accuracy before the regression is asked.
const STARTUP: usize = 20;
/// Share of proposals that are random all the same, so that the regression hears of what it thinks nothing of.
const EXPLORATION: f64 = 0.1;

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
        let known: Vec<(&Observation, f64)> = observations.iter().filter_map(known).collect();
        let is_random = rng.random_bool(EXPLORATION) || known.len() < STARTUP || self.history.is_exhausted();
        if is_random {
            return self.history.sample_new(rng);
        }
        let centres: Vec<&Point> =
            promising(sought, &known).into_iter().map(|place| &known[place].0.point).collect();
        self.candidates.follow(&sought.space);
        self.candidates.add_neighbours(&centres, self.history.shape(), rng);
        let predictor = Predictor::fit(self.candidates.features(), &known);
        self.best(sought, &known, &predictor).or_else(|| self.history.sample_new(rng))
    }
}

impl Guided {
    /// The new candidate that is worth the most; the first of equals.
    fn best(&self, sought: &Sought, known: &[(&Observation, f64)], predictor: &Predictor) -> Option<Point> {
        let all: Vec<Losses> =
            known.iter().map(|(seen, accuracy)| sought.front.losses(*accuracy, &seen.cost)).collect();
        let front: Vec<Losses> = mfactor::front::front(&all).into_iter().map(|place| all[place]).collect();
        // Where nothing would be added, what is predicted to be the most accurate comes closest.
        let worth = |candidate: &Candidate| {
            let accuracy = predictor.accuracy(&candidate.features);
            let score = match sought.is_front {
                true => sought.front.gain(&sought.front.losses(accuracy, &candidate.cost), &front),
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

fn known(seen: &Observation) -> Option<(&Observation, f64)> {
    match seen.observed {
        Observed::Scored { accuracy, .. } => Some((seen, accuracy)),
        Observed::Running | Observed::Failed => None,
    }
}

/// Trials whose neighbours are candidates: those of the front, or those with the best scores.
fn promising(sought: &Sought, known: &[(&Observation, f64)]) -> Vec<usize> {
    const MOST: usize = 10;
    let all: Vec<Losses> =
        known.iter().map(|(seen, accuracy)| sought.front.losses(*accuracy, &seen.cost)).collect();
    let mut places = match sought.is_front {
        true => mfactor::front::front(&all),
        false => (0..known.len()).collect(),
    };
    let score = |place: &usize| {
        let (seen, accuracy) = known[*place];
        sought.objective.m_factor(accuracy, sought.objective.exact_size_score(&seen.cost))
    };
    if !sought.is_front {
        places.sort_by(|a, b| score(b).total_cmp(&score(a)));
    }
    places.truncate(MOST);
    places
}
