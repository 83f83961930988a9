//! Trainings that workers of several studies share: each is made once, whoever dies and whatever is damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster::registry::{self, Terms};
use cluster::trainings::Shared;
use cluster::{DatabaseStorage, Store, schema};
use mfactor::Result;
use mfactor::protocol::{Evaluation, Job};
use search::evaluators::TRAINED_FILES;
use search::{Ended, Evaluator, Outcome, Report, Study, StudyConfig, StudyEvent, Verdict};
use tests::postgres::Postgres;

use crate::worker::{config, link, patient, register, terms};

/// How often each architecture was trained.
type Counts = Arc<Mutex<BTreeMap<String, u32>>>;

/// An evaluator that counts what it trains, and leaves files.
struct Counting {
    counts: Counts,
}

impl Evaluator for Counting {
    fn evaluate(
        &mut self,
        job: &Job,
        _: &mut dyn FnMut(Report) -> Result<Verdict>,
        _: &AtomicBool,
    ) -> Result<Ended> {
        std::thread::sleep(Duration::from_millis(30));
        *self.counts.lock().unwrap().entry(job.architecture.to_string()).or_default() += 1;
        fs::create_dir_all(&job.output).unwrap();
        for name in TRAINED_FILES {
            fs::write(job.output.join(name), format!("{name} of {}", job.architecture)).unwrap();
        }
        Ok(Ended::Complete(Evaluation { accuracy: 0.5, seconds: 1.0, images: 1 }))
    }
}

/// One worker's life, with two trainers; warnings that it gave.
fn work(url: &str, study: &str, name: &str, store: &Store, counts: &Counts) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut link = patient(url);
    let study = registry::find(&mut link, study).unwrap();
    let storage =
        DatabaseStorage::new(link, &study, &study.config, name, Some(store.clone()), folder.path()).unwrap();
    let trainings = storage.trainings().unwrap();
    let trainer = || Shared::new(Counting { counts: Arc::clone(counts) }, Arc::clone(&trainings));
    let mut shared = Study::over(folder.path(), study.config, Box::new(storage)).unwrap();
    let mut warnings = vec![];
    let mut observer = |event: &StudyEvent| {
        if let StudyEvent::Warning { text, .. } = event {
            warnings.push(text.clone());
        }
    };
    let outcome = shared.run(&mut [trainer(), trainer()], &mut observer, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    warnings
}

fn twins(url: &str, names: &[&str], folder: &Path) -> Store {
    let store = Store::open(&format!("file://{}", folder.display())).unwrap();
    for name in names {
        let config = StudyConfig { prune: None, ..config(name, 6) };
        register(url, &config, Terms { keeps_files: true, ..terms(800) });
    }
    store.mark(schema::check(&mut link(url)).unwrap()).unwrap();
    store
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn nobody_trains_what_another_has_trained_or_trains_now() {
    let (server, places) = (Postgres::new(&[]), tempfile::tempdir().unwrap());
    let (url, counts) = (server.database("twins"), Counts::default());
    let store = twins(&url, &["a", "b"], places.path());
    std::thread::scope(|scope| {
        for (worker, study) in ["a", "b", "a", "b"].into_iter().enumerate() {
            let (url, store, counts) = (&url, &store, &counts);
            scope.spawn(move || work(url, study, &format!("w{worker}"), store, counts));
        }
    });
    let counts = counts.lock().unwrap();
    assert!(counts.len() > 10 && counts.values().all(|count| *count == 1), "{counts:?}");
    let reused = "SELECT count(*) FROM trial_user_attributes WHERE key = 'reused' AND value_json = 'true'";
    let reused: usize = server.sql("twins", reused).parse().unwrap();
    assert_eq!(reused + counts.len(), 2 * (3 * 6 + 1), "each of both studies' trials was trained or reused");
}

#[test]
#[ignore = "needs PostgreSQL: scripts/test"]
fn what_a_lost_worker_trained_or_somebody_damaged_is_trained_again() {
    let (server, places) = (Postgres::new(&[]), tempfile::tempdir().unwrap());
    let (url, counts) = (server.database("lost"), Counts::default());
    let store = twins(&url, &["a", "b", "c"], places.path());
    assert_eq!(work(&url, "a", "first", &store, &counts), [""; 0]);
    let trained = counts.lock().unwrap().len();
    // One that began all of them and died: its leases run out, and nobody renews them.
    server.sql(
        "lost",
        "UPDATE mfactor_trainings SET entry = NULL, token = gen_random_uuid(), worker = 'dead',
         expires = clock_timestamp() + interval '1 s'",
    );
    assert_eq!(work(&url, "b", "second", &store, &counts), [""; 0]);
    assert!(counts.lock().unwrap().values().all(|count| *count == 2), "{counts:?}");
    assert_eq!(server.sql("lost", "SELECT count(*) FROM mfactor_trainings WHERE worker = 'dead'"), "0");

    let damaged = fs::read_dir(places.path()).unwrap().map(|entry| entry.unwrap().path());
    let damaged = damaged.filter(|path| fs::read(path).unwrap().starts_with(b"weights")).take(3);
    damaged.for_each(|path| fs::write(path, "weights of nobody").unwrap());
    let warnings = work(&url, "c", "third", &store, &counts);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(
        warnings.iter().all(|text| text.contains("damaged") && text.contains("trained again")),
        "{warnings:?}"
    );
    let counts = counts.lock().unwrap();
    assert_eq!(counts.values().filter(|count| **count == 3).count(), 3, "of {trained}: {counts:?}");
}
