//! The journal as a storage: one process has it, so nothing changes but by that one.

use mfactor::{Result, SearchSpace, Trial};

use super::Journal;
use crate::storage::{Attributes, Hold, Storage};

/// A journal, and what a study's trials are called in it.
pub(crate) struct JournalStorage {
    pub journal: Journal,
    pub space: SearchSpace,
    /// Names of Optuna's studies, by track.
    pub names: Vec<String>,
    /// Their numbers.
    pub studies: Vec<usize>,
}

impl Storage for JournalStorage {
    fn study(&mut self, say: &mut dyn FnMut(Option<Attributes>) -> Result<Attributes>) -> Result<()> {
        let attributes = say(None)?;
        let studies = self.names.iter().map(|name| (name.clone(), attributes.clone()));
        self.journal.studies(studies.collect()).map(drop)
    }

    fn enqueue(
        &mut self,
        track: usize,
        retries: Option<u64>,
        propose: &mut dyn FnMut(Vec<Trial>) -> Option<Trial>,
    ) -> Result<Option<Trial>> {
        let Some(mut trial) = propose(vec![]) else { return Ok(None) };
        trial.id = self.journal.create(self.studies[track], &trial, &self.space, retries)?;
        Ok(Some(trial))
    }

    fn claim(&mut self, _: usize, cut_off: Option<&Trial>) -> Result<Option<Trial>> {
        Ok(cut_off.cloned())
    }

    fn report(&mut self, trial: u64, epoch: u32, accuracy: f64) -> Result<Hold> {
        self.journal.report(trial, epoch, accuracy).map(|()| Hold::Held)
    }

    fn finish(&mut self, trial: &Trial) -> Result<Hold> {
        self.journal.finish(trial).map(|()| Hold::Held)
    }

    fn is_ours_alone(&self) -> bool {
        self.journal.is_ours_alone()
    }
}
