//! The rooms may only import what the house allows: each room's workspace crates, and the big things
//! (libtorch, inference engines, the command-line parser) that must not leak into it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Room, workspace crates it may import, crates that must not be anywhere in its dependency tree.
const RULES: [(&str, &[&str], &[&str]); 14] = [
    // Not even mfactor: it stands below the trainer and the runner alike.
    ("kernels", &[], &["tch", "torch-sys", "tract-core", "tract-onnx", "ort", "clap", "indicatif"]),
    ("mfactor", &[], &["tch", "torch-sys", "tract-core", "ort", "clap", "indicatif"]),
    ("datasets", &["mfactor", "pictures"], &["tch", "torch-sys", "tract-core", "ort", "clap", "indicatif"]),
    ("search", &["mfactor"], &["tch", "torch-sys", "tract-core", "ort", "clap", "indicatif"]),
    ("cluster", &["mfactor", "search"], &["tch", "torch-sys", "tract-core", "ort", "clap", "indicatif"]),
    ("mfactor-trainer", &["mfactor", "kernels"], &["tract-core", "ort", "indicatif"]),
    ("engines", &["mfactor", "kernels"], &["tch", "torch-sys", "search", "indicatif"]),
    ("release", &["mfactor"], &["tch", "torch-sys", "tract-core", "ort", "clap", "indicatif"]),
    ("pictures", &["mfactor"], &["tch", "torch-sys", "tract-core", "ort", "clap", "indicatif"]),
    (
        "edge-runner",
        &["mfactor", "engines", "pictures", "release"],
        &["tch", "torch-sys", "search", "export", "indicatif"],
    ),
    ("export", &["mfactor", "engines"], &["tch", "torch-sys", "search", "indicatif"]),
    ("targets", &["mfactor", "release"], &["tch", "torch-sys", "tract-core", "ort", "clap", "indicatif"]),
    ("report", &["mfactor"], &["tch", "torch-sys", "tract-core", "ort", "clap", "indicatif"]),
    (
        "cli",
        &[
            "mfactor",
            "datasets",
            "cluster",
            "search",
            "engines",
            "edge-runner",
            "export",
            "release",
            "targets",
            "report",
        ],
        &["tch", "torch-sys"],
    ),
];

/// Normal dependencies of every package, by name.
struct Graph {
    members: BTreeSet<String>,
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version",
                "1",
                "--locked",
                "--filter-platform",
                "x86_64-unknown-linux-gnu",
            ])
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
        let names: BTreeMap<&str, &str> = array(&metadata["packages"])
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in array(&metadata["resolve"]["nodes"]) {
            // Two versions of one crate share a name; the union of what they import errs on the strict side.
            let entry = imports.entry(names[text(&node["id"])].to_owned()).or_default();
            let normal =
                |dependency: &&Value| array(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
            let dependencies = array(&node["deps"]).filter(normal);
            entry.extend(dependencies.map(|dependency| names[text(&dependency["pkg"])].to_owned()));
        }
        let members = array(&metadata["workspace_members"]).map(|id| names[text(id)].to_owned()).collect();
        Self { members, imports }
    }

    /// Everything `package` needs, directly or not.
    fn tree<'a>(&'a self, package: &'a str) -> BTreeSet<&'a str> {
        let mut tree = BTreeSet::new();
        let mut open = vec![package];
        while let Some(next) = open.pop() {
            let found = self.imports[next].iter().map(String::as_str);
            open.extend(found.filter(|import| tree.insert(*import)));
        }
        tree
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("an array").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn rooms_import_only_what_they_may() {
    let graph = Graph::read();
    for (room, allowed, forbidden) in RULES {
        let direct = graph.imports[room].intersection(&graph.members);
        let strangers: Vec<_> = direct.filter(|import| !allowed.contains(&import.as_str())).collect();
        assert!(strangers.is_empty(), "{room} must not import {strangers:?}");
        let tree = graph.tree(room);
        let leaked: Vec<_> = forbidden.iter().filter(|name| tree.contains(**name)).collect();
        assert!(leaked.is_empty(), "{leaked:?} must not be in the dependency tree of {room}");
    }
}

#[test]
fn every_room_has_a_rule() {
    let ruled: BTreeSet<String> = RULES.iter().map(|(room, ..)| (*room).to_owned()).collect();
    let rooms: BTreeSet<String> = Graph::read().members.into_iter().filter(|room| room != "tests").collect();
    assert_eq!(rooms, ruled);
}

/// What the table of docs/architecture.md says of each room: what it may import, and what must not be in its tree.
fn documented() -> BTreeMap<String, [String; 2]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md");
    let text = std::fs::read_to_string(path).expect("the map is there");
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        let [room, _, imports, never, ""] = cells[..] else { return None };
        Some((room.trim_end_matches("/`").to_owned(), [imports.to_owned(), never.to_owned()]))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn the_map_says_what_the_rules_say() {
    let documented = documented();
    for (room, allowed, forbidden) in RULES {
        let [imports, never] = &documented[room.trim_start_matches("mfactor-")];
        let named: BTreeSet<&str> = imports.split('`').skip(1).step_by(2).collect();
        // The map takes it for granted that a room imports `mfactor`, and says where one does not.
        let allowed: BTreeSet<&str> = allowed.iter().copied().filter(|name| *name != "mfactor").collect();
        assert!(
            named == allowed || imports.starts_with("nothing") || imports == "every library",
            "{room}: {imports}"
        );
        let never: BTreeSet<&str> = never.split(", ").filter(|name| *name != "everything").collect();
        let forbidden: BTreeSet<&str> = forbidden.iter().map(|name| name.trim_end_matches("-core")).collect();
        assert!(
            never.is_subset(&forbidden),
            "{room}: {never:?} must not be in its tree, and no rule forbids that"
        );
    }
}

#[test]
fn the_rules_would_notice() {
    let graph = Graph::read();
    assert!(graph.tree("mfactor-trainer").contains("torch-sys"), "the trainer links libtorch");
    assert!(graph.tree("engines").contains("tract-core"), "the engines link tract");
}

/// The modules that the first file of a library declares, but for those of its tests.
fn modules(source: &str) -> Vec<&str> {
    let before = std::iter::once("").chain(source.lines());
    let outside_tests = source.lines().zip(before).filter(|(_, before)| *before != "#[cfg(test)]");
    outside_tests
        .filter_map(|(line, _)| {
            line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';')
        })
        .collect()
}

#[test]
fn every_library_says_what_its_modules_are_for() {
    for room in Graph::read().members {
        let folder = room.strip_prefix("mfactor-").unwrap_or(&room);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder).join("src/lib.rs");
        let Ok(source) = std::fs::read_to_string(path) else { continue };
        let words: String = source.lines().filter(|line| line.starts_with("//!")).collect();
        let is_named = |name: &&str| {
            [format!("`{name}`"), format!("`{name}/`"), format!("`mod@{name}`")]
                .iter()
                .any(|form| words.contains(form))
        };
        let unnamed: Vec<&str> = modules(&source).into_iter().filter(|name| !is_named(name)).collect();
        assert!(unnamed.is_empty(), "{folder}/src/lib.rs does not say what {unnamed:?} are for");
    }
}
