//! Workers and trainers that a real Slurm starts, cancels and loses; and trainers behind a real ssh.
#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mfactor::exit;
use serde_json::Value;
use tests::loopback::{HOST, LoopbackBoard};
use tests::postgres::Postgres;
use tests::site::Site;
use tests::slurm::Slurm;
use tests::{Workplace, program};

const STUDY: &str = "search --evaluator constant:0.75 --strategy random,evolution --trials 150 --workers 4";

/// What a study found, without ids and times.
fn found(site: &Site, folder: &str) -> Vec<String> {
    let mut trials = site.json(&format!("trials {folder} --all"));
    for trial in trials.as_array_mut().unwrap() {
        trial.as_object_mut().unwrap().retain(|key, _| !["id", "seconds"].contains(&&**key));
    }
    let mut rows: Vec<String> = trials.as_array().unwrap().iter().map(Value::to_string).collect();
    rows.sort();
    rows
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(180), "waited in vain: {what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs PostgreSQL and Slurm: scripts/test"]
fn an_array_that_loses_a_node_and_an_element_comes_to_what_one_machine_does() {
    let (server, mut slurm) = (Postgres::new(&[]), Slurm::new());
    let mut site = Site::new(&server.database("lab"));
    site.variables.push(slurm.environment());
    site.run("cluster init", exit::DONE);
    site.run(&format!("{STUDY} --name s --lease 2 --detach"), exit::DONE);
    let answer = site.json("launch slurm s --tasks 4 --cpus 2");
    let answer = answer["answers"][0].as_str().unwrap();
    let job = answer.trim().rsplit(' ').next().unwrap().to_owned();
    let ended = |most: u64| {
        let count = server.sql("lab", "SELECT count(*) FROM trials WHERE state <> 'RUNNING'");
        count.parse::<u64>().unwrap() >= most
    };
    until("the first trials", || ended(20));
    slurm.kill_node("n2");
    until("more trials", || ended(60));
    assert!(slurm.run("scancel", &format!("{job}_1")).status.success());
    let status = || site.json("cluster status s");
    until("the study's end", || status()["state"] == "done");
    assert_eq!(server.sql("lab", "SELECT count(*) FROM mfactor_leases WHERE NOT done"), "0");
    site.json("cluster pull s");
    site.run(&format!("{STUDY} --out alone"), exit::DONE);
    assert_eq!(found(&site, "runs/s"), found(&site, "alone"));
}

/// A study of real trainings whose trainers are started by a command. One trainer here has all cores, as each has on a machine
/// of its own: sums depend on the number of threads.
fn trained(place: &Workplace, variables: &[(&str, String)], launch: &str, out: &str) -> Command {
    let launch = match launch {
        "" => vec!["--workers", "1"],
        launch => vec!["--workers", "2", "--launch", launch],
    };
    let fixed = "search --data tiny --space small.toml --strategy random --trials 2 --epochs 2 --device cpu --cache none";
    let mut command = place.mfactor(fixed.split_whitespace().chain(["--out", out]).chain(launch));
    command.envs(variables.iter().cloned()).stdout(Stdio::null());
    command
}

/// The weights of each trial, by its strategy and number.
fn weights(place: &Workplace, out: &str) -> Vec<(String, Vec<u8>)> {
    let trials = place.json(&format!("trials {out} --all"));
    let weights = |trial: &Value| {
        let folder = place.path(out).join("trials").join(trial["id"].to_string());
        (
            format!("{} {}", trial["proposer"], trial["number"]),
            fs::read(folder.join("weights.safetensors")).unwrap(),
        )
    };
    let mut found: Vec<_> = trials.as_array().unwrap().iter().map(weights).collect();
    found.sort();
    found
}

/// Ids of the trainers that work in a folder.
fn trainers(folder: &Path) -> Vec<String> {
    let path = program("mfactor-trainer");
    let is_ours = |entry: &fs::DirEntry| {
        let links_to = |name: &str| fs::read_link(entry.path().join(name)).unwrap_or_default();
        links_to("exe") == path && links_to("cwd").starts_with(folder)
    };
    let entries = fs::read_dir("/proc").unwrap().flatten().filter(is_ours);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Kills a trainer in a folder, once there is one.
fn kill_one(folder: &Path) {
    until("a trainer", || !trainers(folder).is_empty());
    let id = &trainers(folder)[0];
    assert!(Command::new("kill").args(["-KILL", id]).status().unwrap().success());
}

/// Searches by a launcher, kills a trainer as it comes up and one in the middle, and expects what a local search comes to.
fn survives_kills(place: &Workplace, variables: &[(&str, String)], launch: &str, trainers_in: &Path) {
    let mut local = trained(place, &[], "", "local");
    assert!(local.status().unwrap().success());
    let mut search = trained(place, variables, launch, "launched").spawn().unwrap();
    kill_one(trainers_in);
    let journal = place.path("launched/journal.log");
    until("an epoch", || fs::read_to_string(&journal).is_ok_and(|text| text.contains("intermediate_value")));
    kill_one(trainers_in);
    assert!(search.wait().unwrap().success());
    assert!(weights(place, "local") == weights(place, "launched"), "the same to the bit");
}

#[test]
#[ignore = "needs Slurm and the trainer: scripts/test"]
fn a_trainer_that_dies_behind_srun_begins_again() {
    let (slurm, place) = (Slurm::new(), Workplace::new());
    place.prepare();
    survives_kills(&place, &[slurm.environment()], "srun -N1 -n1", &place.path("."));
}

#[test]
#[ignore = "needs OpenSSH's server and the trainer: scripts/test"]
fn a_trainer_that_dies_behind_ssh_begins_again() {
    let (board, place) = (LoopbackBoard::new(), Workplace::new());
    place.prepare();
    let launch = format!("ssh -F {} {HOST}", board.ssh_config());
    survives_kills(&place, &[], &launch, &board.path("."));
}
