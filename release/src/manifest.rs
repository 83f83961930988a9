//! The manifest: every file of a release with hash, size and mode, and what its models answer.
//!
//! A board never trusts a name or a size in it before [`Manifest::parse`] has passed: names cannot leave the
//! folder of the release.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{MANIFEST, RUNNER, SIGNATURE};
use mfactor::error::{Error, Result};
use mfactor::metadata::ModelMetadata;
use mfactor::{files, golden};

/// Version of the form.
pub const SCHEMA: u32 = 1;
/// Largest manifest that is read, in bytes.
pub const LARGEST_MANIFEST: usize = 16 << 20;
/// Largest file of a release, in bytes.
pub const LARGEST_FILE: u64 = 1 << 30;
const LONGEST_NAME: usize = 128;

/// A release, listed. Two releases of the same content have the same manifest: no times are in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the form.
    pub schema: u32,
    /// Version of the tool that made it.
    pub tool_version: String,
    /// The study that the models come from.
    pub study: String,
    /// Name of the target it was made for.
    pub target: String,
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
pub fn golden_inputs(metadata: &ModelMetadata) -> Vec<String> {
    let image = metadata.space.image();
    (0..golden::INPUTS).map(|number| files::sha256(&golden::input(image, number))).collect()
}

impl Manifest {
    /// Parses and checks a manifest; `subject` names it in errors.
    ///
    /// # Errors
    /// [`Error::Input`] for another version, an unknown key, a name that could leave the folder or stands
    /// twice, and a model or runner that is no file of the release.
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
        if schema != SCHEMA {
            return Err(refuse(format!("schema is {schema}; this version reads {SCHEMA}")));
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

    /// Sum of the sizes of all files and records.
    pub fn bytes(&self) -> u64 {
        let files = self.files.iter().map(|file| file.bytes);
        files.chain(self.records.iter().map(|records| records.bytes)).sum()
    }

    /// What makes it unfit, as a sentence.
    pub fn check(&self) -> Result<(), String> {
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
        for model in &self.models {
            if !self.files.iter().any(|file| file.name == model.file) {
                return Err(format!("model {} is no file of the release", model.file));
            }
        }
        self.records.iter().try_for_each(|records| check_file(&records.name, &records.sha256, records.bytes))
    }
}

fn check_file(name: &str, sha256: &str, bytes: u64) -> Result<(), String> {
    if !is_id(sha256) {
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
    if name.len() <= LONGEST_NAME && name.split('/').all(is_part) {
        return Ok(());
    }
    Err(format!("{name:?} is no plain relative path of at most {LONGEST_NAME} characters"))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
