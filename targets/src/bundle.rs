//! A release as the host makes it: the runner, the models of a study, test records, the manifest of them all, and
//! its signature.

use std::path::{Path, PathBuf};

use mfactor::measurement::Preset;
use mfactor::metadata::ModelMetadata;
use mfactor::onnx::Model;
use mfactor::{Error, Result, files};
use release::manifest::{SCHEMA, golden_inputs};
use release::{LIBRARIES, Manifest, RUNNER, RecordsFile, ReleaseFile, ReleaseModel, SensorChoice, id};

use crate::elf;
use crate::keys::Signer;
use crate::target::Target;

/// What goes into a release.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Name of the study.
    pub study: String,
    /// The runner, built for the target.
    pub runner: PathBuf,
    /// The models.
    pub models: Vec<PathBuf>,
    /// Files of labelled test records, by which the board measures accuracy.
    pub records: Vec<PathBuf>,
    /// The library of an engine that is none of the runner's own, built for the target.
    pub library: Option<PathBuf>,
}

/// A release with all its bytes, ready to be sent to any number of boards. The bytes are kept, so that what is sent
/// is what was hashed and signed.
#[derive(Debug)]
pub struct Bundle {
    /// The manifest.
    pub manifest: Manifest,
    /// The manifest's text.
    pub text: String,
    /// Id of the release.
    pub id: String,
    /// The manifest's signature.
    pub signature: String,
    /// The signer's public key.
    pub public_key: String,
    /// The sensors that the target's description names.
    pub(crate) sensors: SensorChoice,
    contents: Vec<(String, Vec<u8>)>,
}

impl Bundle {
    /// Reads, hashes and signs.
    ///
    /// # Errors
    /// [`Error::Input`] for a runner or a library that does not fit the target, and for a file that is no model of ours or breaks
    /// the target's limit on model files.
    pub fn make(target: &Target, contents: &Contents, signer: &Signer) -> Result<Self> {
        let facts = elf::read(&contents.runner)?;
        elf::check(&facts, &contents.runner, target)?;
        let mut files = vec![file(RUNNER.to_owned(), &contents.runner, 0o755)?];
        if let Some(path) = &contents.library {
            elf::check(&elf::read(path)?, path, target)?;
            let name = format!("{LIBRARIES}{}", path.file_name().unwrap_or_default().to_string_lossy());
            files.push(file(name, path, 0o644)?);
        }
        let mut models = vec![];
        for path in &contents.models {
            let name = format!("models/{}", path.file_name().unwrap_or_default().to_string_lossy());
            let (entry, bytes) = file(name, path, 0o644)?;
            check_limit(target, path, entry.bytes)?;
            let metadata = metadata(path, &bytes)?;
            let golden_inputs = golden_inputs(&metadata)?;
            models.push(ReleaseModel { file: entry.name.clone(), golden_inputs, metadata });
            files.push((entry, bytes));
        }
        let (mut records, mut sent) = (vec![], vec![]);
        for path in &contents.records {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (entry, bytes) = file(name, path, 0o644)?;
            sent.push((entry.sha256.clone(), bytes));
            records.push(RecordsFile { name: entry.name, sha256: entry.sha256, bytes: entry.bytes });
        }
        let (files, bytes): (Vec<_>, Vec<_>) =
            files.into_iter().map(|(entry, bytes)| (entry.clone(), (entry.name, bytes))).unzip();
        let mut manifest = Manifest {
            schema: SCHEMA,
            tool_version: mfactor::version(),
            study: contents.study.clone(),
            target: target.name.clone(),
            sequence: 0,
            architecture: facts.architecture,
            glibc: facts.glibc.map(|glibc| glibc.to_string()),
            files,
            models,
            records,
        };
        manifest.sequence = signer.sequence(&manifest)?;
        manifest.check().map_err(|problem| Error::input("the release", problem))?;
        let text = manifest.to_bytes()?;
        let (signature, public_key) = (signer.sign(&text)?, signer.public_key());
        let (id, contents) = (id(&text), bytes.into_iter().chain(sent).collect());
        let text = String::from_utf8(text)
            .map_err(|_| Error::Defect("a manifest in JSON is not UTF-8".to_owned()))?;
        let sensors = SensorChoice {
            temperature: target.sensors.temperature.clone(),
            throttle: target.sensors.throttle.clone(),
            power: target.sensors.power.clone(),
        };
        Ok(Self { manifest, text, id, signature, public_key, sensors, contents })
    }

    /// A release of these bytes, unsigned, for tests.
    #[cfg(test)]
    pub(crate) fn of(manifest: Manifest, contents: Vec<(String, Vec<u8>)>) -> Self {
        let text = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
        let (signature, public_key) = (String::new(), String::new());
        let (id, sensors) = (id(text.as_bytes()), SensorChoice::default());
        Self { id, manifest, text, signature, public_key, sensors, contents }
    }

    /// The bytes of a file by its name, or of records by their SHA-256.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.contents.iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes.as_slice())
    }

    /// The runner's entry in the manifest.
    pub(crate) fn runner(&self) -> Result<&ReleaseFile> {
        self.manifest.runner().ok_or_else(|| Error::Defect("a checked manifest has no runner".to_owned()))
    }
}

/// How a board is to measure after a flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasureOptions {
    /// How thorough.
    pub preset: Preset,
    /// Threads of one inference.
    pub threads: usize,
    /// Names of the engines.
    pub engines: Vec<String>,
}

fn file(name: String, path: &Path, mode: u32) -> Result<(ReleaseFile, Vec<u8>)> {
    let bytes = files::read(path)?;
    let entry = ReleaseFile { name, sha256: files::sha256(&bytes), bytes: bytes.len() as u64, mode };
    Ok((entry, bytes))
}

fn metadata(path: &Path, bytes: &[u8]) -> Result<ModelMetadata> {
    let model = Model::parse(bytes, path.display())?;
    ModelMetadata::from_properties(model.properties(), path.display())
}

/// The one limit that is known before anything is measured.
fn check_limit(target: &Target, path: &Path, bytes: u64) -> Result<()> {
    match target.limits.model_bytes {
        Some(limit) if bytes > limit => {
            let problem = format!("has {bytes} bytes; {} takes models of at most {limit}", target.name);
            Err(Error::file(path, problem))
        }
        _ => Ok(()),
    }
}
