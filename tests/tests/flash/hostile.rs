//! Boards that lie: nothing outside of the study's folder changes, no other board's flash ends, and the exit code is the
//! board's.

use std::fs;
use std::path::Path;

use mfactor::exit;
use serde_json::Value;
use tests::loopback::HOST;

use crate::place::Place;

/// Changes what the agent says by a `sed` script.
fn says(script: &str) -> String {
    format!("case $1 in *release-agent*) sh -c \"$1\" | sed -u '{script}' ;; *) exec sh -c \"$1\" ;; esac")
}

/// Every file below a folder, with what is in it.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_board_names_files_that_are_not_its_own() {
    let place = Place::with_old();
    let victim = place.work.path("settings.json");
    fs::write(&victim, "{\"mine\": 1}").expect("a file");
    for script in [
        r#"s|"file":"3.onnx"|"file":"../../../settings"|"#,
        r#"s|"name":"tract"|"name":"/../../../../settings"|"#,
        r#"s|"name":"models/3.onnx"|"name":"../../flash.key"|"#,
        r#"s|"id":"[0-9a-f]*"|"id":"../../x"|"#,
        r#"s|"sha256":"[0-9a-f]*"|"sha256":"0000"|"#,
        r#"s|"threads":1|"threads":3|"#,
        r#"s|"reply":"measured"|"reply":"done"|"#,
        r#"s|"model":"3.onnx"|"model":"../x"|"#,
    ] {
        place.board.restore();
        let before = contents(&place.work.path(""));
        place.board.strike(&says(script));
        let (_, stderr) = place.flash_with(place.measuring("new"), exit::BOARD);
        assert!(stderr.contains(HOST) && !stderr.contains("defect"), "{script}: {stderr}");
        let mut after = contents(&place.work.path(""));
        // The numbers of what the key signed.
        let is_ours = |(name, _): &(String, Vec<u8>)| !name.contains("flash.key.releases.json");
        after.retain(is_ours);
        assert_eq!(
            after,
            before.into_iter().filter(is_ours).collect::<Vec<_>>(),
            "{script}: nothing changed here"
        );
    }
}

#[test]
fn what_a_board_tells_is_shown_as_text() {
    let place = Place::with_old();
    place.board.strike(&says(
        r#"s|"study":"old"|"study":"\\u001b[2J\\u202egone"|; s|"architecture":"[a-z0-9_]*"|"architecture":"\\u001b[31m"|"#,
    ));
    let reach = format!("--host {HOST} --ssh-config {}", place.board.ssh_config());
    let (text, _) = place.work.run(&format!("board status {reach}"), exit::DONE);
    assert!(!text.contains(['\u{1b}', '\u{202e}']) && text.contains("u{1b}[2J"), "{text:?}");
    let (_, stderr) = place.flash_with(place.measuring("old"), exit::BOARD);
    assert!(!stderr.contains('\u{1b}') && stderr.contains("\\u{1b}[31m"), "{stderr:?}");
    place.board.strike("printf '\\033[2Jcleared' >&2; exit 1");
    let stderr = place.flash("new", exit::BOARD);
    assert!(!stderr.contains('\u{1b}') && stderr.contains("\\u{1b}[2Jcleared"), "{stderr:?}");
}

#[test]
fn floods_and_false_ends_of_one_board_end_no_other_flash() {
    let place = Place::with_old();
    let hosts =
        ["liar", "honest"].map(|name| format!("[[board]]\nname = \"{name}\"\nhost = \"{HOST}-{name}\"\n"));
    let inventory = hosts[0].replace("[[board]]\n", "[[board]]\nfolder = \"liar\"\n") + &hosts[1];
    place.work.write("boards.toml", format!("schema = 1\n{inventory}"));
    let mut arguments = place.measuring("new");
    let host = arguments.iter().position(|argument| argument == "--host").expect("a host is named");
    arguments[host] = "--inventory".to_owned();
    arguments[host + 1] = "boards.toml".to_owned();
    arguments.push("--json".to_owned());
    for lie in [
        // After the mark, so that it is taken for the agent.
        "printf \"\\n$mark\\n\"; yes greeting",
        "printf \"\\n$mark\\n\"; yes x | tr -d '\\n'",
        "printf \"\\n$mark\\n\"; yes '{\"reply\":\"measuring\",\"model\":\"m\",\"step\":\"s\"}'",
        "printf \"\\n$mark\\n\"; echo '{\"reply\":\"ready\",\"version\":4000000000,\"recovered\":null}'",
        "printf \"\\n$mark\\n\"; echo '{\"reply\":\"failed\",\"failure\":{\"defect\":\"yours\"}}'",
        "kill -9 $PPID",
    ] {
        place.board.restore();
        place.board.strike(&format!(
            "mark=$(printf '%s' \"$1\" | grep -o 'mfactor-[0-9a-f]\\{{16\\}}' | head -n 1)\n\
             case $1 in *release-agent*liar*) {lie} ;; *) exec sh -c \"$1\" ;; esac"
        ));
        let (text, stderr) = place.flash_with(arguments.clone(), exit::BOARD);
        let result: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(result[0]["failed"]["exit_code"], exit::BOARD, "{lie}: {result}");
        assert!(stderr.contains("loopback-liar"), "{lie}: {stderr}");
        assert!(result[1]["flashed"]["release"].is_string(), "{lie}: {result}");
        assert!(place.work.path("new/measurements/honest/3.tract.json").is_file(), "{lie}");
        assert!(!place.work.path("new/measurements/liar").exists(), "{lie}");
    }
}
