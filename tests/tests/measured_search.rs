//! Searches in which a board says what networks cost while they train, from the command line: here on this machine.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use mfactor::{SearchSpace, exit};
use tests::{FEW_NETWORKS, Workplace, made_up_table};

fn place() -> Workplace {
    let place = Workplace::new();
    place.write("few.toml", FEW_NETWORKS);
    let space = SearchSpace::load(&place.path("few.toml")).unwrap();
    made_up_table(&space).write(&place.path("table.toml")).unwrap();
    place
}

const SEARCH: &str =
    "search --space few.toml --evaluator constant:0.75 --strategy random --trials 3 --out study";

#[test]
fn each_network_is_measured_once_and_counts_as_it_was() {
    let place = place();
    let seek = format!("{SEARCH} --budget latency_p50=0.4ms --cost-table table.toml --measure");
    let (_, stderr) = place.run(&seek, exit::DONE);
    assert!(stderr.contains("trained networks count as they were measured"), "{stderr}");
    let trials = place.json("trials study --all");
    for trial in trials.as_array().unwrap() {
        let measured = trial["measured"]["latency_p50"].as_f64().unwrap();
        assert_ne!(trial["measured"], trial["predicted"], "a table of made-up figures tells otherwise");
        let expected = (0.4 / measured).min(1.0);
        assert!((trial["size_score"].as_f64().unwrap() - expected).abs() < 1e-9, "{trial}");
    }
    let before = std::fs::read_to_string(place.path("study/measured.json")).unwrap();
    // A study that goes on remembers what it measures, and what was measured.
    let (_, stderr) = place.run("search --resume --out study --trials 4", exit::DONE);
    let after = std::fs::read_to_string(place.path("study/measured.json")).unwrap();
    let networks = |text: &str| -> Vec<serde_json::Value> {
        serde_json::from_str::<serde_json::Value>(text).unwrap()["networks"].as_array().unwrap().clone()
    };
    let (before, after) = (networks(&before), networks(&after));
    // What does not hold still is measured anew, or told by the table in the end, and then that is said: other tests run here.
    assert!(after.len() > before.len() || stderr.contains("board host"), "{stderr}");
    for network in &before {
        assert!(after.iter().any(|other| other["architecture"] == network["architecture"]));
    }
    place.run("compare study", exit::DONE);
}

#[test]
fn networks_are_measured_in_the_precision_of_the_table() {
    let place = place();
    let space = SearchSpace::load(&place.path("few.toml")).unwrap();
    let table = mfactor::cost_table::CostTable { precision: "int8".to_owned(), ..made_up_table(&space) };
    table.write(&place.path("table.toml")).unwrap();
    place.run(&format!("{SEARCH} --budget latency_p50=0.4ms --cost-table table.toml --measure"), exit::DONE);
    let text = std::fs::read_to_string(place.path("study/measured.json")).unwrap();
    let measured: serde_json::Value = serde_json::from_str(&text).unwrap();
    for network in measured["networks"].as_array().unwrap() {
        assert_eq!(network["circumstances"]["precision"], "int8");
    }
    let other = mfactor::cost_table::CostTable { precision: "f8".to_owned(), ..table };
    other.write(&place.path("table.toml")).unwrap();
    let seek = SEARCH.replace("study", "other");
    let (_, stderr) = place
        .run(&format!("{seek} --budget latency_p50=0.4ms --cost-table table.toml --measure"), exit::INPUT);
    assert!(stderr.contains("f8") && stderr.contains("no precision"), "{stderr}");
}

#[test]
fn the_least_is_measured_before_the_search_and_stays() {
    let place = place();
    let (_, stderr) =
        place.run(&format!("{SEARCH} --front latency_p50 --cost-table table.toml --measure"), exit::DONE);
    assert!(stderr.contains("Measuring the") && stderr.contains("The least is"), "{stderr}");
    let study = std::fs::read_to_string(place.path("study/study.toml")).unwrap();
    let minimum = |text: &str| text.lines().find(|line| line.starts_with("minimum = ")).map(str::to_owned);
    assert!(study.contains("source = \"measured\"") && minimum(&study).is_some(), "{study}");
    place.run("search --resume --out study --trials 4", exit::DONE);
    let resumed = std::fs::read_to_string(place.path("study/study.toml")).unwrap();
    assert_eq!(minimum(&resumed), minimum(&study));
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_begins() {
    let place = place();
    let refused = |arguments: &str, code: u8, words: &str| {
        let (_, stderr) = place.run(&format!("{SEARCH} {arguments}"), code);
        assert!(stderr.contains(words), "{arguments}: {stderr}");
        assert!(!place.path("study").exists(), "{arguments}");
    };
    refused("--measure", exit::USAGE, "name a budget and a --cost-table");
    refused("--budget macs=1M --measure", exit::USAGE, "name a budget and a --cost-table");
    refused("--budget macs=1M --board pi@nowhere", exit::USAGE, "nothing is to be measured");
    let shared = "--budget latency_p50=0.4ms --cost-table table.toml --measure --name few --database postgresql:///x --detach";
    let (_, stderr) = place.run(&format!("{} {shared}", SEARCH.replace(" --out study", "")), exit::INPUT);
    assert!(stderr.contains("by the one search that has the boards"), "{stderr}");
}
