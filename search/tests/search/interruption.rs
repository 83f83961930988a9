//! A study that is cut off anywhere ends, resumed, with the very journal of an undisturbed one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use search::study::{CONFIG_FILE, JOURNAL_FILE};
use search::{Study, StudyConfig};

use crate::pretend::Pretend;
use crate::study::{config, finish, journal};

const FOLDER: &str = "MFACTOR_TEST_STUDY";

fn settings() -> StudyConfig {
    config("evolution,rl", 8)
}

fn pretend() -> Pretend {
    Pretend { failing: 5, pause: Duration::from_millis(2), ..Pretend::default() }
}

/// A process that begins or resumes the study in a folder and runs it to the end.
fn process(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "interruption::process_to_kill"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "a process for the test below to kill"]
fn process_to_kill() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("it is started by the test below"));
    let study = match folder.join(CONFIG_FILE).exists() {
        true => Study::resume(&folder),
        false => Study::create(&folder, settings()),
    };
    finish(&mut study.unwrap(), &mut pretend());
}

#[test]
fn killed_again_and_again() {
    let whole = tempfile::tempdir().unwrap();
    finish(&mut Study::create(whole.path(), settings()).unwrap(), &mut pretend());
    let expected = journal(whole.path());

    let folder = tempfile::tempdir().unwrap();
    let mut kills = 0;
    for round in 0.. {
        assert!(round < 200, "the study does not come to its end");
        let mut child = process(folder.path());
        // Longer and longer: a busy machine needs its time to get anywhere.
        sleep(Duration::from_millis((5 + 7 * (round % 13)) * (1 + round / 26)));
        let ended = child.try_wait().unwrap();
        if ended.is_none() {
            // SIGKILL: nothing of the process can react.
            child.kill().unwrap();
            kills += 1;
        }
        let status = child.wait().unwrap();
        if status.success() {
            break;
        }
        assert_eq!(status.code(), None, "it fails only by being killed");
    }
    assert!(kills > 3, "it was killed {kills} times");
    assert_eq!(journal(folder.path()), expected);
}

#[test]
fn cut_off_at_every_line_and_in_the_middle_of_it() {
    let whole = tempfile::tempdir().unwrap();
    let settings = || config("rl", 3);
    let evaluator = || Pretend { failing: 5, ..Pretend::default() };
    finish(&mut Study::create(whole.path(), settings()).unwrap(), &mut evaluator());
    let expected = journal(whole.path());
    let text = fs::read_to_string(whole.path().join(JOURNAL_FILE)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(whole.path().join(CONFIG_FILE), folder.path().join(CONFIG_FILE)).unwrap();
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        for cut in [end, end + line.len() / 2, end + line.len() - 1] {
            fs::write(folder.path().join(JOURNAL_FILE), &text[..cut]).unwrap();
            finish(&mut Study::resume(folder.path()).unwrap(), &mut evaluator());
            assert_eq!(journal(folder.path()), expected, "cut at byte {cut}");
        }
        end += line.len();
    }
}
