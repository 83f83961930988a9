//! Taking back a study that never began: a mistake in its input leaves nothing that has to be deleted by hand.

use std::fs;
use std::path::Path;

use mfactor::{Result, TrialState};

use super::{CONFIG_FILE, JOURNAL_FILE, LOCK_FILE, Study, TRIALS_FOLDER};

impl Study {
    /// Removes the study if nothing is known of any trial, and nobody else wrote into its journal; then the folder
    /// too, if nothing else is in it. Says whether it is gone.
    ///
    /// # Errors
    /// If the system refuses to remove something.
    pub fn discard(self) -> Result<bool> {
        let mut trials = self.tracks.iter().flat_map(|track| track.trials());
        let is_known =
            trials.any(|trial| trial.state != TrialState::Running || !trial.epoch_accuracies.is_empty());
        if is_known || !self.storage.is_ours_alone() {
            return Ok(false);
        }
        let _ = fs::remove_dir_all(self.folder.join(TRIALS_FOLDER));
        remove_empty_cache(&self.folder.join("cache"));
        // Last what says that there is a study: until then it can be resumed.
        for file in [JOURNAL_FILE, LOCK_FILE, CONFIG_FILE] {
            let path = self.folder.join(file);
            fs::remove_file(&path).map_err(mfactor::Error::io("remove", &path))?;
        }
        // A folder in which something else lies stays.
        let _ = fs::remove_dir(&self.folder);
        Ok(true)
    }
}

/// Removes a cache that holds locks and no trainings.
fn remove_empty_cache(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    let paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    if paths.iter().all(|path| path.extension().is_some_and(|extension| extension == "lock")) {
        paths.iter().for_each(|path| drop(fs::remove_file(path)));
        let _ = fs::remove_dir(cache);
    }
}
