//! Files by the SHA-256 of their contents, in a folder that machines share or in a bucket: written once and never changed, and
//! checked when they are read.

#[cfg(feature = "s3")]
mod bucket;
mod folder;
#[cfg(feature = "s3")]
mod http;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mfactor::{Error, Result, files};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use self::folder::Folder;
use crate::link::Patience;

/// How the names begin of the empty files that say which databases name files of a store.
const MARK: &str = "database-";
/// How the names begin of files that are being written.
const DRAFT: &str = ".put-";
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;
/// How the keys of Optuna's attributes for files begin.
pub(crate) const ARTIFACTS: &str = "artifacts:";

/// Files named by their contents, flat, as Optuna's `FileSystemArtifactStore` and `Boto3ArtifactStore` have them.
#[derive(Debug, Clone)]
pub struct Store {
    place: Arc<dyn Place>,
}

/// Where files are kept by name. A file appears whole or not at all.
trait Place: fmt::Debug + fmt::Display + Send + Sync {
    fn read(&self, name: &str) -> Result<Vec<u8>>;

    fn has(&self, name: &str) -> Result<bool>;

    /// Whether it was written: one that is there already stays as it is.
    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool>;

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()>;

    fn names(&self) -> Result<Vec<Kept>>;

    fn remove(&self, name: &str) -> Result<()>;
}

/// What an environment says: the value of a variable that is set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A file of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its SHA-256, or the name of a draft.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// How long ago it was written, by the clock of whoever has the folder.
    pub age: Duration,
}

/// What Optuna keeps of a file: its id, which is its SHA-256 here, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub sha256: String,
    pub name: String,
}

/// The form in which Optuna has it.
#[derive(Serialize, Deserialize)]
struct Meta {
    artifact_id: String,
    filename: String,
    mimetype: String,
    encoding: Option<String>,
}

impl Artifact {
    /// The system attribute, whose value is JSON within JSON.
    pub fn attribute(self) -> (String, Value) {
        let Self { sha256, name } = self;
        let key = format!("{ARTIFACTS}{sha256}");
        let mimetype = "application/octet-stream".to_owned();
        let meta = Meta { artifact_id: sha256, filename: name, mimetype, encoding: None };
        let text = serde_json::to_string(&meta).unwrap_or_default();
        (key, Value::String(text))
    }

    /// Reads the attribute; `None` for what somebody else put there.
    pub fn parse(value_json: &str) -> Option<Self> {
        let text: String = serde_json::from_str(value_json).ok()?;
        let meta: Meta = serde_json::from_str(&text).ok()?;
        is_sha256(&meta.artifact_id).then_some(Self { sha256: meta.artifact_id, name: meta.filename })
    }
}

fn is_sha256(name: &str) -> bool {
    name.len() == DIGITS && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Store {
    /// Opens the store at `file:///FOLDER`, which must be there, or `s3://BUCKET/PREFIX`, whose credentials and server are
    /// those of the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL` and so on).
    ///
    /// # Errors
    /// [`Error::Input`] for another kind of URL, a folder that is not there, or an environment without credentials.
    pub fn open(url: &str) -> Result<Self> {
        Self::open_in(url, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The same in an environment that says nothing else than `environment`: values by the names of variables.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_in(url: &str, environment: Environment) -> Result<Self> {
        let place: Arc<dyn Place> = match url.split_once("://") {
            Some(("file", path)) => Arc::new(Folder::open(url, path)?),
            Some(("s3", place)) => bucket(url, place, environment)?,
            _ => {
                let problem =
                    "is none that this version knows; there are file:///FOLDER and s3://BUCKET/PREFIX";
                return Err(Error::input("the store's URL", problem));
            }
        };
        Ok(Self { place })
    }

    /// Keeps a file; its SHA-256. One that is there already is not written again, unless it is damaged.
    pub fn put(&self, bytes: &[u8]) -> Result<String> {
        let sha256 = files::sha256(bytes);
        if !self.place.create(&sha256, bytes)? && self.place.read(&sha256)? != bytes {
            self.place.replace(&sha256, bytes)?;
        }
        Ok(sha256)
    }

    /// The same, waiting for a store that is not to be written to.
    pub(crate) fn put_patiently(&self, bytes: &[u8], patience: &Patience) -> Result<String> {
        self.patiently(patience, |store| store.put(bytes))
    }

    /// A file by its SHA-256, waiting for a store that is not to be read from; what is damaged or gone is not waited for.
    pub(crate) fn get_patiently(&self, sha256: &str, patience: &Patience) -> Result<Vec<u8>> {
        let is_passing = |error: &Error| matches!(error, Error::Board { .. });
        patience.until(|_| self.get(sha256).map_err(|error| (is_passing(&error), error)))
    }

    fn patiently<T>(&self, patience: &Patience, work: impl Fn(&Self) -> Result<T>) -> Result<T> {
        let unreachable = |error: Error| match error {
            error @ Error::Board { .. } => error,
            error => Error::Board { subject: self.to_string(), problem: error.to_string() },
        };
        patience.until(|_| work(self).map_err(|error| (true, unreachable(error))))
    }

    /// A file by its SHA-256.
    ///
    /// # Errors
    /// [`Error::Input`] if it is not there or has other contents.
    pub fn get(&self, sha256: &str) -> Result<Vec<u8>> {
        if !is_sha256(sha256) {
            return Err(Error::input(format!("file {sha256:?} of a store"), "is no SHA-256"));
        }
        let bytes = self.place.read(sha256)?;
        if files::sha256(&bytes) == sha256 {
            return Ok(bytes);
        }
        let problem = "is damaged: its contents are not those that it is named after; restore it from a copy";
        Err(Error::input(format!("{self}, {sha256}"), problem))
    }

    /// Writes something, reads it back and removes it.
    pub fn try_out(&self) -> Result<()> {
        let bytes = Uuid::new_v4();
        let name = self.put(bytes.as_bytes())?;
        self.get(&name)?;
        self.place.remove(&name)
    }

    /// Notes that a database names files of this store; refuses a store that cannot be written to.
    pub fn mark(&self, database: Uuid) -> Result<()> {
        self.place.replace(&format!("{MARK}{database}"), b"")
    }

    /// Refuses a store that is not the one into which the files of a database go.
    pub fn check(&self, database: Uuid) -> Result<()> {
        if self.place.has(&format!("{MARK}{database}"))? {
            return Ok(());
        }
        let problem = "is not the store of this database; name the one that `mfactor search` was given";
        Err(Error::input(self, problem))
    }

    /// Databases other than this that name files here.
    pub fn strangers(&self, database: Uuid) -> Result<Vec<String>> {
        let own = database.to_string();
        let names = self.names()?.into_iter();
        let marks = names.filter_map(|kept| kept.name.strip_prefix(MARK).map(str::to_owned));
        Ok(marks.filter(|mark| *mark != own).collect())
    }

    /// Files by contents, and drafts that were left, with their age and size in bytes.
    pub fn list(&self) -> Result<Vec<Kept>> {
        let is_file = |kept: &Kept| is_sha256(&kept.name) || kept.name.starts_with(DRAFT);
        Ok(self.names()?.into_iter().filter(is_file).collect())
    }

    fn names(&self) -> Result<Vec<Kept>> {
        let mut names = self.place.names()?;
        names.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(names)
    }

    /// Removes what [`Store::list`] gave.
    pub fn remove(&self, kept: &Kept) -> Result<()> {
        self.place.remove(&kept.name)
    }
}

#[cfg(feature = "s3")]
fn bucket(url: &str, place: &str, environment: Environment) -> Result<Arc<dyn Place>> {
    Ok(Arc::new(bucket::Bucket::open(url, place, environment)?))
}

#[cfg(not(feature = "s3"))]
fn bucket(url: &str, _: &str, _: Environment) -> Result<Arc<dyn Place>> {
    let what = format!("store {url:?} is in a bucket, and this mfactor was built without S3");
    Err(Error::missing(what, "scripts/setup s3"))
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", folder.path().display())).unwrap();
        (folder, store)
    }

    #[test]
    fn a_file_is_what_it_is_named_after_or_refused_and_is_mended_by_whoever_has_it() {
        let (folder, store) = store();
        let name = store.put(b"weights").unwrap();
        assert_eq!(name, files::sha256(b"weights"));
        assert_eq!(store.get(&name).unwrap(), b"weights");
        fs::write(folder.path().join(&name), b"weight").unwrap();
        assert!(store.get(&name).unwrap_err().to_string().contains("damaged"));
        assert_eq!(store.put(b"weights").unwrap(), name);
        assert_eq!(store.get(&name).unwrap(), b"weights");
        assert!(store.get("../secret").unwrap_err().to_string().contains("no SHA-256"));
    }

    #[test]
    fn whose_a_store_is_can_be_told() {
        let (_folder, store) = store();
        let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(store.check(own).unwrap_err().to_string().contains("is not the store"));
        store.mark(own).unwrap();
        store.mark(other).unwrap();
        store.check(own).unwrap();
        assert_eq!(store.strangers(own).unwrap(), [other.to_string()]);
        let name = store.put(b"x").unwrap();
        let kept = store.list().unwrap();
        assert_eq!((kept.len(), &kept[0].name, kept[0].bytes), (1, &name, 1));
        store.remove(&kept[0]).unwrap();
        assert!(store.list().unwrap().is_empty());
    }

    #[test]
    fn what_is_no_store_is_refused() {
        for (url, problem) in [
            ("ftp://host/x", "file:///FOLDER"),
            ("file://relative", "from the root"),
            ("file:///nowhere/at/all", "not there"),
        ] {
            assert!(Store::open(url).unwrap_err().to_string().contains(problem), "{url}");
        }
    }

    #[test]
    fn optunas_attribute_reads_back() {
        let artifact = Artifact { sha256: files::sha256(b"x"), name: "weights.safetensors".to_owned() };
        let (key, value) = artifact.clone().attribute();
        assert_eq!(key, format!("artifacts:{}", artifact.sha256));
        assert_eq!(Artifact::parse(&value.to_string()), Some(artifact));
        assert_eq!(Artifact::parse("\"{}\""), None);
    }
}
