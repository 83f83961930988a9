//! Tests of what boards answer, and of what is refused before anything is sent.

use std::process::Command;

use release::manifest::SCHEMA;
use release::{RUNNER, ReleaseFile};

use super::*;
use crate::boards;

/// As a Raspberry Pi 4 with Debian 12 answers, with a greeting of its login before it.
const PI: &str = "Welcome!\nmachine\taarch64\nbits\t64\nlibc\tglibc 2.36\ncores\t4\nmodel\tRaspberry Pi 4 Model B Rev 1.4\n\
memory\t3884360\navailable\t3500000\nfree\tAvailable\nfree\t25000000\nwritable\tyes\ntemperature\t48312\ngovernor\tondemand\n\
current\treleases/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nprevious\t\n\
release\taaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nrelease\tlost+found\nkey\tRWQpinned\n";

fn manifest() -> Manifest {
    let runner =
        ReleaseFile { name: RUNNER.to_owned(), sha256: "a".repeat(64), bytes: 12_000_000, mode: 0o755 };
    Manifest {
        schema: SCHEMA,
        tool_version: String::new(),
        study: "s".to_owned(),
        target: "rpi4".to_owned(),
        architecture: "aarch64".to_owned(),
        glibc: Some("2.28".to_owned()),
        files: vec![runner],
        models: vec![],
        records: vec![],
    }
}

fn refusal(answer: &str, target: &str) -> String {
    let target = boards::load(target).unwrap();
    let checked = Probe::parse(answer).check("pi@pi", &target, &manifest(), "RWQpinned");
    checked.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_board_is_read_whatever_its_login_prints() {
    let probe = Probe::parse(PI);
    assert_eq!(probe.glibc, Some(Glibc { major: 2, minor: 36 }));
    assert_eq!((probe.architecture.as_str(), probe.free_bytes), ("aarch64", Some(25_600_000_000)));
    assert_eq!(probe.current, Some("a".repeat(64)));
    assert_eq!((probe.previous, probe.releases.len()), (None, 1));
    assert_eq!(probe.temperature_celsius, Some(48.312));
    assert_eq!(refusal(PI, "rpi4"), "");
}

#[test]
fn what_would_not_run_is_refused_with_both_sides_named() {
    let cases = [
        ("machine\taarch64", "machine\tx86_64", "runs programs for x86_64"),
        ("bits\t64", "bits\t32", "runs programs for arm"),
        ("glibc 2.36", "glibc 2.24", "has glibc 2.24, and the runner asks for 2.28"),
        ("glibc 2.36", "musl libc", "tells of no glibc"),
        ("free\t25000000", "free\t12000", "12 MB free"),
        ("available\t3500000", "available\t20000", "20 MB of memory"),
        ("writable\tyes", "writable\tno", "--folder"),
        ("RWQpinned", "RWQother", "trusts releases signed with RWQother"),
        ("key\t", "lacks\tflock\nkey\t", "lacks flock"),
    ];
    for (from, to, expected) in cases {
        let text = refusal(&PI.replacen(from, to, 1), "rpi4");
        assert!(text.contains(expected) && text.starts_with("pi@pi: "), "{to}: {text}");
    }
    let zero = PI.replacen("machine\taarch64", "machine\tarmv6l", 1);
    let target = boards::load("generic-armv7").unwrap();
    let manifest = Manifest { architecture: "arm".to_owned(), ..manifest() };
    let text = Probe::parse(&zero).check("pi@zero", &target, &manifest, "RWQpinned").unwrap_err().to_string();
    assert!(text.contains("armv6l"), "{text}");
}

#[test]
fn this_machine_answers_the_questions() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not/there");
    let output = Command::new("sh").args(["-c", SCRIPT, "sh"]).arg(&missing).output().unwrap();
    let probe = Probe::parse(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(probe.architecture, std::env::consts::ARCH);
    assert!(probe.free_bytes > Some(0) && probe.memory_bytes > Some(0) && probe.is_writable, "{probe:?}");
    assert_eq!(probe.missing_tools, Vec::<String>::new());
    assert!(!missing.exists(), "asking changes nothing");
}
