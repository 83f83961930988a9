//! Logins that print, start things, or are of another shell; and what of this machine reaches a board.

use std::fs;
use std::process::Command;

use mfactor::exit;
use serde_json::Value;

use crate::place::Place;

/// Everything that is asked of a board, once, while its logins do this.
fn all_is_as_ever(place: &Place, what: &str) {
    let dry = [place.arguments("new"), vec!["--dry-run".into(), "--json".into()]].concat();
    let (text, _) = place.flash_with(dry, exit::DONE);
    let planned: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(planned[0]["flashed"]["sent"], serde_json::json!(["models/3.onnx"]), "{what}");
    place.flash("new", exit::DONE);
    assert_eq!(place.study_on_board(), "new", "{what}");
    let status = place.board_json("status");
    assert_eq!(status["releases"].as_array().map(Vec::len), Some(2), "{what}: {status}");
    place.board_json("rollback");
    assert_eq!(place.study_on_board(), "old", "{what}");
    let collected = place.board_json("gc --keep 1");
    assert_eq!(collected["kept"].as_array().map(Vec::len), Some(2), "{what}: {collected}");
    assert_eq!(place.board_json("info")["architecture"], std::env::consts::ARCH, "{what}");
}

#[test]
fn a_login_prints_what_it_likes() {
    let place = Place::with_old();
    for login in [
        // The title of a terminal window, without a newline.
        r#"printf '\033]0;kitchen-pi\007'; exec sh -c "$1""#,
        // Lines that look like answers, before and after.
        r#"printf 'found\t/bin/true\nmachine\tsparc\nrelease\tx\n'; sh -c "$1"; code=$?; echo '{"reply":"done"}'; exit $code"#,
        // 20,000 lines.
        r#"seq 20000; exec bash -c "$1""#,
        // Something that stays, with the session's pipes open: it is waited for, each time.
        r#"sleep 3 & exec sh -c "$1""#,
    ] {
        place.board.restore();
        place.board.strike(login);
        all_is_as_ever(&place, login);
    }
}

#[test]
fn every_login_shell_will_do() {
    let place = Place::with_old();
    for shell in ["bash", "dash", "busybox ash", "fish", "tcsh", "zsh", "mksh"] {
        let program = shell.split(' ').next().unwrap_or_default();
        // Debian has the first two always.
        let is_here = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        if !is_here.is_ok_and(|output| output.status.success()) && program != "bash" && program != "dash" {
            continue;
        }
        place.board.restore();
        place.board.strike(&format!("exec {shell} -c \"$1\""));
        all_is_as_ever(&place, shell);
    }
}

#[test]
fn a_login_that_runs_nothing_is_named_as_such() {
    let place = Place::new();
    place.board.strike("echo This account is currently not available.; exit 1");
    let stderr = place.ask("info", exit::BOARD);
    assert!(stderr.contains("not available") && stderr.contains("loopback"), "{stderr}");
    place.board.strike("yes");
    let stderr = place.ask("info", exit::BOARD);
    assert!(stderr.contains("said more than") && stderr.contains("loopback"), "{stderr}");
}

#[test]
fn neither_agent_nor_display_nor_commands_of_this_machine_reach_a_board() {
    let place = Place::new();
    let config = place.board.path("ssh_config");
    let mut text = fs::read_to_string(&config).expect("a configuration");
    let ran = place.work.path("ran");
    text.push_str(&format!(
        "ForwardAgent yes\nForwardX11 yes\nForwardX11Trusted yes\nRemoteForward 0 127.0.0.1:1\nTunnel no\n\
         PermitLocalCommand yes\nLocalCommand touch {}\nRequestTTY force\nRemoteCommand reboot\n",
        ran.display()
    ));
    fs::write(&config, text).expect("a configuration");
    place.board.strike(r#"env >>"$board/env"; exec sh -c "$1""#);
    // An agent that would be lent.
    let started = Command::new("ssh-agent").arg("-s").output().expect("ssh-agent runs");
    let started = String::from_utf8_lossy(&started.stdout).into_owned();
    let value = |name: &str| {
        let rest = started.split(&format!("{name}=")).nth(1).expect("a variable");
        rest.split(';').next().expect("a value").to_owned()
    };
    let mut command = place.work.mfactor(place.arguments("old"));
    command.env("SSH_AUTH_SOCK", value("SSH_AUTH_SOCK")).env("DISPLAY", ":0");
    let output = command.output().expect("mfactor runs");
    let ended = Command::new("kill").arg(value("SSH_AGENT_PID")).status();
    assert!(ended.expect("kill runs").success());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen = fs::read_to_string(place.board.path("env")).expect("the sessions' environment");
    assert!(
        seen.contains("SSH_CONNECTION") && !seen.contains("SSH_AUTH_SOCK") && !seen.contains("DISPLAY"),
        "{seen}"
    );
    assert!(!ran.exists(), "LocalCommand did not run");
}
