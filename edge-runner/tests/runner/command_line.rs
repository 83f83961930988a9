//! The program as a user runs it: what it prints, what it files, and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mfactor::measurement::{Measurement, Preset, Verdict};
use mfactor::{ModelMetadata, exit};
use serde_json::Value;
use tempfile::TempDir;

use crate::model;

fn edge_runner(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_edge-runner")).args(arguments).output().unwrap()
}

fn code(output: &Output) -> u8 {
    output.status.code().and_then(|code| u8::try_from(code).ok()).expect("the program ends by itself")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(folder: &TempDir, name: &str, metadata: &ModelMetadata) -> String {
    model::write(folder, name, &model::model(metadata)).to_string_lossy().into_owned()
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn a_measurement_is_printed_and_filed() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(&folder, "tiny.onnx", &model::metadata());
    let records = text(write_records(folder.path()));
    let filed = text(folder.path().join("records"));
    let arguments =
        ["measure", &model, "--data", &records, "--preset", "quick", "--json", "-q", "--output", &filed];
    let output = edge_runner(&arguments);
    assert_eq!((code(&output), talk(&output).as_str()), (exit::DONE, ""));
    let printed: Vec<Measurement> = serde_json::from_slice(&output.stdout).unwrap();
    let [measured] = printed.as_slice() else { panic!("{printed:?}") };
    let path = Path::new(&filed).join("tiny.tract.json");
    assert_eq!(Measurement::parse(&std::fs::read(&path).unwrap(), "filed").unwrap(), *measured);
    let accuracy = measured.accuracy.unwrap();
    assert_eq!((accuracy.images, accuracy.correct), (5, 3));
    assert_eq!((measured.preset, &measured.verdict), (Preset::Quick, &Verdict::Valid));
    assert_eq!(measured.model.parameters, model::metadata().parameters);
    assert_eq!(measured.golden_difference, Some(0.0));
    assert!(measured.latency.samples_ns.len() >= 100 && measured.latency.windows.len() == 5);
    assert!(measured.warm_up_inferences >= 5 && measured.pinned_core.is_some());
    assert!(measured.processor_share > 0.0 && measured.processor_share < 1.1);
    assert_eq!(measured.rounds.len(), measured.latency.windows.len());
    assert!(measured.rounds.iter().all(|round| round.set_aside_ns.is_empty() && round.attempt == 1));
    let memory = &measured.memory;
    assert!(memory.peak_rss_bytes > memory.baseline_rss_bytes, "{memory:?}");
    assert!(memory.load_peak_rss_bytes > memory.baseline_rss_bytes, "{memory:?}");
    assert!(memory.model_private_dirty_bytes() > Some(0), "{memory:?}");
    assert!(memory.allocator_peak_bytes > Some(measured.model.model_bytes), "{memory:?}");
    assert!(measured.engine.kernels.as_ref().is_some_and(|kernels| kernels.contains("f32")));
    assert!(!std::fs::exists(Path::new(&filed).join("tiny.tract.json.partial")).unwrap());
}

#[test]
fn every_model_is_measured_and_what_is_not_valid_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let good = model::metadata();
    let counted = write(&folder, "counted.onnx", &ModelMetadata { parameters: 1, ..good.clone() });
    let golden = vec![vec![0.5, 0.0, 0.0]; mfactor::golden::INPUTS];
    let answers = write(&folder, "answers.onnx", &ModelMetadata { golden_logits: golden, ..good });
    let output = edge_runner(&["measure", &counted, &answers, "--preset", "quick", "--json"]);
    assert_eq!(code(&output), exit::INVALID, "{}", talk(&output));
    let printed: Vec<Measurement> = serde_json::from_slice(&output.stdout).unwrap();
    let reasons = |measured: &Measurement| match &measured.verdict {
        Verdict::Invalid { reasons } => reasons.join("; "),
        Verdict::Valid => String::new(),
    };
    assert!(reasons(&printed[0]).contains("its metadata says 1"), "{:?}", printed[0].verdict);
    assert!(reasons(&printed[1]).contains("golden"), "{:?}", printed[1].verdict);
    assert!(talk(&output).contains("counted.onnx (tract): not valid: "), "{}", talk(&output));
}

#[test]
fn one_bad_model_does_not_cost_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(&folder, "good.onnx", &model::metadata());
    let bad = folder.path().join("bad.onnx");
    std::fs::write(&bad, b"no model").unwrap();
    let output = edge_runner(&["measure", &text(bad), &good, "--preset", "quick", "--json"]);
    assert_eq!(code(&output), exit::INPUT);
    assert_eq!(json(&output).as_array().unwrap().len(), 1);
    assert!(talk(&output).contains("bad.onnx: is not an ONNX model"), "{}", talk(&output));
    let output = edge_runner(&["measure", &good, "--preset", "quick", "--data", "no/such.bin"]);
    assert_eq!(code(&output), exit::INPUT);
    assert!(talk(&output).contains("no/such.bin"), "{}", talk(&output));
}

#[test]
fn onnx_runtime_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(&folder, "tiny.onnx", &model::metadata());
    let arguments =
        ["measure", &model, "--engine", "ort", "--preset", "quick", "--json", "--ort-library", "none.so"];
    let output = edge_runner(&arguments);
    assert_eq!((code(&output), json(&output)), (exit::MISSING, Value::Array(vec![])));
    assert!(talk(&output).contains("pip install onnxruntime"), "{}", talk(&output));
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn onnx_runtime_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(&folder, "tiny.onnx", &model::metadata());
    let output = edge_runner(&["measure", &model, "--engine", "ort", "--preset", "quick", "--json"]);
    assert_eq!(code(&output), exit::DONE, "{}", talk(&output));
    assert_eq!(json(&output)[0]["engine"]["name"], "ort");
    let peak = &json(&output)[0]["memory"]["allocator_peak_bytes"];
    assert_eq!(peak, &Value::Null, "it allocates for itself");
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn both_engines_are_measured_in_turn_and_one_is_advised() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(&folder, "tiny.onnx", &model::metadata());
    let filed = text(folder.path().join("records"));
    let output =
        edge_runner(&["measure", &model, "--engine", "all", "--preset", "quick", "--output", &filed]);
    assert_eq!(code(&output), exit::DONE, "{}", talk(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("3: ship tiny.onnx with "), "{printed}");
    let rounds: Vec<String> =
        talk(&output).lines().filter(|line| line.contains(": round ")).map(str::to_owned).collect();
    let expected = [
        (1, "tract", "ort"),
        (2, "ort", "tract"),
        (3, "tract", "ort"),
        (4, "ort", "tract"),
        (5, "tract", "ort"),
    ];
    let in_turn: Vec<String> = expected
        .iter()
        .flat_map(|(round, one, other)| {
            [one, other].map(|name| format!("tiny.onnx ({name}): round {round} of 5"))
        })
        .collect();
    assert_eq!(rounds, in_turn);
    for engine in ["tract", "ort"] {
        let path = Path::new(&filed).join(format!("tiny.{engine}.json"));
        assert_eq!(Measurement::parse(&std::fs::read(path).unwrap(), engine).unwrap().engine.name, engine);
    }
}

#[test]
fn wrong_use_is_told_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(&folder, "tiny.onnx", &model::metadata());
    for arguments in [
        vec!["measure"],
        vec!["measure", &model, "--threads", "0"],
        vec!["measure", &model, "--engine", "magic"],
        vec!["measure", &model, &model, "--output", "records"],
        vec!["nonsense"],
    ] {
        assert_eq!(code(&edge_runner(&arguments)), exit::USAGE, "{arguments:?}");
    }
    assert!(!Path::new("records").exists());
}

#[test]
fn a_picture_and_a_record_are_classified() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(&folder, "tiny.onnx", &model::metadata());
    let picture = folder.path().join("picture.jpg");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../pictures/tests/files/baseline.jpg"), &picture)
        .unwrap();
    let output = edge_runner(&["classify", &model, &text(picture), "--json"]);
    assert_eq!(code(&output), exit::DONE, "{}", talk(&output));
    let answer = json(&output);
    let total = 1.0 + 0.5f64.exp() + 1.0f64.exp();
    assert_eq!((&answer["classes"][0]["class"], &answer["label"]), (&"blue".into(), &Value::Null));
    let probability = answer["classes"][0]["probability"].as_f64().unwrap();
    assert!((probability - 1.0f64.exp() / total).abs() < 1e-6, "{answer}");
    let records = text(write_records(folder.path()));
    let output = edge_runner(&["classify", &model, &records, "--record", "1", "--top", "1"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), " 50.65 %  blue\nlabel     green\n");
    let output = edge_runner(&["classify", &model, &records, "--record", "5"]);
    assert_eq!(code(&output), exit::INPUT);
    assert!(talk(&output).contains("there is no record 5"), "{}", talk(&output));
    assert_eq!(code(&edge_runner(&["classify", &model, &records])), exit::INPUT);
}

#[test]
fn a_model_and_a_board_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(&folder, "tiny.onnx", &model::metadata());
    let output = edge_runner(&["info", &model, "--json"]);
    assert_eq!(code(&output), exit::DONE);
    assert_eq!(json(&output)["counted"]["parameters"], json(&output)["metadata"]["parameters"]);
    let output = edge_runner(&["info", &model]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("architecture  3 of space tiny"), "{output:?}");
    let output = edge_runner(&["board", "--json"]);
    assert_eq!(code(&output), exit::DONE);
    assert_eq!(json(&output)["board"]["architecture"], std::env::consts::ARCH);
}

/// Writes five records labelled 0, 1, 2, 2, 2: the model is right on three.
fn write_records(folder: &Path) -> PathBuf {
    let path = folder.join("records.bin");
    let record = |label: u8| std::iter::once(label).chain(vec![100; model::space().image().bytes()]);
    std::fs::write(&path, [0, 1, 2, 2, 2].into_iter().flat_map(record).collect::<Vec<u8>>()).unwrap();
    path
}
