//! What README and docs/ name is there: every command and option of `mfactor`, every script, file, folder and heading. A
//! table of dependencies is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::program;

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is there")
}

/// Every document for people, by its path from the root.
fn documents() -> BTreeMap<String, String> {
    let docs = std::fs::read_dir(root().join("docs")).expect("there are docs");
    let docs = docs.map(|entry| format!("docs/{}", entry.expect("an entry").file_name().to_string_lossy()));
    let names = docs.filter(|name| name.ends_with(".md"));
    ["README.md", "CONTRIBUTING.md"]
        .map(str::to_owned)
        .into_iter()
        .chain(names)
        .map(|name| {
            let text = std::fs::read_to_string(root().join(&name)).expect("a document");
            (name, text)
        })
        .collect()
}

/// Lines of blocks that are marked as shell, without comments; a line that ends in a backslash goes on in the next.
fn shell_lines(text: &str) -> Vec<String> {
    let mut lines = vec![];
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default().replace("\\\n", " ");
        let without_comment = |line: &str| line.split(" #").next().unwrap_or_default().trim().to_owned();
        lines.extend(block.lines().map(without_comment).filter(|line| !line.is_empty()));
    }
    lines
}

/// What stands between backticks outside of blocks.
fn inline_code(text: &str) -> Vec<String> {
    let outside: String = text.split("```").step_by(2).collect();
    outside.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")).collect()
}

/// Targets of links to files of this repository, with their headings.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// The help of a command, by its words; asked once.
#[derive(Default)]
struct Helps(BTreeMap<Vec<String>, Result<String, String>>);

impl Helps {
    fn of(&mut self, name: &str, words: &[String]) -> &Result<String, String> {
        let key = [&[name.to_owned()], words].concat();
        self.0.entry(key).or_insert_with(|| {
            let output =
                Command::new(program(name)).args(words).arg("--help").output().expect("a program starts");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
        })
    }

    /// What is wrong with a command line of ours; nothing if its command and its options exist.
    fn complaint(&mut self, line: &str) -> Option<String> {
        let mut words = line.split_whitespace();
        let name = words.next().filter(|name| ["mfactor", "edge-runner"].contains(name))?;
        let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let leading = words.clone().take_while(|word| is_word(word) && !word.starts_with('-'));
        let leading: Vec<String> = leading.map(str::to_owned).collect();
        match self.of(name, &leading) {
            Err(error) => Some(error.clone()),
            Ok(help) => options(line).into_iter().find(|option| !names_option(help, option)),
        }
    }
}

/// Long options in a command line.
fn options(line: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let words = line.split_whitespace().filter(|word| word.starts_with("--"));
    words
        .map(|word| word.split(|c| !is_part(c)).next().unwrap_or_default().to_owned())
        .filter(|option| option.len() > 2)
        .collect()
}

fn names_option(help: &str, option: &str) -> bool {
    help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == option)
}

#[test]
fn every_command_and_option_that_is_named_exists() {
    let mut helps = Helps::default();
    let mut seen = 0;
    for (name, text) in documents() {
        for line in shell_lines(&text).into_iter().chain(inline_code(&text)) {
            seen += usize::from(line.starts_with("mfactor "));
            let complaint = helps.complaint(&line);
            assert_eq!(complaint, None, "{name} says: {line}");
        }
    }
    assert!(seen > 60, "{seen} commands of mfactor are named");
}

/// Whether a path is no path of this repository: names in capitals stand for others, `my_…` is the reader's own, and a
/// study has a `report/` as well.
fn stands_for_another(path: &str, first: &Path) -> bool {
    let is_capital = |part: &str| part.chars().any(char::is_uppercase) && !first.is_file();
    let is_own = |part: &str| part.starts_with("my_") || part.starts_with("my-");
    path == "report/index.html"
        || path.contains(['*', '…', '<', '$', '='])
        || path.split('/').any(|part| is_capital(part) || is_own(part))
}

#[test]
fn every_file_that_is_named_exists() {
    let root = root();
    let ours: BTreeSet<String> = std::fs::read_dir(&root)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !["target", ".venv", "runs", "data"].contains(&name.as_str()))
        .collect();
    let mut seen = 0;
    for (name, text) in documents() {
        let words = shell_lines(&text)
            .into_iter()
            .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let code =
            inline_code(&text).into_iter().filter_map(|code| code.split(' ').next().map(str::to_owned));
        for word in words.chain(code) {
            let first = word.split('/').next().unwrap_or_default();
            if ours.contains(first)
                && word.contains(['/', '.'])
                && !stands_for_another(&word, &root.join(first))
            {
                seen += 1;
                assert!(root.join(&word).exists(), "{name} names {word}, which is not there");
            }
        }
    }
    assert!(seen > 60, "{seen} files are named");
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    for (name, text) in documents() {
        for link in links(&text) {
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => root.join(&name),
                path => root.join(&name).with_file_name(path),
            };
            assert!(target.exists(), "{name} links to {link}, which is not there");
            if !heading.is_empty() {
                let target = std::fs::read_to_string(&target).expect("a document");
                let headings = target.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(headings.into_iter().any(|own| own == heading), "{name}: {link} has no such heading");
            }
        }
    }
}

/// What GitHub makes of a heading in an address.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

#[test]
fn every_dependency_has_a_line_and_every_line_a_dependency() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--no-deps"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let dependencies = packages.flat_map(|package| package["dependencies"].as_array().expect("a list"));
    let direct: BTreeSet<&str> = dependencies
        .filter(|dependency| !dependency["source"].is_null())
        .map(|dependency| dependency["name"].as_str().expect("a name"))
        .collect();
    let text = documents().remove("docs/dependencies.md").expect("a document");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed: Vec<&str> = rows.collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), direct);
    assert_eq!(listed.len(), direct.len(), "each once");
}
