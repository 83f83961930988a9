//! What a strategy knows of its history: rows of choice indices, the scores, and what was tried.

use std::collections::HashSet;

use mfactor::{Architecture, SearchSpace, Trial, TrialState};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The choice made for each decision of a space, as an index into its choices.
pub(super) type Row = Vec<u8>;

/// Draws of a strategy before it gives up on finding something new by chance and walks.
pub(super) const ATTEMPTS: usize = 200;

/// A cache of what can be read from a space and a history. After [`History::follow`] it is the same whether
/// it was built at once or grew trial by trial.
#[derive(Default)]
pub(super) struct History {
    space: Option<SearchSpace>,
    choices: Vec<u8>,
    followed: Vec<Architecture>,
    rows: Vec<Row>,
    tried: HashSet<Row>,
}

impl History {
    /// Brings the cache up to date with `trials`, which usually are those of the last call and a few more.
    pub fn follow(&mut self, space: &SearchSpace, trials: &[Trial]) {
        let continues = self.space.as_ref() == Some(space)
            && self.followed.len() <= trials.len()
            && self.followed.iter().zip(trials).all(|(followed, trial)| *followed == trial.architecture);
        if !continues {
            let choices = space.decisions().map(|decision| decision.choices.len() as u8).collect();
            *self = Self { space: Some(space.clone()), choices, ..Self::default() };
        }
        for trial in &trials[self.followed.len()..] {
            let indices =
                space.indices(&trial.architecture).expect("a study holds architectures of its space alone");
            let row: Row = indices.into_iter().map(|index| index as u8).collect();
            self.tried.insert(row.clone());
            self.rows.push(row);
            self.followed.push(trial.architecture.clone());
        }
    }

    /// Number of choices of each decision.
    pub fn choices(&self) -> &[u8] {
        &self.choices
    }

    /// Rows and M-factors of the trials that have one, by trial number: the complete ones, and the pruned ones
    /// with what they had got to.
    pub fn scored<'a>(&'a self, trials: &'a [Trial]) -> Vec<(&'a Row, f64)> {
        let scored = |(row, trial): (&'a Row, &Trial)| match (trial.state, trial.m_factor) {
            (TrialState::Complete | TrialState::Pruned, Some(m_factor)) if m_factor.is_finite() => {
                Some((row, m_factor))
            }
            _ => None,
        };
        self.rows.iter().zip(trials).filter_map(scored).collect()
    }

    /// Rows of the trials that run, by trial number.
    pub fn running<'a>(&'a self, trials: &'a [Trial]) -> impl Iterator<Item = &'a Row> {
        let is_running = |(_, trial): &(&Row, &Trial)| trial.state == TrialState::Running;
        self.rows.iter().zip(trials).filter(is_running).map(|(row, _)| row)
    }

    /// Whether this row was never tried.
    pub fn is_new(&self, row: &Row) -> bool {
        !self.tried.contains(row)
    }

    /// Whether every architecture was tried.
    pub fn is_exhausted(&self) -> bool {
        self.tried.len() as u64 >= self.size()
    }

    /// The first new row in a bounded number of draws.
    pub fn first_new(&self, mut draw: impl FnMut() -> Row) -> Option<Row> {
        (0..ATTEMPTS).map(|_| draw()).find(|row| self.is_new(row))
    }

    /// A new row, drawn uniformly as long as chance finds one; `None` if there is none.
    pub fn sample_new(&self, rng: &mut ChaCha8Rng) -> Option<Row> {
        if self.is_exhausted() {
            return None;
        }
        self.first_new(|| self.sample(rng)).or_else(|| self.walk_from(self.sample(rng)))
    }

    /// A row drawn uniformly, new or not.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> Row {
        self.choices.iter().map(|choices| rng.random_range(0..*choices)).collect()
    }

    /// The architecture of a row.
    pub fn architecture(&self, row: &Row) -> Architecture {
        let indices: Vec<usize> = row.iter().map(|index| usize::from(*index)).collect();
        self.space.as_ref().expect("follow comes first").architecture(&indices)
    }

    fn size(&self) -> u64 {
        self.space.as_ref().expect("follow comes first").size()
    }

    /// The first new row from `start` on, counting up as an odometer does. One more step than there are
    /// tried rows is enough, so this never walks a large space.
    fn walk_from(&self, start: Row) -> Option<Row> {
        let mut row = start;
        for _ in 0..=self.tried.len() {
            if self.is_new(&row) {
                return Some(row);
            }
            for (digit, choices) in row.iter_mut().zip(&self.choices).rev() {
                *digit = (*digit + 1) % choices;
                if *digit != 0 {
                    break;
                }
            }
        }
        None
    }
}
