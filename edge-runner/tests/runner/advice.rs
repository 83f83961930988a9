//! Which model and engine to ship.

use std::time::Duration;

use edge_runner::advice::{advise, text};
use edge_runner::measure::{Answer, Progress, Request};
use edge_runner::rounds::{Machine, Order, Subject, measure};
use engines::{EngineKind, EngineOptions};
use mfactor::Result;
use mfactor::measurement::{Measurement, Preset, Verdict};

use crate::rounds::{Simulated, answer};

struct Steady(u64);

impl Machine for Steady {
    fn part(&mut self, request: &Request, _: &mut dyn FnMut(Progress)) -> Result<Answer> {
        let file = request.model.display().to_string();
        let simulated =
            Simulated { file, engine: request.engine.kind, inference_ns: self.0, verdict: Verdict::Valid };
        Ok(Answer::Round(Box::new(answer(&simulated))))
    }

    fn temperature(&mut self) -> Option<f64> {
        None
    }

    fn pause(&mut self, _: Duration) {}

    fn is_stopped(&self) -> bool {
        false
    }
}

fn measured(file: &str, engine: EngineKind, microseconds: u64) -> Measurement {
    let subjects = vec![Subject { model: file.into(), contents: None, engine: EngineOptions::new(engine) }];
    let order = Order { subjects, data: vec![], preset: Preset::Full };
    measure(&order, &mut Steady(microseconds * 1000), &mut |_, _| {}).remove(0).unwrap()
}

#[test]
fn what_answers_clearly_faster_is_shipped() {
    let ways = [measured("m.onnx", EngineKind::Tract, 2000), measured("m.onnx", EngineKind::Ort, 1000)];
    let advice = advise(&ways);
    assert_eq!((advice.len(), advice[0].engine.as_str()), (1, "ort"));
    let text = text(&advice);
    assert!(text.contains("m.onnx with ort answers in 1.00 ms (p50)"), "{text}");
    assert!(text.contains("m.onnx with tract takes 2.00 times as long"), "{text}");
}

#[test]
fn among_equals_the_engine_without_a_library_is_shipped() {
    let ways = [measured("m.onnx", EngineKind::Ort, 1000), measured("m.onnx", EngineKind::Tract, 1040)];
    assert_eq!(advise(&ways)[0].engine, "tract");
}

#[test]
fn int8_that_is_slower_is_smaller_and_not_faster() {
    let mut small = measured("m.int8.onnx", EngineKind::Tract, 3000);
    small.model.model_bytes = 270_000;
    small.memory.peak_rss_bytes = Some(8 << 20);
    let advice = advise(&[measured("m.onnx", EngineKind::Tract, 1000), small.clone()]);
    assert_eq!(advice[0].ship, "m.onnx");
    assert_eq!(
        advice[0].sentences[1],
        "m.int8.onnx with tract takes 3.00 times as long; its file is smaller: 0.27 of the size; it takes 2.0 MiB \
         less memory at its peak"
    );
    small.latency.p50_ms = 1.0;
    assert_eq!(advise(&[measured("m.onnx", EngineKind::Tract, 1000), small])[0].ship, "m.int8.onnx");
}

#[test]
fn nothing_is_advised_on_one_way_or_on_what_does_not_count() {
    let one = measured("m.onnx", EngineKind::Tract, 1000);
    let mut emulated = measured("m.onnx", EngineKind::Ort, 10);
    emulated.board.emulated = true;
    assert_eq!(advise(std::slice::from_ref(&one)), []);
    assert_eq!(advise(&[one, emulated]), []);
}
