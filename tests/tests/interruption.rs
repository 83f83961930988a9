//! A search that is stopped or killed goes on, and ends as an undisturbed one.

use std::path::PathBuf;
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
    let mut child = place
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
        let ended = child.try_wait().expect("it can be waited for");
        assert!(ended.is_none(), "the search ended before its second trial: {ended:?}");
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

/// A trainer in a few lines of shell: what it answers depends on the architecture alone, and it leaves files as the
/// real one does.
const TRAINER: &str = r#"#!/bin/sh
[ "$1" = --count-gpus ] && { echo 0; exit; }
echo '{"event":"ready","version":"0.1.0","libtorch":"2.13.0","device":"'${DEVICE:-cpu}'","precision":"float32","threads":1}'
while read -r job; do
  part() { printf %s "$job" | sed 's/.*"'"$1"'":"\{0,1\}\([^",]*\).*/\1/'; }
  trial=$(part trial) output=$(part output) accuracy=0.$(part architecture | tr -d - )
  for epoch in 1 2; do
    echo '{"event":"epoch","trial":'$trial',"epoch":'$epoch',"epochs":2,"loss":1.0,"accuracy":'$accuracy',"images_per_second":1.0,"seconds_left":0.0}'
    sleep 0.00$epoch
  done
  for file in weights check; do
    printf '\002\000\000\000\000\000\000\000{}' > "$output/$file.safetensors.tmp" && mv "$output/$file.safetensors.tmp" "$output/$file.safetensors"
  done
  echo '{"event":"done","trial":'$trial',"evaluation":{"accuracy":'$accuracy',"seconds":1.0,"images":10}}'
done
"#;

fn fake_trainer(place: &Workplace) -> PathBuf {
    let path = place.path("trainer.sh");
    place.write("trainer.sh", TRAINER);
    assert!(Command::new("chmod").arg("+x").arg(&path).status().expect("chmod runs").success());
    path
}

/// Files that nobody asked for, in a study's folder and in the folder for temporary files.
fn left(place: &Workplace, study: &str) -> Vec<PathBuf> {
    let mut folders = vec![place.path(study), place.path("tmp")];
    let mut left = vec![];
    while let Some(folder) = folders.pop() {
        for path in folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_asked_for = !name.starts_with('.')
                && !name.ends_with(".tmp")
                && !name.contains(".log.")
                && !path.starts_with(place.path("tmp"));
            if path.is_dir() {
                folders.push(path);
            } else if !is_asked_for {
                left.push(path);
            }
        }
    }
    left
}

/// Ends a search by one signal after the other, until it is done.
fn signalled(place: &Workplace, search: &str, study: &str, longest: u64) {
    let begun = || place.path(study).join("study.toml").exists();
    let mut random = 12345u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..12 {
        let arguments = if begun() {
            format!("search --resume --out {study}")
        } else {
            format!("{search} --out {study}")
        };
        let mut command = place.mfactor(arguments.split(' '));
        command.env("MFACTOR_TRAINER", place.path("trainer.sh")).env("TMPDIR", place.path("tmp"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("mfactor starts");
        sleep(Duration::from_millis(draw(longest)));
        let name = ["KILL", "TERM", "INT", "HUP"][draw(4) as usize];
        let _ = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(child.id().to_string())
            .stderr(Stdio::null())
            .status();
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        // A program that has not set itself up yet ends as any other.
        let code = output.status.code().map(|code| code as u8);
        assert!(
            matches!(code, None | Some(exit::DONE | exit::INTERRUPTED)),
            "{name}: {:?} {stderr}",
            output.status
        );
        if begun() {
            place.json(&format!("trials {study} --all"));
        }
    }
    let mut last = place.mfactor(if begun() {
        vec!["search", "--resume", "--out", study]
    } else {
        search.split(' ').chain(["--out", study]).collect()
    });
    last.env("MFACTOR_TRAINER", place.path("trainer.sh")).env("TMPDIR", place.path("tmp"));
    tests::expect("the last round", &last.output().expect("mfactor runs"), exit::DONE);
}

#[test]
fn after_any_signals_nothing_is_lost_and_nothing_left() {
    let place = Workplace::new();
    place.prepare();
    fake_trainer(&place);
    std::fs::create_dir(place.path("tmp")).unwrap();
    for (study, search, longest) in [
        ("constant", "search --evaluator constant:0.75 --trials 12 --seed 7", 300),
        (
            "trained",
            "search --data tiny --space small.toml --strategy random,tpe --trials 5 --epochs 2 --workers 2 --device cpu",
            700,
        ),
    ] {
        let whole = format!("{study}-whole");
        let mut command = place.mfactor(search.split(' ').chain(["--out", &whole]));
        let output = command.env("MFACTOR_TRAINER", place.path("trainer.sh")).output().expect("mfactor runs");
        tests::expect(search, &output, exit::DONE);
        signalled(&place, search, study, longest);
        assert_eq!(timeless(&place, study), timeless(&place, &whole), "{study}");
        assert_eq!(left(&place, study), Vec::<PathBuf>::new(), "{study}");
    }
}

#[test]
#[ignore = "needs the trainer: scripts/test"]
fn termination_and_a_lost_terminal_end_a_search_like_ctrl_c() {
    let place = Workplace::new();
    place.prepare();
    for name in ["TERM", "HUP"] {
        let stopped = in_the_middle(&place, name);
        signal(&stopped, name);
        let output = stopped.wait_with_output().unwrap();
        let (_, stderr) = tests::expect(name, &output, exit::INTERRUPTED);
        assert!(stderr.contains(&format!("mfactor search --resume --out {name}")), "{stderr}");
    }
}

#[test]
fn another_kind_of_hardware_is_refused_or_said() {
    let place = Workplace::new();
    place.prepare();
    fake_trainer(&place);
    let run = |arguments: &str, device: &str, code: u8| {
        let mut command = place.mfactor(arguments.split(' '));
        command.env("MFACTOR_TRAINER", place.path("trainer.sh")).env("DEVICE", device);
        tests::expect(arguments, &command.output().expect("mfactor runs"), code).1
    };
    let search =
        "search --data tiny --space small.toml --strategy random --epochs 2 --cache none --out study";
    run(&format!("{search} --trials 2"), "cpu", exit::DONE);
    let stderr = run("search --resume --trials 3 --cache none --out study", "cuda:0", exit::INPUT);
    assert!(stderr.contains("device cuda and not cpu") && stderr.contains("--mixed-hardware"), "{stderr}");
    run("search --resume --trials 3 --cache none --out study", "cpu", exit::DONE);
    run("search --resume --trials 4 --cache none --mixed-hardware --out study", "cuda:1", exit::DONE);
    // Either kind is known from now on.
    run("search --resume --trials 5 --cache none --out study", "cuda:0", exit::DONE);
    let (_, stderr) = place.run("trials study", exit::DONE);
    assert!(stderr.contains("mixed hardware") && stderr.contains("cuda in float32"), "{stderr}");
    let comparison = place.json("compare study");
    assert!(comparison["notes"].to_string().contains("mixed hardware"), "{comparison}");
}
