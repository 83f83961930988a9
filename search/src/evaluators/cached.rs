//! Trainings that are found again: the same job is trained once, whichever strategies ask for it.
//!
//! A cache is a folder of entries named by the SHA-256 of all that decides a training's result. An entry appears
//! by one rename, is held against its key and checked byte by byte before it is used, and is thrown away when it is damaged.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mfactor::protocol::{CONFUSION_FILE, Epoch, Evaluation, Job, TrainerFacts};
use mfactor::{Error, Result, files};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::trained::{self, TRAINED_FILES};
use super::trainer_process::check_stop;
use super::{Ended, Evaluator, Report, Verdict};
use crate::lock::has_no_locks;

/// Version of an entry's form.
const SCHEMA: u32 = 3;
/// What is known of an entry, beside the trained files.
const ENTRY_FILE: &str = "entry.json";
/// How the name of an entry's folder begins until it is whole.
const DRAFT: &str = ".draft-";
/// How often a worker looks whether the one that trains the same job is done.
const POLL: Duration = Duration::from_millis(50);

/// What an entry says.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    schema: u32,
    /// What the entry is named after, for people.
    key: Value,
    evaluation: Evaluation,
    epochs: Vec<Epoch>,
    /// SHA-256 of each trained file, by its name.
    sha256: BTreeMap<String, String>,
    /// SHA-256 of all of the above.
    checksum: String,
}

/// Answers from earlier trainings where it can, and keeps what another evaluator trains. Only whole trainings
/// are kept. Several processes and threads may share a folder; each job is trained by one of them while the
/// others wait for it.
pub struct Cached<E> {
    inner: E,
    folder: PathBuf,
    context: Value,
}

impl<E: Evaluator> Cached<E> {
    /// A cache in `folder`, which is made if need be, for what `inner` trains. `context` is what decides a
    /// training's result beside the job and the trainer: the contents of the data set.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made or written to.
    pub fn new(inner: E, folder: &Path, context: Value) -> Result<Self> {
        files::make_folder(folder)?;
        // A file without a name: nothing of it stays, even if this process is killed.
        tempfile::tempfile_in(folder).map_err(Error::io("write to", folder))?;
        collect(folder);
        Ok(Self { inner, folder: folder.to_owned(), context })
    }
}

/// All that decides the result of `job` on this trainer: two trainings with one key come to the same. `context` is what decides
/// it beside the two, the contents of the data set.
pub fn training_key(job: &Job, trainer: Option<&TrainerFacts>, context: &Value) -> Value {
    let trainer = trainer.map(|facts| {
        let mut key = json!({
            "version": facts.version,
            "build": facts.build,
            "hardware": facts.hardware(),
            "threads": facts.threads,
        });
        // Trainers that do not say it keep the keys that they had.
        if !facts.kernels.is_empty() {
            key["kernels"] = json!(facts.kernels);
        }
        key
    });
    json!({
        "schema": SCHEMA,
        "tool": mfactor::version(),
        "architecture": job.architecture,
        "space": job.space,
        "recipe": job.recipe,
        "seed": job.seed,
        "accuracy": job.accuracy,
        "trainer": trainer,
        "context": context,
    })
}

/// Answers a job as its training did, and lets it be pruned as that would have been. The files are the caller's to bring.
///
/// # Errors
/// Those of `on_report`.
pub fn replay(
    evaluation: &Evaluation,
    epochs: &[Epoch],
    job: &Job,
    on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
) -> Result<Ended> {
    on_report(Report::Reused)?;
    for epoch in epochs {
        let verdict = on_report(Report::Epoch(Epoch { trial: job.trial, ..epoch.clone() }))?;
        if verdict == Verdict::Prune && job.decisions.contains(&epoch.epoch) {
            let share = f64::from(epoch.epoch) / f64::from(epoch.epochs);
            let images = (evaluation.images as f64 * share).round() as u64;
            return Ok(Ended::Pruned { seconds: evaluation.seconds * share, images });
        }
    }
    Ok(Ended::Complete(evaluation.clone()))
}

/// An evaluation, and its epochs, which [`replay`] will want: those since it last began.
///
/// # Errors
/// Those of the evaluation.
pub fn recorded<E: Evaluator>(
    inner: &mut E,
    job: &Job,
    on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
    stop: &AtomicBool,
) -> Result<(Ended, Vec<Epoch>)> {
    let mut epochs = vec![];
    let mut record = |report: Report| {
        match &report {
            Report::Epoch(epoch) => epochs.push(epoch.clone()),
            Report::Again(_) => epochs.clear(),
            _ => {}
        }
        on_report(report)
    };
    let ended = inner.evaluate(job, &mut record, stop)?;
    Ok((ended, epochs))
}

impl<E: Evaluator> Evaluator for Cached<E> {
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
        let key = training_key(job, trainer.as_ref(), &self.context);
        let name = files::sha256(key.to_string().as_bytes());
        let _lock = lock(&self.folder.join(format!("{name}.lock")), stop)?;
        // What one left that was killed while it held the lock.
        let _ = fs::remove_dir_all(self.folder.join(format!("{DRAFT}{name}")));
        let folder = self.folder.join(name);
        match Entry::read(&folder, &key) {
            Ok(Some(entry)) => return entry.replay(&folder, job, on_report),
            Ok(None) => {}
            Err(problem) => {
                let folder = folder.display();
                on_report(Report::Warning(format!("{folder} is damaged ({problem}): it is trained again")))?;
            }
        }
        let (ended, epochs) = recorded(&mut self.inner, job, on_report, stop)?;
        if let Ended::Complete(evaluation) = &ended
            && evaluation.accuracy.is_finite()
        {
            let kept = Entry::write(&folder, key, evaluation, epochs, &job.output);
            if let Err(error) = kept {
                on_report(Report::Warning(format!("the training is not kept for others: {error}")))?;
            }
        }
        Ok(ended)
    }
}

/// Removes the drafts of killed processes: those whose lock nobody holds. What cannot be removed stays.
fn collect(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(job) = name.strip_prefix(DRAFT) else { continue };
        let Ok(lock) = OpenOptions::new().write(true).open(folder.join(format!("{job}.lock"))) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Holds a job for its worker. The system gives it up with the process. Where the file system has no locks, two workers may
/// train the same job, and the later entry replaces the other.
fn lock(path: &Path, stop: &AtomicBool) -> Result<Option<File>> {
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = open.map_err(Error::io("open", path))?;
    loop {
        check_stop(stop)?;
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
            Err(TryLockError::Error(error)) if has_no_locks(&error) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
        }
    }
}

impl Entry {
    /// Reads the entry of `key` and checks its files; `None` if there is none. The error says what is wrong.
    fn read(folder: &Path, key: &Value) -> Result<Option<Self>, String> {
        if fs::symlink_metadata(folder).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(None);
        }
        let entry: Self = files::read_json(&folder.join(ENTRY_FILE)).map_err(|error| error.to_string())?;
        if entry.schema != SCHEMA {
            return Err(format!("{ENTRY_FILE} has schema {}", entry.schema));
        }
        if entry.key != *key {
            return Err(format!("{ENTRY_FILE} is of another training"));
        }
        if entry.checksum != entry.expected_checksum() {
            return Err(format!("{ENTRY_FILE} has other contents than when it was written"));
        }
        for name in entry.files() {
            let bytes = files::read(&folder.join(name)).map_err(|error| error.to_string())?;
            if Some(&files::sha256(&bytes)) != entry.sha256.get(name) {
                return Err(format!("{name} has other contents than when it was written"));
            }
        }
        Ok(Some(entry))
    }

    /// The trained files that were kept. Names come from here and not from the entry, which would be believed anywhere.
    fn files(&self) -> impl Iterator<Item = &'static str> {
        TRAINED_FILES.into_iter().filter(|name| *name != CONFUSION_FILE || self.sha256.contains_key(*name))
    }

    /// Of everything but the checksum itself.
    fn expected_checksum(&self) -> String {
        let Self { schema, key, evaluation, epochs, sha256, checksum: _ } = self;
        files::sha256(json!([schema, key, evaluation, epochs, sha256]).to_string().as_bytes())
    }

    /// Keeps what a training left in `output`. The caller has the job's lock.
    fn write(
        folder: &Path,
        key: Value,
        evaluation: &Evaluation,
        epochs: Vec<Epoch>,
        output: &Path,
    ) -> Result<()> {
        let parent = folder.parent().expect("an entry lies in the cache's folder");
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let draft =
            tempfile::Builder::new().prefix(&format!("{DRAFT}{name}")).rand_bytes(0).tempdir_in(parent);
        let draft = draft.map_err(Error::io("write to", parent))?;
        let mut sha256 = BTreeMap::new();
        for name in trained::present(output) {
            sha256.insert(name.to_owned(), files::sha256(&files::read(&output.join(name))?));
            link(&output.join(name), &draft.path().join(name))?;
        }
        let evaluation = evaluation.clone();
        let mut entry = Self { schema: SCHEMA, key, evaluation, epochs, sha256, checksum: String::new() };
        entry.checksum = entry.expected_checksum();
        files::write_json(&draft.path().join(ENTRY_FILE), &entry)?;
        remove_entry(folder)?;
        fs::rename(draft.path(), folder).map_err(Error::io("create", folder))?;
        // It lies under its own name now, and is not to be removed as a draft.
        let _ = draft.keep();
        Ok(())
    }

    /// Answers a job as its training did.
    fn replay(
        &self,
        folder: &Path,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
    ) -> Result<Ended> {
        let ended = replay(&self.evaluation, &self.epochs, job, on_report)?;
        if let Ended::Complete(_) = ended {
            files::make_folder(&job.output)?;
            for name in self.files() {
                link(&folder.join(name), &job.output.join(name))?;
            }
        }
        Ok(ended)
    }
}

/// Removes an entry that is damaged, whatever it has become.
fn remove_entry(folder: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(folder) {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(folder),
        Ok(_) => fs::remove_file(folder),
        Err(_) => return Ok(()),
    };
    removed.map_err(Error::io("remove", folder))
}

/// Makes `to` the file `from`: by a second name where the file system has that, else by a copy. Neither is ever
/// changed in place, so sharing is safe.
fn link(from: &Path, to: &Path) -> Result<()> {
    trained::remove(to)?;
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    files::write(to, &files::read(from)?)
}
