//! The tables of faults in `docs/boards.md` name a test for each: they are all there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// All Rust sources of the project.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "shared" {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") || name.ends_with(".py") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_test_that_the_documentation_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project's folder");
    let text = fs::read_to_string(root.join("docs/boards.md")).expect("the documentation");
    let mut rows = 0;
    let mut named = BTreeSet::new();
    let mut is_of_tests = false;
    for line in text.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|')) else {
            is_of_tests = false;
            continue;
        };
        let last = row.split('|').next_back().unwrap_or_default().trim();
        is_of_tests |= last == "test";
        if is_of_tests && last != "test" && !last.starts_with("--") {
            rows += 1;
            let tests: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
            assert!(!tests.is_empty(), "no test is named: {line}");
            named.extend(tests);
        }
    }
    assert!(rows > 40, "{rows} rows");
    let texts: String =
        sources(root).iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
    let lost: Vec<&&str> = named.iter().filter(|name| !texts.contains(&format!("fn {name}("))).collect();
    assert!(lost.is_empty(), "no test has these names: {lost:?}");
}
