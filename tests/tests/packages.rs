//! `scripts/packages`: what would be installed is said first, and nothing is where that was not wanted.

use std::path::Path;
use std::process::{Command, Output};

use mfactor::exit;

/// Sources the file and asks for packages, with nothing to be installed.
fn need(packages: &str) -> Output {
    let script = format!(". scripts/packages; need_packages 'for a test' {packages}; echo 'went on'");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &script]).current_dir(root).env("MFACTOR_NO_INSTALL", "1");
    command.output().expect("bash runs")
}

#[test]
fn what_is_missing_is_named_with_the_command_and_nothing_is_installed() {
    let output = need("bash=bash no-such-package chromium-of-no-kind=no-such-program,nor-this");
    let (stdout, stderr) = tests::expect("need_packages", &output, exit::MISSING);
    assert!(stderr.contains("for a test: no-such-package chromium-of-no-kind\n"), "{stderr}");
    assert!(stderr.contains("sudo apt-get install no-such-package chromium-of-no-kind"), "{stderr}");
    assert_eq!(stdout, "");
}

#[test]
fn one_of_several_programs_is_enough() {
    let output = need("shell=no-such-program,bash");
    let (stdout, stderr) = tests::expect("need_packages", &output, exit::DONE);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("went on\n", ""));
}
