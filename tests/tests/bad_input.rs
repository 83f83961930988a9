//! The mistakes people make: each gets a sentence that names the place, the documented exit code, and
//! loses nothing.

use std::fs;

use mfactor::exit;
use tests::{SMALL_SPACE, Workplace};

/// Runs a command that must fail with `code`; every word of `expected` must be in what it says, and stdout empty.
fn refused(place: &Workplace, arguments: &str, code: u8, expected: &[&str]) {
    let (stdout, stderr) = place.run(arguments, code);
    for word in expected {
        assert!(stderr.contains(word), "{arguments}: {word:?} is missing in:\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(stdout.is_empty(), "{arguments} prints on stdout: {stdout}");
}

const DRY: &str = "search --evaluator constant:0.75 --trials 2";

#[test]
fn a_wrong_option() {
    let place = Workplace::new();
    place.prepare();
    let bad = exit::INPUT;
    refused(&place, &format!("{DRY} --strategy annealing"), bad, &["annealing", "evolution", "tpe", "rl"]);
    for alpha in ["0", "-1", "nan", "inf"] {
        refused(&place, &format!("{DRY} --alpha={alpha}"), bad, &["alpha"]);
    }
    refused(&place, "search --trials 2", bad, &["--data"]);
    refused(&place, "search --data nowhere --trials 2", bad, &["nowhere", "digits", "cifar10"]);
    refused(&place, "search --evaluator constant:1.5 --trials 2", bad, &["1.5"]);
    refused(&place, "search --evaluator table:none.csv --trials 2", bad, &["none.csv"]);
    place.write("table.csv", "network,accuracy\n333-333-333,0.5\n");
    refused(&place, "search --evaluator table:table.csv --trials 2", bad, &["table.csv:1", "architecture"]);
    refused(&place, &format!("{DRY} --retry-failed"), exit::USAGE, &["--resume"]);
    refused(&place, &format!("{DRY} --epochs 0"), bad, &["epochs"]);
    refused(&place, "search --resume", exit::USAGE, &["--out"]);
    refused(&place, "search --resume --out none", bad, &["none"]);
    refused(&place, "score --accuracy nan --params 300000", bad, &["accuracy"]);
    refused(&place, "score --accuracy 0.5 --params 0", bad, &["params"]);
    refused(&place, "frobnicate", exit::USAGE, &["frobnicate"]);
    assert!(!place.path("runs").exists(), "a refused search leaves nothing behind");
}

#[test]
fn a_malformed_space_or_study_file() {
    let place = Workplace::new();
    place.write("space.toml", SMALL_SPACE.replacen("kernels = [3, 5, 7]", "kernels = [3, 4]", 1));
    refused(&place, &format!("{DRY} --space space.toml"), exit::INPUT, &["space.toml", "kernels[1]"]);
    place.write("space.toml", SMALL_SPACE.replace("classes", "clases"));
    refused(&place, &format!("{DRY} --space space.toml"), exit::INPUT, &["space.toml", "clases"]);
    place.write("study.toml", "schema = 1\nname = \"s\"\ntrails = 3\n");
    refused(&place, "search --study study.toml", exit::INPUT, &["study.toml", "trails"]);
    for name in ["..", ".hidden", "a/b", "-x", "a b"] {
        place.write("study.toml", format!("schema = 1\nname = \"{name}\"\n"));
        refused(
            &place,
            "search --study study.toml --evaluator constant:0.5",
            exit::INPUT,
            &["study.toml", "name"],
        );
    }
    place.write("study.toml", "schema = 99\nname = \"s\"\n");
    refused(&place, "search --study study.toml", exit::INPUT, &["study.toml", "schema", "99"]);
}

#[test]
fn a_damaged_data_set() {
    let place = Workplace::new();
    place.prepare();
    let path = place.path("tiny/train.bin");
    let whole = fs::read(&path).unwrap();
    let search = "search --data tiny --space small.toml --trials 1";
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    refused(&place, search, exit::INPUT, &["train.bin", "bytes"]);
    let mut wrong = whole.clone();
    wrong[0] = 200;
    fs::write(&path, &wrong).unwrap();
    refused(&place, search, exit::INPUT, &["train.bin", "label 200"]);
    fs::write(&path, &whole).unwrap();
    refused(&place, "search --data tiny --trials 1", exit::INPUT, &["tiny", "3×16×16", "3×32×32"]);
}

#[test]
fn a_damaged_study() {
    let place = Workplace::new();
    place.run(&format!("{DRY} --strategy random --out study"), exit::DONE);
    refused(&place, &format!("{DRY} --strategy random --out study"), exit::INPUT, &["study", "--resume"]);
    refused(&place, "search --resume --out study --alpha 2", exit::INPUT, &["alpha"]);
    refused(&place, "export study", exit::INPUT, &["weights"]);
    refused(&place, "export study --top 0", exit::USAGE, &["--top"]);

    let journal = place.path("study/journal.log");
    let good = fs::read_to_string(&journal).unwrap();
    let lines = good.lines().count();
    assert!(lines > 5, "{good}");
    let mut garbage: Vec<&str> = good.lines().collect();
    garbage[2] = "{\"op_code\": 5, oh no";
    fs::write(&journal, garbage.join("\n") + "\n").unwrap();
    refused(&place, "search --resume --out study", exit::INPUT, &["journal.log:3"]);
    let (stdout, stderr) = place.run("trials study", exit::INPUT);
    assert!(stderr.contains("journal.log:3") && stdout.contains("3 complete"), "{stderr}{stdout}");
    assert_eq!(fs::read_to_string(&journal).unwrap().lines().count(), lines, "nothing is thrown away");

    fs::write(&journal, &good).unwrap();
    let config = place.path("study/study.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen("schema = 1", "schema = 7", 1)).unwrap();
    refused(&place, "trials study", exit::INPUT, &["study.toml", "schema", "7"]);
}

#[test]
fn a_study_has_a_name_that_its_folder_allows() {
    let place = Workplace::new();
    for (folder, name) in
        [("my study", "my-study"), ("Prüfung", "Pr-fung"), ("図", "study"), ("deep/er", "er")]
    {
        let arguments = [
            "search",
            "--evaluator",
            "constant:0.5",
            "--trials",
            "1",
            "--strategy",
            "random",
            "--out",
            folder,
        ];
        let output = place.mfactor(arguments).output().expect("mfactor runs");
        tests::expect(folder, &output, exit::DONE);
        let config = fs::read_to_string(place.path(folder).join("study.toml")).unwrap();
        assert!(config.contains(&format!("name = \"{name}\"")), "{config}");
    }
}

#[test]
fn a_search_in_which_every_trial_fails() {
    let place = Workplace::new();
    place.write("table.csv", "architecture,accuracy\n777-777-777,0.5\n");
    let search = "search --evaluator table:table.csv --trials 2 --strategy random --out study";
    let (stdout, stderr) = place.run(search, exit::INVALID);
    assert!(
        stderr.contains("every trial failed") && stderr.contains("--retry-failed --out study"),
        "{stderr}"
    );
    assert!(stdout.contains("2 failed"), "the summary is there: {stdout}");
    place.run("search --resume --out study", exit::INVALID);
    let (_, stderr) = place.run("search --resume --retry-failed --out study", exit::INVALID);
    assert!(stderr.matches("has no row in").count() >= 3, "all are tried again: {stderr}");
    assert_eq!(place.json("trials study --all").as_array().unwrap().len(), 3);
}

#[test]
fn what_is_missing_is_named_with_its_cure() {
    let place = Workplace::new();
    place.prepare();
    let search = "search --data tiny --space small.toml --trials 1 --out study";
    let output = place
        .mfactor(search.split(' '))
        .env("MFACTOR_TRAINER", place.path("gone"))
        .output()
        .expect("mfactor runs");
    let (_, stderr) = tests::expect(search, &output, exit::INPUT);
    assert!(stderr.contains("MFACTOR_TRAINER"), "{stderr}");

    // A trainer whose libtorch is not there ends before it says anything, as the loader does.
    place.write(
        "broken",
        "#!/bin/sh\necho 'broken: error while loading shared libraries: libtorch.so' >&2\nexit 127\n",
    );
    std::process::Command::new("chmod").arg("+x").arg(place.path("broken")).status().unwrap();
    let output = place
        .mfactor(search.split(' '))
        .env("MFACTOR_TRAINER", place.path("broken"))
        .output()
        .expect("mfactor runs");
    let (_, stderr) = tests::expect(search, &output, exit::MISSING);
    assert!(stderr.contains("scripts/setup") && stderr.contains("libtorch"), "{stderr}");
    assert!(!place.path("study").exists(), "a search that cannot start leaves nothing behind");
}
