//! A hostile board against the host's side of the dialogue: whatever it answers, the host neither panics nor blames itself,
//! sends no more than it has, believes nothing of files and models, and shows nothing that a terminal obeys.
//!
//! 10,000 dialogues by default; `PROPTEST_CASES` asks for more, as `scripts/fuzz` does.

mod board;

use mfactor::latency::Latency;
use mfactor::measurement::{self, Preset};
use mfactor::onnx::Model;
use mfactor::{Error, Measurement, ModelMetadata, exit, text};
use proptest::prelude::*;
use proptest::test_runner::Config;
use release::manifest::SCHEMA;
use release::{LockOwner, Manifest, RUNNER, RecordsFile, ReleaseFile, ReleaseModel};
use serde_json::json;

use super::*;
use crate::bundle::MeasureOptions;
use board::{Board, Move, moves};

const MODEL: &[u8] = include_bytes!("../../../studies/paper/models/333-333-333.onnx");
const RECORDS: &[u8] = &[7; 3073 * 4];
const CASES: u32 = 10_000;

fn metadata() -> ModelMetadata {
    let model = Model::parse(MODEL, "a model").expect("a model");
    ModelMetadata::from_properties(model.properties(), "a model").expect("metadata")
}

/// A release of two models, and records.
fn bundle() -> Bundle {
    let contents = [(RUNNER, &b"runner"[..]), ("models/a.onnx", b"one model"), ("models/b.onnx", b"another")];
    let file = |(name, bytes): &(&str, &[u8])| ReleaseFile {
        name: (*name).to_owned(),
        sha256: mfactor::files::sha256(bytes),
        bytes: bytes.len() as u64,
        mode: if *name == RUNNER { 0o755 } else { 0o644 },
    };
    let model = |name: &str| ReleaseModel {
        file: format!("models/{name}.onnx"),
        golden_inputs: vec![],
        metadata: metadata(),
    };
    let sha256 = mfactor::files::sha256(RECORDS);
    let manifest = Manifest {
        schema: SCHEMA,
        tool_version: "0.1.0".to_owned(),
        study: "study".to_owned(),
        target: "rpi4".to_owned(),
        sequence: 7,
        architecture: "aarch64".to_owned(),
        glibc: None,
        files: contents.iter().map(file).collect(),
        models: vec![model("a"), model("b")],
        records: vec![RecordsFile {
            name: "test.bin".to_owned(),
            sha256: sha256.clone(),
            bytes: RECORDS.len() as u64,
        }],
    };
    manifest.check().expect("a manifest");
    let contents = contents.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).into_iter();
    Bundle::of(manifest, contents.chain([(sha256, RECORDS.to_vec())]).collect())
}

/// What an honest board measures.
fn measured(manifest: &Manifest, model: &str) -> Measurement {
    let file = manifest.files.iter().find(|file| file.name.ends_with(model)).expect("a file");
    let round = json!({
        "number": 1, "attempt": 1, "position": 1, "cool_down_seconds": 0.0, "unix_seconds": 1, "load_ms": 1.0,
        "first_inference_ms": 1.0, "warm_up_inferences": 1, "processor_share": 1.0, "memory": measurement::MemoryUse::default(),
        "energy": null, "conditions": [measurement::Conditions::default(), measurement::Conditions::default()],
        "samples": 3, "set_aside_ns": [], "verdict": { "verdict": "valid" },
    });
    let told = json!({
        "schema": measurement::SCHEMA, "tool_version": "0.1.0", "unix_seconds": 1,
        "model": { "file": model, "sha256": file.sha256, "model_bytes": file.bytes, "parameters": 1,
            "metadata": manifest.models[0].metadata },
        "engine": { "name": "tract", "version": "1", "threads": 1, "knobs": { "A": "b" }, "kernels": null },
        "board": { "name": "Pi", "architecture": "aarch64", "processor": "A72", "kernel": "6", "cores": 4,
            "memory_bytes": 1, "emulated": false },
        "conditions": [measurement::Conditions::default(), measurement::Conditions::default()],
        "pinned_core": 3, "preset": "quick", "golden_difference": 1e-6,
        "accuracy": { "images": 4, "correct": 3, "accuracy": 0.75 }, "load_ms": 1.0, "first_inference_ms": 1.0,
        "warm_up_inferences": 1, "latency": Latency::from_windows(&[vec![3, 1, 2]]), "processor_share": 1.0,
        "memory": measurement::MemoryUse::default(),
        "energy": { "source": "INA", "samples_per_second": 1.0, "idle_watts": 1.0, "watts": 2.0, "inference_mj": 1.0 },
        "rounds": [round], "verdict": { "verdict": "invalid", "reasons": ["too warm"] },
    });
    serde_json::from_value(told).expect("a measurement")
}

/// A release to bring, and how: made once, since a model has to be read for it.
fn asked() -> MeasureOptions {
    MeasureOptions { preset: Preset::Quick, threads: 1, engines: vec!["tract".to_owned()] }
}

struct Order {
    bundle: Bundle,
    options: FlashOptions,
}

thread_local! { static ORDER: Order = Order::new(); }

impl Order {
    fn new() -> Self {
        let options = FlashOptions {
            ssh: SshOptions::new(None, true).expect("a folder"),
            measure: Some(asked()),
            allow_downgrade: false,
            repin: false,
            dry_run: false,
        };
        Self { bundle: bundle(), options }
    }
}

/// Plays a dialogue, and looks at all that came of it.
fn play(Order { bundle, options }: &Order, moves: Vec<Move>) -> Result<Conversed, Error> {
    let host: Host = "pi@kitchen".parse().expect("a host");
    let board = Board {
        bundle,
        moves: moves.into(),
        asked: None,
        unmeasured: vec!["a.onnx".to_owned(), "b.onnx".to_owned()],
        heard: 0,
    };
    let mut sent = Sent::new(bundle);
    let mut on_event = |event: FlashEvent| look_at(bundle, &event);
    let (mut agent, recovered) = Agent::over(host, board).greeted(FOR_A_FLASH, PATIENCE)?;
    recovered.iter().for_each(|words| assert_eq!(text::visible(words), *words));
    let conversed = converse(&mut agent, bundle, options, &mut sent, &mut on_event);
    let most = 2 * bundle.manifest.bytes() as usize + bundle.text.len() * 2 + 10_000;
    assert!(agent.wire().heard <= most, "no file is sent more than twice: {}", agent.wire().heard);
    conversed
}

/// What is shown and filed.
fn look_at(bundle: &Bundle, event: &FlashEvent) {
    match event {
        FlashEvent::Measured(measured) => {
            let file = format!("models/{}", measured.model.file);
            let sent =
                bundle.manifest.files.iter().find(|sent| sent.name == file).expect("a file of the release");
            assert_eq!((&measured.model.sha256, measured.model.model_bytes), (&sent.sha256, sent.bytes));
            assert_eq!(measured.engine.name, "tract", "the other part of the record's name");
            let json = serde_json::to_string(measured).expect("a record");
            assert!(json.len() < 1 << 20, "{}", json.len());
            let texts = [&measured.board.name, &measured.engine.version, &measured.tool_version];
            assert!(texts.iter().all(|told| text::visible(told) == told.as_str()), "{texts:?}");
            let reparsed = Measurement::parse(json.as_bytes(), "record").expect("every reader takes it");
            assert!(reparsed.accuracy.is_none_or(|accuracy| (0.0..=1.0).contains(&accuracy.accuracy)));
        }
        FlashEvent::Measuring { model, step } => {
            assert!(["a.onnx", "b.onnx"].contains(&model.as_str()), "{model}");
            assert_eq!(text::visible(step), *step);
        }
        FlashEvent::Sent { name, .. } => {
            assert!(["test.bin", RUNNER].contains(&name.as_str()) || name.starts_with("models/"))
        }
        _ => {}
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

proptest! {
    #![proptest_config(Config { cases: cases(), failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_hostile_board_ends_at_worst_its_own_flash(moves in moves()) {
        let outcome = ORDER.with(|order| play(order, moves));
        if let Err(error) = outcome {
            prop_assert_eq!(error.exit_code(), exit::BOARD, "{}", error);
            let said = error.to_string();
            prop_assert!(said.starts_with("pi@kitchen: "), "{}", said);
            prop_assert!(text::visible_lines(&said) == said && said.len() < 4_000, "{:?}", said);
        }
    }

    #[test]
    fn no_answer_of_a_board_breaks_what_reads_it(answer in "(?s)(machine|bits|libc|free|memory|temperature|release|current|key|found|begun|lacks)?\t?.{0,40}(\n.{0,20})*") {
        let probe = Probe::parse(&answer);
        prop_assert_eq!(text::visible(&probe.machine), probe.machine.as_str());
        let target = crate::boards::load("rpi4").unwrap();
        let _ = ORDER.with(|order| probe.check("pi@kitchen", &target, &order.bundle.manifest, "RWQ", false));
        let owner = LockOwner::parse(&answer, 7);
        let said = agent::busy(&"pi@kitchen".parse().unwrap(), &owner).to_string();
        prop_assert_eq!(text::visible(&said), said.as_str());
    }
}

#[test]
fn an_honest_board_is_flashed_and_measured() {
    let conversed = play(&Order::new(), vec![Move::Right; 20]).unwrap();
    assert_eq!((conversed.measurements.len(), conversed.health.len()), (2, 2));
    let measured = &conversed.measurements[0];
    assert_eq!(measured.model.parameters, metadata().parameters, "the host's own count, not the board's");
    assert_eq!(measured.latency.p50_ms, 2e-6);
}

#[test]
fn a_measurement_of_something_else_is_not_filed() {
    let bundle = bundle();
    let asked = asked();
    let refused = |change: fn(&mut Measurement)| {
        let mut told = measured(&bundle.manifest, "a.onnx");
        change(&mut told);
        told::measurement(&bundle, &asked, told).err().unwrap_or_default()
    };
    assert_eq!(refused(|_| ()), "");
    type Change = fn(&mut Measurement);
    let cases: [(Change, &str); 10] = [
        (|told| told.model.file = "../../x".to_owned(), "not in the release"),
        (|told| told.model.sha256 = "b".repeat(64), "another models/a.onnx than was sent"),
        (|told| told.engine.name = "/../settings".to_owned(), "measured with /../settings"),
        (|told| told.engine.name = "ort".to_owned(), "measured with ort"),
        (|told| told.engine.threads = 2, "2 threads"),
        (|told| told.preset = Preset::Full, "preset full"),
        (|told| told.board.architecture = "x86_64".to_owned(), "measured on x86_64"),
        (|told| told.latency.windows = vec![usize::MAX, 2], "fewer samples"),
        (|told| told.load_ms = -1.0, "cannot be: -1"),
        (|told| told.accuracy.as_mut().unwrap().correct = 5, "5 of 4"),
    ];
    for (change, expected) in cases {
        let problem = refused(change);
        assert!(problem.contains(expected), "{problem}");
    }
}
