//! Cost tables, from the command line: built on this machine, and searches for what a board alone can tell.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mfactor::cost_table::CostTable;
use mfactor::{Architecture, Quantity, SearchSpace, exit};
use tests::{FEW_NETWORKS, Workplace, made_up_table};

/// A place with the space and a table of it.
fn with_table() -> (Workplace, SearchSpace) {
    let place = Workplace::new();
    place.write("few.toml", FEW_NETWORKS);
    let space = SearchSpace::load(&place.path("few.toml")).unwrap();
    made_up_table(&space).write(&place.path("table.toml")).unwrap();
    (place, space)
}

const SEARCH: &str = "search --space few.toml --evaluator constant:0.75 --strategy tpe --trials 12";

#[test]
fn latency_is_a_cost_like_any_other_where_a_table_tells_it() {
    let (place, space) = with_table();
    let seek = format!(
        "{SEARCH} --budget latency_p50=0.4ms --limit latency_p50=1ms --cost-table table.toml --out study"
    );
    let (stdout, _) = place.run(&seek, exit::DONE);
    assert!(stdout.contains("min(1, 0.4 ms / latency p50)"), "{stdout}");
    // The study has of the table what it needs.
    std::fs::remove_file(place.path("table.toml")).unwrap();
    place.run("search --resume --out study --trials 16", exit::DONE);
    let trials = place.json("trials study --all");
    let trials = trials.as_array().unwrap();
    assert!(trials.len() > 16, "{}", trials.len());
    for trial in trials {
        let network: Architecture = trial["architecture"].as_str().unwrap().parse().unwrap();
        let ms = space.cost(&network).macs as f64 / 1e6;
        let told = trial["predicted"]["latency_p50"].as_f64().unwrap();
        assert!((told - ms).abs() < 1e-6, "{network}: {told}, not {ms}");
        let size_score = trial["size_score"].as_f64().unwrap();
        assert!((size_score - (0.4 / ms).min(1.0)).abs() < 1e-6, "{network}");
        // A limit is kept but for nine in ten of the table's errors.
        assert_eq!(trial["state"] == "skipped", ms > 1.05, "{network}: {ms} ms, {}", trial["state"]);
    }
    let (stdout, _) = place.run("compare study", exit::DONE);
    assert!(stdout.contains("By parameters"), "{stdout}");
}

/// Weights that a whole network reads from further away than its parts alone.
#[test]
fn what_parameters_add_is_told_too() {
    let (place, space) = with_table();
    let mut table = made_up_table(&space);
    let line = table.lines.get_mut(&Quantity::LatencyP50).unwrap();
    (line.intercept, line.slope, line.per_parameter) = (0.1, 2.0, 1e-4);
    table.write(&place.path("table.toml")).unwrap();
    place.run(&format!("{SEARCH} --budget latency_p50=2ms --cost-table table.toml --out study"), exit::DONE);
    for trial in place.json("trials study").as_array().unwrap() {
        let network: Architecture = trial["architecture"].as_str().unwrap().parse().unwrap();
        let cost = space.cost(&network);
        let expected = 0.1 + 2.0 * cost.macs as f64 / 1e6 + 1e-4 * cost.parameters as f64;
        let told = trial["predicted"]["latency_p50"].as_f64().unwrap();
        assert!((told - expected).abs() < 1e-5, "{network}: {told}, not {expected}");
    }
}

/// A study as it was run: its table told what its models were then measured to take.
#[test]
fn models_of_a_study_with_a_latency_budget_are_compared() {
    let place = Workplace::new();
    let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies/board");
    let copied = Command::new("cp").arg("-r").arg(studies.join("seed-2")).arg(place.path("study")).status();
    assert!(copied.unwrap().success());
    let (stdout, _) = place.run("compare study", exit::DONE);
    assert!(stdout.contains("The table told the latency p50 of 4 models"), "{stdout}");
    let page = std::fs::read_to_string(place.path("study/report/index.html")).unwrap();
    assert!(page.contains("rank 1"));
    for (study, trained) in
        [("latency-tract", 15), ("latency-ort", 15), ("parameters", 15), ("virtual-board", 7)]
    {
        let trials = place.json(&format!("trials {}", studies.join(study).display()));
        assert_eq!(trials.as_array().unwrap().len(), trained, "{study}");
    }
}

#[test]
fn a_front_over_latency_is_sought() {
    let (place, _) = with_table();
    let seek = format!("{SEARCH} --strategy guided --front latency_p50 --cost-table table.toml --out study");
    let (stdout, stderr) = place.run(&seek.replace("--strategy tpe ", ""), exit::DONE);
    assert!(stdout.contains("accuracy against latency p50"), "{stdout}");
    assert!(stderr.contains(" ms latency p50  covered "), "{stderr}");
    assert!(stdout.lines().chain(stderr.lines()).all(|line| !line.contains("000000")), "{stdout}{stderr}");
    place.run("compare study", exit::DONE);
}

#[test]
fn a_study_file_names_a_table_and_where_it_was_measured() {
    let (place, _) = with_table();
    let study = |on: &str| {
        let cost = format!("metric = \"latency_p50\"\nreference = \"0.4 ms\"\ntable = \"table.toml\"\n{on}");
        let text = "schema = 1\nname = \"s\"\nstrategies = [\"random\"]\ntrials = 3\n[evaluator]\nkind = \"constant\"\n\
                    accuracy = 0.5\n";
        let space =
            FEW_NETWORKS.replace("\n[stem]", "\n[space.stem]").replace("[[stage]]", "[[space.stage]]");
        format!("{text}\n[[objective.cost]]\n{cost}\n[space]\n{space}")
    };
    place.write("study.toml", study("target = \"host\"\nengine = \"tract\"\nprecision = \"f32\""));
    place.run("search --study study.toml --out good", exit::DONE);
    for (on, words) in [
        ("target = \"rpi4\"", "target host, not rpi4"),
        ("engine = \"ort\"", "engine tract, not ort"),
        ("precision = \"int8\"", "precision f32, not int8"),
    ] {
        place.write("study.toml", study(on));
        let (_, stderr) = place.run("search --study study.toml --out bad", exit::INPUT);
        assert!(stderr.replace('"', "").contains(words), "{stderr}");
        assert!(!place.path("bad").exists());
    }
    place.write("study.toml", study("target = \"host\"").replace("table = \"table.toml\"\n", ""));
    let (_, stderr) = place.run("search --study study.toml --out bad", exit::INPUT);
    assert!(stderr.contains("no table"), "{stderr}");
}

#[test]
fn a_table_that_does_not_serve_is_refused_and_says_why() {
    let (place, space) = with_table();
    let good = made_up_table(&space);
    let seek = format!("{SEARCH} --budget latency_p50=0.4ms --out study");
    let refused = |name: &str, words: &str| {
        let (_, stderr) = place.run(&format!("{seek} --cost-table {name}"), exit::INPUT);
        assert!(stderr.contains(words), "{name}: {stderr}");
        assert!(!place.path("study").exists(), "{name}");
    };
    let written = |name: &str, table: &CostTable| table.write(&place.path(name)).unwrap();
    let (_, stderr) = place.run(&seek, exit::INPUT);
    assert!(stderr.contains("--cost-table") && stderr.contains("mfactor table build"), "{stderr}");

    let mut other = good.clone();
    other.parts.pop_last();
    written("other.toml", &other);
    refused("other.toml", "does not know part");
    let mut unproven = good.clone();
    unproven.lines.get_mut(&Quantity::LatencyP50).unwrap().test.p90_error = 0.2;
    written("unproven.toml", &unproven);
    refused("unproven.toml", "90th percentile of its errors is 20.0 %");
    place.run(&format!("{seek}2 --cost-table unproven.toml --force-cost-table"), exit::DONE);
    let mut emulated = good.clone();
    emulated.board.emulated = true;
    written("emulated.toml", &emulated);
    refused("emulated.toml", "emulated");
    let forced = format!("{seek}3 --cost-table emulated.toml --force-cost-table");
    let said = "latency p50 is of an emulated processor, whose times mean nothing";
    assert!(place.run(&forced, exit::DONE).1.contains(said));
    assert!(place.run("compare study3", exit::DONE).0.replace("\n  ", " ").contains(said));
    let mut silent = good.clone();
    silent.lines.clear();
    written("silent.toml", &silent);
    refused("silent.toml", "does not tell latency_p50");
    let mut broken = good.clone();
    broken.parts.values_mut().for_each(|entry| entry.latency_p50 = f64::NAN);
    written("broken.toml", &broken);
    refused("broken.toml", "cannot be");
    let text = std::fs::read_to_string(place.path("table.toml")).unwrap();
    for (name, text, words) in [
        ("later.toml", text.replace("schema = 1", "schema = 7"), "schema is 7"),
        ("cut.toml", text[..text.len() / 2].to_owned(), "cut.toml"),
        ("empty.toml", String::new(), "schema"),
        ("key.toml", format!("colour = 3\n{text}"), "colour"),
    ] {
        place.write(name, text);
        refused(name, words);
    }
    refused("nowhere.toml", "nowhere.toml");
    refused(".", "folder");
    let macs = format!("{SEARCH} --budget macs=1M --cost-table table.toml --out study");
    assert!(place.run(&macs, exit::INPUT).1.contains("tells nothing that is sought"));
    let (_, stderr) = place
        .run(&seek.replace("0.4ms", "1us").replace("--out", "--cost-table table.toml --out"), exit::INPUT);
    assert!(stderr.contains("below the least"), "{stderr}");
}

/// A processor that is said to be emulated: what is measured on it is kept, and no result, however still it holds.
const EMULATED: (&str, &str) = ("MFACTOR_EMULATED", "yes");

/// Has a record be of 1970, as on a board without a clock of its own that was not told the time yet.
fn forget_the_date(work: &Path) {
    let entries = std::fs::read_dir(work).unwrap().map(|entry| entry.unwrap().path());
    let record =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "json")).min().unwrap();
    let mut told: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    told["unix_seconds"] = 12.into();
    std::fs::write(&record, told.to_string()).unwrap();
}

#[test]
fn a_table_is_built_here_and_goes_on_after_a_cut() {
    let place = Workplace::new();
    place.write("few.toml", FEW_NETWORKS);
    let build = "table build --space few.toml --precision int8 --out tables";
    let mut cut = place.mfactor(build.split_whitespace()).envs([EMULATED]).spawn().unwrap();
    let work = place.path("tables/host.few.work");
    let records = || {
        let entries = std::fs::read_dir(&work).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "json")).count()
    };
    let begun = Instant::now();
    while records() == 0 && begun.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").arg("-INT").arg(cut.id().to_string()).status().unwrap().success());
    assert_eq!(cut.wait().unwrap().code(), Some(i32::from(exit::INTERRUPTED)));
    assert!(records() > 0 && !place.path("tables/host.few.tract.int8.toml").exists());

    let kept = records();
    let full = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""])
        .arg(tests::program("mfactor"))
        .args(build.split_whitespace())
        .envs([EMULATED])
        .current_dir(place.path("."))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(i32::from(exit::MISSING)), "{stderr}");
    assert!(stderr.contains("error: cannot write") && stderr.contains("host.few.work"), "{stderr}");
    assert_eq!(records(), kept, "{stderr}");
    forget_the_date(&work);

    let again = place.mfactor(build.split_whitespace()).envs([EMULATED]).output().unwrap();
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert!(stderr.contains("of a build that was cut are kept"), "{stderr}");
    assert_eq!(again.status.code(), Some(i32::from(exit::INVALID)), "{stderr}");
    // On a machine that does other work, too, there may be no table: then that is said.
    if stderr.contains("did not hold still") {
        assert!(records() > 0);
        return;
    }
    assert!(stderr.contains("its processor is emulated, so that times mean nothing"), "{stderr}");
    assert!(!work.exists());
    let space = SearchSpace::load(&place.path("few.toml")).unwrap();
    let shown = place.json("table show tables/host.few.tract.int8.toml");
    assert_eq!(shown["precision"], "int8");
    assert_eq!(shown["parts"].as_object().unwrap().len(), space.parts().len());
    assert_eq!(shown["network"].as_array().unwrap().len(), 50);
    assert!(
        shown["unix_seconds"].as_u64().unwrap() > 1_000_000_000,
        "it is of when the last part was measured"
    );
    let shortcomings = shown["shortcomings"]["latency_p50"].to_string();
    assert!(shortcomings.contains("emulated"), "{shortcomings}");
    let seek = format!(
        "{SEARCH} --budget latency_p50=100ms --cost-table tables/host.few.tract.int8.toml --force-cost-table"
    );
    place.run(&format!("{seek} --out study"), exit::DONE);
}

#[test]
fn a_space_without_enough_networks_has_no_table() {
    let place = Workplace::new();
    place.write("few.toml", FEW_NETWORKS.replace("[3, 5]", "3").replace("[8, 12]", "8"));
    let (_, stderr) = place.run("table build --space few.toml", exit::INPUT);
    assert!(stderr.contains("too few networks"), "{stderr}");
    assert!(!place.path("tables").exists());
}
