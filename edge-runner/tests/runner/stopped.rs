//! Every wait has an end, and whatever ends the runner ends what it started.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mfactor::exit;
use mfactor::measurement::{Measurement, Verdict};
use tempfile::TempDir;

use crate::model;

/// Longer than anything here takes on a machine that is busy.
const LONG: Duration = Duration::from_secs(60);

fn runner() -> Command {
    Command::new(env!("CARGO_BIN_EXE_edge-runner"))
}

/// A measurement under way, which has come to this round.
fn measuring(folder: &TempDir, preset: &str, round: &str) -> Child {
    let model = model::write(folder, "tiny.onnx", &model::model(&model::metadata()));
    let temporary = folder.path().join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = runner();
    command.arg("measure").arg(model).args(["--preset", preset, "--json"]).env("TMPDIR", temporary);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(round)), "it came to {round}");
    // Whoever closes the pipe ends those who write to it.
    std::thread::spawn(move || lines.count());
    child
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.unwrap().success());
}

fn children(parent: u32) -> Vec<PathBuf> {
    let is_child = |path: &PathBuf| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    };
    fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(is_child).collect()
}

fn has_ended(process: &Path) -> bool {
    // One that nobody has waited for yet is a zombie.
    fs::read_to_string(process.join("status")).map_or(true, |status| status.contains("State:\tZ"))
}

#[test]
fn a_signal_ends_a_measurement_with_what_is_measured_by_then() {
    for name in ["TERM", "HUP", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let child = measuring(&folder, "quick", "round 2 of 5");
        let parts = children(child.id());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(i32::from(exit::INTERRUPTED)), "SIG{name}");
        let printed: Vec<Measurement> = serde_json::from_slice(&output.stdout).unwrap();
        let [measured] = printed.as_slice() else { panic!("{printed:?}") };
        let Verdict::Invalid { reasons } = &measured.verdict else { panic!("it is not whole") };
        assert!(reasons[0].starts_with("only ") && reasons[0].contains("of 5 rounds"), "{reasons:?}");
        assert!(parts.iter().all(|process| has_ended(process)), "SIG{name}");
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0, "nothing is left in /tmp");
    }
}

#[test]
fn a_runner_that_is_killed_takes_its_children_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = measuring(&folder, "full", "round 1 of 5");
    let parts = children(child.id());
    assert!(!parts.is_empty(), "a round is a process of its own");
    child.kill().unwrap();
    child.wait().unwrap();
    let until = Instant::now() + LONG;
    while !parts.iter().all(|process| has_ended(process)) {
        assert!(Instant::now() < until, "{parts:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_firmware_that_does_not_answer_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let vcgencmd = folder.path().join("vcgencmd");
    let pids = folder.path().join("pids");
    fs::write(&vcgencmd, format!("#!/bin/sh\necho $$ >> {}\nexec sleep 10000\n", pids.display())).unwrap();
    fs::set_permissions(&vcgencmd, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let output = runner().args(["board", "--json"]).env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::DONE)), "{output:?}");
    let asked = fs::read_to_string(&pids).unwrap_or_default();
    assert!(asked.lines().count() <= 1, "what does not answer is asked once: {asked}");
    assert!(asked.lines().all(|pid| has_ended(&Path::new("/proc").join(pid))), "and then ended");
}

#[test]
fn pipes_and_devices_are_no_models_and_no_records() {
    let folder = tempfile::tempdir().unwrap();
    let good = model::write(&folder, "tiny.onnx", &model::model(&model::metadata()));
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for odd in [pipe.as_path(), Path::new("/dev/zero"), Path::new("/dev/null"), folder.path()] {
        for command in [
            vec![Path::new("info"), odd],
            vec![Path::new("check"), odd],
            vec![Path::new("classify"), odd, odd],
            vec![Path::new("classify"), &good, odd, Path::new("--record"), Path::new("0")],
            vec![Path::new("measure"), odd, Path::new("--preset"), Path::new("quick")],
            vec![
                Path::new("measure"),
                &good,
                Path::new("--preset"),
                Path::new("quick"),
                Path::new("--data"),
                odd,
            ],
        ] {
            let output = runner().args(&command).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(i32::from(exit::INPUT)), "{command:?}: {said}");
            assert!(said.contains(&odd.display().to_string()), "{command:?}: {said}");
        }
    }
}
