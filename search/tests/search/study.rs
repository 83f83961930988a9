//! Studies as folders: running, stopping, resuming, reading, and refusing.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mfactor::{Architecture, Error, TrialState, exit};
use search::config::{DataSource, EvaluatorConfig, StudyConfig};
use search::evaluators::TrainerCommand;
use search::study::{BASELINE, CONFIG_FILE, GIVEN, JOURNAL_FILE, trial_folder};
use search::{Ended, Evaluator, Outcome, Report, StrategyKind, Study, StudyEvent, Verdict};
use serde_json::Value;

use crate::pretend::Pretend;
use crate::spaces::{conditional, space};

/// A study that needs no data; tests pass it whichever evaluator they like.
pub fn config(strategies: &str, trials: u64) -> StudyConfig {
    StudyConfig {
        strategies: StrategyKind::parse_list(strategies).unwrap(),
        trials,
        seed: 11,
        evaluator: EvaluatorConfig::Constant { accuracy: 0.75 },
        ..StudyConfig::new("test")
    }
}

/// Runs a study to the end.
pub fn finish(study: &mut Study, evaluator: &mut dyn Evaluator) -> Vec<StudyEvent> {
    let mut events = Vec::new();
    let mut observer = |event: &StudyEvent| events.push(event.clone());
    let outcome = study.run(&mut [evaluator], &mut observer, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    events
}

/// The lines of a journal without their timestamps, and the checksums over them.
pub fn journal(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join(JOURNAL_FILE)).unwrap();
    let without_time = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let fields = line.as_object_mut().unwrap();
        fields.retain(|key, _| !key.starts_with("datetime") && key != "sum");
        line
    };
    text.lines().map(without_time).collect()
}

fn error_of<T>(result: mfactor::Result<T>) -> Error {
    result.err().expect("it is refused")
}

#[test]
fn a_study_of_all_strategies_is_written_as_it_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::create(folder.path(), config("all", 6)).unwrap();
    let mut evaluator = Pretend { failing: 5, diverging: 7, ..Pretend::default() };
    finish(&mut study, &mut evaluator);
    let record = study.record();
    assert_eq!(Study::read(folder.path()).unwrap(), record);
    assert_eq!(record.trials.len(), 1 + 6 * StrategyKind::ALL.len());
    for (trial, job) in record.trials.iter().zip(&evaluator.jobs) {
        assert_eq!((trial.id, &trial.architecture, trial.seed), (job.trial, &job.architecture, job.seed));
        assert_eq!(job.output, trial_folder(folder.path(), trial.id));
        let reason = trial.failure.as_deref().unwrap_or_default();
        match trial.state {
            TrialState::Complete => {
                assert_eq!(trial.epoch_accuracies.len(), 3);
                assert_eq!(
                    (trial.accuracy, trial.seconds),
                    (trial.epoch_accuracies.last().copied(), Some(1.5))
                );
            }
            TrialState::Failed if trial.seed % 5 == 0 => assert!(reason.contains("is a bad one"), "{reason}"),
            TrialState::Failed => assert!(reason.contains("diverged"), "{reason}"),
            state => panic!("{state:?}"),
        }
    }
    let states: Vec<TrialState> = record.trials.iter().map(|trial| trial.state).collect();
    assert!(states.contains(&TrialState::Complete) && states.contains(&TrialState::Failed));
    let strategies: Vec<&str> = record.trials.iter().map(|trial| trial.proposer.name()).collect();
    assert_eq!([strategies[0], strategies[1], strategies[24]], [BASELINE, "random", "rl"]);
    assert_eq!(record.trials[0].architecture, record.config.space.smallest());
    assert_eq!(record.of("tpe").iter().map(|trial| trial.number).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_study_in_a_space_of_conditions_is_written_as_it_is_remembered_and_resumed() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = StudyConfig { space: conditional(), ..config("all", 20) };
    finish(&mut Study::create(whole.path(), config.clone()).unwrap(), &mut Pretend::default());
    let stop = AtomicBool::new(false);
    let mut observer = |event: &StudyEvent| {
        let now = matches!(event, StudyEvent::Finished { place, .. } if place.id == 33);
        stop.fetch_or(now, Ordering::Relaxed);
    };
    let mut study = Study::create(folder.path(), config).unwrap();
    assert_eq!(study.run(&mut [Pretend::default()], &mut observer, &stop).unwrap(), Outcome::Stopped);
    drop(study);
    let mut study = Study::resume(folder.path()).unwrap();
    finish(&mut study, &mut Pretend::default());
    let record = study.record();
    assert_eq!(record.trials, Study::read(whole.path()).unwrap().trials);
    assert_eq!(record.trials[0].architecture, conditional().smallest());
    let lines = journal(folder.path());
    let created: Vec<&Value> = lines.iter().filter(|line| line["op_code"] == 4).collect();
    assert_eq!(created.len(), record.trials.len());
    for (line, trial) in created.iter().zip(&record.trials) {
        let depth = trial.architecture.stages()[0].blocks.len();
        for block in 1..=3 {
            let is_there = line["params"].get(format!("stage1.block{block}")).is_some();
            assert_eq!(is_there, block <= depth, "{line}");
        }
    }
}

#[test]
fn given_architectures_are_trained_in_their_order_before_any_strategy() {
    let given: Vec<Architecture> = ["777-333-333", "333-333-353"].map(|id| id.parse().unwrap()).to_vec();
    for (strategies, total) in [(vec![], 3), (vec![StrategyKind::Tpe], 5)] {
        let folder = tempfile::tempdir().unwrap();
        let config = StudyConfig { architectures: given.clone(), strategies, ..config("tpe", 2) };
        let mut study = Study::create(folder.path(), config.clone()).unwrap();
        let events = finish(&mut study, &mut Pretend::default());
        assert!(matches!(&events[0], StudyEvent::Started { place } if place.planned == total));
        let record = Study::read(folder.path()).unwrap();
        assert_eq!(record.trials.len() as u64, total);
        assert_eq!((record.trials[0].proposer.name(), record.trials[1].proposer.name()), (BASELINE, GIVEN));
        let trained: Vec<_> = record.of(GIVEN).iter().map(|trial| trial.architecture.clone()).collect();
        assert_eq!(trained, given);
        let fewer = StudyConfig { architectures: given[..1].to_vec(), ..config };
        assert!(error_of(study.reconcile(&fewer)).to_string().contains("architectures"));
    }
}

#[test]
fn events_tell_where_the_study_stands() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::create(folder.path(), config("random", 2)).unwrap();
    let events = finish(&mut study, &mut Pretend::default());
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| match event {
            StudyEvent::Started { .. } => "started",
            StudyEvent::Epoch { .. } => "epoch",
            StudyEvent::Finished { .. } => "finished",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds.join(" "), ["started epoch epoch epoch finished"; 3].join(" "));
    let StudyEvent::Started { place } = &events[5] else { panic!() };
    assert_eq!((place.strategy.as_str(), place.id, place.number, place.total), ("random", 1, 0, 2));
    assert_eq!((place.finished, place.planned, place.best, place.resumed), (1, 3, None, false));
    assert_eq!(place.seconds_left, Some(3.0), "two trials are left, and the first took 1.5 seconds");
    let StudyEvent::Epoch { place, epoch } = &events[11] else { panic!() };
    assert_eq!((place.number, epoch.epoch, place.seconds_left), (1, 1, Some(0.5)));
    let StudyEvent::Finished { place, trial } = &events[14] else { panic!() };
    assert_eq!((place.finished, place.seconds_left), (3, Some(0.0)));
    assert!(place.best >= trial.m_factor && trial.m_factor.is_some());
}

#[test]
fn a_stopped_study_goes_on_as_if_nothing_had_been() {
    let whole = tempfile::tempdir().unwrap();
    finish(&mut Study::create(whole.path(), config("evolution,rl", 5)).unwrap(), &mut Pretend::default());
    for after in [0, 1, 4, 5, 13, 27] {
        let folder = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(after == 0);
        let mut study = Study::create(folder.path(), config("evolution,rl", 5)).unwrap();
        let mut seen = 0;
        let mut observer = |_: &StudyEvent| {
            seen += 1;
            stop.store(seen >= after, Ordering::Relaxed);
        };
        let outcome = study.run(&mut [Pretend::default()], &mut observer, &stop).unwrap();
        assert_eq!(outcome, Outcome::Stopped);
        drop(study);
        let mut study = Study::resume(folder.path()).unwrap();
        assert!(study.record().trials.len() < 11);
        finish(&mut study, &mut Pretend::default());
        assert_eq!(journal(folder.path()), journal(whole.path()), "stopped after {after} events");
    }
}

#[test]
fn a_study_that_an_evaluator_ends_can_be_resumed() {
    struct Missing;
    impl Evaluator for Missing {
        fn evaluate(
            &mut self,
            _: &mfactor::protocol::Job,
            _: &mut dyn FnMut(Report) -> mfactor::Result<Verdict>,
            _: &AtomicBool,
        ) -> mfactor::Result<Ended> {
            Err(Error::missing("libtorch is not there", "scripts/setup"))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::create(folder.path(), config("tpe", 2)).unwrap();
    let error = error_of(study.run(&mut [Missing], &mut |_| {}, &AtomicBool::new(false)));
    assert_eq!(error.exit_code(), exit::MISSING);
    assert_eq!(study.record().trials[0].state, TrialState::Running, "it was not the trial's fault");
    drop(study);
    let mut study = Study::resume(folder.path()).unwrap();
    let events = finish(&mut study, &mut Pretend::default());
    assert!(matches!(&events[0], StudyEvent::Started { place } if place.resumed && place.id == 0));
    assert_eq!(study.record().trials.len(), 3);
}

#[test]
fn more_trials_may_be_asked_for_and_give_what_asking_at_once_gives() {
    let (grown, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    finish(&mut Study::create(grown.path(), config("tpe", 3)).unwrap(), &mut Pretend::default());
    let mut study = Study::resume(grown.path()).unwrap();
    study.reconcile(&config("tpe", 16)).unwrap();
    finish(&mut study, &mut Pretend::default());
    finish(&mut Study::create(whole.path(), config("tpe", 16)).unwrap(), &mut Pretend::default());
    assert_eq!(Study::read(grown.path()).unwrap(), Study::read(whole.path()).unwrap());
    assert_eq!(journal(grown.path()), journal(whole.path()));
}

#[test]
fn what_would_have_changed_the_result_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::create(folder.path(), config("tpe", 3)).unwrap();
    for (asked, named) in [
        (StudyConfig { alpha: 2.0, ..config("tpe", 3) }, "alpha is 1.0 and not 2.0"),
        (StudyConfig { seed: 12, ..config("tpe", 3) }, "seed"),
        (StudyConfig { baseline: false, ..config("tpe", 3) }, "baseline"),
        (config("tpe,random", 3), "strategies"),
        (config("tpe", 2), "only more"),
        (StudyConfig { space: space(&[(2, &[3, 5])]), ..config("tpe", 3) }, "space.name"),
    ] {
        let error = error_of(study.reconcile(&asked));
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
    assert_eq!(*study.config(), config("tpe", 3));
}

#[test]
fn a_small_space_ends_the_strategies_early() {
    let folder = tempfile::tempdir().unwrap();
    let config = StudyConfig { space: space(&[(1, &[3, 5, 7])]), ..config("all", 5) };
    let mut study = Study::create(folder.path(), config).unwrap();
    let events = finish(&mut study, &mut Pretend::default());
    let exhausted: Vec<&StudyEvent> =
        events.iter().filter(|event| matches!(event, StudyEvent::Exhausted { trials: 3, .. })).collect();
    assert_eq!(exhausted.len(), StrategyKind::ALL.len());
    assert!(matches!(&events[0], StudyEvent::Started { place } if place.planned == 22));
    assert_eq!(study.record().trials.len(), 22);
}

#[test]
fn baselines_are_known_only_where_they_were_measured() {
    let baselines = |config: StudyConfig| {
        let folder = tempfile::tempdir().unwrap();
        let mut study = Study::create(folder.path(), config).unwrap();
        finish(&mut study, &mut Pretend::default());
        (study.record().baselines(), study.record())
    };
    let (of_all, record) = baselines(config("all", 3));
    assert_eq!(of_all.smallest.unwrap().proposer.name(), BASELINE);
    let random = of_all.random.unwrap();
    let mean = record.of("random").iter().filter_map(|trial| trial.m_factor).sum::<f64>() / 3.0;
    assert_eq!((random.trials, random.mean_m_factor), (3, mean));

    let (without, _) = baselines(StudyConfig { baseline: false, ..config("tpe", 3) });
    assert_eq!((without.smallest, without.random), (None, None));

    let tiny = StudyConfig { baseline: false, space: space(&[(1, &[3, 5])]), ..config("rl", 2) };
    assert_eq!(baselines(tiny).0.smallest.unwrap().proposer.name(), "rl", "a strategy came by it");
}

#[test]
fn folders_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    for error in [error_of(Study::read(&nowhere)), error_of(Study::resume(&nowhere))] {
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
    let study = Study::create(folder.path(), config("tpe", 3)).unwrap();
    let in_use = error_of(Study::resume(folder.path())).to_string();
    assert!(in_use.contains(&format!("process {}", std::process::id())), "{in_use}");
    assert_eq!(Study::read(folder.path()).unwrap().trials, [], "a reader needs no lock");
    drop(study);
    assert!(error_of(Study::create(folder.path(), config("tpe", 3))).to_string().contains("--resume"));

    let untrained = StudyConfig { evaluator: EvaluatorConfig::Train, ..config("tpe", 3) };
    assert!(error_of(Study::create(&nowhere, untrained)).to_string().contains("data"));
    assert!(!nowhere.exists());
}

#[test]
fn a_damaged_journal_is_mended_at_its_end_and_refused_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut Study::create(folder.path(), config("tpe", 2)).unwrap(), &mut Pretend::default());
    let path = folder.path().join(JOURNAL_FILE);
    let good = fs::read_to_string(&path).unwrap();

    fs::write(&path, good.clone() + "{\"op_code\":4,\"worker_id\":\"mfac").unwrap();
    assert_eq!(Study::read(folder.path()).unwrap().trials.len(), 3);
    drop(Study::resume(folder.path()).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), good);

    let foreign = "{\"op_code\":2,\"worker_id\":\"dash";
    fs::write(&path, format!("{good}{foreign}")).unwrap();
    let study = Study::resume(folder.path()).unwrap();
    let aside = study.kept_aside().unwrap().to_owned();
    assert_eq!(
        (fs::read_to_string(&aside).unwrap(), fs::read_to_string(&path).unwrap()),
        (foreign.to_owned(), good.clone())
    );
    drop(study);

    for garbage in ["not json", "{\"op_code\":4}", ""] {
        let mut lines: Vec<&str> = good.lines().collect();
        lines[6] = garbage;
        let damaged = lines.join("\n") + "\n";
        fs::write(&path, &damaged).unwrap();
        let record = Study::read(folder.path()).unwrap();
        assert!(record.damage[0].contains("journal.log:7: "), "{garbage}: {:?}", record.damage);
        assert_eq!(record.trials.len(), 3, "the line was not about a trial");
        let error = error_of(Study::resume(folder.path()));
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains("journal.log:7: "), "{garbage}: {error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged, "nothing is thrown away");
    }
}

#[test]
fn what_optuna_adds_is_borne_and_what_it_takes_away_is_named() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut Study::create(folder.path(), config("tpe", 2)).unwrap(), &mut Pretend::default());
    let before = Study::read(folder.path()).unwrap();
    let path = folder.path().join(JOURNAL_FILE);
    let good = fs::read_to_string(&path).unwrap();
    let note = "{\"op_code\":3,\"worker_id\":\"dashboard\",\"study_id\":1,\"system_attr\":{\"dashboard:note_ver\":1}}\n";
    let tag = "{\"op_code\":9,\"worker_id\":\"dashboard\",\"trial_id\":1,\"system_attr\":{\"a\":1}}\n";
    fs::write(&path, format!("{good}{note}{tag}")).unwrap();
    assert_eq!(Study::read(folder.path()).unwrap(), before);
    let foreign = "{\"op_code\":4,\"worker_id\":\"x\",\"study_id\":1,\"datetime_start\":null}\n";
    fs::write(&path, format!("{good}{foreign}")).unwrap();
    assert_eq!(Study::read(folder.path()).unwrap(), before, "a trial of somebody else is none of ours");
    let deletion = "{\"op_code\":1,\"worker_id\":\"dashboard\",\"study_id\":1}\n";
    fs::write(&path, format!("{good}{deletion}")).unwrap();
    let record = Study::read(folder.path()).unwrap();
    assert_eq!(
        (&record.trials, &record.damage),
        (&before.trials, &before.damage),
        "what was found is still there"
    );
    assert!(record.remarks[0].contains("deleted or renamed the study \"test-tpe\""), "{:?}", record.remarks);
    assert!(
        error_of(Study::resume(folder.path()))
            .to_string()
            .contains("deleted or renamed the study \"test-tpe\"")
    );
}

#[test]
fn what_was_changed_in_the_configuration_since_the_study_began_is_named() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut Study::create(folder.path(), config("tpe", 2)).unwrap(), &mut Pretend::default());
    let path = folder.path().join(CONFIG_FILE);
    let good = fs::read_to_string(&path).unwrap();
    for (line, changed, named) in [
        ("alpha = 1.0", "alpha = 2.0", "alpha is 2.0 and not 1.0"),
        ("seed = 11", "seed = 12", "seed is 12 and not 11"),
        ("workers = 1", "workers = 2", "workers is 2 and not 1"),
        ("epochs = 3", "epochs = 4", "recipe.epochs is 4 and not 3"),
        ("accuracy = 0.75", "accuracy = 0.5", "evaluator.accuracy is 0.5 and not 0.75"),
        ("baseline = true", "baseline = false", "baseline is false and not true"),
        ("strategies = [\"tpe\"]", "strategies = [\"tpe\", \"rl\"]", "strategies is"),
        ("kernels = [3, 5, 7]", "kernels = [3, 5]", "space.stage"),
        (
            "name = \"test\"",
            "name = \"best\"",
            "begins the study \"test-baseline\", which study.toml does not name",
        ),
    ] {
        assert!(good.contains(line), "{line}: {good}");
        fs::write(&path, good.replace(line, changed)).unwrap();
        let resumed = error_of(Study::resume(folder.path()));
        assert_eq!(resumed.exit_code(), exit::INPUT);
        assert!(resumed.to_string().contains(named), "{changed}: {resumed}");
        let read = Study::read(folder.path()).map(|record| record.damage.join("; "));
        let said = read.unwrap_or_else(|error| error.to_string());
        assert!(said.contains(named), "{changed}: {said}");
    }
    fs::write(&path, good.replace("trials = 2", "trials = 3")).unwrap();
    finish(&mut Study::resume(folder.path()).unwrap(), &mut Pretend::default());
    assert_eq!(Study::read(folder.path()).unwrap().trials.len(), 4, "how far to go decides no result");
}

#[test]
fn failed_trials_are_tried_again_in_their_place() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    finish(&mut Study::create(whole.path(), config("random", 9)).unwrap(), &mut Pretend::default());
    finish(
        &mut Study::create(folder.path(), config("random", 9)).unwrap(),
        &mut Pretend { failing: 2, ..Pretend::default() },
    );
    let failed = |folder: &Path| {
        let record = Study::read(folder).unwrap();
        record.trials.iter().filter(|trial| trial.failure.is_some()).count()
    };
    let failures = failed(folder.path());
    assert!(failures > 1);
    finish(&mut Study::resume(folder.path()).unwrap(), &mut Pretend::default());
    assert_eq!(failed(folder.path()), failures, "only if it is asked for");
    // The first of them fails once more, and then not.
    for failing in [3, 0] {
        let mut study = Study::resume(folder.path()).unwrap();
        study.retry_failed();
        let mut evaluator = Pretend { failing, ..Pretend::default() };
        finish(&mut study, &mut evaluator);
        assert_eq!(Study::read(folder.path()).unwrap(), study.record());
    }
    assert_eq!(failed(folder.path()), 0);
    let found = |folder: &Path| {
        let record = Study::read(folder).unwrap();
        let mut trials: Vec<_> = record
            .trials
            .into_iter()
            .map(|trial| (trial.proposer, trial.number, trial.architecture, trial.accuracy))
            .collect();
        trials.sort_by_key(|(strategy, number, ..)| (strategy.clone(), *number));
        trials
    };
    assert_eq!(found(folder.path()), found(whole.path()), "random search learns nothing from them");
}

#[test]
fn a_study_that_never_began_can_be_taken_back_and_one_that_did_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    assert!(Study::create(&path, config("tpe", 2)).unwrap().discard().unwrap());
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    assert!(Study::create(&path, config("tpe", 2)).unwrap().discard().unwrap());
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "what else lies there stays");
    let mut study = Study::create(&path, config("tpe", 2)).unwrap();
    finish(&mut study, &mut Pretend::default());
    assert!(!study.discard().unwrap());
    assert_eq!(Study::read(&path).unwrap().trials.len(), 3);
}

#[test]
fn a_study_whose_journal_is_gone_does_not_begin_again() {
    let folder = tempfile::tempdir().unwrap();
    finish(&mut Study::create(folder.path(), config("tpe", 2)).unwrap(), &mut Pretend::default());
    let weights = trial_folder(folder.path(), 1).join("weights.safetensors");
    fs::create_dir_all(weights.parent().unwrap()).unwrap();
    fs::write(&weights, "trained").unwrap();
    fs::remove_file(folder.path().join(JOURNAL_FILE)).unwrap();
    for _ in 0..2 {
        let error = error_of(Study::resume(folder.path())).to_string();
        assert!(error.contains("journal.log: is empty or gone"), "{error}");
    }
    assert!(weights.exists());
}

#[test]
fn dry_runs_need_no_trainer() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, evaluator: EvaluatorConfig| {
        let config = StudyConfig { evaluator, space: space(&[(1, &[3, 5, 7])]), ..config("random", 3) };
        let mut study = Study::create(&folder.path().join(name), config).unwrap();
        let mut evaluators = study.config().evaluators(&[TrainerCommand::default()], None).unwrap();
        finish(&mut study, &mut *evaluators[0]);
        study.record()
    };
    let constant = run("constant", EvaluatorConfig::parse("constant:0.5").unwrap());
    assert!(constant.trials.iter().all(|trial| trial.accuracy == Some(0.5)));

    let table = folder.path().join("table.csv");
    fs::write(&table, "architecture,accuracy\n3,0.25\n7,0.5\n").unwrap();
    let record = run("table", EvaluatorConfig::parse(&format!("table:{}", table.display())).unwrap());
    let failure = record.trials.iter().find_map(|trial| trial.failure.clone()).unwrap();
    assert!(failure.contains("5 has no row in") && failure.contains("table.csv"), "{failure}");
    assert_eq!(record.trials[0].accuracy, Some(0.25));

    fs::write(&table, "architecture,accuracy\n3,0.99\n").unwrap();
    let changed = error_of(record.config.check_inputs());
    assert!(changed.to_string().contains("changed"), "{changed}");
}

#[test]
fn a_data_set_that_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "schema = 1\nname = \"grey\"\nclasses = [\"a\", \"b\"]\nvalidation = 2\n\
        image = { channels = 1, height = 8, width = 8 }\n\
        train = [{ file = \"train.bin\", records = 6 }]\ntest = [{ file = \"test.bin\", records = 1 }]\n";
    fs::write(folder.path().join("dataset.toml"), manifest).unwrap();
    fs::write(folder.path().join("train.bin"), [1; 6 * 65]).unwrap();
    fs::write(folder.path().join("test.bin"), [0; 65]).unwrap();
    let grey = "schema = 1\nname = \"grey\"\nclasses = 2\nimage = { channels = 1, height = 8, width = 8 }\n\
        stem = { kernel = 3, width = 4 }\n[[stage]]\nblocks = 1\nwidth = 4\nstride = 1\nkernels = [3, 5]\n";
    let space = mfactor::SearchSpace::parse(grey, "grey").unwrap();
    let data = DataSource::open(folder.path(), &space).unwrap();
    assert_eq!(data.name, "grey");
    assert!(data.folder.is_absolute());
    let config =
        StudyConfig { evaluator: EvaluatorConfig::Train, data: Some(data), space, ..config("rl", 2) };
    let study = folder.path().join("study");
    drop(Study::create(&study, config.clone()).unwrap());
    assert_eq!(Study::read(&study).unwrap().config, config);
    config.check_inputs().unwrap();

    let mut changed = [1; 6 * 65];
    changed[200] = 2;
    fs::write(folder.path().join("train.bin"), changed).unwrap();
    let error = error_of(config.check_inputs());
    assert_eq!(error.exit_code(), exit::INPUT);
    assert!(error.to_string().contains("changed"), "{error}");
}
