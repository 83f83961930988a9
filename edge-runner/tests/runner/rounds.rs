//! The order of rounds, retries after cool-downs, and what of it is in the record, on a machine that is simulated.

use std::time::Duration;

use edge_runner::measure::{Answer, Part, Progress, Request, RoundAnswer};
use edge_runner::rounds::{Event, Machine, Order, Subject, measure};
use engines::{EngineKind, EngineOptions};
use mfactor::measurement::{
    Board, Conditions, EngineFacts, MeasuredAccuracy, MeasuredModel, Measurement, MemoryUse, Preset, Round,
    Verdict,
};
use mfactor::{Error, Result, exit};

use crate::model;

/// What one round of a simulated model is like.
#[derive(Clone)]
pub struct Simulated {
    pub file: String,
    pub engine: EngineKind,
    pub inference_ns: u64,
    pub verdict: Verdict,
}

pub fn answer(simulated: &Simulated) -> RoundAnswer {
    let samples_ns = vec![simulated.inference_ns; 20];
    RoundAnswer {
        model: MeasuredModel {
            file: simulated.file.clone(),
            sha256: String::new(),
            model_bytes: 1_000_000,
            parameters: 1,
            metadata: model::metadata(),
        },
        engine: EngineFacts {
            name: simulated.engine.name().to_owned(),
            version: "1".to_owned(),
            threads: 1,
            knobs: Default::default(),
            kernels: None,
        },
        board: Board {
            name: "simulated".to_owned(),
            architecture: "aarch64".to_owned(),
            processor: None,
            kernel: None,
            cores: 1,
            memory_bytes: None,
            emulated: false,
        },
        pinned_core: Some(3),
        golden_difference: Some(0.0),
        model_reasons: vec![],
        round: Round {
            number: 1,
            attempt: 1,
            position: 1,
            cool_down_seconds: 0.0,
            unix_seconds: 0,
            load_ms: 1.0,
            first_inference_ms: 1.0,
            warm_up_inferences: 5,
            processor_share: 1.0,
            memory: MemoryUse { peak_rss_bytes: Some(10 << 20), ..MemoryUse::default() },
            energy: None,
            conditions: [Conditions::default(), Conditions::default()],
            samples: samples_ns.len(),
            set_aside_ns: vec![],
            verdict: simulated.verdict.clone(),
        },
        samples_ns,
    }
}

/// A board that answers from a list of verdicts, warms up by 10 °C with every round and cools by 1 °C a second.
struct Oven {
    celsius: f64,
    verdicts: Vec<Verdict>,
    inference_ns: Vec<u64>,
    asked: Vec<String>,
    paused: Duration,
    stops_after: usize,
}

impl Oven {
    fn new() -> Self {
        Self {
            celsius: 40.0,
            verdicts: vec![],
            inference_ns: vec![1_000_000],
            asked: vec![],
            paused: Duration::ZERO,
            stops_after: usize::MAX,
        }
    }
}

impl Machine for Oven {
    fn part(&mut self, request: &Request, on_progress: &mut dyn FnMut(Progress)) -> Result<Answer> {
        on_progress(Progress::Loading);
        let name = request.model.display().to_string();
        if let Part::Accuracy { .. } = request.part {
            self.asked.push(format!("{name} accuracy"));
            return Ok(Answer::Accuracy(MeasuredAccuracy { images: 10, correct: 7, accuracy: 0.7 }));
        }
        self.asked.push(name.clone());
        if name == "broken" {
            return Err(Error::input("broken", "is broken"));
        }
        self.celsius += 10.0;
        let verdict = if self.verdicts.is_empty() { Verdict::Valid } else { self.verdicts.remove(0) };
        let inference_ns = self.inference_ns[self.asked.len() % self.inference_ns.len()];
        let simulated = Simulated { file: name, engine: request.engine.kind, inference_ns, verdict };
        Ok(Answer::Round(Box::new(answer(&simulated))))
    }

    fn temperature(&mut self) -> Option<f64> {
        Some(self.celsius)
    }

    fn pause(&mut self, time: Duration) {
        self.paused += time;
        self.celsius -= time.as_secs_f64();
    }

    fn is_stopped(&self) -> bool {
        self.asked.len() >= self.stops_after
    }
}

fn order(models: &[&str], preset: Preset) -> Order {
    let engine = EngineOptions::new(EngineKind::Tract);
    let subjects =
        models.iter().map(|model| Subject { model: model.into(), contents: None, engine: engine.clone() });
    Order { subjects: subjects.collect(), data: vec![], preset }
}

fn throttled() -> Verdict {
    Verdict::Invalid { reasons: vec!["the board reported throttled".to_owned()] }
}

fn only(results: Vec<Result<Measurement>>) -> Measurement {
    let [measurement] = <[_; 1]>::try_from(results).unwrap();
    measurement.unwrap()
}

/// A whole record, of a simulated model.
pub fn simulated_measurement() -> Measurement {
    only(measure(&order(&["a"], Preset::Quick), &mut Oven::new(), &mut |_, _| {}))
}

#[test]
fn every_round_begins_with_another_model_and_accuracy_comes_first() {
    let mut oven = Oven::new();
    let order = Order { data: vec!["test.bin".into()], ..order(&["a", "b", "c"], Preset::Full) };
    let results = measure(&order, &mut oven, &mut |_, _| {});
    let asked = oven.asked.join(" ");
    assert_eq!(asked, "a accuracy b accuracy c accuracy a b c b c a c a b a b c b c a");
    let first = results[0].as_ref().unwrap();
    assert_eq!(first.accuracy.unwrap().correct, 7);
    let places: Vec<_> = first.rounds.iter().map(|round| (round.number, round.position)).collect();
    assert_eq!(places, [(1, 1), (2, 3), (3, 2), (4, 1), (5, 3)]);
    assert_eq!((first.latency.windows.clone(), first.verdict.clone()), (vec![20; 5], Verdict::Valid));
}

#[test]
fn a_throttled_round_is_tried_again_after_a_cool_down_and_stays_in_the_record() {
    let mut oven = Oven { verdicts: vec![Verdict::Valid, throttled()], ..Oven::new() };
    let mut retries = 0;
    let measured = only(measure(&order(&["a"], Preset::Full), &mut oven, &mut |_, event| {
        retries += usize::from(matches!(event, Event::Retry { .. }));
    }));
    assert_eq!((retries, measured.verdict.clone()), (1, Verdict::Valid));
    // Two rounds warmed it by 20 °C; within 2 °C of the start is cool.
    assert_eq!(oven.paused, Duration::from_secs(18));
    let attempts: Vec<_> =
        measured.rounds.iter().map(|r| (r.number, r.attempt, r.set_aside_ns.len())).collect();
    assert_eq!(attempts, [(1, 1, 0), (2, 1, 20), (2, 2, 0), (3, 1, 0), (4, 1, 0), (5, 1, 0)]);
    assert_eq!(measured.rounds[1].verdict, throttled());
    assert!((measured.rounds[2].cool_down_seconds - 18.0).abs() < 0.5);
    assert_eq!(measured.latency.samples_ns.len(), 100);
}

#[test]
fn a_board_that_never_cools_gives_an_invalid_measurement_with_its_reason() {
    let mut oven = Oven { verdicts: vec![throttled(); 9], ..Oven::new() };
    let measured = only(measure(&order(&["a"], Preset::Quick), &mut oven, &mut |_, _| {}));
    let Verdict::Invalid { reasons } = &measured.verdict else { panic!("{:?}", measured.verdict) };
    assert!(
        reasons[0].contains("round 1: the board reported throttled; so it was in each of 2 attempts"),
        "{reasons:?}"
    );
    assert_eq!(measured.rounds.iter().filter(|round| round.number == 1).count(), 2);
    assert!(oven.paused <= Duration::from_secs(5 * 10), "a wait has an end: {:?}", oven.paused);
}

#[test]
fn rounds_that_do_not_agree_are_not_believed() {
    let oven = || Oven { inference_ns: vec![1_000_000, 1_060_000], ..Oven::new() };
    let measured = only(measure(&order(&["a"], Preset::Full), &mut oven(), &mut |_, _| {}));
    let Verdict::Invalid { reasons } = &measured.verdict else { panic!("{:?}", measured.verdict) };
    assert!(reasons[0].contains("their medians differ by 6 %"), "{reasons:?}");
    let quick = only(measure(&order(&["a"], Preset::Quick), &mut oven(), &mut |_, _| {}));
    assert_eq!(quick.verdict, Verdict::Valid, "a first look promises nothing");
}

#[test]
fn a_model_that_fails_costs_no_other_and_partial_records_are_told() {
    let mut oven = Oven::new();
    let (mut failed, mut partial) = (vec![], vec![]);
    let results =
        measure(&order(&["broken", "good"], Preset::Quick), &mut oven, &mut |subject, event| match event {
            Event::Failed(error) => failed.push((subject, error.exit_code())),
            Event::Partial(record) => partial.push((subject, record.verdict.clone())),
            _ => {}
        });
    assert_eq!(failed, [(0, exit::INPUT)]);
    assert!(results[0].is_err() && results[1].is_ok());
    assert_eq!(oven.asked.iter().filter(|name| *name == "broken").count(), 1, "it is not tried again");
    assert_eq!(partial.len(), 4);
    let Verdict::Invalid { reasons } = &partial[1].1 else { panic!("a part is not the whole") };
    assert_eq!(reasons, &["only 2 of 5 rounds were measured"]);
}

#[test]
fn stopped_it_returns_what_is_measured_by_then() {
    let mut oven = Oven { stops_after: 3, ..Oven::new() };
    let mut complete = 0;
    let results = measure(&order(&["a", "b"], Preset::Quick), &mut oven, &mut |_, event| {
        complete += usize::from(matches!(event, Event::Complete(_)));
    });
    assert_eq!((oven.asked.join(" ").as_str(), complete), ("a b b", 0));
    let rounds: Vec<usize> = results.iter().map(|result| result.as_ref().unwrap().rounds.len()).collect();
    assert_eq!(rounds, [1, 2]);
    let Verdict::Invalid { reasons } = &results[0].as_ref().unwrap().verdict else { panic!("{results:?}") };
    assert_eq!(reasons, &["only 1 of 5 rounds were measured"]);
    let mut oven = Oven { stops_after: 0, ..Oven::new() };
    let results = measure(&order(&["a"], Preset::Quick), &mut oven, &mut |_, _| {});
    assert_eq!(results[0].as_ref().unwrap_err().exit_code(), exit::INTERRUPTED);
}
