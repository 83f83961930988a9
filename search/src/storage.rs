//! The seam between a study and what keeps its trials: the journal in its folder, or a database that many machines share.

pub mod form;

use mfactor::{Result, Trial};
use serde_json::{Map, Value};

/// Attributes: JSON values by name.
pub type Attributes = Map<String, Value>;

/// Whether this process still has a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It does, and what it said is kept.
    Held,
    /// Somebody else has it or ended it, and what this process said of it is not kept.
    Lost,
}

/// What a storage has to say between two looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beat {
    /// Ids of trials that this process has no longer.
    pub lost: Vec<u64>,
    /// Whether the study is to be left: somebody stopped it.
    pub stops: bool,
    /// Trials of each strategy, where somebody asked for more.
    pub trials: Option<u64>,
}

/// What keeps the trials of a study. Tracks (the baseline, the given architectures, each strategy) are named by their position.
///
/// What a method has kept when it returns is there after any crash. An ended trial never changes.
pub trait Storage: Send {
    /// Notes attributes of the study. `say` is given those that others may have changed, and answers with what is new; nobody
    /// else notes anything in between.
    fn study(&mut self, say: &mut dyn FnMut(Option<Attributes>) -> Result<Attributes>) -> Result<()>;

    /// What others have changed since the last call, by track, trials by number.
    fn trials(&mut self) -> Result<Vec<Vec<Trial>>> {
        Ok(vec![])
    }

    /// Makes the next trial of a track, which is then held. `propose` is given what others have changed in the track, and
    /// answers with the trial, whose id is not known yet, or with none; nobody else adds one in between. It may be asked again.
    /// `retries` is the failed trial that it does again.
    fn enqueue(
        &mut self,
        track: usize,
        retries: Option<u64>,
        propose: &mut dyn FnMut(Vec<Trial>) -> Option<Trial>,
    ) -> Result<Option<Trial>>;

    /// Takes a trial of a track that has not ended and that nobody is at. `cut_off` is the first that this process knows.
    fn claim(&mut self, track: usize, cut_off: Option<&Trial>) -> Result<Option<Trial>>;

    /// Says that this process is alive.
    fn beat(&mut self) -> Result<Beat> {
        Ok(Beat::default())
    }

    /// Keeps the accuracy after an epoch of a held trial.
    fn report(&mut self, trial: u64, epoch: u32, accuracy: f64) -> Result<Hold>;

    /// Keeps how a held trial ended.
    fn finish(&mut self, trial: &Trial) -> Result<Hold>;

    /// Gives back what is held and has not ended.
    fn release(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether others work at the study as well, so that there may be something to do later.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether nobody else wrote anything into it.
    fn is_ours_alone(&self) -> bool {
        false
    }
}
