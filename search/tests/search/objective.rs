//! What a study seeks: budgets, limits, several costs, and proposals that are skipped.

use std::sync::atomic::AtomicBool;

use mfactor::costs::CostTerm;
use mfactor::protocol::{Evaluation, Job};
use mfactor::{AccuracyKind, Quantity, Result, Trial, TrialState};
use search::config::{EvaluatorConfig, ObjectiveConfig};
use search::{Ended, Evaluator, Report, StrategyKind, Study, StudyConfig, StudyEvent, StudyRecord, Verdict};

use crate::spaces::space;

/// Any accuracy at all, by the training's seed: no order of sizes is an order of accuracies.
struct Arbitrary;

impl Evaluator for Arbitrary {
    fn evaluate(
        &mut self,
        job: &Job,
        _: &mut dyn FnMut(Report) -> Result<Verdict>,
        _: &AtomicBool,
    ) -> Result<Ended> {
        let accuracy = 0.5 + (job.seed % 1000) as f64 / 2000.0;
        Ok(Ended::Complete(Evaluation { accuracy, seconds: 1.0, images: 1 }))
    }
}

fn small(seed: u64) -> StudyConfig {
    StudyConfig {
        space: space(&[(2, &[1, 3, 5]), (1, &[3, 5, 7])]),
        strategies: vec![StrategyKind::Random],
        trials: 27,
        seed,
        evaluator: EvaluatorConfig::Constant { accuracy: 0.5 },
        ..StudyConfig::new("sought")
    }
}

fn run(config: &StudyConfig, evaluators: usize) -> (StudyRecord, Vec<StudyEvent>) {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::create(folder.path(), config.clone()).unwrap();
    let mut events = vec![];
    let mut evaluators: Vec<Arbitrary> = (0..evaluators).map(|_| Arbitrary).collect();
    study.run(&mut evaluators, &mut |event| events.push(event.clone()), &AtomicBool::new(false)).unwrap();
    assert_eq!(Study::read(folder.path()).unwrap(), study.record(), "it is read as it was written");
    (study.record(), events)
}

fn best(record: &StudyRecord) -> &Trial {
    mfactor::trial::best(&record.trials).unwrap()
}

fn in_state(record: &StudyRecord, state: TrialState) -> usize {
    record.trials.iter().filter(|trial| trial.state == state).count()
}

#[test]
fn the_accuracy_that_decides_is_asked_of_every_training_and_kept_with_the_study() {
    struct Asked(Vec<AccuracyKind>);
    impl Evaluator for Asked {
        fn evaluate(
            &mut self,
            job: &Job,
            on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
            stop: &AtomicBool,
        ) -> Result<Ended> {
            self.0.push(job.accuracy);
            Arbitrary.evaluate(job, on_report, stop)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let accuracy = AccuracyKind::Balanced;
    let mut objective = ObjectiveConfig::of(vec![]);
    objective.accuracy = accuracy;
    let config = StudyConfig { objective, trials: 3, ..small(1) };
    let mut study = Study::create(folder.path(), config.clone()).unwrap();
    let mut asked = Asked(vec![]);
    study.run(std::slice::from_mut(&mut asked), &mut |_| {}, &AtomicBool::new(false)).unwrap();
    assert_eq!(asked.0, [accuracy; 4]);
    drop(study);
    let read = Study::read(folder.path()).unwrap().config;
    assert_eq!(read.objective().unwrap().accuracy(), accuracy);
    let plain = StudyConfig { objective: ObjectiveConfig::default(), ..config };
    let refused = Study::resume(folder.path()).unwrap().reconcile(&plain).unwrap_err().to_string();
    assert!(refused.contains("objective is {\"accuracy\":\"balanced\"}"), "{refused}");
}

#[test]
fn skipping_saves_trainings_and_loses_no_winner() {
    let mut skipped = 0;
    for seed in 0..30 {
        let whole = small(seed);
        let mut skipping = whole.clone();
        skipping.objective.skip = true;
        let (all, _) = run(&whole, 1);
        let (some, events) = run(&skipping, 1);
        assert_eq!(in_state(&all, TrialState::Skipped), 0);
        assert_eq!(best(&some).m_factor, best(&all).m_factor, "seed {seed}");
        let left_out = in_state(&some, TrialState::Skipped);
        skipped += left_out;
        assert_eq!(in_state(&some, TrialState::Complete) + left_out, 28, "the whole space, and the baseline");
        let said = events.iter().any(
            |event| matches!(event, StudyEvent::Exhausted { skipped, .. } if *skipped == left_out as u64),
        );
        assert!(said || left_out == 0, "the space has nothing new");
        for trial in some.trials.iter().filter(|trial| trial.state == TrialState::Skipped) {
            let bound = mfactor::objective::m_factor(1.0, trial.size_score, 1.0);
            assert!(bound <= best(&some).m_factor.unwrap(), "{trial:?}");
            assert!(trial.failure.as_ref().unwrap().contains("at most"), "{trial:?}");
        }
    }
    assert!(skipped > 300, "{skipped} of {}", 30 * 27);
}

#[test]
fn what_is_skipped_does_not_depend_on_timing() {
    let mut config = StudyConfig { workers: 3, strategies: StrategyKind::ALL.to_vec(), ..small(4) };
    config.objective.skip = true;
    let timeless = |evaluators| {
        let (record, _) = run(&config, evaluators);
        let facts =
            |trial: &Trial| (trial.proposer.clone(), trial.number, trial.architecture.clone(), trial.state);
        let mut facts: Vec<_> = record.trials.iter().map(facts).collect();
        facts.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        facts
    };
    let alone = timeless(1);
    assert_eq!(timeless(3), alone);
    assert!(alone.iter().any(|(.., state)| *state == TrialState::Skipped));
}

#[test]
fn a_limit_is_never_trained_beyond() {
    let mut config = small(1);
    let costs: Vec<u64> = config.space.architectures().map(|a| config.space.cost(&a).macs).collect();
    let middle = costs.iter().sum::<u64>() as f64 / costs.len() as f64;
    let within = costs.iter().filter(|macs| **macs as f64 <= middle).count();
    let budget = CostTerm::parse_budget(&format!("macs={middle}")).unwrap();
    config.objective = ObjectiveConfig::of(vec![CostTerm { limit: Some(middle), ..budget }]);
    let (record, _) = run(&config, 1);
    assert_eq!(in_state(&record, TrialState::Complete), within + 1);
    for trial in record.trials.iter().filter(|trial| trial.state == TrialState::Complete) {
        assert!(trial.cost.macs as f64 <= middle);
        assert_eq!(trial.size_score, 1.0);
    }
    let most_accurate = record.trials.iter().filter_map(|trial| trial.accuracy).fold(0.0, f64::max);
    assert_eq!(best(&record).accuracy, Some(most_accurate), "within the budget accuracy decides");
}

fn load(text: &str) -> Result<StudyConfig> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.toml");
    std::fs::write(&path, format!("schema = 1\nname = \"s\"\n{text}\n")).unwrap();
    StudyConfig::load(&path)
}

#[test]
fn an_objective_is_read_from_a_file_and_stays_in_it() {
    let config = load(
        "[objective]\nalpha = 0.5\n[[objective.cost]]\nmetric = \"macs\"\nreference = \"60M\"\nlimit = \"90M\"\n\
         [[objective.cost]]\nmetric = \"parameters\"",
    )
    .unwrap();
    assert_eq!(config.alpha, 0.5);
    let objective = config.objective().unwrap();
    let [macs, parameters] = objective.terms() else { panic!("{objective:?}") };
    assert_eq!((macs.quantity, macs.reference, macs.limit), (Quantity::Macs, 60e6, Some(90e6)));
    assert_eq!((parameters.reference, parameters.share), (272_474.0, 0.5));
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("study");
    Study::create(
        &kept,
        StudyConfig { evaluator: EvaluatorConfig::Constant { accuracy: 0.5 }, ..config.clone() },
    )
    .unwrap();
    let read = StudyConfig::load(&kept.join("study.toml")).unwrap();
    assert_eq!((read.alpha, read.objective), (config.alpha, config.objective.clone()));
    let parts = "[[objective.cost]]\nmetric = \"macs\"\nalpha = 0.5\n[[objective.cost]]\nmetric = \"parameters\"\nalpha = 0.25";
    assert_eq!(load(parts).unwrap().alpha, 0.75);
    // A study of the paper's objective is written as ever.
    assert!(!toml::to_string(&StudyConfig::new("s")).unwrap().contains("objective"));
}

#[test]
fn a_wrong_objective_is_named_by_file_and_key() {
    let cost = |keys: &str| format!("[[objective.cost]]\n{keys}");
    for (text, words) in [
        ("alpha = 1.0\n[objective]\nalpha = 1.0".to_owned(), "given twice"),
        (cost("metric = \"parameters\"\nreference = \"100k\""), "272,474"),
        (cost("metric = \"parameters\"\nlimit = 1000"), "272,474"),
        (cost("metric = \"model_bytes\"\nreference = \"2\""), "no unit"),
        (cost("metric = \"latency_p50\"\nreference = \"20 ms\""), "measured on a board"),
        ("[objective]\naccuracy = \"top5\"".to_owned(), "top5"),
        (cost("metric = \"speed\""), "speed"),
        (cost("metric = \"macs\"\nreference = \"lots\""), "lots"),
        (cost("metric = \"macs\"\ntarget = 3"), "target"),
        (cost("metric = \"macs\"\n[[objective.cost]]\nmetric = \"macs\""), "twice"),
        (format!("alpha = 1.0\n{}", cost("metric = \"macs\"\nalpha = 0.4")), "sum to 0.4"),
        (cost("metric = \"macs\"\nalpha = -1.0"), "alpha"),
    ] {
        let error = load(&text).unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::INPUT, "{text}");
        let said = error.to_string();
        assert!(said.contains("study.toml") && said.contains(words), "{text}: {said}");
    }
}

#[test]
fn a_changed_objective_does_not_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = StudyConfig { trials: 2, ..small(1) };
    let mut study = Study::create(folder.path(), config.clone()).unwrap();
    study.run(&mut [Arbitrary], &mut |_| {}, &AtomicBool::new(false)).unwrap();
    drop(study);
    let asked = StudyConfig {
        objective: ObjectiveConfig::of(vec![CostTerm::parse_budget("macs=60M").unwrap()]),
        ..config
    };
    let refused = Study::resume(folder.path()).unwrap().reconcile(&asked).unwrap_err().to_string();
    assert!(refused.contains("objective"), "{refused}");
}
