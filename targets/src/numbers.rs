//! Sequence numbers of releases: what a key signed, in a file beside it.
//!
//! A number is never below the time of day in seconds, so that two machines that share a key, or one that lost this
//! file, still go up. What was signed before keeps its number, so that flashing it anew is the same release.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mfactor::{Error, Result, files};
use release::Manifest;
use serde::{Deserialize, Serialize};

const SCHEMA: u32 = 1;

/// The file's form.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    schema: u32,
    /// SHA-256 of an unnumbered manifest, and the number that it got.
    releases: BTreeMap<String, u64>,
}

/// Where the numbers of a key's releases are kept.
fn path(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".releases.json");
    PathBuf::from(name)
}

/// The sequence number for `manifest`, whose own is not looked at, under the key at `key`: that which it had, or a new
/// one above all others. Where the key's folder cannot be written the time alone counts.
///
/// # Errors
/// [`Error::Input`] for a file of numbers that is damaged.
pub(crate) fn sequence(key: &Path, manifest: &Manifest) -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs().max(1));
    number(key, manifest, now)
}

fn number(key: &Path, manifest: &Manifest, now: u64) -> Result<u64> {
    let unnumbered = Manifest { sequence: 0, ..manifest.clone() };
    let content = release::id(&unnumbered.to_bytes()?);
    let lock = files::open(key)?;
    // Without file locks two flashes at once may get one number, which a board takes.
    let _ = lock.lock();
    let path = path(key);
    let mut signed = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Signed { schema: SCHEMA, releases: BTreeMap::new() }
        }
        _ => read(&path)?,
    };
    if let Some(number) = signed.releases.get(&content) {
        return Ok(*number);
    }
    let last = signed.releases.values().copied().max().unwrap_or(0);
    let number = now.max(last.saturating_add(1));
    signed.releases.insert(content, number);
    match files::write_json(&path, &signed) {
        Err(Error::Io { source, .. }) if is_read_only(&source) => Ok(number),
        written => written.map(|()| number),
    }
}

fn read(path: &Path) -> Result<Signed> {
    let repair = "remove it, and numbers go on from the time of day";
    let signed: Signed =
        files::read_json(path).map_err(|error| Error::file(path, format!("{error}; {repair}")))?;
    if signed.schema == SCHEMA {
        return Ok(signed);
    }
    Err(Error::file(path, format!("schema is {}; this version reads {SCHEMA}", signed.schema)))
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use release::manifest;

    use super::*;

    fn manifest(study: &str) -> Manifest {
        Manifest {
            schema: manifest::SCHEMA,
            tool_version: String::new(),
            study: study.to_owned(),
            target: "rpi4".to_owned(),
            sequence: 0,
            architecture: "aarch64".to_owned(),
            glibc: None,
            files: vec![],
            models: vec![],
            records: vec![],
        }
    }

    #[test]
    fn numbers_rise_and_what_was_signed_before_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("flash.key");
        std::fs::write(&key, "key").unwrap();
        let [old, new, newest] = ["old", "new", "newest"].map(manifest);
        assert_eq!(number(&key, &old, 1000).unwrap(), 1000);
        assert_eq!(number(&key, &new, 1000).unwrap(), 1001, "in the same second");
        assert_eq!(number(&key, &newest, 7).unwrap(), 1002, "a clock that was set back");
        assert_eq!(number(&key, &Manifest { sequence: 5, ..old }, 2000).unwrap(), 1000);
        std::fs::remove_file(path(&key)).unwrap();
        assert_eq!(number(&key, &new, 2000).unwrap(), 2000, "a lost file");
        std::fs::write(path(&key), "{").unwrap();
        let error = number(&key, &new, 1).unwrap_err();
        assert!(error.to_string().contains("remove it"), "{error}");
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
    }
}
