//! A strategy against a function in place of training: no evaluator, no files. For judging strategies.

pub mod pool;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use mfactor::objective::m_factor;
use mfactor::protocol::{Evaluation, FailureKind};
use mfactor::{Architecture, Error, Result, SearchSpace, Trial};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::evaluators::Ended;
use crate::strategies::{Sought, StrategyKind};
use crate::track::{Terms, Track};

/// What a simulated study gave.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// The trials by number; fewer than asked for if the space was exhausted.
    pub trials: Vec<Trial>,
    /// Time spent in the strategy and at the gate, evaluation excluded.
    pub overhead: Duration,
}

/// Runs `trials` trials of a strategy, in which `accuracy` stands for training: it answers with an accuracy or
/// with the reason why there is none. Proposals are those that a study with these settings and one worker would
/// see.
pub fn simulate(
    kind: StrategyKind,
    space: &SearchSpace,
    alpha: f64,
    seed: u64,
    trials: u64,
    accuracy: &mut dyn FnMut(&Trial) -> Result<f64, String>,
) -> Result<Simulation> {
    simulate_on(&Terms::new(space.clone(), alpha, seed)?, kind, trials, accuracy)
}

/// The same for anything that can be sought.
pub fn simulate_sought(
    sought: Sought,
    kind: StrategyKind,
    seed: u64,
    trials: u64,
    accuracy: &mut dyn FnMut(&Trial) -> Result<f64, String>,
) -> Result<Simulation> {
    simulate_on(&Terms::of(sought, seed), kind, trials, accuracy)
}

fn simulate_on(
    terms: &Terms,
    kind: StrategyKind,
    trials: u64,
    accuracy: &mut dyn FnMut(&Trial) -> Result<f64, String>,
) -> Result<Simulation> {
    let mut track = Track::new(kind.proposer(), kind.build(), Vec::new());
    let mut overhead = Duration::ZERO;
    for number in 0..trials {
        let begin = Instant::now();
        let Some(trial) = track.ask(terms) else { break };
        let trial = Trial { id: number, ..trial };
        overhead += begin.elapsed();
        let ended = match accuracy(&trial) {
            Ok(accuracy) => Ended::Complete(Evaluation { accuracy, seconds: 0.0, images: 0 }),
            Err(reason) => Ended::failed(FailureKind::Unknown, reason),
        };
        let begin = Instant::now();
        track.add(trial);
        track.replace(track.tell(number as usize, ended, terms));
        overhead += begin.elapsed();
    }
    Ok(Simulation { trials: track.into_trials(), overhead })
}

/// A function with the shape of the M-factor at one accuracy for all architectures, where the size score alone
/// decides. Whether small kernels are the good ones can be chosen, so that a strategy which favours a choice for
/// its place in the list is found out: all three are equally hard.
#[derive(Debug, Clone)]
pub struct Landscape {
    /// The space.
    pub space: SearchSpace,
    /// Accuracy of every architecture, 0 to 1.
    pub accuracy: f64,
    /// Weight of the size score.
    pub alpha: f64,
    /// Standard deviation of what is added to each M-factor that the strategy sees.
    pub noise: f64,
    /// Which kernels are the good ones.
    pub good: Good,
    /// Trials that run at once: a strategy does not know how those end that run beside the one it proposes.
    pub workers: u64,
}

/// Which kernels are the good ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Good {
    /// Small ones: the M-factor as it is.
    Small,
    /// Large ones: the M-factor of the mirrored architecture.
    Large,
    /// Another one in each choice, and in each study.
    Arbitrary,
}

/// A study in a [`Landscape`].
#[derive(Debug, Clone)]
pub struct Scores {
    /// M-factor of each trial, without the noise.
    pub scores: Vec<f64>,
    /// Time spent in the strategy and at the gate.
    pub overhead: Duration,
}

impl Scores {
    /// The largest M-factor.
    pub fn best(&self) -> f64 {
        self.scores.iter().copied().fold(0.0, f64::max)
    }

    /// Mean M-factor of the last ten trials.
    pub fn last_ten(&self) -> f64 {
        let last = &self.scores[self.scores.len().saturating_sub(10)..];
        last.iter().sum::<f64>() / last.len() as f64
    }
}

impl Landscape {
    /// The M-factor in the paper's space at accuracy 0.75 and α = 1.
    pub fn paper() -> Self {
        Self {
            space: SearchSpace::paper(),
            accuracy: 0.75,
            alpha: 1.0,
            noise: 0.0,
            good: Good::Small,
            workers: 1,
        }
    }

    /// The largest M-factor there is.
    pub fn optimum(&self) -> f64 {
        m_factor(self.accuracy, 1.0, self.alpha)
    }

    /// One study of a strategy.
    pub fn study(&self, kind: StrategyKind, seed: u64, trials: u64) -> Result<Scores> {
        // The key of a study's own generators is another one.
        let mut rng = ChaCha8Rng::seed_from_u64(!seed);
        let relabelling = self.relabelling(&mut rng);
        let minimum = self.space.minimum_parameters() as f64;
        let mut scores = Vec::new();
        let mut answer = |trial: &Trial| {
            let score =
                self.score(&trial.architecture, &relabelling, minimum).map_err(|error| error.to_string())?;
            scores.push(score);
            Ok((score + self.noise * normal(&mut rng)).clamp(0.0, 1.0))
        };
        // With α all but 0 the study's own objective is the accuracy, and so any function at all.
        let terms = Terms { workers: self.workers, ..Terms::new(self.space.clone(), 1e-12, seed)? };
        let simulation = simulate_on(&terms, kind, trials, &mut answer)?;
        Ok(Scores { scores, overhead: simulation.overhead })
    }

    fn score(&self, architecture: &Architecture, relabelling: &[Vec<u8>], minimum: f64) -> Result<f64> {
        let mut point = self.space.point(architecture)?;
        for (option, map) in point.options_mut().iter_mut().zip(relabelling) {
            *option = map[usize::from(*option)];
        }
        let point = self.space.canonical(point);
        let parameters = self.space.cost(&self.space.architecture(&point)).parameters;
        Ok(m_factor(self.accuracy, minimum / parameters as f64, self.alpha))
    }

    /// For each choice, the option whose M-factor each option gets.
    fn relabelling(&self, rng: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
        let map = |options: usize| {
            let mut map: Vec<u8> = (0..options as u8).collect();
            match self.good {
                Good::Small => {}
                Good::Large => map.reverse(),
                Good::Arbitrary => map.shuffle(rng),
            }
            map
        };
        self.space.choices().map(|choice| choice.options.len()).map(map).collect()
    }
}

/// A draw from the normal distribution, by Box and Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

impl fmt::Display for Good {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::Arbitrary => "arbitrary",
        })
    }
}

impl FromStr for Good {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [Self::Small, Self::Large, Self::Arbitrary];
        let named = known.into_iter().find(|good| good.to_string() == name);
        named.ok_or_else(|| {
            Error::input(format!("good kernels {name:?}"), "are not known; there are small, large, arbitrary")
        })
    }
}
