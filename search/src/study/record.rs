//! What is known of a study, for readers.

use mfactor::protocol::Hardware;
use mfactor::{Proposer, Result, Trial, TrialState};
use serde::Serialize;

use super::JOURNAL_FILE;
use crate::config::StudyConfig;
use crate::strategies::{Outlook, StrategyKind, outlook};
use crate::track::observations;

/// A study's configuration and its trials so far.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyRecord {
    /// The configuration.
    pub config: StudyConfig,
    /// Trials of the baseline, of given architectures and of all strategies, by id.
    pub trials: Vec<Trial>,
    /// Kinds of hardware that trained, in order: more than one only where that was allowed.
    pub hardware: Vec<Hardware>,
    /// What is damaged in the journal, a sentence each. Trials that it names are not among the trials.
    pub damage: Vec<String>,
    /// What else whoever reads the study should know, likewise.
    pub remarks: Vec<String>,
}

/// What a winner has to be held against: at α = 1 the smallest architecture is hard to beat, whoever searched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Baselines {
    /// A complete trial of the smallest architecture, that of the baseline if there is one. `None` if it was
    /// never measured.
    pub smallest: Option<Trial>,
    /// The average of random architectures. `None` if no random search has a complete trial.
    pub random: Option<RandomBaseline>,
}

/// The average of the complete trials of random search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RandomBaseline {
    /// Number of trials.
    pub trials: usize,
    /// Mean of their M-factors.
    pub mean_m_factor: f64,
    /// Mean of their accuracies, 0 to 1.
    pub mean_accuracy: f64,
}

/// How many damaged lines are named each.
const NAMED: usize = 5;

impl StudyRecord {
    /// What is damaged, in few sentences: the first ones, and how many more there are.
    pub fn damage_in_short(&self) -> Vec<String> {
        let mut sentences: Vec<String> = self.damage.iter().take(NAMED).cloned().collect();
        let more = self.damage.len() - sentences.len();
        if more > 0 {
            sentences.push(format!("{JOURNAL_FILE}: {more} more damaged places"));
        }
        sentences
    }

    /// The trials of one strategy, or of [`BASELINE`](super::BASELINE) or [`GIVEN`](super::GIVEN), by number.
    pub fn of(&self, strategy: &str) -> Vec<&Trial> {
        self.trials.iter().filter(|trial| trial.proposer.name() == strategy).collect()
    }

    /// Whether trials ended and not one of them with a result.
    pub fn is_fruitless(&self) -> bool {
        let has_failed = self.trials.iter().any(|trial| trial.state == TrialState::Failed);
        has_failed && self.trials.iter().all(|trial| trial.state == TrialState::Failed)
    }

    /// What a regression over all trials says, and the `count` architectures that it expects the most of and that were not
    /// tried. `None` without a complete trial.
    ///
    /// # Errors
    /// As [`StudyConfig::objective`].
    pub fn outlook(&self, count: usize) -> Result<Option<Outlook>> {
        let sought = self.config.sought_with_ratings()?;
        let observations = observations(&self.trials, u64::MAX, &sought);
        Ok(outlook(&sought, &observations, count))
    }

    /// The two baselines.
    pub fn baselines(&self) -> Baselines {
        let smallest = self.config.space.smallest();
        let measured =
            self.trials.iter().filter(|trial| trial.m_factor.is_some() && trial.architecture == smallest);
        // `false` sorts first: the baseline's own trial, then the earliest.
        let smallest = measured.min_by_key(|trial| (trial.proposer != Proposer::Baseline, trial.id)).cloned();
        Baselines { smallest, random: self.random_baseline() }
    }

    fn random_baseline(&self) -> Option<RandomBaseline> {
        let random = self.of(StrategyKind::Random.name());
        let scores: Vec<(f64, f64)> =
            random.iter().filter_map(|trial| trial.m_factor.zip(trial.accuracy)).collect();
        let mean =
            |value: fn(&(f64, f64)) -> f64| scores.iter().map(value).sum::<f64>() / scores.len() as f64;
        (!scores.is_empty()).then(|| RandomBaseline {
            trials: scores.len(),
            mean_m_factor: mean(|(m_factor, _)| *m_factor),
            mean_accuracy: mean(|(_, accuracy)| *accuracy),
        })
    }
}
