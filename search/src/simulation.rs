//! A strategy against a function in place of training: no evaluator, no files. For judging strategies.

use std::time::{Duration, Instant};

use mfactor::protocol::Evaluation;
use mfactor::{Result, SearchSpace, Trial};

use crate::strategies::StrategyKind;
use crate::track::{Terms, Track};

/// What a simulated study gave.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// The trials by number; fewer than asked for if the space was exhausted.
    pub trials: Vec<Trial>,
    /// Time spent in the strategy and at the gate, evaluation excluded.
    pub overhead: Duration,
}

impl Simulation {
    /// The largest M-factor; 0 if no trial is complete.
    pub fn best(&self) -> f64 {
        mfactor::trial::best(&self.trials).and_then(|trial| trial.m_factor).unwrap_or(0.0)
    }
}

/// Runs `trials` trials of a strategy, in which `accuracy` stands for training: it answers with an accuracy or
/// with the reason why there is none. Proposals are those that a study with these settings would see.
pub fn simulate(
    kind: StrategyKind,
    space: &SearchSpace,
    alpha: f64,
    seed: u64,
    trials: u64,
    accuracy: &mut dyn FnMut(&Trial) -> Result<f64, String>,
) -> Result<Simulation> {
    let terms = Terms::new(space.clone(), alpha, seed)?;
    let mut track = Track::new(kind.name(), kind.build(), Vec::new());
    let mut overhead = Duration::ZERO;
    for number in 0..trials {
        let begin = Instant::now();
        let Some(trial) = track.ask(number, &terms) else { break };
        overhead += begin.elapsed();
        let answer = accuracy(&trial).map(|accuracy| Evaluation { accuracy, seconds: 0.0, images: 0 });
        let begin = Instant::now();
        track.add(trial);
        track.end(track.tell(number as usize, answer, &terms));
        overhead += begin.elapsed();
    }
    Ok(Simulation { trials: track.into_trials(), overhead })
}
