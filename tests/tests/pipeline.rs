//! The whole road with the real programs: search with real training, export, measure, compare.

use std::path::Path;

use mfactor::exit;
use serde_json::Value;
use tests::Workplace;

/// Small batches: a few hundred images in a few epochs have to be enough to learn from. Not mirrored: left
/// and right are classes here, and a network that sees each image mirrored in every other epoch cannot tell them apart.
const STUDY: &str = "\
schema = 1
name = \"study\"
trials = 2
seed = 5

[recipe]
epochs = 3
batch_size = 16
flip = false
";

const SEARCH: &str = "search --study study.toml --data tiny --space small.toml --out study";

/// Runs a small study with real training; `options` say of which strategies and in which precision.
fn searched(options: &str) -> Workplace {
    let place = Workplace::new();
    place.prepare();
    place.write("study.toml", STUDY);
    place.run(&format!("{SEARCH} {options}"), exit::DONE);
    place
}

/// Whether a trial shows that something was learnt.
fn learnt(trial: &Value) {
    assert!(trial["accuracy"].as_f64().expect("a number") > 0.9, "four classes can be told apart: {trial}");
}

#[test]
#[ignore = "needs the trainer and ONNX Runtime: scripts/test"]
fn the_whole_road() {
    let place = searched("--precision float32");
    let trials = place.json("trials study");
    let trials = trials.as_array().expect("a list");
    assert_eq!(trials.len(), 4 * 2 + 1, "two trials of each strategy and the baseline");
    for trial in trials {
        let folder = place.path("study/trials").join(trial["id"].to_string());
        assert!(folder.join("weights.safetensors").is_file(), "{}", folder.display());
        assert_eq!(trial["epoch_accuracies"].as_array().expect("a list").len(), 3);
    }
    let best = &trials[0];
    learnt(best);

    class_by_class(&place, best);
    exported(&place, best);
    exported_for_a_board(&place);
    measured(&place, best);
    compared(&place);
}

/// Whichever of the two a processor chooses by itself, it can do both.
#[test]
#[ignore = "needs the trainer and ONNX Runtime: scripts/test"]
fn training_in_bfloat16_learns_as_in_float32_and_can_be_exported() {
    for precision in ["float32", "bfloat16"] {
        let place = searched(&format!("--architecture 33-33 --precision {precision}"));
        learnt(&place.json("trials study")[0]);
        assert_eq!(place.json("export study")[0]["metadata"]["architecture"], "33-33", "{precision}");
    }
}

/// The counts of the best stand beside it, say its accuracy, and are shown.
fn class_by_class(place: &Workplace, best: &Value) {
    let path = place.path("study/trials").join(best["id"].to_string()).join("confusion.json");
    let confusion = mfactor::Confusion::read(&path).expect("counts");
    assert_eq!(best["accuracy"].as_f64().expect("a number"), confusion.accuracy());
    let words = format!("Trial {} ({}) on", best["id"], text(&best["architecture"]));
    let (shown, _) = place.run("trials study", exit::DONE);
    assert!(shown.replace('\n', " ").contains(&words), "{shown}");
}

/// A search by balanced accuracy: one number decides and is named everywhere.
#[test]
#[ignore = "needs the trainer and ONNX Runtime: scripts/test"]
fn balanced_accuracy_decides_where_it_is_asked_for() {
    let place = searched("--architecture 33-33 --accuracy balanced --precision float32");
    let best = place.json("trials study")[0].clone();
    let path = place.path("study/trials").join(best["id"].to_string()).join("confusion.json");
    let balanced = mfactor::Confusion::read(&path).expect("counts").balanced_accuracy();
    let number = |value: &Value| value.as_f64().expect("a number");
    assert!((number(&best["accuracy"]) - balanced).abs() < 1e-12);
    let (shown, _) = place.run("trials study", exit::DONE);
    assert!(shown.contains("balanced accuracy"), "{shown}");
    let model = &place.json("export study")[0]["metadata"];
    assert_eq!((&model["accuracy"], number(&model["validation_accuracy"])), (&"balanced".into(), balanced));
    let (said, _) = place.run("compare study", exit::DONE);
    assert!(said.contains("A of M is balanced accuracy"), "{said}");
    let page = std::fs::read_to_string(place.path("study/report/index.html")).expect("a page");
    for words in ["Confusion matrix", "with A the balanced accuracy", "validation balanced accuracy, %"] {
        assert!(page.contains(words), "{words}");
    }
    // Another kind of accuracy is another training to the cache, and another study to --resume.
    let (_, said) = place.run("search --resume --accuracy plain --out study", exit::INPUT);
    assert!(said.contains("objective"), "{said}");
}

fn exported(place: &Workplace, best: &Value) {
    let exported = place.json("export study --top 2");
    let models = exported.as_array().expect("a list");
    assert_eq!(models.len(), 2);
    assert_eq!(models[0]["metadata"]["architecture"], best["architecture"]);
    assert!(place.path("study/models").join(format!("{}.onnx", text(&best["architecture"]))).is_file());
}

/// The paper's Equation 5, C(arc) ≤ θ: a board's limit passes over the architectures whose files break it.
fn exported_for_a_board(place: &Workplace) {
    copy(&place.path("study"), &place.path("tight"));
    let all = place.json("export tight --top 9");
    let bytes = |model: &Value| model["model_bytes"].as_u64().expect("a number");
    let smallest = all.as_array().expect("a list").iter().min_by_key(|model| bytes(model)).expect("a model");
    let board = |limit: u64| {
        let limits = format!("limits.model_bytes = {limit}\n");
        place.write(
            "tight.toml",
            format!("schema = 1\nname = \"tight\"\ntitle = \"T\"\ntriple = \"host\"\n{limits}"),
        );
    };
    board(bytes(smallest));
    let exported = place.json("export tight --top 9 --target tight.toml");
    let architectures: Vec<&Value> =
        exported.as_array().expect("a list").iter().map(|model| &model["metadata"]["architecture"]).collect();
    assert_eq!(architectures, [&smallest["metadata"]["architecture"]]);
    board(bytes(smallest) - 1);
    let (_, stderr) = place.run("export tight --target tight.toml", exit::INPUT);
    assert!(stderr.contains(&format!("at most {} bytes", bytes(smallest) - 1)), "{stderr}");
}

fn measured(place: &Workplace, best: &Value) {
    let measurements = place.json("measure study --preset quick");
    let of_best =
        |measurement: &&Value| measurement["model"]["metadata"]["architecture"] == best["architecture"];
    let measured =
        measurements.as_array().expect("a list").iter().find(of_best).expect("the best is measured");
    assert_eq!(measured["model"]["parameters"], best["parameters"], "recounted from the file");
    let samples = measured["latency"]["samples_ns"].as_array().map_or(0, Vec::len);
    assert!(samples >= 100, "{samples} samples");
    assert_eq!(measured["accuracy"]["images"], 64);
    let promised = measured["model"]["metadata"]["test_accuracy"].as_f64().expect("a number");
    assert_eq!(
        measured["accuracy"]["accuracy"].as_f64().expect("a number"),
        promised,
        "the same file, the same answers"
    );
}

fn compared(place: &Workplace) {
    let (text, _) = place.run("compare study", exit::DONE);
    assert!(text.contains("smallest"), "the baseline stands beside the winner:\n{text}");
    let page = std::fs::read_to_string(place.path("study/report/index.html")).expect("a page");
    assert!(page.contains("<svg"), "figures are inside");
    for reach in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(reach), "the page reaches out: {reach}");
    }
    let models =
        std::fs::read_dir(place.path("study/models")).expect("models").flatten().map(|entry| entry.path());
    let model = models.filter(|path| path.extension().is_some_and(|e| e == "onnx")).min().expect("a model");
    let bytes = std::fs::read(&model).expect("a model");
    std::fs::write(&model, [&bytes[..], b"!"].concat()).expect("a file");
    let (_, said) = place.run("compare study", exit::DONE);
    assert!(said.contains("measured another file"), "{said}");
    std::fs::write(&model, bytes).expect("a file");
    let picks = place.json("pick study --budget latency_p50=1us,1000s --on host");
    assert!(
        picks["picks"][0]["model"].is_null() && picks["picks"][1]["model"]["accuracy"].is_number(),
        "{picks}"
    );
}

#[test]
fn a_study_can_be_copied_and_resumed_elsewhere() {
    let place = Workplace::new();
    place.prepare();
    place.run("search --evaluator constant:0.75 --strategy tpe --trials 3 --out one", exit::DONE);
    copy(&place.path("one"), &place.path("two"));
    place.run("search --resume --trials 6 --out two", exit::DONE);
    place.run("search --evaluator constant:0.75 --strategy tpe --trials 6 --out three", exit::DONE);
    assert_eq!(architectures(&place, "two"), architectures(&place, "three"));
}

fn architectures(place: &Workplace, study: &str) -> Vec<String> {
    let mut trials: Vec<(u64, String)> = place
        .json(&format!("trials {study}"))
        .as_array()
        .expect("a list")
        .iter()
        .map(|trial| (trial["id"].as_u64().expect("a number"), text(&trial["architecture"]).to_owned()))
        .collect();
    trials.sort();
    trials.into_iter().map(|(_, architecture)| architecture).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a file can be copied");
    for entry in std::fs::read_dir(from).expect("a file can be copied") {
        let entry = entry.expect("a file can be copied");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a file can be copied").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
