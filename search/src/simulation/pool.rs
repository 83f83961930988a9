//! How busy a pool of workers is that share a study: real strategies in simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use mfactor::protocol::Evaluation;
use mfactor::{Error, Result, SearchSpace};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::normal;
use crate::evaluators::Ended;
use crate::strategies::StrategyKind;
use crate::track::{Terms, Track};

/// Simulated time, in microseconds.
type Time = u64;
const SECOND: f64 = 1e6;

/// A study, and the workers that are at it.
#[derive(Debug, Clone)]
pub struct Pool {
    /// The space.
    pub space: SearchSpace,
    /// The strategies, which propose side by side.
    pub strategies: Vec<StrategyKind>,
    /// Trials of each.
    pub trials: u64,
    /// The study's `workers`: trial *n* of a strategy knows the ends of trials up to *n* − this.
    pub known: u64,
    /// How many workers there are.
    pub machines: usize,
    /// Mean time of the training of a network of the smallest cost, in seconds; others take longer as they have more MACs.
    pub training_seconds: f64,
    /// Standard deviation of a training's time over its mean, for one and the same network: log-normal.
    pub spread: f64,
    /// How long the beginning of a trial holds its strategy's lock, in seconds.
    pub begin_seconds: f64,
    /// Seed of proposals and times.
    pub seed: u64,
}

/// How busy the workers were.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Utilisation {
    /// Part of the workers' time that was training, until the last trial began; from then on there is less and less to do.
    pub busy: f64,
    /// The same until the last trial ended.
    pub overall: f64,
    /// Part of it that was waiting for a strategy's lock, until the last trial began.
    pub locked: f64,
    /// Seconds from the first trial's beginning to the last one's end.
    pub seconds: f64,
    /// Trials that ended.
    pub trials: u64,
    /// Mean time in which a strategy proposed a trial here, in seconds: the real strategies' and no part of the simulation.
    pub ask_seconds: f64,
}

/// When a worker turned to a trial, when its training began, and how long that takes.
struct Training {
    asked: Time,
    start: Time,
    length: Time,
}

/// What is going on.
struct Floor<'a> {
    pool: &'a Pool,
    terms: Terms,
    tracks: Vec<Track>,
    /// Until when each strategy's lock is held.
    locked: Vec<Time>,
    /// Ends to come: when, of which track, which number.
    ends: BinaryHeap<Reverse<(Time, usize, usize)>>,
    trainings: Vec<Training>,
    asked: Duration,
    rng: ChaCha8Rng,
    smallest: f64,
}

impl Pool {
    /// Runs the study.
    ///
    /// # Errors
    /// [`Error::Input`] if there are no machines or strategies.
    pub fn run(&self) -> Result<Utilisation> {
        if self.machines == 0 || self.strategies.is_empty() || self.known == 0 {
            return Err(Error::input(
                "the pool",
                "needs machines, strategies and trials that may run at once",
            ));
        }
        let terms = Terms { workers: self.known, ..Terms::new(self.space.clone(), 1.0, self.seed)? };
        let track = |kind: &StrategyKind| Track::new(kind.proposer(), kind.build(), vec![]);
        let mut floor = Floor {
            pool: self,
            terms,
            tracks: self.strategies.iter().map(track).collect(),
            locked: vec![0; self.strategies.len()],
            ends: BinaryHeap::new(),
            trainings: vec![],
            asked: Duration::ZERO,
            rng: ChaCha8Rng::seed_from_u64(!self.seed),
            smallest: self.space.cost(&self.space.smallest()).macs as f64,
        };
        let mut now = 0;
        floor.begin(now);
        while let Some(Reverse((time, track, number))) = floor.ends.pop() {
            now = time;
            floor.end(track, number);
            floor.begin(now);
        }
        Ok(floor.utilisation(now))
    }
}

impl Floor<'_> {
    /// Gives idle workers trials, as long as there are some that can begin; the first strategy comes first.
    fn begin(&mut self, now: Time) {
        for track in 0..self.tracks.len() {
            while self.ends.len() < self.pool.machines
                && self.tracks[track].may_propose(self.pool.trials, &self.terms)
            {
                let began = Instant::now();
                let Some(trial) = self.tracks[track].ask(&self.terms) else { break };
                self.asked += began.elapsed();
                let start = now.max(self.locked[track]) + (self.pool.begin_seconds * SECOND) as Time;
                self.locked[track] = start;
                let size = trial.cost.macs as f64 / self.smallest;
                let length = (self.pool.training_seconds * size * self.chance() * SECOND) as Time;
                self.trainings.push(Training { asked: now, start, length });
                self.ends.push(Reverse((start + length, track, trial.number as usize)));
                self.tracks[track].add(trial);
            }
        }
    }

    /// A log-normal factor with mean 1.
    fn chance(&mut self) -> f64 {
        let variance = (1.0 + self.pool.spread.powi(2)).ln();
        (variance.sqrt() * normal(&mut self.rng) - variance / 2.0).exp()
    }

    /// A training ends: larger networks are the better ones, by less and less, and chance has its part.
    fn end(&mut self, track: usize, number: usize) {
        let size = self.tracks[track].trials()[number].cost.macs as f64 / self.smallest;
        let accuracy = (0.8 - 0.1 / size + 0.005 * normal(&mut self.rng)).clamp(0.0, 1.0);
        let ended = Ended::Complete(Evaluation { accuracy, seconds: 0.0, images: 0 });
        let trial = self.tracks[track].tell(number, ended, &self.terms);
        self.tracks[track].replace(trial);
    }

    fn utilisation(&self, end: Time) -> Utilisation {
        let trainings = &self.trainings;
        let last = trainings.iter().map(|training| training.start).max().unwrap_or(0);
        let part = |time: Time, limit: Time| time as f64 / (limit.max(1) as f64 * self.pool.machines as f64);
        let worked = |limit: Time| {
            let until = |training: &Training| (training.start + training.length).min(limit) - training.start;
            part(trainings.iter().map(until).sum(), limit)
        };
        let count = trainings.len() as u64;
        Utilisation {
            busy: worked(last),
            overall: worked(end),
            locked: part(trainings.iter().map(|training| training.start - training.asked).sum(), last),
            seconds: end as f64 / SECOND,
            trials: count,
            ask_seconds: self.asked.as_secs_f64() / count.max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool {
            space: SearchSpace::paper(),
            strategies: StrategyKind::parse_list("random").unwrap(),
            trials: 60,
            known: 4,
            machines: 4,
            training_seconds: 60.0,
            spread: 0.0,
            begin_seconds: 0.0,
            seed: 1,
        }
    }

    #[test]
    fn one_worker_is_always_busy_and_more_trials_at_once_keep_more_of_them_so() {
        let one = Pool { machines: 1, known: 1, ..pool() }.run().unwrap();
        assert_eq!(one.trials, 60);
        assert!((one.overall - 1.0).abs() < 1e-6, "{one:?}");
        let uneven = Pool { spread: 1.0, trials: 400, ..pool() };
        let busy = [4, 8, 16].map(|known| Pool { known, ..uneven.clone() }.run().unwrap().busy);
        assert!(busy[0] < busy[1] && busy[1] < busy[2] && busy[2] <= 1.0, "{busy:?}");
    }

    #[test]
    fn the_lock_bounds_how_many_machines_can_be_fed() {
        // A training of at least a minute, and six seconds to begin one: no more than about ten at once, or a few for larger networks.
        let fed =
            Pool { begin_seconds: 6.0, machines: 200, known: 400, trials: 400, ..pool() }.run().unwrap();
        assert!(fed.busy < 0.3 && fed.locked > 0.5, "{fed:?}");
        let free =
            Pool { begin_seconds: 0.001, machines: 200, known: 400, trials: 400, ..pool() }.run().unwrap();
        assert!(free.busy > 3.0 * fed.busy && free.locked < 0.01, "{free:?}");
    }

    #[test]
    fn nobody_to_work_is_refused() {
        assert!(Pool { machines: 0, ..pool() }.run().is_err());
    }
}
