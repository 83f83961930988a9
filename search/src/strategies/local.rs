//! Local search (White et al., arXiv:2005.02960): the baseline that is hard to beat where accuracies hardly vary by chance.

use mfactor::Point;
use rand_chacha::ChaCha8Rng;

use super::history::{History, scored};
use super::{Observation, Sought, Strategy};

/// Random points before the first step.
const START: usize = 10;

/// Goes from the best point to one that differs from it in one choice, and so on from whichever is the best then. Where all
/// neighbours of the best were tried, those of the next best are, which is White's `continue_at_min`.
#[derive(Default)]
pub struct Local {
    history: History,
}

impl Strategy for Local {
    fn propose(
        &mut self,
        sought: &Sought,
        observations: &[Observation],
        rng: &mut ChaCha8Rng,
    ) -> Option<Point> {
        self.history.follow(&sought.space, observations);
        let history = &self.history;
        let mut best = scored(observations);
        if best.len() < START || history.is_exhausted() {
            return history.sample_new(rng);
        }
        // Of equals the first.
        best.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let neighbour =
            |(centre, _): &(&Point, f64)| history.first_new(|| history.shape().mutate(centre, rng));
        best.iter().find_map(neighbour).or_else(|| history.sample_new(rng))
    }
}

#[cfg(test)]
mod tests {
    use mfactor::{SearchSpace, Trial};

    use super::*;
    use crate::simulation::simulate;
    use crate::strategies::StrategyKind;

    #[test]
    fn proposals_are_neighbours_of_the_best() {
        let space = SearchSpace::paper();
        let mut answer = |trial: &Trial| Ok(1.0 / (1.0 + trial.number as f64));
        let trials = simulate(StrategyKind::Local, &space, 1e-12, 3, 28, &mut answer).unwrap().trials;
        let points: Vec<Point> =
            trials.iter().map(|trial| space.point(&trial.architecture).unwrap()).collect();
        // The first trial is the best, and has 18 neighbours.
        assert!(points[START..].iter().all(|point| point.agreements(&points[0]) == 8));
    }
}
