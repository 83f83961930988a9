//! What is said of a generated study.

use mfactor::latency::Latency;
use mfactor::{AccuracyKind, Limits};
use report::agreement::Verdict;
use report::inversions::Cause;
use report::measured::{Measured, Ranking};
use report::{Comparison, Filed, Input, compare};

use crate::sample::{Sample, paper};

fn compared(sample: &Sample) -> Comparison {
    compare(&sample.input()).unwrap()
}

#[test]
fn the_best_by_m_is_shipped_with_both_baselines_beside_it() {
    let sample = Sample::new(30);
    let comparison = compared(&sample);
    assert_eq!(comparison.recommendations.len(), 2, "one a board that counts");
    for (recommendation, bench) in comparison.recommendations.iter().zip(&comparison.benches) {
        let words = recommendation.words(&comparison.baselines).concat();
        let model = &recommendation.model.as_ref().unwrap().model;
        let best = bench.models.iter().map(|row| row.model.m_factor).fold(0.0, f64::max);
        assert_eq!(model.m_factor, best);
        let random = comparison.baselines.random.as_ref().unwrap();
        assert_eq!(recommendation.over_random, Some(model.m_factor - random.m_factor));
        assert!(words.contains("smallest architecture"), "{words}");
        assert!(words.contains("average of 30 random trials"), "{words}");
    }
    let smallest = comparison.baselines.smallest.trained.as_ref().unwrap();
    assert_eq!((smallest.strategy.as_str(), smallest.trial), ("baseline", 0));
}

#[test]
fn a_smallest_architecture_that_was_never_trained_is_named_as_such() {
    let mut sample = Sample::new(30);
    let smallest = sample.space.smallest();
    sample.trials.retain(|trial| trial.architecture != smallest);
    sample.measurements.retain(|filed| filed.measurement.model.metadata.architecture != smallest);
    let comparison = compared(&sample);
    let baseline = &comparison.baselines.smallest;
    assert!(baseline.trained.is_none());
    assert!(
        comparison.recommendations[0]
            .words(&comparison.baselines)
            .iter()
            .any(|words| words.contains("was not trained"))
    );
    let tie = mfactor::objective::m_factor(baseline.ties_at_accuracy.unwrap(), 1.0, 1.0);
    assert!((tie - comparison.strategies[0].best.as_ref().unwrap().m_factor).abs() < 1e-12);
}

#[test]
fn limits_refuse_and_may_leave_nothing() {
    let sample = Sample::new(30);
    let limited = |limits: Limits| {
        let limit = |filed: &Filed| Filed { limits, ..filed.clone() };
        let measurements: Vec<Filed> = sample.measurements.iter().map(limit).collect();
        compare(&Input { measurements: &measurements, ..sample.input() })
    };
    let accurate = limited(Limits { accuracy: Some(0.755), ..Limits::default() }).unwrap();
    let recommendation = &accurate.recommendations[0];
    let measured = recommendation.model.as_ref().unwrap().measured.as_ref().unwrap();
    assert!(measured.test_accuracy.unwrap() >= 0.755);
    assert!(!recommendation.refused.is_empty());
    assert!(recommendation.refused.iter().all(|refused| refused.violations[0].contains("accuracy")));
    let impossible = limited(Limits { latency_ms: Some(1e-3), ..Limits::default() }).unwrap();
    assert!(impossible.recommendations[0].model.is_none());
    assert!(impossible.recommendations[0].words(&impossible.baselines)[0].contains("latency p90"));
    let percent = limited(Limits { accuracy: Some(75.0), ..Limits::default() }).unwrap_err();
    assert!(percent.to_string().contains("board-a, limits.accuracy"), "{percent}");
}

#[test]
fn what_does_not_count_is_shown_and_changes_no_statistic() {
    let mut sample = Sample::new(30);
    let with = compared(&sample);
    let reasons: Vec<&str> = with.left_out.iter().map(|row| row.reasons[0].as_str()).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.iter().any(|reason| reason.contains("throttled")));
    assert!(reasons.iter().any(|reason| reason.contains("emulated")));
    sample.measurements.retain(|filed| filed.measurement.counts());
    let without = compared(&sample);
    assert!(without.left_out.is_empty());
    assert_eq!(with.benches, without.benches);
    assert_eq!(with.recommendations, without.recommendations);
}

#[test]
fn a_model_measured_twice_counts_once_the_later_time() {
    let mut sample = Sample::new(30);
    let before = compared(&sample);
    let mut again = sample.measurements[0].clone();
    again.measurement.unix_seconds += 1;
    again.measurement.latency.p50_ms *= 3.0;
    let again_trial = again.measurement.model.metadata.trial;
    sample.measurements.insert(0, again.clone());
    let after = compared(&sample);
    assert_eq!(before.benches[0].models.len(), after.benches[0].models.len());
    let row = after.benches[0].models.iter().find(|row| row.model.trial == again_trial);
    assert_eq!(row.unwrap().figures.latency_p50_ms, again.measurement.latency.p50_ms);
    assert_eq!(after.left_out.len(), before.left_out.len() + 1);
}

#[test]
fn the_order_of_the_measurements_does_not_matter() {
    let mut sample = Sample::new(30);
    let before = compared(&sample);
    sample.measurements.reverse();
    let after = compared(&sample);
    assert_eq!(before.benches, after.benches);
    assert_eq!(before.recommendations, after.recommendations);
}

#[test]
fn wrong_pairs_are_those_that_lower_tau() {
    let mut sample = Sample::new(30);
    // Without noise: what it does not tell apart is a tie to tau, and no pair.
    for Filed { measurement, .. } in &mut sample.measurements {
        let p50 = measurement.latency.p50_ms;
        measurement.latency = Latency::from_samples(vec![(p50 * 1e6) as u64; 300]).unwrap();
        let energy = measurement.energy.clone();
        measurement.rounds.iter_mut().for_each(|round| round.energy.clone_from(&energy));
    }
    let comparison = compared(&sample);
    for bench in &comparison.benches {
        for pairs in &bench.pairs {
            let agreement = bench.agreement.iter().find(|agreement| {
                agreement.quantity == pairs.quantity && agreement.ranking == Ranking::MFactor
            });
            let tau = agreement.unwrap().kendall.unwrap().value;
            let all = (bench.models.len() * (bench.models.len() - 1) / 2) as f64;
            let difference = pairs.pairs as f64 - 2.0 * pairs.inverted as f64;
            // Without ties this is tau itself; ties make tau-b's denominator smaller.
            assert!(tau.abs() + 1e-12 >= (difference / all).abs() && tau.signum() == difference.signum());
            assert!(pairs.worst.windows(2).all(|pair| pair[0].loss >= pair[1].loss));
            assert!(pairs.within_noise + pairs.worst.len() <= pairs.inverted);
        }
    }
}

#[test]
fn slow_models_that_m_prefers_are_explained_by_their_stages() {
    let comparison = compared(&Sample::new(50));
    let pairs = comparison.benches[0].pairs.iter().find(|pairs| pairs.quantity == Measured::LatencyP50);
    let worst = &pairs.unwrap().worst[0];
    assert_eq!(worst.cause, Cause::MacsAgainstParameters);
    let rates: Vec<f64> = worst.stages.iter().map(|stage| stage.macs_per_parameter).collect();
    assert_eq!(rates, [1024.0, 256.0, 64.0]);
    let parameters: i64 = worst.stages.iter().map(|stage| stage.parameters).sum();
    let macs: i64 = worst.stages.iter().map(|stage| stage.macs).sum();
    assert!(parameters <= 0 && macs > 0);
    assert!(worst.why(AccuracyKind::Plain).contains("more MACs"), "{worst:?}");
}

#[test]
fn three_models_are_too_few_to_say() {
    let mut sample = Sample::new(30);
    sample.measurements.retain(|filed| filed.measurement.counts() && filed.place == "board-b");
    sample.measurements.truncate(3);
    let comparison = compared(&sample);
    assert!(comparison.benches[0].agreement.iter().all(|agreement| agreement.verdict == Verdict::TooFew));
    assert!(report::terminal(&comparison, false).contains("too few to say (n = 3)"));
}

#[test]
fn without_measurements_the_study_speaks_and_says_so() {
    let mut sample = Sample::new(30);
    sample.measurements.clear();
    let comparison = compared(&sample);
    assert_eq!(comparison.recommendations[0].bench, None);
    let model = &comparison.recommendations[0].model.as_ref().unwrap().model;
    assert_eq!(Some(model), comparison.strategies[0].best.as_ref());
    assert!(comparison.notes()[0].contains("No measurement counts yet"));
    sample.trials.clear();
    let nothing = compared(&sample);
    assert!(nothing.recommendations[0].words(&nothing.baselines)[0].contains("nothing to ship"));
    assert!(report::terminal(&nothing, false).contains("nothing to ship"));
    assert!(report::page(&sample.input(), &nothing).contains("nothing to ship"));
}

#[test]
fn another_alpha_ranks_anew() {
    let sample = Sample::new(30);
    let accurate = compare(&Input { objective: &paper(&sample.space, 0.05), ..sample.input() }).unwrap();
    let small = compare(&Input { objective: &paper(&sample.space, 20.0), ..sample.input() }).unwrap();
    let shipped = |comparison: &Comparison| comparison.recommendations[0].model.clone().unwrap().model;
    assert!(shipped(&accurate).validation_accuracy > shipped(&small).validation_accuracy);
    assert!(shipped(&accurate).parameters > shipped(&small).parameters);
    assert_eq!(accurate.alphas.len(), 21);
    assert!((accurate.alphas[0] - 0.1).abs() < 1e-12 && (accurate.alphas[20] - 10.0).abs() < 1e-12);
}

#[test]
fn what_does_not_fit_is_bad_input() {
    let sample = Sample::new(5);
    let refused = |input: Input<'_>| {
        let error = compare(&input).unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        error.to_string()
    };
    let mut trials = sample.trials.clone();
    trials[1].accuracy = Some(74.0);
    assert!(refused(Input { trials: &trials, ..sample.input() }).contains("trial 1"));
    trials[1].architecture = "333-333".parse().unwrap();
    assert!(refused(Input { trials: &trials, ..sample.input() }).contains("333-333"));
    let mut measurements = sample.measurements.clone();
    measurements[0].measurement.latency.p50_ms = f64::NAN;
    assert!(refused(Input { measurements: &measurements, ..sample.input() }).contains(".onnx"));
}

#[test]
fn one_value_that_reads_back() {
    let comparison = compared(&Sample::new(12));
    let told = comparison.with_words();
    let json = serde_json::to_string(&told).unwrap();
    let read: Comparison = serde_json::from_str(&json).unwrap();
    // JSON numbers may lose their last digit here, all else stays.
    assert_eq!(read.notes(), comparison.notes());
    assert_eq!(read.benches[1].pairs.len(), comparison.benches[1].pairs.len());
    assert_eq!((&read.front, &read.doubts), (&comparison.front, &comparison.doubts));
    for sentences in ["/headline", "/strategy_words", "/notes", "/recommendations/1/words"] {
        assert!(told.pointer(sentences).unwrap()[0].is_string(), "{sentences}");
    }
    let worst = comparison.benches[0].pairs.iter().position(|pairs| !pairs.worst.is_empty()).unwrap();
    assert!(told.pointer(&format!("/benches/0/pairs/{worst}/worst/0/why")).unwrap().is_string());
    assert!(told.pointer("/side_by_side/contrasts/0/words").unwrap().is_string());
    for field in ["architecture", "parameters", "macs", "m_factor", "validation_accuracy", "test_accuracy"] {
        assert!(json.contains(&format!("\"{field}\":")), "{field}");
    }
}

#[test]
fn trials_that_were_stopped_early_are_counted_and_drawn() {
    let mut sample = Sample::new(12);
    for trial in sample.trials.iter_mut().filter(|trial| trial.proposer.name() == "rl" && trial.number > 8) {
        trial.state = mfactor::TrialState::Pruned;
        trial.epoch_accuracies.truncate(1);
        (trial.accuracy, trial.m_factor) = (None, None);
    }
    let comparison = compared(&sample);
    let rl = comparison.strategies.iter().find(|summary| summary.strategy == "rl").unwrap();
    assert_eq!((rl.trials, rl.complete, rl.pruned, rl.failed), (12, 9, 3, 0));
    assert!(comparison.strategy_words().iter().any(|words| words.contains("3 of 12 of rl")));
    let page = report::page(&sample.input(), &comparison);
    assert_eq!(page.matches("was stopped after 1 epoch").count(), 3);
}
