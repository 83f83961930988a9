//! What happens to a release that lies on the board: flipped bits, a stranger's signature, a link in the place of a
//! file, things that nobody put there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use mfactor::exit;
use tests::loopback::HOST;

use crate::place::Place;

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    // A running program cannot be written to; a new file in its place can.
    let mode = fs::metadata(path).expect("facts").permissions();
    fs::remove_file(path).expect("a file");
    fs::write(path, bytes).expect("a file");
    fs::set_permissions(path, mode).expect("a file");
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_bit_flips_in_any_file_of_the_current_release_and_the_next_flash_mends_it() {
    for file in ["edge-runner", "models/3.onnx", "manifest.json", "manifest.json.minisig"] {
        let place = Place::with_old();
        place.flash("new", exit::DONE);
        flip(&place.board.held("current").join(file));
        let status = place.board_json("status");
        let releases = status["releases"].as_array().expect("a list");
        let damaged: Vec<_> = releases.iter().filter(|release| !release["damage"].is_null()).collect();
        assert_eq!(damaged.len(), 1, "{file}: {status}");
        assert_eq!(damaged[0]["id"], status["current"], "{file}");
        // The release before it shares nothing with it, and can be gone back to.
        place.board.keep();
        place.board_json("rollback");
        assert_eq!(place.study_on_board(), "old", "{file}");
        fs::remove_dir_all(place.board.path("home")).expect("a folder");
        fs::rename(place.board.path("kept"), place.board.path("home")).expect("a folder");
        place.flash("new", exit::DONE);
        assert_eq!(place.study_on_board(), "new", "{file}");
    }
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_damaged_release_is_not_gone_back_to() {
    let place = Place::with_old();
    place.flash("new", exit::DONE);
    flip(&place.board.held("previous/models/3.onnx"));
    let reach = format!("--host {HOST} --ssh-config {}", place.board.ssh_config());
    let (_, stderr) = place.work.run(&format!("board rollback {reach}"), exit::BOARD);
    assert!(stderr.contains("was changed"), "{stderr}");
    assert_eq!(place.study_on_board(), "new");
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_stranger_s_signature_is_noticed_and_a_stranger_s_key_refused() {
    let place = Place::with_old();
    place.flash("new", exit::DONE);
    let signature = place.board.held("current/manifest.json.minisig");
    let own = fs::read_to_string(&signature).expect("a signature");
    fs::copy(place.board.held("previous/manifest.json.minisig"), &signature).expect("a signature");
    assert_ne!(fs::read_to_string(&signature).expect("a signature"), own);
    let status = place.board_json("status").to_string();
    assert!(status.contains("does not sign this manifest"), "{status}");

    place.work.run("targets keygen --key other.key", exit::DONE);
    let mut arguments = place.arguments("old");
    let key = arguments.iter().position(|argument| argument == "flash.key").expect("the key is named");
    arguments[key] = "other.key".to_owned();
    let (_, stderr) = place.flash_with(arguments, exit::BOARD);
    assert!(stderr.contains("trusts releases signed with"), "{stderr}");
    place.recovers("a stranger");
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn links_and_strangers_in_the_upload_s_folder_lead_nowhere() {
    let place = Place::with_old();
    // Breaks off after the agent said what it wants: the folder of the upload is there, and empty.
    place
        .board
        .strike("case $1 in *release-agent*) head -n 1 | sh -c \"$1\" ;; *) exec sh -c \"$1\" ;; esac");
    assert!(!place.try_flash("new"));
    let staging =
        fs::read_dir(place.board.held("staging")).expect("a folder").flatten().next().expect("one").path();
    let outside = place.board.path("home/outside");
    fs::create_dir(&outside).expect("a folder");
    fs::remove_dir_all(staging.join("models")).expect("a folder");
    symlink(&outside, staging.join("models")).expect("a link");
    fs::create_dir(staging.join("extra")).expect("a folder");
    symlink("/etc/passwd", staging.join("extra/passwd")).expect("a link");
    place.recovers("links in the upload's folder");
    assert_eq!(fs::read_dir(outside).expect("a folder").count(), 0, "nothing was written through the link");
    assert!(!place.board.held("current/extra").exists());
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_switch_that_was_cut_off_is_confirmed_or_taken_back() {
    let place = Place::with_old();
    place.flash("new", exit::DONE);
    let id = |link: &str| {
        let target = fs::read_link(place.board.held(link)).expect("a link");
        target.file_name().expect("an id").to_string_lossy().into_owned()
    };
    let note = serde_json::json!({ "new": id("current"), "back_to": id("previous") });
    let unconfirmed = place.board.held("unconfirmed.json");
    fs::write(&unconfirmed, note.to_string()).expect("a note");
    place.board_json("status");
    assert_eq!(place.study_on_board(), "new", "healthy, so confirmed");
    fs::write(&unconfirmed, note.to_string()).expect("a note");
    flip(&place.board.held("current/models/3.onnx"));
    place.board_json("status");
    assert_eq!(place.study_on_board(), "old", "not healthy, so taken back");
    assert!(!unconfirmed.exists());
    fs::write(&unconfirmed, "{").expect("a note");
    place.recovers("a note that cannot be read");
}
