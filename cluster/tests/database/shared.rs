//! A study that several workers share, while nothing goes wrong.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cluster::registry::Terms;
use cluster::{DatabaseStorage, Store, pull, schema};
use mfactor::Result;
use mfactor::protocol::{Evaluation, Job};
use search::evaluators::TRAINED_FILES;
use search::study::trial_folder;
use search::{Ended, Evaluator, Outcome, Report, Study, Verdict};
use tests::postgres::Postgres;

use crate::worker::{Mode, alone, config, link, patient, pulled, register, terms, work};

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn the_trials_are_those_of_a_search_without_a_database_however_many_workers_there_are() {
    let (server, expected) = (Postgres::new(&[]), alone(&config("s", 12)));
    for workers in [1, 3, 6] {
        let url = server.database(&format!("with{workers}"));
        register(&url, &config("s", 12), terms(60_000));
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let url = &url;
                scope.spawn(move || {
                    let folder = tempfile::tempdir().unwrap();
                    let outcome = work(url, "s", &format!("w{worker}"), folder.path(), Mode::Plain).unwrap();
                    assert_eq!(outcome, Outcome::Finished);
                });
            }
        });
        assert_eq!(pulled(&url, "s"), expected, "{workers} workers");
    }
}

/// An evaluator that leaves files, whose contents tell the training.
pub struct Leaves;

impl Evaluator for Leaves {
    fn evaluate(
        &mut self,
        job: &Job,
        _: &mut dyn FnMut(Report) -> Result<Verdict>,
        _: &AtomicBool,
    ) -> Result<Ended> {
        fs::create_dir_all(&job.output).unwrap();
        for name in TRAINED_FILES {
            fs::write(job.output.join(name), left(name, job.seed)).unwrap();
        }
        Ok(Ended::Complete(Evaluation { accuracy: 0.5, seconds: 1.0, images: 1 }))
    }
}

pub fn left(name: &str, seed: u64) -> String {
    format!("{name} of {seed}")
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn what_trainings_leave_goes_through_the_store_and_is_checked() {
    let (server, places) = (Postgres::new(&[]), tempfile::tempdir().unwrap());
    let [store, work, copy] = ["store", "work", "copy"].map(|name| places.path().join(name));
    fs::create_dir(&store).unwrap();
    let url = server.database("files");
    let config = config("s", 3);
    let study = register(&url, &config, Terms { keeps_files: true, ..terms(60_000) });
    let error = DatabaseStorage::new(patient(&url), &study, &config, "w", None, &work).err().unwrap();
    assert!(error.to_string().contains("--artifacts"), "{error}");
    let kept = Store::open(&format!("file://{}", store.display())).unwrap();
    let database = schema::check(&mut link(&url)).unwrap();
    kept.mark(database).unwrap();
    let storage =
        DatabaseStorage::new(patient(&url), &study, &config, "w", Some(kept.clone()), &work).unwrap();
    let mut running = Study::over(&work, config.clone(), Box::new(storage)).unwrap();
    running.run(&mut [Leaves], &mut |_| {}, &AtomicBool::new(false)).unwrap();
    assert_eq!(fs::read_dir(work.join("trials")).unwrap().count(), 0, "the store has them");

    let orphan = kept.put(b"of a worker that was killed").unwrap();
    let orphans = pull::orphans(&mut link(&url), &kept, database, Duration::ZERO).unwrap();
    assert_eq!(orphans.iter().map(|kept| &kept.name).collect::<Vec<_>>(), [&orphan]);
    let error = pull::pull(&mut link(&url), &study, config.clone(), None, &copy).unwrap_err();
    assert!(error.to_string().contains("--artifacts"), "{error}");
    let bring = || pull::pull(&mut link(&url), &study, config.clone(), Some(&kept), &copy);
    let one = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
    let (one, is_weights) =
        (one.collect::<Vec<_>>(), |path: &PathBuf| fs::read(path).unwrap().starts_with(b"weights"));
    let damaged = one.iter().find(|path| is_weights(path)).unwrap();
    let whole = fs::read(damaged).unwrap();
    fs::write(damaged, b"weights of nobody").unwrap();
    assert!(bring().unwrap_err().to_string().contains("is damaged"));
    fs::write(damaged, whole).unwrap();
    bring().unwrap();
    let record = Study::read(&copy).unwrap();
    assert_eq!(record.trials.len(), 10);
    for trial in record.trials {
        for name in TRAINED_FILES {
            let file = trial_folder(&copy, trial.id).join(name);
            assert_eq!(fs::read_to_string(file).unwrap(), left(name, trial.seed));
        }
    }
}
