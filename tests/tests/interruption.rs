//! A search that is stopped or killed goes on, and ends as an undisturbed one.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mfactor::exit;
use serde_json::Value;
use tests::Workplace;

const SEARCH: &str =
    "search --data tiny --space small.toml --strategy evolution --trials 4 --epochs 4 --seed 2";

/// Starts the search and waits until it is in the middle of a trial after the first.
fn in_the_middle(place: &Workplace, study: &str) -> Child {
    in_the_middle_of(place, SEARCH, study)
}

fn in_the_middle_of(place: &Workplace, search: &str, study: &str) -> Child {
    let arguments = format!("{search} --out {study}");
    let child = place
        .mfactor(arguments.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mfactor starts");
    let journal = place.path(study).join("journal.log");
    let started = Instant::now();
    // Operation 6 ends a trial, operation 7 reports an epoch: the last line is an epoch of a later trial.
    let ready = |text: &str| {
        text.contains("\"op_code\":6")
            && text.lines().last().is_some_and(|line| line.contains("\"op_code\":7"))
    };
    while !std::fs::read_to_string(&journal).is_ok_and(|text| ready(&text)) {
        assert!(started.elapsed() < Duration::from_secs(300), "the search does not come to its second trial");
        sleep(Duration::from_millis(2));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.expect("kill runs").success());
}

/// What a study found, without what depends on the clock.
fn outcome(place: &Workplace, study: &str) -> Vec<Value> {
    let mut trials = place.json(&format!("trials {study} --all")).as_array().expect("a list").clone();
    trials.sort_by_key(|trial| trial["id"].as_u64());
    for trial in &mut trials {
        trial.as_object_mut().expect("an object").remove("seconds");
    }
    trials
}

#[test]
#[ignore = "needs the trainer: scripts/test"]
fn killed_and_stopped_searches_end_as_an_undisturbed_one() {
    let place = Workplace::new();
    place.prepare();
    place.run(&format!("{SEARCH} --out whole"), exit::DONE);
    let whole = outcome(&place, "whole");
    assert_eq!(whole.len(), 5);

    let mut killed = in_the_middle(&place, "killed");
    signal(&killed, "KILL");
    killed.wait().unwrap();
    place.run("search --resume --out killed", exit::DONE);
    assert_eq!(outcome(&place, "killed"), whole, "after kill -9");

    let stopped = in_the_middle(&place, "stopped");
    signal(&stopped, "INT");
    let output = stopped.wait_with_output().unwrap();
    let (_, stderr) = tests::expect("Ctrl-C", &output, exit::INTERRUPTED);
    assert!(stderr.contains("mfactor search --resume --out stopped"), "it says how to go on: {stderr}");
    assert!(outcome(&place, "stopped").len() < whole.len(), "it did stop");
    place.run("search --resume --out stopped", exit::DONE);
    assert_eq!(outcome(&place, "stopped"), whole, "after Ctrl-C");
}

/// What a study with several workers found, without what depends on their timing.
fn timeless(place: &Workplace, study: &str) -> Vec<Value> {
    let mut trials = outcome(place, study);
    trials.sort_by_key(|trial| (trial["strategy"].to_string(), trial["number"].as_u64()));
    for trial in &mut trials {
        let trial = trial.as_object_mut().expect("an object");
        trial.remove("id");
        trial.remove("reused");
    }
    trials
}

#[test]
#[ignore = "needs the trainer: scripts/test"]
fn with_several_workers_nothing_is_lost_when_one_is_killed_or_all() {
    let place = Workplace::new();
    place.prepare();
    let search = format!("{SEARCH} --workers 2 --prune");
    place.run(&format!("{search} --out whole"), exit::DONE);
    let whole = timeless(&place, "whole");
    assert_eq!(whole.len(), 5);
    let kept = place.path("whole/cache").read_dir().expect("there is a cache").flatten();
    assert!(kept.filter(|entry| entry.path().is_dir()).count() > 0, "trainings are kept");

    let search_of_two = in_the_middle_of(&place, &search, "worker");
    let trainers = children(search_of_two.id());
    assert_eq!(trainers.len(), 2);
    assert!(Command::new("kill").arg("-KILL").arg(&trainers[0]).status().expect("kill runs").success());
    tests::expect("a search with one dead trainer", &search_of_two.wait_with_output().unwrap(), exit::DONE);
    assert_eq!(timeless(&place, "worker"), whole, "after kill -9 of a trainer");

    let mut parent = in_the_middle_of(&place, &search, "parent");
    signal(&parent, "KILL");
    parent.wait().unwrap();
    place.run("search --resume --out parent", exit::DONE);
    assert_eq!(timeless(&place, "parent"), whole, "after kill -9 of the search");
}

/// Process ids of the trainers that a search has started, from whichever of its threads.
fn children(parent: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let is_trainer = |id: &&str| {
        std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "mfactor-trainer")
    };
    lists.collect::<String>().split_whitespace().filter(is_trainer).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs the trainer: scripts/test"]
fn a_second_writer_is_refused() {
    let place = Workplace::new();
    place.prepare();
    let mut first = in_the_middle(&place, "study");
    let (_, stderr) = place.run("search --resume --out study", exit::INPUT);
    assert!(stderr.contains(&first.id().to_string()), "the holder is named: {stderr}");
    place.json("trials study");
    signal(&first, "KILL");
    first.wait().unwrap();
}
