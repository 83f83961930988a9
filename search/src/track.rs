//! The ask and tell of one strategy: its history in memory, without evaluator or journal. What changes the
//! history is apart from what decides the change, so that a study can write it down in between.

use mfactor::protocol::Evaluation;
use mfactor::{Objective, Result, SearchSpace, Trial, TrialState};

use crate::seeding;
use crate::strategies::Strategy;
use crate::tell::tell;

/// What the trials of all strategies of a study have in common.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub space: SearchSpace,
    pub objective: Objective,
    pub seed: u64,
}

impl Terms {
    pub fn new(space: SearchSpace, alpha: f64, seed: u64) -> Result<Self> {
        let objective = Objective::new(alpha, space.minimum_parameters())?;
        Ok(Self { space, objective, seed })
    }
}

/// One strategy and its trials, by trial number.
pub(crate) struct Track {
    name: String,
    strategy: Box<dyn Strategy>,
    trials: Vec<Trial>,
}

impl Track {
    /// A strategy that goes on from `trials`.
    pub fn new(name: impl Into<String>, strategy: Box<dyn Strategy>, trials: Vec<Trial>) -> Self {
        Self { name: name.into(), strategy, trials }
    }

    /// Name of the strategy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The history.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The history, given away.
    pub fn into_trials(self) -> Vec<Trial> {
        self.trials
    }

    /// Best M-factor so far.
    pub fn best(&self) -> Option<f64> {
        mfactor::trial::best(&self.trials).and_then(|trial| trial.m_factor)
    }

    /// Number of trials that have ended.
    pub fn finished(&self) -> u64 {
        self.trials.iter().filter(|trial| trial.is_finished()).count() as u64
    }

    /// Seconds that complete trials took, and their number.
    pub fn seconds(&self) -> (f64, u64) {
        self.trials.iter().filter_map(|trial| trial.seconds).fold((0.0, 0), |(sum, n), s| (sum + s, n + 1))
    }

    /// Number of the first trial that is running, or was when the program was cut off.
    pub fn running(&self) -> Option<usize> {
        self.trials.iter().position(|trial| !trial.is_finished())
    }

    /// A new trial with this `id`, for [`Track::add`]; `None` if the strategy has nothing more to propose.
    pub fn ask(&mut self, id: u64, terms: &Terms) -> Option<Trial> {
        let number = self.trials.len() as u64;
        let mut rng = seeding::proposal(terms.seed, &self.name, number);
        let architecture = self.strategy.propose(&terms.space, &self.trials, &mut rng)?;
        let cost = terms.space.cost(&architecture);
        Some(Trial {
            id,
            number,
            strategy: self.name.clone(),
            architecture,
            state: TrialState::Running,
            seed: seeding::training(terms.seed, &self.name, number),
            cost,
            size_score: terms.objective.size_score(cost.parameters),
            accuracy: None,
            m_factor: None,
            epoch_accuracies: Vec::new(),
            seconds: None,
            images: None,
            failure: None,
        })
    }

    /// Adds the trial that was asked for last.
    pub fn add(&mut self, trial: Trial) {
        self.trials.push(trial);
    }

    /// Forgets the epochs of a running trial, whose evaluation begins again.
    pub fn begin(&mut self, number: usize) {
        self.trials[number].epoch_accuracies.clear();
    }

    /// Keeps the accuracy after an epoch of a running trial.
    pub fn report(&mut self, number: usize, accuracy: f64) {
        self.trials[number].epoch_accuracies.push(accuracy);
    }

    /// A running trial as it ends with an evaluation, or with the reason why there is none; for
    /// [`Track::end`].
    pub fn tell(&self, number: usize, answer: Result<Evaluation, String>, terms: &Terms) -> Trial {
        let mut trial = self.trials[number].clone();
        tell(&mut trial, answer, &terms.objective);
        trial
    }

    /// Puts an ended trial in the place of the running one.
    pub fn end(&mut self, trial: Trial) {
        let number = trial.number as usize;
        self.trials[number] = trial;
    }
}
