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

    let journal = place.path("study/journal.log");
    let good = fs::read_to_string(&journal).unwrap();
    let lines = good.lines().count();
    assert!(lines > 5, "{good}");
    let mut garbage: Vec<&str> = good.lines().collect();
    garbage[2] = "{\"op_code\": 5, oh no";
    fs::write(&journal, garbage.join("\n") + "\n").unwrap();
    refused(&place, "search --resume --out study", exit::INPUT, &["journal.log:3"]);
    refused(&place, "trials study", exit::INPUT, &["journal.log:3"]);
    assert_eq!(fs::read_to_string(&journal).unwrap().lines().count(), lines, "nothing is thrown away");

    fs::write(&journal, &good).unwrap();
    let config = place.path("study/study.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen("schema = 1", "schema = 7", 1)).unwrap();
    refused(&place, "trials study", exit::INPUT, &["study.toml", "schema", "7"]);
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
}
