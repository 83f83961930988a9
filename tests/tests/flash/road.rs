//! The undisturbed road: first flash, second flash, nothing to send, rollback, making room, dry run.

use mfactor::{SearchSpace, exit};
use tests::loopback::HOST;
use tests::made_up_table;

use crate::place::Place;

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_board_is_flashed_flashed_anew_and_rolled_back() {
    let place = Place::new();
    let first = place.flash("old", exit::DONE);
    assert!(first.contains("active"), "{first}");
    assert_eq!(place.study_on_board(), "old");

    let (text, _) = place.flash_with([place.arguments("new"), vec!["--json".into()]].concat(), exit::DONE);
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let flashed = &result[0]["flashed"];
    assert_eq!(flashed["sent"], serde_json::json!(["models/3.onnx"]), "the runner is there already");
    assert_eq!(flashed["health"][0]["is_healthy"], true);
    assert_eq!(place.study_on_board(), "new");

    let (text, _) = place.flash_with([place.arguments("new"), vec!["--json".into()]].concat(), exit::DONE);
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(result[0]["flashed"]["sent_bytes"], 0, "nothing is sent twice");

    let status = place.board_json("status");
    assert_eq!(status["releases"].as_array().map(Vec::len), Some(2), "{status}");
    assert!(status["releases"][0]["damage"].is_null() && status["unfinished"] == 0, "{status}");
    place.board_json("rollback");
    assert_eq!(place.study_on_board(), "old");
    place.board_json("rollback");
    assert_eq!(place.study_on_board(), "new", "and back again");
    let collected = place.board_json("gc --keep 1");
    assert_eq!(collected["kept"].as_array().map(Vec::len), Some(2), "both are in use: {collected}");
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_dry_run_tells_and_changes_nothing() {
    let place = Place::new();
    let dry = |study| [place.arguments(study), vec!["--dry-run".into(), "--json".into()]].concat();
    let (text, _) = place.flash_with(dry("old"), exit::DONE);
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(result[0]["flashed"]["sent"].as_array().map(Vec::len), Some(2), "{result}");
    assert!(!place.board.held("").exists(), "not even the folder is made");
    place.flash("old", exit::DONE);
    let (text, _) = place.flash_with(dry("new"), exit::DONE);
    assert!(text.contains("models/3.onnx") && !text.contains("edge-runner"), "{text}");
    assert_eq!(place.study_on_board(), "old");
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_board_without_anything_of_ours_says_so() {
    let place = Place::new();
    let reach = format!("--host {HOST} --ssh-config {}", place.board.ssh_config());
    let status = place.board_json("status");
    assert_eq!(status["releases"], serde_json::json!([]));
    let (_, stderr) = place.work.run(&format!("board rollback {reach}"), exit::BOARD);
    assert!(stderr.contains("holds nothing") && stderr.contains(HOST), "{stderr}");
    let info = place.board_json("info");
    assert_eq!(info["architecture"], std::env::consts::ARCH, "{info}");
    assert_eq!(info["tables"], serde_json::json!([]));
    // A table fits whatever is named as the board on which it was measured.
    let mut table = made_up_table(&SearchSpace::paper());
    info["model"].as_str().unwrap_or_default().clone_into(&mut table.board.name);
    table.write(&place.work.path("tables/this.toml")).expect("a folder");
    table.board.name.push('B');
    table.write(&place.work.path("tables/other.toml")).expect("a folder");
    place.work.write("tables/note.toml", "");
    assert_eq!(place.board_json("info")["tables"], serde_json::json!(["tables/this.toml"]));
}
