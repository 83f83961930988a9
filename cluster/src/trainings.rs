//! Trainings that all workers of a database share: one trains, the others wait for it and take what it left out of the store. A
//! training is held by a lease, as a trial is, and taken over from a worker that is lost.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mfactor::protocol::{Epoch, Evaluation, Job};
use mfactor::{Error, Result, files};
use search::evaluators::{TRAINED_FILES, recorded, replay, training_key};
use search::{Ended, Evaluator, Report, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::begin::millis;
use crate::claims::Holds;
use crate::link::Link;
use crate::store::Store;

/// How often a worker looks whether the one that trains the same is done, and how often whether it is to stop.
const LOOK: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(50);
/// Version of an entry's form.
const SCHEMA: u32 = 1;

/// Gives the training $1 for study $2 to worker $3 by the token $4 for $5 ms, unless somebody has it or it is there.
const CLAIM: &str = "
INSERT INTO mfactor_trainings AS t (key, study, worker, token, expires)
VALUES ($1, $2, $3, $4, clock_timestamp() + $5::float8 * interval '1 ms')
ON CONFLICT (key) DO UPDATE
SET study = excluded.study, worker = excluded.worker, token = excluded.token, expires = excluded.expires
WHERE t.entry IS NULL AND (t.token = excluded.token OR t.expires = '-infinity' OR t.expires < clock_timestamp()
  AND pg_postmaster_start_time() < clock_timestamp() - $5::float8 * interval '1 ms')
RETURNING key";

const ENTRY: &str = "SELECT entry FROM mfactor_trainings WHERE key = $1";

/// Keeps what came of the training $1 with the token $2.
const KEEP: &str = "
UPDATE mfactor_trainings SET entry = $3, expires = 'infinity' WHERE key = $1 AND token = $2 AND entry IS NULL";

/// Frees the training $1 with the token $2, which came to nothing that could be kept.
const FREE: &str = "
UPDATE mfactor_trainings SET expires = '-infinity' WHERE key = $1 AND token = $2 AND entry IS NULL";

/// Forgets the entry $2 of the training $1, whose files are no longer what they were.
const FORGET: &str = "
UPDATE mfactor_trainings SET entry = NULL, expires = '-infinity' WHERE key = $1 AND entry = $2";

/// Keeps the leases of the trainings $1 with tokens $2 for $3 ms more.
pub(crate) const RENEW: &str = "
UPDATE mfactor_trainings t SET expires = clock_timestamp() + $3::float8 * interval '1 ms'
FROM unnest($1::text[], $2::uuid[]) AS h (key, token)
WHERE t.key = h.key AND t.token = h.token AND t.entry IS NULL AND t.expires <> '-infinity'";

/// What is kept of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    schema: u32,
    evaluation: Evaluation,
    epochs: Vec<Epoch>,
    /// SHA-256 of each file that it left, by its name.
    files: BTreeMap<String, String>,
}

/// The trainings of a database, as one worker has them.
pub struct Trainings {
    pub(crate) link: Mutex<Link>,
    pub(crate) study: String,
    pub(crate) worker: String,
    pub(crate) lease: Duration,
    pub(crate) store: Store,
    pub(crate) holds: Arc<Holds>,
    /// What decides a training beside its job and its trainer.
    pub(crate) context: Value,
}

/// An evaluator that answers from trainings of all workers where it can, and shares those of `inner`.
pub struct Shared<E> {
    inner: E,
    trainings: Arc<Trainings>,
}

/// Who has a training.
enum Claimed {
    /// This worker, as long as it lives.
    Here,
    /// Somebody else.
    Elsewhere,
    /// It is done: the entry as it stands in the database.
    Done(String),
}

impl Trainings {
    fn link(&self) -> std::sync::MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, key: &str, token: Uuid) -> Result<Claimed> {
        let lease_ms = millis(self.lease);
        self.link().work(|session, _| {
            let values: crate::link::Values = &[&key, &self.study, &self.worker, &token, &lease_ms];
            if session.row(CLAIM, values)?.is_some() {
                return Ok(Claimed::Here);
            }
            let entry = session.row(ENTRY, &[&key])?.and_then(|row| row.get(0));
            Ok(entry.map_or(Claimed::Elsewhere, Claimed::Done))
        })
    }

    /// Brings the files of an entry, each checked. The inner error is what is wrong with the entry.
    fn fetch(&self, entry: &str, job: &Job) -> Result<Result<Entry, String>> {
        let entry: Entry = match serde_json::from_str(entry) {
            Ok(entry) => entry,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if entry.schema != SCHEMA {
            return Ok(Err(format!("it has schema {}", entry.schema)));
        }
        files::make_folder(&job.output)?;
        let patience = self.link().patience().clone();
        // Names come from here: those of the entry would be believed anywhere.
        for name in TRAINED_FILES {
            let Some(sha256) = entry.files.get(name) else { continue };
            match self.store.get_patiently(sha256, &patience) {
                Ok(bytes) => files::write(&job.output.join(name), &bytes)?,
                Err(error @ (Error::Input { .. } | Error::Io { .. })) => return Ok(Err(error.to_string())),
                Err(error) => return Err(error),
            }
        }
        Ok(Ok(entry))
    }

    /// Shares what a training left; whoever lost it meanwhile shares nothing.
    fn keep(
        &self,
        key: &str,
        token: Uuid,
        evaluation: &Evaluation,
        epochs: Vec<Epoch>,
        job: &Job,
    ) -> Result<()> {
        let patience = self.link().patience().clone();
        let mut kept = BTreeMap::new();
        for name in TRAINED_FILES {
            let path = job.output.join(name);
            if path.exists() {
                let sha256 = self.store.put_patiently(&files::read(&path)?, &patience)?;
                kept.insert(name.to_owned(), sha256);
            }
        }
        let entry = Entry { schema: SCHEMA, evaluation: evaluation.clone(), epochs, files: kept };
        let text = serde_json::to_string(&entry)
            .map_err(|error| Error::Defect(format!("a training cannot be written as JSON: {error}")))?;
        self.link().work(|session, _| session.execute(KEEP, &[&key, &token, &text])).map(drop)
    }
}

impl<E: Evaluator> Shared<E> {
    /// Shares what `inner` trains.
    pub fn new(inner: E, trainings: Arc<Trainings>) -> Self {
        Self { inner, trainings }
    }

    /// Trains what this worker has claimed.
    fn train(
        &mut self,
        (key, token): (&str, Uuid),
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        let (ended, epochs) = recorded(&mut self.inner, job, on_report, stop)?;
        if let Ended::Complete(evaluation) = &ended
            && evaluation.accuracy.is_finite()
        {
            self.trainings.keep(key, token, evaluation, epochs, job)?;
        }
        Ok(ended)
    }
}

impl<E: Evaluator> Evaluator for Shared<E> {
    fn inner(&mut self) -> Option<&mut dyn Evaluator> {
        Some(&mut self.inner)
    }

    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        let trainer = self.inner.trainer(on_report, stop)?;
        let key = training_key(job, trainer.as_ref(), &self.trainings.context);
        let key = files::sha256(key.to_string().as_bytes());
        let token = Uuid::new_v4();
        loop {
            let entry = match self.trainings.claim(&key, token)? {
                Claimed::Here => break,
                Claimed::Elsewhere => {
                    wait(stop)?;
                    continue;
                }
                Claimed::Done(entry) => entry,
            };
            match self.trainings.fetch(&entry, job)? {
                Ok(entry) => return replay(&entry.evaluation, &entry.epochs, job, on_report),
                Err(problem) => {
                    let text = format!("a shared training is damaged ({problem}): it is trained again");
                    on_report(Report::Warning(text))?;
                    self.trainings.link().work(|session, _| session.execute(FORGET, &[&key, &entry]))?;
                }
            }
        }
        let _ = fs::remove_dir_all(&job.output);
        self.trainings.holds.train(&key, Some(token));
        let trained = self.train((&key, token), job, on_report, stop);
        self.trainings.holds.train(&key, None);
        // What was kept stays. Whoever cannot say so loses it by its lease.
        let _ = self.trainings.link().work_at_once(|session| session.execute(FREE, &[&key, &token]));
        trained
    }
}

/// Waits for another worker.
fn wait(stop: &AtomicBool) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < LOOK {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted("stopped while another worker trained the same".to_owned()));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// SHA-256 of all files that trainings of the database name.
pub(crate) fn files(link: &mut Link) -> Result<Vec<String>> {
    let rows = link.work(|session, _| {
        session.rows("SELECT entry FROM mfactor_trainings WHERE entry IS NOT NULL", &[])
    })?;
    let entries = rows.iter().filter_map(|row| serde_json::from_str::<Entry>(row.get(0)).ok());
    Ok(entries.flat_map(|entry| entry.files.into_values()).collect())
}
