//! Figures that cannot be are refused or left out, and what noise does not tell apart is not ranked.

use mfactor::Measurement;
use report::agreement::Verdict;
use report::measured::{Measured, Ranking};
use report::{Comparison, Filed, compare};
use serde_json::{Value, json};

use crate::sample::Sample;

fn compared(sample: &Sample) -> Comparison {
    compare(&sample.input()).unwrap()
}

/// A good record with one value exchanged, read again.
fn reread(pointer: &str, value: Value) -> Result<Measurement, String> {
    let sample = Sample::new(12);
    let with_energy = |filed: &&Filed| filed.measurement.energy.is_some();
    let good = &sample.measurements.iter().find(with_energy).unwrap().measurement;
    let mut record = serde_json::to_value(good).unwrap();
    *record.pointer_mut(pointer).unwrap() = value;
    Measurement::parse(&serde_json::to_vec(&record).unwrap(), "m.json").map_err(|error| {
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        error.to_string()
    })
}

#[test]
fn a_record_that_says_what_cannot_be_is_refused() {
    reread("/tool_version", json!("other")).unwrap();
    for (pointer, value, words) in [
        ("/latency/p50_ms", json!(0.0), "latency.p50_ms is 0"),
        ("/latency/p50_ms", json!(-1.0), "latency.p50_ms is -1"),
        ("/latency/p90_ms", json!(1e-9), "latency.p50_ms is above latency.p90_ms"),
        ("/latency/p99_ms", json!(1e308), "other latency samples"),
        ("/latency/min_ms", json!(1e-9), "other latency samples"),
        ("/latency/mad_ms", json!(-1.0), "an interval or a spread"),
        ("/latency/p50_interval_ms", json!([2.0, 1.0]), "an interval or a spread"),
        ("/latency/samples_ns/0", json!(0), "other latency samples"),
        ("/latency/samples_ns", json!([]), "has not the latency samples"),
        ("/latency/windows", json!([usize::MAX, usize::MAX]), "has not the latency samples"),
        ("/accuracy/correct", json!(10_001), "an accuracy of"),
        ("/accuracy/accuracy", json!(1.5), "an accuracy of"),
        ("/accuracy/images", json!(0), "an accuracy of"),
        ("/processor_share", json!(-0.1), "processor_share is -0.1"),
        ("/load_ms", json!(-1), "load_ms is -1"),
        ("/golden_difference", json!(-1), "golden_difference is -1"),
        ("/model/parameters", json!(0), "0 parameters"),
        ("/engine/threads", json!(0), "0 threads"),
        ("/latency/p50_ms", Value::Null, "not a measurement"),
    ] {
        let problem = reread(pointer, value).unwrap_err();
        assert!(problem.starts_with("m.json: ") && problem.contains(words), "{pointer}: {problem}");
    }
    for (bytes, words) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"[..], "git lfs pull"),
        (b"", "is empty"),
        (b"{\"schema\": 2, \"latency\": NaN}", "not a measurement"),
    ] {
        let problem = Measurement::parse(bytes, "m.json").unwrap_err().to_string();
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn an_energy_that_cannot_be_or_is_below_its_noise_is_not_told() {
    let told = |change: &dyn Fn(&mut Measurement)| {
        let mut sample = Sample::new(30);
        sample.measurements.retain(|filed| filed.measurement.energy.is_some() && filed.measurement.counts());
        change(&mut sample.measurements[0].measurement);
        let trial = sample.measurements[0].measurement.model.metadata.trial;
        let comparison = compared(&sample);
        let models = comparison.benches.iter().flat_map(|bench| &bench.models);
        let energies: Vec<_> =
            models.filter(|row| row.model.trial == trial).map(|row| row.figures.energy_mj).collect();
        (energies[0], comparison.notes().iter().find(|note| note.contains("is not told")).cloned())
    };
    assert!(told(&|_| {}).0.is_some() && told(&|_| {}).1.is_none());
    let (energy, note) = told(&|measurement| measurement.energy.as_mut().unwrap().inference_mj = -3.0);
    assert_eq!(energy, None);
    assert!(note.unwrap().contains("no more power at work than at rest"));
    let (energy, note) = told(&|measurement| measurement.energy.as_mut().unwrap().watts = -1.0);
    assert_eq!(energy, None);
    assert!(note.unwrap().contains("a power that cannot be"));
    let (energy, note) = told(&|measurement| {
        let whole = measurement.energy.as_ref().unwrap().inference_mj;
        measurement.rounds[0].energy.as_mut().unwrap().inference_mj = -2.0 * whole;
    });
    assert_eq!(energy, None);
    assert!(note.unwrap().contains("no larger than its noise"));
}

#[test]
fn energies_whose_noise_nobody_knows_are_not_ranked() {
    let mut sample = Sample::new(30);
    let verdicts = |sample: &Sample| -> Vec<Verdict> {
        let comparison = compared(sample);
        let agreements = comparison.benches.iter().flat_map(|bench| &bench.agreement);
        let of_energy = |own: &&report::agreement::Agreement| {
            own.quantity == Measured::Energy && own.ranking == Ranking::Macs
        };
        agreements.filter(of_energy).map(|own| own.verdict).collect()
    };
    assert!(verdicts(&sample).contains(&Verdict::Agrees));
    sample.measurements.iter_mut().for_each(|filed| filed.measurement.rounds.truncate(1));
    let said = verdicts(&sample);
    assert!(said.contains(&Verdict::NothingToRank));
    assert!(
        said.iter().all(|verdict| matches!(verdict, Verdict::NothingToRank | Verdict::TooFew)),
        "{said:?}"
    );
}

#[test]
fn a_latency_that_noise_hides_is_no_reason() {
    let mut sample = Sample::new(30).with_int8();
    sample.measurements.retain(|filed| filed.place == "board-a" && filed.measurement.counts());
    for filed in &mut sample.measurements {
        let latency = &mut filed.measurement.latency;
        latency.mad_ms = 10.0 * latency.p50_ms;
    }
    let comparison = compared(&sample);
    let words: Vec<String> =
        comparison.recommendations.iter().flat_map(|own| own.words(&comparison.baselines)).collect();
    assert!(words.iter().any(|words| words.contains("noise does not tell them apart")), "{words:?}");
    assert!(words.iter().all(|words| !words.contains("times the latency")), "{words:?}");
    let contrasts = &comparison.side_by_side.as_ref().unwrap().contrasts;
    assert!(
        contrasts.iter().all(|contrast| contrast.words().contains("as far as noise tells")),
        "{contrasts:?}"
    );
    assert!(contrasts.iter().all(|contrast| !contrast.words().contains("and faster")), "{contrasts:?}");
    let latency = comparison.benches[0].pairs.iter().find(|pairs| pairs.quantity == Measured::LatencyP50);
    assert!(latency.is_none_or(|pairs| pairs.worst.is_empty()));
}
