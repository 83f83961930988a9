//! ONNX Runtime on a board that does not have it: its library goes along, signed and once.

use std::path::PathBuf;

use mfactor::exit;
use tests::python;

use crate::place::Place;

/// ONNX Runtime's library of this machine.
fn library() -> PathBuf {
    let find = "import onnxruntime, pathlib; print(next(pathlib.Path(onnxruntime.__file__).parent.glob('capi/libonnxruntime.so.*')))";
    let output = std::process::Command::new(python()).args(["-c", find]).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a path").trim().into()
}

#[test]
#[ignore = "needs OpenSSH's server and ONNX Runtime: scripts/test"]
fn both_engines_are_measured_in_the_same_rounds() {
    let place = Place::new();
    let with = |study: &str, engine: &str, library: Option<PathBuf>| {
        let mut arguments = place.measuring(study);
        arguments.extend(["--engine", engine, "--json"].map(str::to_owned));
        arguments.extend(
            library.into_iter().flat_map(|file| ["--ort-library".to_owned(), file.display().to_string()]),
        );
        arguments
    };
    let (text, _) = place.flash_with(with("old", "all", Some(library())), exit::DONE);
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let measured = result[0]["flashed"]["measurements"].as_array().expect("measurements");
    let engines: Vec<&str> = measured.iter().filter_map(|one| one["engine"]["name"].as_str()).collect();
    assert_eq!(engines, ["tract", "ort"], "{result}");
    let mut boards =
        std::fs::read_dir(place.work.path("old/measurements")).expect("a folder of measurements");
    let board = boards.next().expect("a board").expect("a folder").path();
    let records = std::fs::read_dir(&board).expect("a folder of records").count();
    assert_eq!(records, 2, "each has a file of its own in {}", board.display());

    let (text, _) = place.flash_with(with("new", "ort", Some(library())), exit::DONE);
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let sent = result[0]["flashed"]["sent"].as_array().expect("what was sent");
    assert_eq!(sent, &["models/3.onnx"], "the library is there already");
    assert_eq!(place.study_on_board(), "new");
}

#[test]
#[ignore = "needs OpenSSH's server: scripts/test"]
fn an_engine_without_its_library_or_with_another_is_refused() {
    let place = Place::new();
    let refused = |engine: &str, library: Option<&str>, code: u8, words: &str| {
        let mut arguments = place.measuring("old");
        arguments.extend(["--engine".to_owned(), engine.to_owned()]);
        arguments.extend(library.into_iter().flat_map(|file| ["--ort-library".to_owned(), file.to_owned()]));
        let (_, stderr) = place.flash_with(arguments, code);
        assert!(stderr.contains(words), "{engine}: {stderr}");
        assert!(!place.board.held("").exists(), "nothing was sent");
    };
    refused("ort", None, exit::USAGE, "--ort-library");
    refused("tract", Some("space.toml"), exit::USAGE, "is for --engine ort or all");
    refused("all", Some("space.toml"), exit::INPUT, "is not an ELF");
    refused("all", Some("no-such-file"), exit::INPUT, "no-such-file");
}
