//! The trials of one study in the database, as one worker has them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mfactor::{Error, Result, Trial, TrialState};
use search::StudyConfig;
use search::evaluators::TRAINED_FILES;
use search::storage::form::{self, state};
use search::storage::{Attributes, Beat, Hold, Storage};
use search::study::trial_folder;
use serde_json::Value;
use uuid::Uuid;

use crate::begin::{FIRST_PROPOSAL_MS, LONGEST_PROPOSAL_MS, Study, begin, columns, millis};
use crate::claims::{ENDED_BY, FINISH, FREE, GIVE_UP, HAND_BACK, Holds, REPORT, TAKE_OVER, TAKEN};
use crate::link::Link;
use crate::registry::{self, Registered};
use crate::renewal::Renewal;
use crate::rows::{Reader, Seen};
use crate::store::{Artifact, Store};
use crate::trainings::Trainings;

/// Pauses between two looks for what others have done, while nothing is found: doubled from the first to the longest, which is
/// so much more for each trial that runs; and so many times as long as a look takes. So many that wait leave room for others.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(640);
const PAUSE_OF_EACH: Duration = Duration::from_millis(2);
const PAUSE_OF_LOOK: u32 = 4;
/// A worker looks for trials that nobody holds so many times in a lease, and at least once in the longest pause.
const LOOKS: u32 = 20;
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// The study's trials behind the seam of `search`.
pub struct DatabaseStorage {
    link: Link,
    name: String,
    worker: String,
    /// What decides trainings beside their jobs and trainers.
    context: Value,
    study: Study,
    holds: Arc<Holds>,
    _renewal: Renewal,
    /// How far each track is known.
    seen: Vec<Seen>,
    news: Pace,
    free: Vec<i32>,
    free_looked: Option<Instant>,
    files: Option<Files>,
}

/// Where what trainings leave goes.
struct Files {
    store: Store,
    folder: PathBuf,
}

/// When to look again.
struct Pace {
    looked: Instant,
    pause: Duration,
}

impl Pace {
    fn new() -> Self {
        Self { looked: Instant::now(), pause: Duration::ZERO }
    }

    fn is_due(&self) -> bool {
        self.looked.elapsed() >= self.pause
    }

    /// Something was done, so there may be news.
    fn hurry(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// Takes note of a look that began at a time, and of how many trials run.
    fn found(&mut self, began: Instant, is_news: bool, open: usize) {
        let longest = LONGEST_PAUSE + PAUSE_OF_EACH * open as u32;
        let longer = (self.pause * 2).clamp(FIRST_PAUSE, longest);
        let least = (PAUSE_OF_LOOK * began.elapsed()).min(longest);
        self.pause = if is_news { FIRST_PAUSE } else { longer }.max(least);
        self.looked = Instant::now();
    }
}

impl DatabaseStorage {
    /// The study as `worker` has it, who works at it with `config`: the study's, with where data lie here. `store` is where
    /// files go that trainings leave in `folder`.
    ///
    /// # Errors
    /// If the study keeps files and there is no store.
    pub fn new(
        link: Link,
        study: &Registered,
        config: &StudyConfig,
        worker: &str,
        store: Option<Store>,
        folder: &Path,
    ) -> Result<Self> {
        study.check_store(store.is_some())?;
        let holds = Arc::new(Holds::default());
        let lease = study.terms.lease;
        let renewal = Renewal::start(link.beside(), study.name.clone(), lease, Arc::clone(&holds))?;
        Ok(Self {
            link,
            name: study.name.clone(),
            worker: worker.to_owned(),
            context: config.training_context(),
            seen: vec![Seen::default(); study.tracks.len()],
            study: Study {
                ids: study.ids(),
                reader: Reader::new(study, config)?,
                space: config.space.clone(),
                lease,
                most_attempts: study.terms.most_attempts as i32,
                proposal_ms: FIRST_PROPOSAL_MS,
            },
            holds,
            _renewal: renewal,
            news: Pace::new(),
            free: vec![],
            free_looked: None,
            files: store.map(|store| Files { store, folder: folder.to_owned() }),
        })
    }

    /// The trainings that this worker shares with all others of the database; `None` where the study keeps no files.
    pub fn trainings(&self) -> Option<Arc<Trainings>> {
        let files = self.files.as_ref()?;
        Some(Arc::new(Trainings {
            link: Mutex::new(self.link.beside()),
            study: self.name.clone(),
            worker: self.worker.clone(),
            lease: self.study.lease,
            store: files.store.clone(),
            holds: Arc::clone(&self.holds),
            context: self.context.clone(),
        }))
    }

    /// Whether a track has trials that nobody holds, as of the last look.
    fn is_free(&mut self, track: usize) -> Result<bool> {
        let pause = (self.study.lease / LOOKS).min(LONGEST_LOOK);
        if self.free_looked.is_none_or(|looked| looked.elapsed() >= pause) {
            let Study { ids, lease, .. } = &self.study;
            let rows = self.link.work(|session, _| session.rows(FREE, &[ids, &millis(*lease)]))?;
            self.free = rows.iter().map(|row| row.get(0)).collect();
            self.free_looked = Some(Instant::now());
        }
        let id = self.study.ids[track];
        let found = self.free.iter().position(|free| *free == id);
        // Once a look: others may be after the same ones.
        found.map(|position| self.free.remove(position));
        Ok(found.is_some())
    }

    /// The id of the trial that was taken over by a token.
    fn take_over(&mut self, track: usize, token: Uuid) -> Result<Option<i32>> {
        let Study { ids, lease, most_attempts, .. } = &self.study;
        let (id, lease_ms, worker) = (ids[track], millis(*lease), &self.worker);
        self.link.work(|session, is_again| {
            if is_again && let Some(row) = session.row(TAKEN, &[&token])? {
                return Ok(Some(row.get(0)));
            }
            session.execute(GIVE_UP, &[&id, most_attempts, &lease_ms])?;
            let taken = session.row(TAKE_OVER, &[&id, worker, &lease_ms, &token])?;
            Ok(taken.map(|row| row.get(0)))
        })
    }

    /// Puts what a training left into the store; names of the files by the attribute that Optuna has for them.
    fn keep_files(&self, trial: &Trial) -> Result<Attributes> {
        let Some(files) = self.files.as_ref().filter(|_| trial.state == TrialState::Complete) else {
            return Ok(Attributes::new());
        };
        let folder = trial_folder(&files.folder, trial.id);
        let mut attributes = Attributes::new();
        for name in TRAINED_FILES {
            let path = folder.join(name);
            if path.exists() {
                let bytes = mfactor::files::read(&path)?;
                let sha256 = files.store.put_patiently(&bytes, self.link.patience())?;
                let (key, value) = Artifact { sha256, name: name.to_owned() }.attribute();
                attributes.insert(key, value);
            }
        }
        Ok(attributes)
    }
}

impl Storage for DatabaseStorage {
    fn study(&mut self, say: &mut dyn FnMut(Option<Attributes>) -> Result<Attributes>) -> Result<()> {
        let ids = self.study.ids.clone();
        self.link.work(|session, _| {
            session.locked(ids[0], "", |session| {
                let rows = session.rows(
                    "SELECT key::text, value_json FROM study_user_attributes WHERE study_id = $1",
                    &[&ids[0]],
                )?;
                let parsed = |text: Option<&str>| serde_json::from_str(text?).ok();
                let known = rows.iter().filter_map(|row| Some((row.get(0), parsed(row.get(1))?)));
                let news = say(Some(known.collect()))?;
                registry::note(session, &ids, &news)?;
                Ok(Some(()))
            })
        })?;
        Ok(())
    }

    fn trials(&mut self) -> Result<Vec<Vec<Trial>>> {
        if !self.news.is_due() {
            return Ok(vec![]);
        }
        let (began, reader) = (Instant::now(), &self.study.reader);
        let seen: Vec<Seen> = self.seen.iter().map(|seen| seen.besides(&self.holds)).collect();
        let news = self.link.work(|session, _| reader.news(session, &seen))?;
        for (seen, news) in self.seen.iter_mut().zip(&news) {
            news.iter().for_each(|trial| seen.note(trial));
        }
        let open = self.seen.iter().map(Seen::open).sum();
        self.news.found(began, news.iter().any(|news| !news.is_empty()), open);
        Ok(news)
    }

    fn enqueue(
        &mut self,
        track: usize,
        retries: Option<u64>,
        propose: &mut dyn FnMut(Vec<Trial>) -> Option<Trial>,
    ) -> Result<Option<Trial>> {
        if let Some(trial) = retries {
            let problem = "cannot be tried again: trials that were proposed since know that it failed";
            return Err(Error::input(format!("trial {trial} of a shared study"), problem));
        }
        let token = Uuid::new_v4();
        let (study, worker, holds, seen) =
            (&mut self.study, &self.worker, &self.holds, &mut self.seen[track]);
        let made = self.link.work(|session, is_again| {
            if is_again {
                study.proposal_ms = (study.proposal_ms * 2).min(LONGEST_PROPOSAL_MS);
            }
            begin(session, study, (track, seen), holds, (worker, token, is_again), propose)
        })?;
        self.news.hurry();
        if let Some(trial) = &made {
            self.seen[track].note(trial);
            self.holds.hold(row_id(trial.id), token);
        }
        Ok(made)
    }

    fn claim(&mut self, track: usize, _: Option<&Trial>) -> Result<Option<Trial>> {
        if !self.is_free(track)? {
            return Ok(None);
        }
        let token = Uuid::new_v4();
        self.news.hurry();
        let Some(id) = self.take_over(track, token)? else { return Ok(None) };
        let reader = &self.study.reader;
        let trial = self.link.work(|session, _| reader.one(session, track, id))?;
        // It may be gone again, with the whole study.
        let Some(trial) = trial else { return Ok(None) };
        self.holds.hold(id, token);
        Ok(Some(Trial { epoch_accuracies: vec![], ..trial }))
    }

    fn beat(&mut self) -> Result<Beat> {
        let (lost, stops) = self.holds.heed();
        if !lost.is_empty() {
            self.news.hurry();
        }
        Ok(Beat {
            lost: lost.into_iter().map(|trial| trial as u64).collect(),
            stops,
            trials: self.holds.asked(),
        })
    }

    fn report(&mut self, trial: u64, epoch: u32, accuracy: f64) -> Result<Hold> {
        let id = row_id(trial);
        let Some(token) = self.holds.token(id) else { return Ok(Hold::Lost) };
        let (lease_ms, step) = (millis(self.study.lease), epoch as i32);
        let kept = self
            .link
            .work(|session, _| session.execute(REPORT, &[&id, &token, &lease_ms, &step, &accuracy]))?;
        if kept == 1 {
            return Ok(Hold::Held);
        }
        self.holds.let_go(id);
        self.news.hurry();
        Ok(Hold::Lost)
    }

    fn finish(&mut self, trial: &Trial) -> Result<Hold> {
        let id = row_id(trial.id);
        let Some(token) = self.holds.token(id) else { return Ok(Hold::Lost) };
        // Files first: a crash leaves a file without a name, and never a name without a file.
        let artifacts = columns(self.keep_files(trial)?);
        let attributes = columns(form::final_attributes(trial));
        let state = state_name(trial.state);
        let has_ended = self.link.work(|session, _| {
            let values: crate::link::Values = &[
                &id,
                &token,
                &state,
                &trial.m_factor,
                &attributes.0,
                &attributes.1,
                &artifacts.0,
                &artifacts.1,
            ];
            let ended = session.row(FINISH, values)?.is_some_and(|row| row.get::<_, i64>(0) == 1);
            Ok(ended || session.row(ENDED_BY, &[&id, &token])?.is_some())
        })?;
        self.holds.let_go(id);
        self.news.hurry();
        if !has_ended {
            return Ok(Hold::Lost);
        }
        self.seen.iter_mut().for_each(|seen| seen.ended(id));
        if !artifacts.0.is_empty()
            && let Some(files) = &self.files
        {
            // The store has them.
            let _ = std::fs::remove_dir_all(trial_folder(&files.folder, trial.id));
        }
        Ok(Hold::Held)
    }

    fn release(&mut self) -> Result<()> {
        for (trial, token) in self.holds.all() {
            self.holds.let_go(trial);
            self.link.work_at_once(|session| session.execute(HAND_BACK, &[&trial, &token]))?;
        }
        Ok(())
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// Optuna's name for a state.
fn state_name(state: TrialState) -> &'static str {
    match form::state_number(state) {
        state::COMPLETE => "COMPLETE",
        state::PRUNED => "PRUNED",
        state::FAIL => "FAIL",
        _ => "RUNNING",
    }
}

/// A trial's id in the database; one that is none there is nobody's.
fn row_id(trial: u64) -> i32 {
    i32::try_from(trial).unwrap_or(-1)
}
