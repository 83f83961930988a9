//! Releases out of turn: older ones, of another target, by another key; boards that lost their pin; runners of the
//! former version.

use std::fs;

use mfactor::exit;

use crate::place::Place;

#[test]
fn an_older_release_is_refused_unless_it_is_wanted() {
    let place = Place::with_old();
    place.flash("new", exit::DONE);
    let stderr = place.flash("old", exit::BOARD);
    assert!(stderr.contains("--allow-downgrade"), "{stderr}");
    assert_eq!(place.study_on_board(), "new");
    place.flash_with([place.arguments("old"), vec!["--allow-downgrade".into()]].concat(), exit::DONE);
    assert_eq!(place.study_on_board(), "old");
    place.flash("new", exit::DONE);
    assert_eq!(place.study_on_board(), "new", "and up again");
}

#[test]
fn a_release_for_another_target_is_refused_in_any_case() {
    let place = Place::with_old();
    let board = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../targets/boards/host.toml"));
    let board = board.expect("a board file").replacen("name = \"host\"", "name = \"another\"", 1);
    place.work.write("another.toml", board);
    let mut arguments = place.arguments("new");
    let target = arguments.iter().position(|argument| argument == "host").expect("a target is named");
    arguments[target] = "./another.toml".to_owned();
    arguments.extend(["--allow-downgrade", "--repin"].map(str::to_owned));
    let (_, stderr) = place.flash_with(arguments, exit::BOARD);
    assert!(stderr.contains("another") && stderr.contains("host"), "{stderr}");
    assert_eq!(place.study_on_board(), "old");
}

#[test]
fn a_lost_pin_is_not_replaced_by_whoever_comes_first() {
    let place = Place::with_old();
    fs::remove_file(place.board.held("trusted.pub")).expect("a pin");
    let stderr = place.flash("new", exit::BOARD);
    assert!(stderr.contains("has lost the key") && stderr.contains("--repin"), "{stderr}");
    assert!(!place.board.held("trusted.pub").exists());
    place.flash_with([place.arguments("new"), vec!["--repin".into()]].concat(), exit::DONE);
    assert_eq!(place.study_on_board(), "new");
    place.work.run("targets keygen --key other.key", exit::DONE);
    let mut arguments = place.arguments("new");
    let key = arguments.iter().position(|argument| argument == "flash.key").expect("the key is named");
    arguments[key] = "other.key".to_owned();
    let (_, stderr) = place.flash_with(arguments.clone(), exit::BOARD);
    assert!(stderr.contains("trusts releases signed with") && stderr.contains("--repin"), "{stderr}");
    arguments.push("--repin".to_owned());
    place.flash_with(arguments, exit::DONE);
    assert_eq!(place.study_on_board(), "new", "signed by the other key");
}

#[test]
fn a_board_with_a_runner_of_the_former_version_can_be_asked_and_rolled_back() {
    let place = Place::with_old();
    place.flash("new", exit::DONE);
    // The former version knew the same questions, and neither sequence nor target.
    place.board.strike(
        "case $1 in *release-agent*) sh -c \"$1\" | sed -u 's/\"version\":2/\"version\":1/; \
         s/,\"sequence\":[0-9]*//g; s/,\"target\":[^,}]*//g' ;; *) exec sh -c \"$1\" ;; esac",
    );
    let status = place.board_json("status");
    assert_eq!(status["releases"].as_array().map(Vec::len), Some(2), "{status}");
    place.board_json("rollback");
    assert_eq!(place.study_on_board(), "old");
    place.board_json("gc --keep 2");
    let stderr = place.flash("new", exit::BOARD);
    assert!(stderr.contains("version 1"), "{stderr}");
}

#[test]
fn one_release_that_cannot_be_read_hides_no_other() {
    for lost in ["manifest.json", "manifest.json.minisig", "edge-runner"] {
        let place = Place::with_old();
        place.flash("new", exit::DONE);
        fs::remove_file(place.board.held("current").join(lost)).expect("a file");
        let status = place.board_json("status");
        let releases = status["releases"].as_array().expect("a list");
        let damaged = releases.iter().filter(|release| !release["damage"].is_null()).count();
        assert_eq!((releases.len(), damaged), (2, 1), "{lost}: {status}");
        place.board_json("gc --keep 2");
        place.board_json("rollback");
        assert_eq!(place.study_on_board(), "old", "{lost}");
    }
}
