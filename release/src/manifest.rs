//! The manifest: every file of a release with hash, size and mode, and what its models answer.
//!
//! A board never trusts a name or a size in it before [`Manifest::parse`] has passed: names cannot leave the
//! folder of the release.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{LIBRARIES, MANIFEST, RUNNER, SIGNATURE};
use mfactor::error::{Error, Result};
use mfactor::metadata::ModelMetadata;
use mfactor::{files, golden, text};

/// Version of the form that is written: since 2 a manifest has a sequence number.
pub const SCHEMA: u32 = 2;
/// The oldest version that is still read: boards hold such releases, and can go back to them.
pub const OLDEST_SCHEMA: u32 = 1;
/// Largest manifest that is read, in bytes.
pub const LARGEST_MANIFEST: usize = 8 << 20;
/// Largest file of a release, in bytes.
pub const LARGEST_FILE: u64 = 1 << 30;
/// Most files of a release: a board that checks one holds its runner and its models open.
pub const MOST_FILES: usize = 512;
/// Most files of test records.
pub const MOST_RECORDS: usize = 64;
const LONGEST_NAME: usize = 128;
/// Most folders in a name.
const DEEPEST_NAME: usize = 8;
const LONGEST_TEXT: usize = 1024;
const LONGEST_TARGET: usize = 64;

/// A release, listed. What a host signs twice has the same manifest both times: no times are in it, and its sequence
/// number stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the form.
    pub schema: u32,
    /// Version of the tool that made it.
    pub tool_version: String,
    /// The study that the models come from.
    pub study: String,
    /// Name of the target it was made for: a board takes releases for one target only.
    pub target: String,
    /// Rises with every release that a key signs: a board that took one takes none with a lower number. 0 in a
    /// manifest of schema 1, which has none.
    #[serde(default, skip_serializing_if = "is_unnumbered")]
    pub sequence: u64,
    /// Processor architecture of the runner, as Rust names it.
    pub architecture: String,
    /// Newest C library that the runner asks for: `2.28`.
    pub glibc: Option<String>,
    /// The files, the runner among them.
    pub files: Vec<ReleaseFile>,
    /// The models among the files.
    pub models: Vec<ReleaseModel>,
    /// Test records that a measurement takes; they lie outside the release.
    pub records: Vec<RecordsFile>,
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseFile {
    /// Path in the release's folder: plain names, separated by `/`.
    pub name: String,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
    /// Permissions: 0o755 for the runner, 0o644 for all else.
    pub mode: u32,
}

/// What is known of one model of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseModel {
    /// Its file.
    pub file: String,
    /// SHA-256 of each golden input, in order: the board makes the inputs for itself.
    pub golden_inputs: Vec<String>,
    /// What the file says about itself, the golden logits included.
    pub metadata: ModelMetadata,
}

/// A file of labelled test records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsFile {
    /// Name for people: `test_batch.bin`.
    pub name: String,
    /// Its SHA-256, which is its name on the board.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// The id of a release: the SHA-256 of its manifest.
pub fn id(manifest: &[u8]) -> String {
    files::sha256(manifest)
}

/// Whether a text has the form of an id, or of any SHA-256.
pub fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// SHA-256 of each golden input of a model.
///
/// # Errors
/// If the metadata's architecture is none of its space.
pub fn golden_inputs(metadata: &ModelMetadata) -> Result<Vec<String>> {
    let image = metadata.image()?;
    Ok((0..golden::INPUTS).map(|number| files::sha256(&golden::input(image, number))).collect())
}

impl Manifest {
    /// Parses and checks a manifest; `subject` names it in errors.
    ///
    /// # Errors
    /// [`Error::Input`] for another version, an unknown key, a missing sequence number, a name that could leave the
    /// folder or stands twice, and a model or runner that is no file of the release.
    pub fn parse(bytes: &[u8], subject: impl ToString) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let subject = subject.to_string();
        let refuse = |problem: String| Error::input(&subject, problem);
        if bytes.len() > LARGEST_MANIFEST {
            return Err(refuse(format!("has {} bytes; at most {LARGEST_MANIFEST} are read", bytes.len())));
        }
        let malformed = |error: serde_json::Error| refuse(format!("not a manifest: {error}"));
        let Version { schema } = serde_json::from_slice(bytes).map_err(malformed)?;
        if !(OLDEST_SCHEMA..=SCHEMA).contains(&schema) {
            let problem = format!("schema is {schema}; this version reads {OLDEST_SCHEMA} to {SCHEMA}");
            return Err(refuse(problem));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        manifest.check().map_err(refuse)?;
        Ok(manifest)
    }

    /// The manifest as it is hashed, signed and stored.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Defect(format!("a manifest has no JSON form: {error}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The runner; every checked manifest has one.
    pub fn runner(&self) -> Option<&ReleaseFile> {
        self.files.iter().find(|file| file.name == RUNNER)
    }

    /// The library that an engine of the runner loads, where there is one.
    pub fn library(&self) -> Option<&ReleaseFile> {
        self.files.iter().find(|file| file.name.starts_with(LIBRARIES))
    }

    /// Sum of the sizes of all files and records.
    pub fn bytes(&self) -> u64 {
        let files = self.files.iter().map(|file| file.bytes);
        files.chain(self.records.iter().map(|records| records.bytes)).sum()
    }

    /// What makes it unfit, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        if (self.sequence == 0) != (self.schema == OLDEST_SCHEMA) {
            return Err(format!("sequence is {}; from schema 2 on it is above 0", self.sequence));
        }
        check_target(&self.target).map_err(|problem| format!("target {:?} {problem}", self.target))?;
        self.check_sizes()?;
        check_names(self.files.iter().map(|file| file.name.as_str()))?;
        for file in &self.files {
            check_file(&file.name, &file.sha256, file.bytes)?;
            let expected = if file.name == RUNNER { 0o755 } else { 0o644 };
            if file.mode != expected {
                return Err(format!("{}: mode {:o}; it must be {expected:o}", file.name, file.mode));
            }
        }
        if self.runner().is_none() {
            return Err(format!("has no {RUNNER}"));
        }
        if self.files.iter().filter(|file| file.name.starts_with(LIBRARIES)).count() > 1 {
            return Err(format!("has more than one file in {LIBRARIES}"));
        }
        let mut seen = BTreeSet::new();
        for model in &self.models {
            if !seen.insert(&model.file) {
                return Err(format!("model {} stands twice", model.file));
            }
            if !self.files.iter().any(|file| file.name == model.file) {
                return Err(format!("model {} is no file of the release", model.file));
            }
        }
        self.records.iter().try_for_each(|records| check_file(&records.name, &records.sha256, records.bytes))
    }

    /// What a board would hold open, and remember, has a limit.
    fn check_sizes(&self) -> Result<(), String> {
        let counts = [
            ("files", self.files.len(), MOST_FILES),
            ("records", self.records.len(), MOST_RECORDS),
            ("characters of the study's name", self.study.len(), LONGEST_TEXT),
            ("characters of the version", self.tool_version.len(), LONGEST_TEXT),
        ];
        match counts.into_iter().find(|(_, count, most)| count > most) {
            Some((what, count, most)) => Err(format!("has {count} {what}; at most {most} are taken")),
            None => Ok(()),
        }
    }
}

fn is_unnumbered(sequence: &u64) -> bool {
    *sequence == 0
}

/// The one rule for names of targets, boards and inventories: such a name becomes part of paths and command lines.
///
/// # Errors
/// What it must be, to follow the name.
pub fn check_target(name: &str) -> Result<(), &'static str> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_short = name.len() <= LONGEST_TARGET;
    if is_short && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_plain) {
        return Ok(());
    }
    Err("must begin with a small letter and hold only small letters, digits and hyphens, at most 64 of them")
}

fn check_file(name: &str, sha256: &str, bytes: u64) -> Result<(), String> {
    if !is_id(sha256) {
        let (name, sha256) = (text::quoted(name, LONGEST_NAME), text::quoted(sha256, LONGEST_NAME));
        return Err(format!("{name}: `{sha256}` is no SHA-256"));
    }
    if bytes > LARGEST_FILE {
        return Err(format!("{name}: {bytes} bytes; at most {LARGEST_FILE} are taken"));
    }
    Ok(())
}

/// Names are plain, unique, not ours, and none is a folder of another.
fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        check_name(name)?;
        if name == MANIFEST || name == SIGNATURE {
            return Err(format!("`{name}` is the manifest's own name"));
        }
        if !seen.insert(name) {
            return Err(format!("`{name}` stands twice"));
        }
    }
    let is_folder = |name: &&&str| seen.iter().any(|other| other.starts_with(&format!("{name}/")));
    match seen.iter().find(is_folder) {
        Some(name) => Err(format!("`{name}` is a file and a folder")),
        None => Ok(()),
    }
}

/// A relative path of plain names: letters, digits, `.`, `_`, `-`, none beginning with a dot.
fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && part.chars().all(is_plain)
    };
    let depth = name.split('/').count();
    if name.len() <= LONGEST_NAME && depth <= DEEPEST_NAME && name.split('/').all(is_part) {
        return Ok(());
    }
    let name = text::quoted(name, LONGEST_NAME);
    Err(format!(
        "`{name}` is no plain relative path of at most {LONGEST_NAME} characters and {DEEPEST_NAME} names"
    ))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
