//! The copy in a folder of a study that another storage keeps: made once, and brought up to date as often as one likes.

use std::path::Path;

use mfactor::{Error, Result, Trial, TrialState};

use super::{CONFIG_FILE, Study, began, trial_folder};
use crate::config::StudyConfig;
use crate::storage::Attributes;

impl Study {
    /// Opens the copy of a study in `folder`, or begins one.
    ///
    /// # Errors
    /// If the folder holds another study.
    pub fn copy_of(folder: &Path, config: StudyConfig) -> Result<Self> {
        if !folder.join(CONFIG_FILE).exists() {
            return Self::create(folder, config);
        }
        let mut study = Self::resume(folder)?;
        study.reconcile(&config)?;
        Ok(study)
    }

    /// Brings the copy up to date: `tracks` are the trials of each track by number, with the ids of where they are kept, and
    /// `said` is what is known of trainers. Trials get ids of their own here. Before one is written as ended, `files` is
    /// given it and the folder for what its training left. Says how many ended since the last time.
    ///
    /// # Errors
    /// If a trial that ended here is another one there.
    pub fn copy(
        &mut self,
        said: &Attributes,
        tracks: Vec<Vec<Trial>>,
        files: &mut dyn FnMut(&Trial, &Path) -> Result<()>,
    ) -> Result<u64> {
        if !said.is_empty() {
            self.storage.study(&mut |_| Ok(said.clone()))?;
            self.hardware = began::hardware(said);
        }
        let mut trials: Vec<(usize, Trial)> = Vec::new();
        for (track, of_track) in tracks.into_iter().enumerate() {
            trials.extend(of_track.into_iter().map(|trial| (track, trial)));
        }
        trials.sort_by_key(|(_, trial)| trial.id);
        let mut ended = 0;
        for (track, trial) in trials {
            ended += u64::from(self.copy_trial(track, &trial, files)?);
        }
        Ok(ended)
    }

    /// Copies one trial; whether it ended since the last time.
    fn copy_trial(
        &mut self,
        track: usize,
        trial: &Trial,
        files: &mut dyn FnMut(&Trial, &Path) -> Result<()>,
    ) -> Result<bool> {
        let number = trial.number as usize;
        if number == self.tracks[track].trials().len() {
            let begun = Trial { state: TrialState::Running, epoch_accuracies: vec![], ..trial.clone() };
            let made = self.storage.enqueue(track, None, &mut |_| Some(begun.clone()))?;
            made.into_iter().for_each(|trial| self.tracks[track].add(trial));
        }
        let known = &self.tracks[track].trials()[number];
        let copy = Trial { id: known.id, ..trial.clone() };
        if known.is_finished() {
            return if is_same(known, &copy) { Ok(false) } else { Err(self.differs(known)) };
        }
        for (epoch, accuracy) in (1..).zip(&copy.epoch_accuracies) {
            self.storage.report(copy.id, epoch, *accuracy)?;
        }
        let has_ended = copy.is_finished();
        if has_ended {
            files(trial, &trial_folder(&self.folder, copy.id))?;
            self.storage.finish(&copy)?;
        }
        self.tracks[track].replace(copy);
        Ok(has_ended)
    }

    fn differs(&self, trial: &Trial) -> Error {
        let problem = format!(
            "trial {} of {} ended otherwise than where it is copied from: the search went on here, or it is another study; copy \
             it into another folder",
            trial.number, trial.proposer
        );
        Error::file(&self.folder, problem)
    }
}

/// Whether two trials are one; how long it took may be rounded.
fn is_same(known: &Trial, copy: &Trial) -> bool {
    let facts = |trial: &Trial| {
        (trial.architecture.clone(), trial.state, trial.seed, trial.accuracy, trial.epoch_accuracies.clone())
    };
    facts(known) == facts(copy)
}
