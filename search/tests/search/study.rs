//! Studies as folders: running, stopping, resuming and reading.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mfactor::protocol::FailureKind;
use mfactor::{Architecture, Error, TrialState, exit};
use search::config::{EvaluatorConfig, StudyConfig};
use search::evaluators::TrainerCommand;
use search::study::{BASELINE, GIVEN, JOURNAL_FILE, trial_folder};
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

/// Why something is refused.
pub fn error_of<T>(result: mfactor::Result<T>) -> Error {
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
    let kinds = Study::read(folder.path()).unwrap().trials.into_iter().filter_map(|trial| trial.failure_kind);
    assert_eq!(kinds.collect::<Vec<_>>(), vec![FailureKind::Library; failures], "the journal has the kind");
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
