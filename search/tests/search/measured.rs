//! Networks of which a board says what they cost while they train.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mfactor::cost::BoardCosts;
use mfactor::cost_model::CostModel;
use mfactor::cost_table::Entry;
use mfactor::costs::{CostTerm, Source};
use mfactor::measured_networks::{Circumstances, MeasuredNetwork, MeasuredNetworks};
use mfactor::measurement::Preset;
use mfactor::protocol::{Evaluation, Job};
use mfactor::{Quantity, Result, SearchSpace, TrialState};
use search::config::{EvaluatorConfig, ObjectiveConfig};
use search::{Ended, Evaluator, Report, StrategyKind, Study, StudyConfig, Verdict};

/// A board on which every network takes so many milliseconds, and a trainer.
struct OnBoard(f64);

impl Evaluator for OnBoard {
    fn evaluate(
        &mut self,
        _: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        _: &AtomicBool,
    ) -> Result<Ended> {
        let costs = BoardCosts::default().with(Quantity::LatencyP50, self.0);
        match on_report(Report::Measured(costs))? {
            Verdict::Prune => Ok(Ended::Pruned { seconds: 0.0, images: 0 }),
            Verdict::GoOn => Ok(Ended::Complete(Evaluation { accuracy: 0.5, seconds: 1.0, images: 1 })),
        }
    }
}

/// A search within 4 ms, of networks that a table tells to take one.
fn config() -> StudyConfig {
    let space = SearchSpace::load(std::path::Path::new("resnet8-mlperf-tiny")).unwrap();
    let one =
        |part: &mfactor::parts::Part| (part.to_string(), if part.seam().is_none() { 0.0 } else { 0.25 });
    let model = CostModel {
        target: "host".to_owned(),
        engine: "tract".to_owned(),
        precision: "f32".to_owned(),
        intercept: 1.0,
        slope: 1e-9,
        p90_error: 0.1,
        emulated: false,
        parts: space.parts().iter().map(one).collect::<BTreeMap<_, _>>(),
    };
    let source = Source::Model(Arc::new(model));
    let budget = CostTerm::parse_budget("latency_p50=4ms").unwrap();
    let cost = CostTerm { limit: Some(8.0), is_measured: true, source, ..budget };
    StudyConfig {
        space,
        strategies: vec![StrategyKind::Random],
        trials: 3,
        baseline: false,
        objective: ObjectiveConfig::of(vec![cost]),
        evaluator: EvaluatorConfig::Constant { accuracy: 0.5 },
        ..StudyConfig::new("measured")
    }
}

fn run(folder: &std::path::Path, milliseconds: f64) -> Study {
    let mut study = match Study::resume(folder) {
        Ok(study) => study,
        Err(_) => Study::create(folder, config()).unwrap(),
    };
    study.run(&mut [OnBoard(milliseconds)], &mut |_| (), &AtomicBool::new(false)).unwrap();
    study
}

#[test]
fn a_trial_counts_as_it_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let study = run(folder.path(), 6.0);
    let record = Study::read(folder.path()).unwrap();
    assert_eq!(record, study.record(), "it is read as it was written");
    for trial in &record.trials {
        assert_eq!(trial.state, TrialState::Complete);
        let told = trial.cost.predicted.latency_p50.unwrap();
        assert!((told - 1.0).abs() < 1e-3, "{told}");
        assert_eq!(trial.cost.measured.latency_p50, Some(6.0));
        assert!((trial.size_score - 4.0 / 6.0).abs() < 1e-12, "{}", trial.size_score);
        assert!((trial.m_factor.unwrap() - 2.0 / (1.0 / 0.5 + 6.0 / 4.0)).abs() < 1e-12);
    }
    // A value that no board can have said is damage.
    drop(study);
    let path = folder.path().join("journal.log");
    let journal = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, journal.replacen("\"latency_p50\":6.0", "\"latency_p50\":-6.0", 1)).unwrap();
    assert!(!Study::read(folder.path()).unwrap().damage.is_empty());
}

#[test]
fn what_is_measured_beyond_a_limit_is_not_trained() {
    let folder = tempfile::tempdir().unwrap();
    let record = run(folder.path(), 8.5).record();
    assert!(record.trials.iter().all(|trial| trial.state == TrialState::Skipped && trial.accuracy.is_none()));
    let reason = record.trials[0].failure.as_deref().unwrap();
    assert_eq!(reason, "has 8.5 ms latency p50, more than the limit of 8 ms");
    assert_eq!(Study::read(folder.path()).unwrap(), record);
    // It took no part: as many are tried as may be skipped for each that was asked for.
    assert!(record.trials.len() > 3, "{}", record.trials.len());
}

#[test]
fn what_a_board_says_later_counts_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = run(folder.path(), 6.0);
    let architecture = study.record().trials[0].architecture.clone();
    let took = Entry {
        macs: 1,
        latency_p50: 4.8,
        interval: [4.7, 5.0],
        latency_p90: 6.0,
        peak_memory: None,
        energy: None,
    };
    let circumstances = Circumstances {
        target: "host".to_owned(),
        engine: ["tract".to_owned(), "1".to_owned()],
        precision: "f32".to_owned(),
        preset: Preset::Quick,
        runner: "1".to_owned(),
        emulated: false,
    };
    let board = "bench".to_owned();
    let mut known = MeasuredNetworks::none();
    known.add(MeasuredNetwork { architecture, took, board, circumstances, unix_seconds: 1 });
    known.write(folder.path()).unwrap();
    study.learn_measured().unwrap();
    let record = study.record();
    // By the upper end of the median's interval.
    assert_eq!(record.trials[0].cost.measured.latency_p50, Some(5.0));
    assert!((record.trials[0].size_score - 0.8).abs() < 1e-12);
    assert_eq!(record.trials[1].cost.measured.latency_p50, Some(6.0));
    assert_eq!(Study::read(folder.path()).unwrap(), record);
    drop(study);
    assert_eq!(Study::resume(folder.path()).unwrap().record(), record);
    std::fs::write(folder.path().join("measured.json"), "{}").unwrap();
    let error = Study::read(folder.path()).unwrap_err();
    assert_eq!(error.exit_code(), mfactor::exit::INPUT);
    assert!(error.to_string().contains("measured.json"), "{error}");
}
