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

/// A study of real trainings whose trainers are started by a command.
fn trained(place: &Workplace, variables: &[(&str, String)], launch: &str, out: &str) -> Command {
    let launch = if launch.is_empty() { vec![] } else { vec!["--launch", launch] };
    let fixed = "search --data tiny --space small.toml --strategy random --trials 2 --epochs 2 --device cpu --workers 2 --cache none";
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

/// Ids of trainers whose parents or grandparents are `of` a kind.
fn trainers(study: &Path) -> Vec<String> {
    let path = program("mfactor-trainer");
    let is_ours = |entry: &fs::DirEntry| {
        let runs = fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == path);
        runs && fs::read(entry.path().join("cmdline")).is_ok()
            && fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(study))
    };
    let entries = fs::read_dir("/proc").unwrap().flatten().filter(is_ours);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Searches by a launcher, kills a trainer in the middle, and expects what a local search comes to.
fn survives_a_kill(place: &Workplace, variables: &[(&str, String)], launch: &str, trainers_in: &Path) {
    let mut local = trained(place, &[], "", "local");
    assert!(local.status().unwrap().success());
    let mut search = trained(place, variables, launch, "launched").spawn().unwrap();
    // One that is killed before it is up ends a search, as a local one does.
    let journal = place.path("launched/journal.log");
    until("an epoch", || fs::read_to_string(&journal).is_ok_and(|text| text.contains("intermediate_value")));
    if let Some(id) = trainers(trainers_in).first() {
        assert!(Command::new("kill").args(["-KILL", id]).status().unwrap().success());
    }
    assert!(search.wait().unwrap().success());
    assert_eq!(weights(place, "local"), weights(place, "launched"), "the same to the bit");
}

#[test]
#[ignore = "needs Slurm and the trainer: scripts/test-cluster"]
fn a_trainer_that_dies_behind_srun_begins_again() {
    let (slurm, place) = (Slurm::new(), Workplace::new());
    place.prepare();
    survives_a_kill(&place, &[slurm.environment()], "srun -N1 -n1", &place.path("."));
}

#[test]
#[ignore = "needs OpenSSH's server and the trainer: scripts/test-cluster"]
fn a_trainer_that_dies_behind_ssh_begins_again() {
    let (board, place) = (LoopbackBoard::new(), Workplace::new());
    place.prepare();
    let launch = format!("ssh -F {} {HOST}", board.ssh_config());
    survives_a_kill(&place, &[], &launch, &board.path("."));
}
