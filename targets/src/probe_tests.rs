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
        sequence: 7,
        architecture: "aarch64".to_owned(),
        glibc: Some("2.28".to_owned()),
        files: vec![runner],
        models: vec![],
        records: vec![],
    }
}

fn refusal(answer: &str, target: &str) -> String {
    let target = boards::load(target).unwrap();
    let checked = Probe::parse(answer).check("pi@pi", &target, &manifest(), "RWQpinned", false);
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
fn what_is_worn_is_told() {
    let with = |line: &str| Probe::parse(&format!("{PI}{line}\n"));
    assert_eq!(with("").throttled, None);
    assert_eq!(with("throttled\t0x0").throttled, Some(vec![]));
    let reasons = [
        "under-voltage now",
        "throttled now",
        "under-voltage since it started",
        "throttled since it started",
    ];
    assert_eq!(with("throttled\t0x50005").throttled.unwrap(), reasons);
    assert_eq!(with("worn\t0x02 0x03").worn, Some(0.3));
    assert_eq!(with("worn\t0x0b 0x01\nworn\tmany").worn, Some(1.0));
    assert_eq!(with("worn\t0x00 0x00").worn, None, "it does not say");
    assert_eq!(with("throttled\thot").throttled, None);
}

#[test]
fn what_would_not_run_is_refused_with_both_sides_named() {
    let cases = [
        ("machine\taarch64", "machine\tx86_64", "runs programs for x86_64"),
        ("bits\t64", "bits\t32", "runs programs for arm"),
        ("glibc 2.36", "glibc 2.24", "has glibc 2.24, and the runner asks for 2.28"),
        ("glibc 2.36", "musl", "has musl for its C library"),
        ("key\tRWQpinned", "", "has lost the key that it trusted"),
        (
            "writable\tyes",
            "stranger\t/srv may be written by others\nwritable\tyes",
            "/srv may be written by others",
        ),
        ("writable\tyes", "noexec\t/home\nwritable\tyes", "/home is mounted noexec"),
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
    let target = boards::load("rpi4").unwrap();
    let other = PI.replacen("RWQpinned", "RWQother", 1);
    Probe::parse(&other).check("pi@pi", &target, &manifest(), "RWQpinned", true).unwrap();
    assert_eq!(refusal(&PI.replacen("glibc 2.36", "", 1), "rpi4"), "", "who does not tell may have it");
    let zero = PI.replacen("machine\taarch64", "machine\tarmv6l", 1);
    let target = boards::load("generic-armv7").unwrap();
    let manifest = Manifest { architecture: "arm".to_owned(), ..manifest() };
    let text =
        Probe::parse(&zero).check("pi@zero", &target, &manifest, "RWQpinned", false).unwrap_err().to_string();
    assert!(text.contains("armv6l"), "{text}");
}

#[test]
fn nothing_that_a_board_says_is_more_than_a_word_or_a_number() {
    let flood: String =
        (0..100_000).map(|number| format!("release\t{number:064}\nlacks\ttool{number}\n")).collect();
    let probe = Probe::parse(&format!(
        "machine\tx\u{1b}[2J\u{202e}y\nmodel\t{}\nmemory\t{max}\nfree\t{max}\navailable\t99999999999999999999\n\
         temperature\tNaN\ntemperature\tinf\ntemperature\t1e300\ncurrent\treleases/../../x\n{flood}",
        "m".repeat(1_000_000),
        max = u64::MAX,
    ));
    assert_eq!(probe.machine, "x\\u{1b}[2J\\u{202e}y");
    assert!(probe.model.is_some_and(|model| model.chars().count() == LONGEST_NAME));
    assert_eq!((probe.memory_bytes, probe.available_bytes), (Some(u64::MAX), None));
    assert_eq!((probe.temperature_celsius, probe.current), (None, None));
    assert_eq!((probe.missing_tools.len(), probe.releases.len()), (MOST_TOOLS, MOST_RELEASES));
}

#[test]
fn a_folder_that_another_user_may_write_is_told_before_anything_is_sent() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    for (mode, is_told) in [(0o755, false), (0o777, true), (0o775, true), (0o1777, false)] {
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(mode)).unwrap();
        let output =
            Command::new("sh").args(["-c", SCRIPT, "sh"]).arg(open.join("mfactor")).output().unwrap();
        let probe = Probe::parse(&String::from_utf8(output.stdout).unwrap());
        let told = probe.stranger.is_some_and(|what| what.contains("open may be written"));
        assert_eq!(told, is_told, "{mode:o}");
    }
}

#[test]
fn boards_without_the_tools_that_tell_are_asked_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for tool in ["sh", "cat", "head", "tr", "dd", "od", "df", "uname", "grep"] {
        let place = ["/bin", "/usr/bin"].map(|place| std::path::Path::new(place).join(tool));
        let found = place.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, bin.join(tool)).unwrap();
    }
    let mut command = Command::new("sh");
    let output = command.args(["-c", SCRIPT, "sh", "mfactor"]).current_dir(folder.path()).env("PATH", &bin);
    let probe = Probe::parse(&String::from_utf8(output.output().unwrap().stdout).unwrap());
    let width = format!("bits of {}", std::env::consts::ARCH);
    assert_eq!(probe.architecture, std::env::consts::ARCH, "{width}");
    assert!(probe.free_bytes > Some(0) && probe.is_writable && probe.cores > Some(0), "{probe:?}");
    let all = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    if all.is_ok_and(|output| output.status.success()) {
        assert!(probe.glibc.is_some(), "the library tells its version: {probe:?}");
    }
    assert!(
        ["mv", "mkdir", "sha256sum"].iter().all(|tool| probe.missing_tools.iter().any(|lacks| lacks == tool))
    );
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
