//! What a study reads, in the store: its data set, table and ratings, pushed once and fetched by each machine into a folder of
//! its own, where every file is held against its SHA-256. They are artifacts of the first of Optuna's studies.

use std::collections::BTreeMap;
use std::path::Path;

use mfactor::dataset::{DataSet, MANIFEST_FILE};
use mfactor::{Error, Result, files, name};
use search::StudyConfig;
use search::config::EvaluatorConfig;

use crate::link::Link;
use crate::registry::Registered;
use crate::store::{ARTIFACTS, Artifact, Store};

/// How the names of inputs begin: of the files of a data set, and of the files that a study names one by one.
const DATA: &str = "data/";
const TABLE: &str = "table";
const RATINGS: &str = "ratings";

/// What was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Files that the study reads.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// A file that a study reads: its name among the inputs, and its contents.
type Input = (String, Vec<u8>);

/// Puts what a study reads into the store. `config` is the study's with where it lies here, and has passed
/// [`StudyConfig::check_inputs`]. The database names the files once all of them are there.
///
/// # Errors
/// If a file cannot be read, or the store cannot be written.
pub fn push(link: &mut Link, study: &Registered, config: &StudyConfig, store: &Store) -> Result<Pushed> {
    let (mut pushed, mut artifacts) = (Pushed { files: 0, bytes: 0 }, vec![]);
    for name in names(config)? {
        let (name, bytes) = read(config, name)?;
        pushed = Pushed { files: pushed.files + 1, bytes: pushed.bytes + bytes.len() as u64 };
        artifacts.push(Artifact { sha256: store.put(&bytes)?, name });
    }
    let (keys, values) = attributes(artifacts);
    let id = study.ids()[0];
    link.work(|session, _| {
        session.execute(
            "INSERT INTO study_system_attributes (study_id, key, value_json)
             SELECT $1, k, v FROM unnest($2::text[], $3::text[]) AS a (k, v)
             ON CONFLICT (study_id, key) DO UPDATE SET value_json = excluded.value_json",
            &[&id, &keys, &values],
        )
    })?;
    Ok(pushed)
}

/// Keys and values of the attributes. Files may have the same contents: then a key has a number behind it.
fn attributes(artifacts: Vec<Artifact>) -> (Vec<String>, Vec<String>) {
    let mut attributes = BTreeMap::new();
    for (number, artifact) in artifacts.into_iter().enumerate() {
        let (key, value) = artifact.attribute();
        let key = if attributes.contains_key(&key) { format!("{key}.{number}") } else { key };
        attributes.insert(key, value.to_string());
    }
    attributes.into_iter().unzip()
}

/// Names of all that a study reads.
fn names(config: &StudyConfig) -> Result<Vec<String>> {
    let mut names = vec![];
    if let Some(data) = &config.data {
        let set = DataSet::open(&data.folder)?;
        let records = set.manifest().train.iter().chain(&set.manifest().test);
        names.extend(records.map(|file| format!("{DATA}{}", file.file)));
        if set.folder().join(MANIFEST_FILE).exists() {
            names.push(format!("{DATA}{MANIFEST_FILE}"));
        }
    }
    if let EvaluatorConfig::Table { .. } = config.evaluator {
        names.push(TABLE.to_owned());
    }
    if config.naswot.is_some() {
        names.push(RATINGS.to_owned());
    }
    Ok(names)
}

fn read(config: &StudyConfig, name: String) -> Result<Input> {
    let path = match (name.strip_prefix(DATA), &config.data, &config.evaluator, &config.naswot) {
        (Some(file), Some(data), ..) => DataSet::open(&data.folder)?.folder().join(file),
        (None, _, EvaluatorConfig::Table { file, .. }, _) if name == TABLE => file.clone(),
        (None, _, _, Some(ratings)) if name == RATINGS => ratings.file.clone(),
        _ => return Err(Error::Defect(format!("{name:?} is no input of the study"))),
    };
    Ok((name, files::read(&path)?))
}

/// What was pushed of a study.
#[derive(Debug, Clone, Default)]
pub struct Inputs(Vec<Artifact>);

/// What was pushed of a study.
///
/// # Errors
/// As the database refuses.
pub fn find(link: &mut Link, study: &Registered) -> Result<Inputs> {
    let id = study.ids()[0];
    let rows = link.work(|session, _| {
        session.rows(
            "SELECT value_json FROM study_system_attributes WHERE study_id = $1 AND starts_with(key, $2) ORDER BY key",
            &[&id, &ARTIFACTS],
        )
    })?;
    Ok(Inputs(rows.iter().filter_map(|row| Artifact::parse(row.get::<_, Option<&str>>(0)?)).collect()))
}

impl Inputs {
    /// Brings the data set into `folder`; whether one was pushed. Files that are there and whole are not fetched again.
    ///
    /// # Errors
    /// If the store has not what it should, or the folder cannot be written.
    pub fn fetch_data(&self, store: &Store, folder: &Path) -> Result<bool> {
        let of_data = |artifact: &&Artifact| artifact.name.starts_with(DATA);
        for artifact in self.0.iter().filter(of_data) {
            let file = &artifact.name[DATA.len()..];
            // A database is not trusted with paths.
            if !name::is_name(file) {
                return Err(Error::input(format!("file {file:?} of the study's data set"), name::RULE));
            }
            bring(store, artifact, &folder.join(file))?;
        }
        Ok(self.0.iter().any(|artifact| artifact.name.starts_with(DATA)))
    }

    /// Brings the table of accuracies to `path`; whether one was pushed.
    ///
    /// # Errors
    /// As [`Inputs::fetch_data`].
    pub fn fetch_table(&self, store: &Store, path: &Path) -> Result<bool> {
        self.fetch_file(TABLE, store, path)
    }

    /// Brings the ratings of untrained networks to `path`; whether they were pushed.
    ///
    /// # Errors
    /// As [`Inputs::fetch_data`].
    pub fn fetch_ratings(&self, store: &Store, path: &Path) -> Result<bool> {
        self.fetch_file(RATINGS, store, path)
    }

    fn fetch_file(&self, name: &str, store: &Store, path: &Path) -> Result<bool> {
        let Some(artifact) = self.0.iter().find(|artifact| artifact.name == name) else { return Ok(false) };
        bring(store, artifact, path).map(|()| true)
    }
}

/// Brings a file, unless it is there and whole. It appears whole, however many bring it at once.
fn bring(store: &Store, artifact: &Artifact, path: &Path) -> Result<()> {
    let is_whole = files::read(path).is_ok_and(|bytes| files::sha256(&bytes) == artifact.sha256);
    if is_whole {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    files::make_folder(folder)?;
    files::write(path, &store.get(&artifact.sha256)?)
}
