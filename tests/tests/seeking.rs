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
    let (stdout, stderr) = place.run("search --resume --out study --trials 6", exit::DONE);
    assert!(stdout.contains(" and covers ") && stdout.contains("on the front"), "{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
    assert!(stderr.contains(" MACs  covered "), "{stderr}");
    let front = &place.json("search --resume --out study")["front"];
    let covered = front["covered"].as_f64().unwrap();
    assert!(front["strategies"][0]["covered"].as_f64().unwrap() <= covered && covered < 1.0, "{front}");
    assert_eq!(front["reference"]["accuracy"], 0.25);
    assert_eq!(place.json("compare study")["sought_front"], *front);
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
    for option in ["--budget latency_p50=2ms", "--front energy"] {
        let (_, stderr) = place.run(&format!("{bench} {option}"), exit::INPUT);
        assert!(
            stderr.contains("board") && stderr.contains("macs") && !stderr.contains("--cost-table"),
            "{stderr}"
        );
    }
}

#[test]
fn what_was_not_tried_is_predicted_and_how_far_to_trust_it_is_said() {
    let place = with_table();
    let search = "search --space small.toml --evaluator table:table.csv --strategy random --out study";
    place.run(&format!("{search} --trials 5"), exit::DONE);
    let (_, stderr) = place.run("predict study", exit::INPUT);
    assert!(stderr.contains("fewer than 10"), "{stderr}");
    place.run("search --resume --out study --trials 14", exit::DONE);
    let (stdout, _) = place.run("predict study --top 3", exit::DONE);
    assert!(stdout.contains("leave-one-out tau of +") && !stdout.contains("useless"), "{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
    let prediction = place.json("predict study --top 3");
    let tried: Vec<serde_json::Value> = place.json("trials study --all").as_array().unwrap().clone();
    let expected = prediction["expected"].as_array().unwrap();
    assert_eq!(expected.len(), 3);
    let m = |row: &serde_json::Value| row["m_factor"].as_f64().unwrap();
    assert!(expected.windows(2).all(|two| m(&two[0]) >= m(&two[1])), "{prediction}");
    assert!(
        expected.iter().all(|row| tried.iter().all(|trial| trial["architecture"] != row["architecture"]))
    );
    let guided = place.json(&search.replace("random --out study", "guided --trials 12 --out study2"));
    assert!(guided["trust"]["tau"].is_number(), "{guided}");
}

/// A trainer that rates whatever it is asked for.
#[cfg(unix)]
const RATER: &str = r#"#!/bin/sh
[ "$1" = --naswot ] || exit 2
count=$(sed 's/.*"architectures":\[//; s/\].*//' | tr ',' '\n' | wc -l)
seq "$count" | sed 's/.*/{"naswot":&.5}/'
"#;

#[test]
#[cfg(unix)]
fn ratings_of_untrained_networks_are_made_and_learned_from() {
    use std::os::unix::fs::PermissionsExt;

    let place = Workplace::new();
    place.prepare();
    let rate = |script: &str, code| {
        place.write("rater", script);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path("rater"), executable).unwrap();
        let command = "naswot --space small.toml --data tiny --out naswot.csv --count 60";
        let mut command = place.mfactor(command.split(' '));
        let output = command.env("MFACTOR_TRAINER", place.path("rater")).output().unwrap();
        tests::expect("naswot", &output, code).1
    };
    for (script, words) in [
        ("#!/bin/sh\ncat > /dev/null; echo mfactor-trainer: no memory >&2; exit 4\n", "no memory"),
        ("#!/bin/sh\ncat > /dev/null; echo '{\"naswot\":'\n", "no rating"),
        ("#!/bin/sh\ncat > /dev/null; echo '{\"naswot\":1}'\n", "rated 1 networks"),
        ("#!/bin/sh\ncat > /dev/null; yes | tr -d '\\n'\n", "without an end of line"),
    ] {
        let stderr = rate(script, exit::INPUT);
        assert!(stderr.contains(words), "{stderr}");
        assert!(!place.path("naswot.csv").exists());
    }
    rate(RATER, exit::DONE);
    let search =
        "search --space small.toml --evaluator constant:0.75 --strategy guided --trials 12 --out study";
    let rated = format!("{search} --naswot naswot.csv");
    place.run(&rated, exit::DONE);
    let study = std::fs::read_to_string(place.path("study/study.toml")).unwrap();
    assert!(study.contains("[naswot]"), "{study}");
    let ratings = std::fs::read_to_string(place.path("naswot.csv")).unwrap();
    place.write("naswot.csv", ratings.replace(",1.5", ",2.5"));
    let (_, stderr) = place.run("search --resume --out study --trials 13", exit::INPUT);
    assert!(stderr.contains("has changed since the study began"), "{stderr}");
    place.write("naswot.csv", "architecture,naswot\n33-33,1\n");
    let (_, stderr) = place.run(&rated.replace("--out study", "--out study2"), exit::INPUT);
    assert!(stderr.contains("it takes 20") && !place.path("study2").exists(), "{stderr}");
}

#[test]
#[ignore = "needs the trainer: scripts/test"]
fn the_trainer_rates_untrained_networks() {
    let place = Workplace::new();
    place.prepare();
    let rated = place.json("naswot --space small.toml --data tiny --out naswot.csv --count 50 --device cpu");
    assert_eq!(rated["without_rating"], 0);
    let rows = std::fs::read_to_string(place.path("naswot.csv")).unwrap();
    let ratings: std::collections::BTreeSet<&str> =
        rows.lines().skip(1).filter_map(|row| row.split(',').nth(1)).collect();
    assert_eq!(ratings.len() as u64, rated["networks"].as_u64().unwrap(), "they differ: {rows}");
    place.run("naswot --space paper --data tiny --out other.csv", exit::INPUT);
    assert!(!place.path("other.csv").exists());
}
