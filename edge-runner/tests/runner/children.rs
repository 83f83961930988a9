//! What becomes of a measurement whose process breaks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use edge_runner::child::{measure_in_child, serve};
use edge_runner::measure::{Part, Request};
use edge_runner::sensors::Sensors;
use engines::{EngineKind, EngineOptions};
use mfactor::measurement::Preset;
use mfactor::{Error, exit};

fn request() -> Request {
    Request {
        model: "some.onnx".into(),
        contents: None,
        sensors: Sensors::default(),
        engine: EngineOptions::new(EngineKind::Tract),
        part: Part::Round { preset: Preset::Quick },
    }
}

/// The error of a child that does what `script` says.
fn failure(script: &str) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("child");
    fs::write(&program, format!("#!/bin/sh\ncat > /dev/null\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    measure_in_child(&program, &request(), &|| false, &mut |_| {}).unwrap_err()
}

#[test]
fn a_child_that_is_killed_is_the_boards_failure() {
    let error = failure("echo '{\"progress\":\"loading\"}'; kill -9 $$");
    assert_eq!(error.exit_code(), exit::BOARD);
    let text = error.to_string();
    assert!(text.contains("some.onnx") && text.contains("signal: 9"), "{text}");
}

#[test]
fn an_engine_that_broke_in_the_child_is_bad_input() {
    let error = failure("exit 3");
    assert_eq!(error.exit_code(), exit::INPUT);
    assert!(error.to_string().starts_with("some.onnx: an engine broke on it"), "{error}");
}

#[test]
fn a_child_that_talks_nonsense_is_a_defect() {
    assert_eq!(failure("echo hello").exit_code(), exit::DEFECT);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error =
        measure_in_child(Path::new("no/such/runner"), &request(), &|| false, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("no/such/runner"), "{error}");
}

#[test]
fn errors_cross_the_pipe_with_their_class() {
    let mut answer = vec![];
    let line = serde_json::to_vec(&request()).unwrap();
    serve(line.as_slice(), &mut answer).unwrap();
    let last = String::from_utf8(answer).unwrap().lines().last().unwrap().to_owned();
    let error = failure(&format!("echo '{last}'"));
    assert_eq!(error.exit_code(), exit::INPUT);
    assert!(error.to_string().starts_with("some.onnx: cannot read it"), "{error}");
}

#[test]
fn a_child_that_does_not_stop_talking_is_ended() {
    let error = failure("exec cat /dev/zero");
    assert_eq!(error.exit_code(), exit::DEFECT);
    assert!(error.to_string().contains("does not stop talking"), "{error}");
    let error = failure("printf '\\033[2J%5000s\\n' x");
    assert!(error.to_string().contains("\\u{1b}[2J") && error.to_string().len() < 500, "{error}");
}

#[test]
fn a_child_that_hangs_is_ended_when_the_work_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("child");
    let pid = folder.path().join("pid");
    let script = format!("#!/bin/sh\necho $$ > {0}.new; mv {0}.new {0}\nexec sleep 1000\n", pid.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let is_stopped = || pid.exists();
    let error = measure_in_child(&program, &request(), &is_stopped, &mut |_| {}).unwrap_err();
    assert_eq!(error.exit_code(), exit::INTERRUPTED, "{error}");
    let process = fs::read_to_string(&pid).unwrap();
    assert!(!Path::new("/proc").join(process.trim()).exists(), "it was ended, and its end was waited for");
}
