//! Several workers: as many trials at once, and one result however the trials are timed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mfactor::protocol::Job;
use mfactor::{Error, Result, Trial, TrialState, exit};
use search::{
    Ended, Evaluator, Outcome, Pruning, Report, Study, StudyConfig, StudyEvent, StudyRecord, Verdict,
};

use crate::pretend::Pretend;
use crate::study::config;

/// Trains as [`Pretend`] does, in a time that depends on the trial and on the test.
struct Uneven<'a> {
    inner: Pretend,
    rhythm: u64,
    at_once: &'a AtomicUsize,
    most: &'a Mutex<usize>,
}

impl Evaluator for Uneven<'_> {
    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        let mut most = self.most.lock().unwrap();
        *most = now.max(*most);
        drop(most);
        std::thread::sleep(Duration::from_millis((job.seed ^ self.rhythm) % 7));
        let result = self.inner.evaluate(job, on_report, stop);
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        result
    }
}

/// Runs a study with as many evaluators and returns it with the largest number of trials at once.
fn run(config: &StudyConfig, evaluators: u64, rhythm: u64) -> (StudyRecord, usize) {
    let folder = tempfile::tempdir().unwrap();
    let (at_once, most) = (AtomicUsize::new(0), Mutex::new(0));
    let uneven = |_| Uneven {
        inner: Pretend { failing: 5, ..Pretend::default() },
        rhythm,
        at_once: &at_once,
        most: &most,
    };
    let mut evaluators: Vec<Uneven> = (0..evaluators).map(uneven).collect();
    let mut study = Study::create(folder.path(), config.clone()).unwrap();
    let outcome = study.run(&mut evaluators, &mut |_| {}, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(Study::read(folder.path()).unwrap(), study.record());
    let most = *most.lock().unwrap();
    (study.record(), most)
}

/// Trials in an order that does not depend on time, without their ids, which do.
fn timeless(record: &StudyRecord) -> Vec<Trial> {
    let mut trials = record.trials.clone();
    trials.iter_mut().for_each(|trial| trial.id = 0);
    trials.sort_by(|a, b| (&a.proposer, a.number).cmp(&(&b.proposer, b.number)));
    trials
}

fn with_workers(strategies: &str, trials: u64, workers: u64) -> StudyConfig {
    StudyConfig { workers, ..config(strategies, trials) }
}

#[test]
fn trials_run_at_once_and_their_timing_changes_nothing() {
    for prune in [None, Some(Pruning::default())] {
        let config = StudyConfig { prune, ..with_workers("all", 14, 3) };
        let (first, most) = run(&config, 3, 0);
        assert_eq!(most, 3);
        for rhythm in [1, 2, 5] {
            assert_eq!(timeless(&run(&config, 3, rhythm).0), timeless(&first), "rhythm {rhythm}");
        }
        let (alone, most) = run(&config, 1, 0);
        assert_eq!((timeless(&alone), most), (timeless(&first), 1), "one evaluator can do it all");
    }
}

#[test]
fn what_a_strategy_does_not_know_yet_matters() {
    let proposals = |workers| {
        let trials = timeless(&run(&with_workers("evolution", 20, workers), 1, 0).0);
        trials.into_iter().map(|trial| trial.architecture).collect::<Vec<_>>()
    };
    let (one, four) = (proposals(1), proposals(4));
    assert_eq!(one[..10], four[..10], "the first are random");
    assert_ne!(one, four);
}

#[test]
fn a_study_that_was_stopped_with_several_trials_under_way_ends_as_it_would_have() {
    let config = with_workers("tpe,rl", 9, 3);
    let (whole, _) = run(&config, 3, 0);
    for after in [1, 2, 7, 20, 45] {
        let folder = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let mut seen = 0;
        let mut observer = |_: &StudyEvent| {
            seen += 1;
            stop.store(seen >= after, Ordering::Relaxed);
        };
        let mut study = Study::create(folder.path(), config.clone()).unwrap();
        let pretend = || Pretend { failing: 5, ..Pretend::default() };
        let outcome = study.run(&mut [pretend(), pretend(), pretend()], &mut observer, &stop).unwrap();
        assert_eq!(outcome, Outcome::Stopped);
        drop(study);
        let mut study = Study::resume(folder.path()).unwrap();
        study.run(&mut [pretend(), pretend()], &mut |_| {}, &AtomicBool::new(false)).unwrap();
        assert_eq!(timeless(&study.record()), timeless(&whole), "stopped after {after} events");
    }
}

#[test]
fn pruned_trials_cost_less_and_are_remembered_as_such() {
    let config = StudyConfig { prune: Some(Pruning::default()), ..config("random", 30) };
    let (record, _) = run(&config, 1, 0);
    let pruned: Vec<&Trial> =
        record.trials.iter().filter(|trial| trial.state == TrialState::Pruned).collect();
    assert!((10..=25).contains(&pruned.len()), "{}", pruned.len());
    for trial in pruned {
        assert_eq!((trial.epoch_accuracies.len(), trial.images, trial.seconds), (1, Some(1), Some(0.5)));
        assert_eq!((trial.accuracy, trial.m_factor, &trial.failure), (None, None, &None));
    }
    let best = mfactor::trial::best(&record.trials).unwrap();
    let unpruned = run(&StudyConfig { prune: None, ..config }, 1, 0).0;
    assert_eq!(best.architecture, mfactor::trial::best(&unpruned.trials).unwrap().architecture);
}

#[test]
fn one_worker_that_gives_up_or_panics_ends_the_study_for_all() {
    struct Bad {
        panics: bool,
    }
    impl Evaluator for Bad {
        fn evaluate(
            &mut self,
            job: &Job,
            _: &mut dyn FnMut(Report) -> Result<Verdict>,
            stop: &AtomicBool,
        ) -> Result<Ended> {
            if job.trial == 2 {
                assert!(!self.panics, "as asked");
                return Err(Error::missing("libtorch is not there", "scripts/setup"));
            }
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(Error::Interrupted("stopped".to_owned()))
        }
    }
    for (panics, code) in [(false, exit::MISSING), (true, exit::DEFECT)] {
        let folder = tempfile::tempdir().unwrap();
        let mut study = Study::create(folder.path(), with_workers("random", 5, 3)).unwrap();
        let bad = || Bad { panics };
        let result = study.run(&mut [bad(), bad(), bad()], &mut |_| {}, &AtomicBool::new(false));
        assert_eq!(result.unwrap_err().exit_code(), code);
        let states: Vec<TrialState> = study.record().trials.iter().map(|trial| trial.state).collect();
        assert_eq!(states, [TrialState::Running; 3], "it was none of the trials' fault");
    }
}
