//! Trainings that are found again, and entries that are not what they were.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use mfactor::protocol::{CHECK_FILE, CONFUSION_FILE, Job, PROTOCOL, TrainerFacts, WEIGHTS_FILE};
use mfactor::{AccuracyKind, Recipe, Result, SearchSpace};
use search::evaluators::Cached;
use search::{Ended, Evaluator, Report, Study, StudyEvent, Verdict};
use serde_json::json;

use crate::pretend::Pretend;
use crate::study::{config, finish};

/// Trains as [`Pretend`] does, and leaves files.
#[derive(Default)]
struct Training(Pretend, Option<TrainerFacts>);

impl Evaluator for Training {
    fn trainer(
        &mut self,
        _: &mut dyn FnMut(Report) -> Result<Verdict>,
        _: &AtomicBool,
    ) -> Result<Option<TrainerFacts>> {
        Ok(self.1.clone())
    }

    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        let ended = self.0.evaluate(job, on_report, stop)?;
        fs::create_dir_all(&job.output).unwrap();
        fs::write(job.output.join(WEIGHTS_FILE), format!("{} {}", job.architecture, job.seed)).unwrap();
        fs::write(job.output.join(CHECK_FILE), "logits").unwrap();
        // Not every trainer writes it.
        if job.recipe.momentum < 0.9 {
            fs::write(job.output.join(CONFUSION_FILE), "counts").unwrap();
        }
        Ok(ended)
    }
}

fn job(folder: &Path, trial: u64) -> Job {
    let space = SearchSpace::paper();
    Job {
        trial,
        architecture: space.smallest(),
        space,
        recipe: Recipe::default(),
        seed: 9,
        data: PathBuf::from("data"),
        output: folder.join("trials").join(trial.to_string()),
        accuracy: mfactor::AccuracyKind::Plain,
        decisions: vec![1],
    }
}

/// Evaluates a job through the cache in `folder` and returns what was reported and how often it was trained.
fn evaluate(folder: &Path, job: &Job, verdict: Verdict) -> (Result<Ended>, Vec<Report>, usize) {
    let mut training = Training::default();
    let mut reports = Vec::new();
    let mut cached = Cached::new(&mut training, &folder.join("cache"), json!("data set")).unwrap();
    let mut on_report = |report| {
        reports.push(report);
        Ok(verdict)
    };
    let result = cached.evaluate(job, &mut on_report, &AtomicBool::new(false));
    (result, reports, training.0.jobs.len())
}

/// The one entry of the cache.
fn entry(folder: &Path) -> PathBuf {
    let names = fs::read_dir(folder.join("cache")).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = names.filter(|path| path.is_dir()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders[0].clone()
}

#[test]
fn what_was_trained_is_found_with_its_epochs_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (first, reported, trained) = evaluate(folder, &job(folder, 1), Verdict::GoOn);
    assert_eq!((reported.len(), trained), (3, 1));
    let (second, replayed, trained) = evaluate(folder, &job(folder, 2), Verdict::GoOn);
    assert_eq!((second.unwrap(), trained), (first.unwrap(), 0));
    assert_eq!(replayed[0], Report::Reused);
    for (replayed, reported) in replayed[1..].iter().zip(&reported) {
        let (Report::Epoch(replayed), Report::Epoch(reported)) = (replayed, reported) else { panic!() };
        assert_eq!(
            (replayed.trial, replayed.accuracy, replayed.epoch),
            (2, reported.accuracy, reported.epoch)
        );
    }
    for file in [WEIGHTS_FILE, CHECK_FILE] {
        let read = |trial: &str| fs::read(folder.join("trials").join(trial).join(file)).unwrap();
        assert_eq!(read("1"), read("2"));
    }
}

#[test]
fn the_counts_are_kept_where_there_are_any() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let trained = |trial, momentum| {
        let job = Job { recipe: Recipe { momentum, ..Recipe::default() }, ..job(folder, trial) };
        let times = evaluate(folder, &job, Verdict::GoOn).2;
        (times, fs::read_to_string(job.output.join(CONFUSION_FILE)).ok())
    };
    let counts = Some("counts".to_owned());
    assert_eq!((trained(1, 0.8), trained(2, 0.8)), ((1, counts.clone()), (0, counts.clone())));
    let file = entry(folder).join(CONFUSION_FILE);
    fs::write(&file, "other counts").unwrap();
    assert_eq!(trained(3, 0.8), (1, counts.clone()), "what was changed is not believed");
    fs::remove_file(&file).unwrap();
    assert_eq!(trained(4, 0.8), (1, counts), "nor is an entry that lost them");
    assert_eq!((trained(5, 0.9), trained(6, 0.9)), ((1, None), (0, None)));
}

#[test]
fn whatever_decides_a_training_makes_it_another() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let trained = |job: Job| evaluate(folder, &job, Verdict::GoOn).2;
    let plain = || job(folder, 1);
    assert_eq!(trained(plain()), 1);
    assert_eq!(trained(Job { seed: 10, ..plain() }), 1);
    assert_eq!(trained(Job { architecture: "333-333-335".parse().unwrap(), ..plain() }), 1);
    assert_eq!(trained(Job { recipe: Recipe { momentum: 0.8, ..Recipe::default() }, ..plain() }), 1);
    assert_eq!(trained(Job { accuracy: AccuracyKind::Balanced, ..plain() }), 1);
    assert_eq!(trained(Job { data: "elsewhere".into(), decisions: vec![], ..plain() }), 0);
    let mut training = Training::default();
    let mut other = Cached::new(&mut training, &folder.join("cache"), json!("other data")).unwrap();
    other.evaluate(&plain(), &mut |_| Ok(Verdict::GoOn), &AtomicBool::new(false)).unwrap();
    assert_eq!(training.0.jobs.len(), 1);
}

#[test]
fn another_trainer_trains_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let facts = TrainerFacts {
        protocol: PROTOCOL,
        version: "1".to_owned(),
        build: "aa".to_owned(),
        libtorch: "2.13.0".to_owned(),
        device: "cuda:0".to_owned(),
        device_name: "GPU".to_owned(),
        precision: "float32".to_owned(),
        kernels: String::new(),
        threads: 1,
    };
    let trained = |facts: TrainerFacts| {
        let mut training = Training(Pretend::default(), Some(facts));
        let mut cached = Cached::new(&mut training, &folder.join("cache"), json!(null)).unwrap();
        cached.evaluate(&job(folder, 1), &mut |_| Ok(Verdict::GoOn), &AtomicBool::new(false)).unwrap();
        training.0.jobs.len()
    };
    let text = |text: &str| text.to_owned();
    assert_eq!(trained(facts.clone()), 1);
    assert_eq!(
        trained(TrainerFacts { device: text("cuda:1"), ..facts.clone() }),
        0,
        "one of several like it"
    );
    for other in [
        TrainerFacts { version: text("2"), ..facts.clone() },
        TrainerFacts { build: text("bb"), ..facts.clone() },
        TrainerFacts { libtorch: text("2.14.0"), ..facts.clone() },
        TrainerFacts { device: text("cpu"), ..facts.clone() },
        TrainerFacts { device_name: text("another GPU"), ..facts.clone() },
        TrainerFacts { precision: text("bfloat16"), ..facts.clone() },
        TrainerFacts { kernels: text("avx2"), ..facts.clone() },
        TrainerFacts { threads: 2, ..facts },
    ] {
        assert_eq!(trained(other.clone()), 1, "{other:?}");
    }
}

#[test]
fn pruned_and_failed_trainings_are_not_kept_and_kept_ones_are_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pruned = |trained| {
        let (result, _, times) = evaluate(folder, &job(folder, 1), Verdict::Prune);
        assert!(matches!(result, Ok(Ended::Pruned { .. })), "{result:?}");
        assert_eq!(times, trained);
        result
    };
    let _ = pruned(1);
    let _ = pruned(1);
    evaluate(folder, &job(folder, 1), Verdict::GoOn).0.unwrap();
    assert!(matches!(pruned(0), Ok(Ended::Pruned { seconds: 0.5, images: 15_000 })), "a third of all");
}

#[test]
fn a_damaged_entry_is_trained_again_and_said_so() {
    for damage in ["flip", "lose", "garble", "fake", "schema", "link"] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = evaluate(folder, &job(folder, 1), Verdict::GoOn).0.unwrap();
        let entry = entry(folder);
        match damage {
            "flip" => fs::write(entry.join(WEIGHTS_FILE), "flipped").unwrap(),
            "lose" => fs::remove_file(entry.join(CHECK_FILE)).unwrap(),
            "garble" => fs::write(entry.join("entry.json"), "{").unwrap(),
            "fake" => edit(&entry, "\"seconds\": 1.5", "\"seconds\": 2.5"),
            "schema" => edit(&entry, "\"schema\": 3", "\"schema\": 2"),
            _ => {
                fs::remove_dir_all(&entry).unwrap();
                std::os::unix::fs::symlink("/etc/passwd", &entry).unwrap();
            }
        }
        let (again, reports, trained) = evaluate(folder, &job(folder, 2), Verdict::GoOn);
        assert_eq!((again.unwrap(), trained), (first, 1), "{damage}");
        let Report::Warning(text) = &reports[0] else { panic!("{damage}: {reports:?}") };
        assert!(text.contains("is damaged") && text.contains("trained again"), "{text}");
        assert_eq!(evaluate(folder, &job(folder, 3), Verdict::GoOn).2, 0, "{damage}: it is mended");
    }
}

/// Changes a word of an entry.
fn edit(entry: &Path, from: &str, to: &str) {
    let path = entry.join("entry.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn an_entry_under_another_name_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let other = Job { architecture: "777-777-777".parse().unwrap(), ..job(folder, 1) };
    let first = evaluate(folder, &other, Verdict::GoOn).0.unwrap();
    let name = entry(folder);
    fs::rename(&name, folder.join("aside")).unwrap();
    evaluate(folder, &job(folder, 2), Verdict::GoOn).0.unwrap();
    let own = entry(folder);
    fs::remove_dir_all(&own).unwrap();
    fs::rename(folder.join("aside"), &own).unwrap();
    let (again, reports, trained) = evaluate(folder, &job(folder, 3), Verdict::GoOn);
    assert_ne!(again.unwrap(), first);
    assert!(matches!(&reports[0], Report::Warning(text) if text.contains("another training")), "{reports:?}");
    assert_eq!(trained, 1);
}

#[test]
fn a_cache_that_cannot_be_written_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let refused = Cached::new(Pretend::default(), &folder.path().join("file/cache"), json!(null));
    assert!(refused.err().unwrap().to_string().contains("file/cache"));
}

#[test]
fn strategies_of_a_study_share_trainings_and_the_record_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let space = crate::spaces::space(&[(2, &[3, 5])]);
    let config = search::StudyConfig { space, ..config("all", 4) };
    let mut training = Training::default();
    let mut cached = Cached::new(&mut training, &folder.path().join("cache"), json!(null)).unwrap();
    let mut study = Study::create(&folder.path().join("study"), config).unwrap();
    let events = finish(&mut study, &mut cached);
    let trials = study.record().trials;
    assert_eq!(Study::read(&folder.path().join("study")).unwrap().trials, trials);
    assert_eq!((trials.len(), training.0.jobs.len()), (29, 4), "the space has four architectures");
    assert_eq!(trials.iter().filter(|trial| trial.reused).count(), 25);
    let spent: f64 = trials.iter().map(mfactor::Trial::seconds_spent).sum();
    assert_eq!(spent, 4.0 * 1.5);
    assert!(trials.iter().all(|trial| trial.seconds == Some(1.5)));
    assert!(!events.iter().any(|event| matches!(event, StudyEvent::Warning { .. })));
}

#[test]
fn half_an_entry_of_a_killed_process_is_collected() {
    let folder = tempfile::tempdir().unwrap();
    let (job, cache) = (job(folder.path(), 3), folder.path().join("cache"));
    evaluate(folder.path(), &job, Verdict::GoOn).0.unwrap();
    let is_entry = |path: &PathBuf| path.is_dir();
    let entry = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).find(is_entry).unwrap();
    let draft = cache.join(format!(".draft-{}", entry.file_name().unwrap().display()));
    fs::rename(&entry, &draft).unwrap();
    Cached::new(Training::default(), &cache, json!("another data set")).unwrap();
    assert!(!draft.exists(), "whoever comes next collects it, whatever it trains");
    fs::create_dir(&draft).unwrap();
    assert_eq!(evaluate(folder.path(), &job, Verdict::GoOn).2, 1, "it is trained");
    assert!(!draft.exists() && entry.exists());
}
