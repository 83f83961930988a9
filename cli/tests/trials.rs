//! What `mfactor trials` writes is what other programs, and this one, read. (That this package has a test of its own is
//! also why `cargo test` builds the program, which the tests of what crosses rooms start.)

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs a command, arguments separated by blanks, in `folder`, and returns what it prints.
fn mfactor(folder: &Path, arguments: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mfactor"));
    let output = command.args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Architecture and accuracy of each trial, in the order of proposals.
fn found(folder: &Path, study: &str) -> Vec<(u64, Value, Value)> {
    let trials: Vec<Value> =
        serde_json::from_str(&mfactor(folder, &format!("trials {study} --all --json"))).unwrap();
    let row = |trial: &Value| {
        (trial["id"].as_u64().unwrap(), trial["architecture"].clone(), trial["accuracy"].clone())
    };
    let mut rows: Vec<_> = trials.iter().map(row).collect();
    rows.sort_by_key(|(id, ..)| *id);
    rows
}

/// 81 networks, 33-33 to 77-77.
const SPACE: &str = "\
schema = 1
name = \"small\"
classes = 4
image = { channels = 3, height = 16, width = 16 }
stem = { kernel = 3, width = 8 }
stage = [
    { blocks = 2, width = 8, stride = 1, kernels = [3, 5, 7] },
    { blocks = 2, width = 16, stride = 2, kernels = [3, 5, 7] },
]
";

#[test]
fn a_table_of_trials_is_a_table_to_search_in() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("space.toml"), SPACE).unwrap();
    // Architectures of which the table knows nothing fail, and stand in what is written without an accuracy.
    let mut table = "architecture,accuracy\n".to_owned();
    for number in 0..54 {
        let kernels = [27, 9, 3, 1].map(|place| 3 + 2 * (number / place % 3));
        table += &format!("{}{}-{}{},0.{}\n", kernels[0], kernels[1], kernels[2], kernels[3], 500 + number);
    }
    std::fs::write(folder.join("table.csv"), table).unwrap();
    let search = "search --space space.toml --strategy evolution,random --trials 8 --seed 3";
    mfactor(folder, &format!("{search} --evaluator table:table.csv --out first"));
    let first = found(folder, "first");
    assert!(first.iter().any(|(.., accuracy)| accuracy.is_null()), "{first:?}");
    for format in ["csv", "jsonl"] {
        let written = mfactor(folder, &format!("trials first --all --format {format}"));
        std::fs::write(folder.join(format), written).unwrap();
        mfactor(folder, &format!("{search} --evaluator table:{format} --out again-{format}"));
        assert_eq!(found(folder, &format!("again-{format}")), first, "{format}");
    }
}
