//! Trainers that do not come up, and those that are started by another program: small shell scripts again.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use mfactor::{Error, exit};
use search::evaluators::{TrainerCommand, TrainerProcess};
use search::{Evaluator, Report, Verdict};

use crate::trainer::{Fake, TALK};

#[test]
fn a_trainer_says_what_it_is_before_it_is_asked_to_train() {
    let mut fake = Fake::new("done_ $1 0.5", None);
    let facts = fake.trainer.trainer(&mut |_| Ok(Verdict::GoOn), &AtomicBool::new(false)).unwrap().unwrap();
    assert_eq!((facts.device.as_str(), facts.build.len()), ("cpu", 64), "the program's own digest");
    assert_eq!(fake.done(1).images, 1);
    assert!(fake.events.is_empty(), "it is the same process");
}

#[test]
fn a_trainer_that_does_not_come_up_ends_the_study() {
    let loader = "error while loading shared libraries: libtorch_cpu.so";
    for (script, code, text) in [
        (
            format!("echo '{loader}' >&2; exit 127"),
            exit::MISSING,
            "libtorch_cpu.so; to mend it, run: scripts/setup",
        ),
        (
            "echo 'no CUDA; to mend it, run: apt install cuda' >&2; exit 4".to_owned(),
            exit::MISSING,
            "run: apt install cuda",
        ),
        ("echo 'no such device' >&2; exit 3".to_owned(), exit::INPUT, "no such device"),
        ("echo 'unexpected argument' >&2; exit 2".to_owned(), exit::USAGE, "unexpected argument"),
        ("kill -ILL $$".to_owned(), exit::MISSING, "instruction"),
        ("echo '{\"event\":\"hello\"}'; sleep 1000".to_owned(), exit::MISSING, "hello"),
        ("printf '\\033]0;title\\007' >&2; exit 4".to_owned(), exit::MISSING, "\\u{1b}]0;title\\u{7}"),
        (
            TALK.replace("{\"event\":\"ready\"", "{\"event\":\"ready\",\"protocol\":7"),
            exit::MISSING,
            "version 7 of the protocol",
        ),
        ("while :; do printf '%01000000d' 0; done".to_owned(), exit::MISSING, "prints without end"),
    ] {
        let error = Fake::script(&script, None).ended();
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    let gone = TrainerCommand { program: "/nowhere/mfactor-trainer".into(), ..TrainerCommand::default() };
    let mut fake = Fake::script("", None);
    fake.trainer = TrainerProcess::new(gone, None);
    let error = fake.ended();
    assert_eq!(error.exit_code(), exit::MISSING);
    let text = error.to_string();
    assert!(text.contains("/nowhere/mfactor-trainer") && text.contains("scripts/setup"), "{text}");
}

#[test]
fn a_trainer_that_a_launcher_lost_begins_again_and_a_local_one_with_that_code_does_not() {
    for code in [137, 143, 255] {
        let job = format!(
            "[ -e $FOLDER/second ] || {{ touch $FOLDER/second; exit {code}; }}; epoch $1; epoch $1 2; done_ $1 0.5"
        );
        let text = format!("job() {{ {job}; }}\n{TALK}");
        let mut launched = Fake::launched(&text, None, &["/usr/bin/env", "IS_LAUNCHED=1"]);
        assert_eq!(launched.done(0).accuracy, 0.5, "{code}");
        let is_again =
            |event: &&Report| matches!(event, Report::Again(text) if text.contains(&code.to_string()));
        assert_eq!(launched.events.iter().filter(is_again).count(), 1, "{code}");
        assert!(Fake::new(&job, None).failed(0).contains(&format!("exit code {code}")));
    }
    let mut elsewhere = Fake::launched(
        &format!("job() {{ echo \"$line\" > $FOLDER/job; epoch $1; epoch $1 2; done_ $1 0.5; }}\n{TALK}"),
        None,
        &["/usr/bin/env", "--chdir=/"],
    );
    elsewhere.done(0);
    let job = fs::read_to_string(elsewhere.folder.path().join("job")).unwrap();
    let data = std::env::current_dir().unwrap().join("data");
    assert!(job.contains(&format!("\"data\":\"{}\"", data.display())), "paths are told from the root: {job}");
    let text = format!("job() {{ exit 1; }}\n{TALK}");
    assert!(Fake::launched(&text, None, &["/usr/bin/env"]).failed(0).contains("exit code 1"));
}

/// A trainer that is killed before it is up, so many times; each start leaves a line in `starts`.
fn dies_first(times: u32, death: &str) -> String {
    let start =
        format!("echo >> $FOLDER/starts; [ $(wc -l < $FOLDER/starts) -gt {times} ] || {{ {death}; }}");
    format!("{start}\njob() {{ epoch $1; epoch $1 2; done_ $1 0.5; }}\n{TALK}")
}

#[test]
fn a_trainer_that_is_killed_before_it_is_up_is_started_again_a_few_times() {
    let launcher: &[&str] = &["/usr/bin/env", "IS_LAUNCHED=1"];
    for (death, launcher, said) in
        [("kill -KILL $$", &[][..], "signal 9"), ("echo lost >&2; exit 255", launcher, "exit code 255")]
    {
        let mut fake = Fake::launched(&dies_first(2, death), None, launcher);
        assert_eq!(fake.done(0).accuracy, 0.5);
        let is_said = |event: &&Report| matches!(event, Report::Warning(text) if text.contains(said) && text.contains("started again"));
        assert_eq!(fake.events.iter().filter(is_said).count(), 2, "{:?}", fake.events);

        let mut fake = Fake::launched(&dies_first(100, death), None, launcher);
        let error = fake.ended();
        assert_eq!(error.exit_code(), exit::MISSING, "{error}");
        let text = error.to_string();
        assert!(text.contains(said) && text.contains("3 times") && text.contains("by hand"), "{text}");
        assert!(launcher.is_empty() || text.contains("run: /usr/bin/env IS_LAUNCHED=1 /bin/sh "), "{text}");
        let starts = fs::read_to_string(fake.folder.path().join("starts")).unwrap();
        assert_eq!(starts.lines().count(), 3);
    }
    let local = Fake::script(&dies_first(100, "exit 255"), None).ended().to_string();
    assert!(local.contains("exit code 255") && !local.contains("times"), "{local}");
}

#[test]
fn a_stop_is_heard_while_a_trainer_is_started_again() {
    let (mut fake, stop) = (Fake::script(&dies_first(100, "kill -KILL $$"), None), AtomicBool::new(false));
    let mut on_report = |_| {
        stop.store(true, Ordering::Relaxed);
        Ok(Verdict::GoOn)
    };
    let error = fake.trainer.trainer(&mut on_report, &stop).unwrap_err();
    assert!(matches!(error, Error::Interrupted(_)), "{error}");
    assert_eq!(fs::read_to_string(fake.folder.path().join("starts")).unwrap().lines().count(), 1);
}
