//! What is refused before anything is sent, in sentences with a next step; and ssh's own messages, passed on.

use std::fs;

use mfactor::exit;

use crate::place::Place;

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_board_that_could_not_run_it_is_refused_before_anything_is_sent() {
    let place = Place::new();
    let cases = [
        ("uname", "echo riscv64", "runs programs for riscv64"),
        ("getconf", "case $1 in GNU*) echo glibc 2.2 ;; *) echo 64 ;; esac", "has glibc 2.2"),
        (
            "df",
            "echo Filesystem 1024-blocks Used Available; echo disk 9 9 9 0% /",
            "free, and the release needs",
        ),
    ];
    for (tool, script, expected) in cases {
        place.board.tool(tool, script);
        let stderr = place.flash("new", exit::BOARD);
        assert!(stderr.contains(expected), "{stderr}");
        assert!(!place.board.held("").exists(), "{tool}: nothing was made on the board");
        fs::remove_file(place.board.path("bin").join(tool)).expect("a tool");
    }
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn what_ssh_says_is_passed_on() {
    let place = Place::new();
    let config = fs::read_to_string(place.board.path("ssh_config")).expect("a configuration");
    let known = place.board.path("known_hosts");
    let right = fs::read_to_string(&known).expect("known hosts");
    fs::write(&known, "").expect("known hosts");
    let stderr = place.flash("new", exit::BOARD);
    assert!(stderr.contains("Host key verification failed"), "{stderr}");
    fs::write(&known, right).expect("known hosts");
    let closed = config.lines().map(|line| if line.starts_with("Port") { "Port 1" } else { line });
    fs::write(place.board.path("ssh_config"), closed.collect::<Vec<_>>().join("\n"))
        .expect("a configuration");
    let stderr = place.flash("new", exit::BOARD);
    assert!(stderr.contains("Connection refused") && stderr.contains("loopback"), "{stderr}");
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn wrong_use_has_its_own_exit_codes() {
    let place = Place::new();
    let replaced = |from: &str, to: &str| -> Vec<String> {
        let arguments = place.arguments("new").into_iter();
        arguments.map(|argument| if argument == from { to.to_owned() } else { argument }).collect()
    };
    let cases = [
        (
            [place.arguments("new"), vec!["--host=-oProxyCommand=touch owned".into()]].concat(),
            exit::USAGE,
            "is no host",
        ),
        (replaced("flash.key", "no.key"), exit::MISSING, "mfactor targets keygen"),
        (replaced("host", "no-board"), exit::INPUT, "is not a known board"),
        (
            [place.arguments("new"), vec!["--folder".into(), "$(reboot)".into()]].concat(),
            exit::USAGE,
            "no folder",
        ),
        (
            [place.arguments("new"), vec!["--name".into(), "host".into()]].concat(),
            exit::USAGE,
            "this machine",
        ),
        (
            [place.arguments("new"), vec!["--name".into(), "../../x".into()]].concat(),
            exit::USAGE,
            "no name for a board",
        ),
        (
            [place.arguments("new"), vec!["--host".into(), "ada@LOOPBACK".into()]].concat(),
            exit::USAGE,
            "two boards are called",
        ),
    ];
    for (arguments, code, expected) in cases {
        let (_, stderr) = place.flash_with(arguments, code);
        assert!(stderr.contains(expected), "{stderr}");
    }
    assert!(!place.work.path("owned").exists());
    let (_, stderr) = place.work.run("targets keygen --key x.pub", exit::INPUT);
    assert!(stderr.contains("x.pub") && !place.work.path("x.pub").exists(), "{stderr}");
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn a_model_that_answers_otherwise_on_the_board_is_not_switched_to() {
    let place = Place::with_old();
    let path = place.work.path("new/models/3.onnx");
    let mut metadata = crate::model::metadata();
    metadata.golden_logits[2][1] += 0.5;
    use prost::Message;
    fs::write(path, crate::model::model(&metadata).encode_to_vec()).expect("a model");
    let stderr = place.flash("new", exit::BOARD);
    assert!(stderr.contains("answers on the golden inputs differ"), "{stderr}");
    assert_eq!(place.study_on_board(), "old");
}
