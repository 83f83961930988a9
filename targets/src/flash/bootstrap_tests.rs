//! Tests of the scripts on this machine, with tools that lack or fail, and of what is believed of their answers.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use mfactor::files;

use super::*;

const BYTES: &[u8] = b"#!/bin/sh\necho a runner\n";

fn sha256() -> String {
    files::sha256(BYTES)
}

/// Runs a script in `folder` with `input` on its stdin, and `path` before the tools of this machine.
fn sh(script: &str, folder: &Path, arguments: &[&str], input: &[u8], path: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", "mfactor"]).args(arguments).current_dir(folder);
    command.env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn path() -> String {
    std::env::var("PATH").unwrap()
}

fn receive(folder: &Path, offset: u64, input: &[u8], path: &str) -> Output {
    let (size, offset) = (BYTES.len().to_string(), offset.to_string());
    sh(RECEIVE, folder, &[&sha256(), &size, &offset, "60", "ada@desk"], input, path)
}

fn found(folder: &Path) -> Found {
    let output = sh(FIND, folder, &[&sha256(), &BYTES.len().to_string()], b"", &path());
    Found::parse(&String::from_utf8(output.stdout).unwrap(), &Folder::default()).unwrap()
}

/// A folder of tools: links to those of this machine but for `without`, and scripts of ours.
fn tools(folder: &Path, without: &[&str], ours: &[(&str, &str)]) -> String {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    for place in ["/bin", "/usr/bin"] {
        for entry in fs::read_dir(place).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if !without.contains(&name.as_str()) {
                let _ = symlink(entry.path(), bin.join(name));
            }
        }
    }
    for (name, script) in ours {
        let _ = fs::remove_file(bin.join(name));
        fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin.display().to_string()
}

#[test]
fn a_runner_is_received_goes_on_where_it_broke_off_and_is_found() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(found(folder.path()), Found::Begun(0));
    assert_eq!(receive(folder.path(), 0, &BYTES[..9], &path()).status.code(), Some(BROKE_OFF));
    assert_eq!(found(folder.path()), Found::Begun(9));
    assert_eq!(
        receive(folder.path(), 7, &BYTES[7..], &path()).status.code(),
        Some(BROKE_OFF),
        "not that part"
    );
    assert_eq!(receive(folder.path(), 9, &BYTES[9..], &path()).status.code(), Some(0));
    let place = format!("mfactor/incoming/edge-runner-{}", sha256());
    assert_eq!(found(folder.path()), Found::At(place.clone()));
    assert_eq!(fs::read(folder.path().join(place)).unwrap(), BYTES);
}

#[test]
fn a_part_longer_than_the_file_or_of_something_else_is_thrown_away() {
    for left in [[&[7; 1000], BYTES].concat(), vec![7; BYTES.len()]] {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join(format!("mfactor/incoming/edge-runner-{}.part", sha256()));
        fs::create_dir_all(part.parent().unwrap()).unwrap();
        fs::write(&part, &left).unwrap();
        let mut codes = vec![];
        for _ in 0..2 {
            let offset = match found(folder.path()) {
                Found::Begun(offset) if offset <= BYTES.len() as u64 => offset,
                _ => 0,
            };
            let rest = &BYTES[offset as usize..];
            codes.extend(receive(folder.path(), offset, rest, &path()).status.code());
        }
        assert_eq!(codes.last(), Some(&0), "{codes:?}");
    }
}

#[test]
fn a_board_without_timeout_flock_and_sha256sum_does_with_what_it_has() {
    for without in [&["timeout"][..], &["flock"], &["sha256sum"], &["timeout", "flock", "sha256sum", "date"]]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = tools(folder.path(), without, &[]);
        let output = receive(folder.path(), 0, BYTES, &path);
        assert_eq!(output.status.code(), Some(0), "{without:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // An old busybox wants `timeout -t`; and one that does nothing is none.
    for script in ["echo usage >&2; exit 1", "exit 0"] {
        let folder = tempfile::tempdir().unwrap();
        let path = tools(folder.path(), &[], &[("timeout", script)]);
        assert_eq!(receive(folder.path(), 0, BYTES, &path).status.code(), Some(0), "{script}");
    }
}

#[test]
fn each_failure_of_a_step_is_told_as_what_it_is() {
    for (tool, script, code) in [
        ("flock", "exit 1", BUSY),
        ("flock", "echo 'flock: 9: No locks available' >&2; exit 71", NO_LOCKS),
        ("timeout", "[ $1 = 9 ] && echo works && exit 0; exit 124", TOO_SLOW),
        ("mv", "echo 'mv: Read-only file system' >&2; exit 1", 79),
        ("mkdir", "echo 'mkdir: Disk quota exceeded' >&2; exit 1", 79),
        ("chmod", "exit 1", 79),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = tools(folder.path(), &[], &[(tool, script)]);
        let output = receive(folder.path(), 0, BYTES, &path);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{tool}: {said}");
        assert!(said.trim().is_empty() || script.contains(said.trim()), "{tool}: {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(receive(folder.path(), 0, &[7; 24], &path()).status.code(), Some(DAMAGED));
    // A disk that does not sync folders is no failure.
    let folder = tempfile::tempdir().unwrap();
    let path = tools(folder.path(), &[], &[("sync", "echo 'sync: Invalid argument' >&2; exit 1")]);
    assert_eq!(receive(folder.path(), 0, BYTES, &path).status.code(), Some(0));
}

#[test]
fn nothing_is_written_through_a_link() {
    for link in ["mfactor/lock", "mfactor/incoming"] {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        fs::write(&precious, "mine").unwrap();
        fs::create_dir(folder.path().join("mfactor")).unwrap();
        symlink(&precious, folder.path().join(link)).unwrap();
        assert_eq!(receive(folder.path(), 0, BYTES, &path()).status.code(), Some(79), "{link}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
    }
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "mine").unwrap();
    fs::create_dir_all(folder.path().join("mfactor/incoming")).unwrap();
    symlink(&precious, folder.path().join(format!("mfactor/incoming/edge-runner-{}.part", sha256())))
        .unwrap();
    assert_eq!(receive(folder.path(), 0, BYTES, &path()).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
}

#[test]
fn a_path_is_believed_only_where_a_runner_of_ours_may_lie() {
    let id = "a".repeat(64);
    let folder = Folder::default();
    let parse = |text: &str| Found::parse(text, &folder);
    let right = format!("mfactor/releases/{id}/edge-runner");
    assert_eq!(parse(&format!("Hello\nfound\t{right}\n")), Some(Found::At(right)));
    for path in [
        "/bin/true".to_owned(),
        "mfactor/releases/../../bin/sh".to_owned(),
        format!("mfactor/releases/{id}/../edge-runner"),
        format!("other/releases/{id}/edge-runner"),
        format!("mfactor/incoming/edge-runner-{id}.part"),
        "mfactor/incoming/edge-runner-$(reboot)".to_owned(),
    ] {
        assert_eq!(parse(&format!("found\t{path}\n")), None, "{path}");
    }
    assert_eq!(parse("begun\t12\n"), Some(Found::Begun(12)));
    assert_eq!(parse("begun\t99999999999999999999\nHello\n"), None);
}

#[test]
fn scripts_and_words_agree() {
    assert!(RECEIVE.contains(INCOMING) && FIND.contains(INCOMING) && FIND.contains(RUNNER));
    assert!(READ_MANIFEST.contains(RELEASES) && READ_MANIFEST.contains(release::MANIFEST));
    assert!(RECEIVE.contains(release::LOCK) && WHO.contains(release::LOCK));
    for code in [TOO_SLOW, BUSY, BROKE_OFF, DAMAGED] {
        assert!(RECEIVE.contains(&format!("exit {code}")));
    }
    assert!(RECEIVE.contains(&format!("fail {NO_LOCKS}")));
}
