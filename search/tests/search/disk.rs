//! A disk that fills up while the journal is written.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use mfactor::exit;
use search::Study;
use search::study::JOURNAL_FILE;

use crate::pretend::Pretend;
use crate::study::{config, finish, journal};

const FOLDER: &str = "MFACTOR_TEST_FULL_DISK";

/// Runs with a limit on the size of files, which the system enforces as a full disk: in the middle of a line.
#[test]
#[ignore = "a process for the test below to limit"]
fn process_to_limit() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("it is started by the test below"));
    let mut study = Study::create(&folder, config("random", 20)).unwrap();
    let error = study.run(&mut [Pretend::default()], &mut |_| {}, &AtomicBool::new(false)).unwrap_err();
    assert_eq!(error.exit_code(), exit::MISSING, "{error}");
    assert!(error.to_string().contains("append to") && error.to_string().contains(JOURNAL_FILE), "{error}");
    // What is in memory did not run ahead of what is on the disk.
    assert_eq!(study.record(), Study::read(&folder).unwrap());
}

#[test]
fn a_full_disk_is_named_and_leaves_whole_lines() {
    let whole = tempfile::tempdir().unwrap();
    finish(&mut Study::create(whole.path(), config("random", 20)).unwrap(), &mut Pretend::default());
    let expected = journal(whole.path());
    let text = fs::read_to_string(whole.path().join(JOURNAL_FILE)).unwrap();
    let first_trial = text.find("{\"op_code\":4").unwrap() / 512;
    for blocks in [1, 2, 4, 8].map(|more| first_trial + more) {
        let folder = tempfile::tempdir().unwrap();
        let limited = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", &blocks.to_string()])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "disk::process_to_limit"])
            .env(FOLDER, folder.path())
            .output()
            .unwrap();
        assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stdout));
        let text = fs::read_to_string(folder.path().join(JOURNAL_FILE)).unwrap();
        assert!(text.ends_with('\n'), "half a line is left: {text}");
        let lines = journal(folder.path());
        assert!(lines.len() < expected.len() && lines == expected[..lines.len()], "{blocks} blocks");
        finish(&mut Study::resume(folder.path()).unwrap(), &mut Pretend::default());
        assert_eq!(journal(folder.path()), expected);
    }
}
