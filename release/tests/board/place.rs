//! A board in a temporary folder, a key, and releases whose runner is a few lines of shell: the road of a flash without
//! ssh and without engines.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use mfactor::files::sha256;
use mfactor::metadata::{self, ModelMetadata};
use mfactor::{Recipe, Result, SearchSpace, golden};
use release::board::agent::serve;
use release::board::{Measurer, Measuring};
use release::manifest::{golden_inputs, id};
use release::{
    BoardStatus, Collected, Manifest, RUNNER, RecordsFile, ReleaseFile, ReleaseModel, Reply, Request,
};
use tempfile::TempDir;

/// Answers `check --json` on models that it was given, by descriptor: one that holds the word `ill` is not healthy.
const SCRIPT: &str = r#"#!/bin/sh
[ "$1 $2" = "check --json" ] || exit 9
shift 2
printf '['
for model; do
    if grep -q ill "$model"; then healthy=false; else healthy=true; fi
    printf '%s{"model":"x","golden_difference":0.0,"tolerance":0.001,"is_healthy":%s}' "$comma" "$healthy"
    comma=,
done
printf ']\n'
"#;
pub const MODEL: &str = "models/3.onnx";
pub const RECORDS: &[u8] = b"labelled records";

/// Reads what is to be measured, and remembers it.
#[derive(Default)]
pub struct Reader(pub std::cell::RefCell<Vec<String>>);

impl Measurer for Reader {
    fn measure(&self, work: &Measuring, _: &mut dyn FnMut(&Reply) -> Result<()>) -> Result<()> {
        for file in work.models.iter().chain(&work.data) {
            // Its name leads elsewhere by now.
            fs::remove_file(&file.path).unwrap();
            fs::write(&file.path, "another").unwrap();
            self.0.borrow_mut().push(fs::read_to_string(&file.contents).unwrap());
        }
        Ok(())
    }
}

/// A release as the host offers it.
#[derive(Clone)]
pub struct Made {
    pub id: String,
    pub manifest: String,
    pub signature: String,
    pub files: BTreeMap<String, Vec<u8>>,
    pub records: BTreeMap<String, Vec<u8>>,
}

pub struct Place {
    folder: TempDir,
    pair: minisign::KeyPair,
}

impl Place {
    pub fn new() -> Self {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), pair }
    }

    /// Another key from now on.
    pub fn change_key(&mut self) {
        self.pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    }

    pub fn key(&self) -> String {
        self.pair.pk.to_base64()
    }

    /// A path in the folder on the board.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("mfactor").join(name)
    }

    /// A path beside it.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A release of one model, for the target `host`.
    pub fn make(&self, study: &str, sequence: u64) -> Made {
        self.make_with(study, sequence, |_| {})
    }

    pub fn make_with(&self, study: &str, sequence: u64, change: impl FnOnce(&mut Manifest)) -> Made {
        let metadata = metadata(study);
        let model = format!("model of {study}").into_bytes();
        let runner = format!("{SCRIPT}# {study}\n").into_bytes();
        let file = |name: &str, bytes: &[u8], mode| ReleaseFile {
            name: name.to_owned(),
            sha256: sha256(bytes),
            bytes: bytes.len() as u64,
            mode,
        };
        let records =
            RecordsFile { name: "test.bin".to_owned(), sha256: sha256(RECORDS), bytes: RECORDS.len() as u64 };
        let mut manifest = Manifest {
            schema: release::manifest::SCHEMA,
            tool_version: "0.1.0".to_owned(),
            study: study.to_owned(),
            target: "host".to_owned(),
            sequence,
            architecture: std::env::consts::ARCH.to_owned(),
            glibc: None,
            files: vec![file(RUNNER, &runner, 0o755), file(MODEL, &model, 0o644)],
            models: vec![ReleaseModel {
                file: MODEL.to_owned(),
                golden_inputs: golden_inputs(&metadata).unwrap(),
                metadata,
            }],
            records: vec![records],
        };
        change(&mut manifest);
        let text = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
        let signature =
            minisign::sign(Some(&self.pair.pk), &self.pair.sk, text.as_bytes(), None, None).unwrap();
        Made {
            id: id(text.as_bytes()),
            signature: signature.into_string(),
            manifest: text,
            files: [(RUNNER.to_owned(), runner), (MODEL.to_owned(), model)].into(),
            records: [(sha256(RECORDS), RECORDS.to_vec())].into(),
        }
    }

    pub fn stage(&self, made: &Made) -> Request {
        Request::Stage {
            manifest: made.manifest.clone(),
            signature: made.signature.clone(),
            public_key: self.key(),
            allow_downgrade: false,
            repin: false,
        }
    }

    /// Says all this to an agent; its answers after the greeting.
    pub fn say(&self, said: &[u8]) -> Vec<Reply> {
        self.say_to(&Reader::default(), said)
    }

    pub fn say_to(&self, measurer: &dyn Measurer, said: &[u8]) -> Vec<Reply> {
        loop {
            let mut answers = vec![];
            serve(&self.path(""), "ada@desk", measurer, said, &mut answers).unwrap();
            let lines = answers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let mut replies: Vec<Reply> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
            match replies.remove(0) {
                Reply::Ready { .. } => return replies,
                // Where tests are threads of one process, a program that another one is starting holds this lock for a moment, too.
                Reply::Busy(owner) if owner.process == std::process::id() => std::thread::yield_now(),
                greeting => panic!("{greeting:?}"),
            }
        }
    }

    pub fn ask(&self, request: &Request) -> Reply {
        self.say(&line(request)).pop().unwrap()
    }

    /// What is refused, as a sentence.
    pub fn refusal(&self, request: &Request) -> String {
        match self.ask(request) {
            Reply::Failed { failure } => mfactor::Error::from(failure).to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// Flashes a release; the answer to its activation.
    pub fn flash(&self, made: &Made) -> Reply {
        self.flash_with(made, self.stage(made))
    }

    pub fn flash_with(&self, made: &Made, stage: Request) -> Reply {
        let wanted = self.ask(&stage);
        let Reply::Wanted { files, records, .. } = wanted else { panic!("{wanted:?}") };
        let mut said = line(&stage);
        for wanted in files {
            let request = Request::File { name: wanted.name.clone(), offset: wanted.offset };
            said.extend(line(&request));
            said.extend(&made.files[&wanted.name][wanted.offset as usize..]);
        }
        for wanted in records {
            let request = Request::Records { sha256: wanted.name.clone(), offset: wanted.offset };
            said.extend(line(&request));
            said.extend(&made.records[&wanted.name][wanted.offset as usize..]);
        }
        said.extend(line(&Request::Seal));
        said.extend(line(&Request::Check { id: made.id.clone() }));
        said.extend(line(&Request::Activate { id: made.id.clone() }));
        self.say(&said).pop().unwrap()
    }

    pub fn status(&self) -> BoardStatus {
        match self.ask(&Request::Status) {
            Reply::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    pub fn collect(&self, keep: usize) -> Collected {
        match self.ask(&Request::Collect { keep }) {
            Reply::Collected(collected) => collected,
            other => panic!("{other:?}"),
        }
    }

    /// The board holds `old` as its previous and `new` as its current release.
    pub fn with_two() -> (Self, Made, Made) {
        let place = Self::new();
        let (old, new) = (place.make("old", 1), place.make("new", 2));
        for made in [&old, &new] {
            assert!(matches!(place.flash(made), Reply::Activated { .. }));
        }
        (place, old, new)
    }
}

pub fn line(request: &Request) -> Vec<u8> {
    mfactor::lines::json(request).unwrap()
}

fn metadata(study: &str) -> ModelMetadata {
    let space = SearchSpace::paper();
    let architecture = "333-333-333".parse().unwrap();
    ModelMetadata {
        schema: metadata::SCHEMA,
        tool_version: "0.1.0".to_owned(),
        parameters: 1,
        macs: 1,
        minimum_parameters: 1,
        architecture,
        space,
        alpha: 1.0,
        m_factor: 0.5,
        validation_accuracy: 0.5,
        accuracy: mfactor::AccuracyKind::Plain,
        test_accuracy: 0.5,
        data: "tiny".to_owned(),
        classes: vec!["class".to_owned(); 10],
        recipe: Recipe::default(),
        seed: 0,
        study: study.to_owned(),
        trial: 0,
        strategy: "random".to_owned(),
        precision: "f32".to_owned(),
        golden_logits: vec![vec![0.0; 10]; golden::INPUTS],
    }
}
