//! What is sought, from the command line: fronts, the best trained again, and strategies held against a table.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use std::fmt::Write as _;

use mfactor::{SearchSpace, exit};
use tests::{SMALL_SPACE, Workplace};

/// A place with a small space and a table of it: three trainings of each network, larger kernels the better ones.
fn with_table() -> Workplace {
    let place = Workplace::new();
    place.write("small.toml", SMALL_SPACE);
    let space = SearchSpace::load(&place.path("small.toml")).unwrap();
    let mut table = "architecture,seed,accuracy\n".to_owned();
    for architecture in space.architectures() {
        let kernels: f64 = architecture.kernels().map(f64::from).sum();
        for seed in 0..3 {
            let chance = [0.0, 0.003, -0.002][seed];
            writeln!(table, "{architecture},{seed},{}", 0.3 + 0.02 * kernels + chance).unwrap();
        }
    }
    place.write("table.csv", &table);
    place
}

#[test]
fn the_best_are_trained_again_and_chance_is_named() {
    let place = with_table();
    let search = "search --space small.toml --evaluator table:table.csv --strategy random --trials 6 --alpha 0.01 --out study";
    let (stdout, _) = place.run(&format!("{search} --confirm 3x4"), exit::DONE);
    assert!(
        stdout.contains("trained again") && stdout.contains("apart") || stdout.contains("not by chance"),
        "{stdout}"
    );
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
    let again = place.json("search --resume --out study --confirm 3x4");
    let networks = again["confirmation"]["networks"].as_array().unwrap();
    assert_eq!(networks.len(), 3);
    assert!(networks.iter().all(|of| of["accuracies"].as_array().unwrap().len() == 4), "{again}");
    let m = |of: &serde_json::Value| of["m_factor"].as_f64().unwrap();
    assert!(networks.windows(2).all(|two| m(&two[0]) >= m(&two[1])));
    // The study itself is as it was.
    assert_eq!(place.json("trials study --all").as_array().unwrap().len(), 7);
    assert_eq!(place.json("trials study/confirm/4 --all").as_array().unwrap().len(), 3);
    place.run(&format!("{search}2 --confirm 3"), exit::USAGE);
}

#[test]
fn a_front_is_sought_and_kept_in_the_study() {
    let place = with_table();
    let search = "search --space small.toml --evaluator table:table.csv --trials 5 --out study";
    place.run(&format!("{search} --strategy guided,nsga2 --front accuracy,macs --prune"), exit::DONE);
    let study = std::fs::read_to_string(place.path("study/study.toml")).unwrap();
    assert!(study.contains("\"macs\"") && study.contains("by = \"front\""), "{study}");
    place.run("search --resume --out study --trials 6", exit::DONE);
    let (_, stderr) = place.run("search --resume --out study --front parameters", exit::INPUT);
    assert!(stderr.contains("front"), "{stderr}");
    for (front, words) in [("latency_p50", "measuring"), ("macs,macs", "twice"), ("accuracy", "no cost")] {
        let (_, stderr) = place.run(&format!("{search}2 --front {front}"), exit::INPUT);
        assert!(stderr.contains(words), "{front}: {stderr}");
    }
    let (_, stderr) = place.run(&format!("{search}2 --front macs --skip"), exit::INPUT);
    assert!(stderr.contains("skip"), "{stderr}");
    assert!(!place.path("study2").exists(), "nothing is left of what was refused");
}

#[test]
fn strategies_are_held_against_a_table() {
    let place = with_table();
    let bench = "bench strategies --space small.toml --table table.csv --seeds 12 --trials 8";
    let (stdout, _) = place.run(bench, exit::DONE);
    assert!(stdout.contains("guided") && stdout.contains("Wilcoxon"), "{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
    let rows = place.json(&format!("{bench} --front macs --strategy random,guided"));
    assert_eq!(rows["rows"].as_array().unwrap().len(), 2);
    let (_, stderr) = place.run("bench strategies --table absent.csv", exit::INPUT);
    assert!(stderr.contains("absent.csv"), "{stderr}");
    let command =
        place.mfactor(["bench", "strategies"]).env("MFACTOR_DATA", place.path("none")).output().unwrap();
    let stderr = String::from_utf8(command.stderr).unwrap();
    assert!(stderr.contains("mfactor data fetch nas-bench-macro"), "{stderr}");
    assert_eq!(command.status.code(), Some(i32::from(exit::MISSING)));
    let (_, stderr) = place.run(&format!("{bench} --from 1.5"), exit::INPUT);
    assert!(stderr.contains("from 0 to 1"), "{stderr}");
}
