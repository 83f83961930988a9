//! Where a named data set is kept on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mfactor::dataset::DataSet;
use mfactor::{Error, Result};

use crate::{FetchOptions, Named, named, unknown};

/// The folder in which this machine keeps the data set `name`: `$MFACTOR_DATA/<name>`, or else
/// `mfactor/<name>` in `$XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// [`Error::Input`] for an unknown name, and where the environment names no such place.
pub fn folder(name: &str) -> Result<PathBuf> {
    folder_in(name, &|variable| std::env::var_os(variable))
}

/// The folder of a data set that a user named, ready to be opened: the name of a known set, or else a folder.
/// `digits` is written where it is not there yet.
///
/// # Errors
/// [`Error::Missing`] for a known set that was not fetched; [`Error::Input`] for a text that is neither a name nor
/// a folder, and for a folder that holds no whole data set.
pub fn resolve(data: &str) -> Result<PathBuf> {
    resolve_in(data, &|variable| std::env::var_os(variable))
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn folder_in(name: &str, environment: Environment<'_>) -> Result<PathBuf> {
    if named(name).is_none() {
        return Err(unknown(name));
    }
    place_in(name, environment)
}

/// The same for any name that can be a folder's: where this machine keeps what is not a set that is known by name.
///
/// # Errors
/// [`Error::Input`] where the environment names no such place.
pub fn folder_of(name: &str) -> Result<PathBuf> {
    place_in(name, &|variable| std::env::var_os(variable))
}

fn place_in(name: &str, environment: Environment<'_>) -> Result<PathBuf> {
    let place = |variable: &str| environment(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(data) = place("MFACTOR_DATA") {
        return Ok(data.join(name));
    }
    // The XDG base directory specification says that a relative path is to be ignored.
    let cache = place("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let cache = cache.or_else(|| place("HOME").map(|home| home.join(".cache"))).ok_or_else(|| {
        Error::input(
            "the environment",
            "has neither MFACTOR_DATA nor HOME; set MFACTOR_DATA to a folder for data",
        )
    })?;
    Ok(cache.join("mfactor").join(name))
}

fn resolve_in(data: &str, environment: Environment<'_>) -> Result<PathBuf> {
    let Some(set) = named(data) else {
        let folder = PathBuf::from(data);
        if !folder.is_dir() {
            return Err(unknown(data));
        }
        return DataSet::open(&folder).map(|_| folder);
    };
    let folder = folder_in(data, environment)?;
    if set.is_embedded {
        (set.fetch)(&folder, &FetchOptions::default(), &mut |_| ())?;
    } else {
        present(set, &folder)?;
    }
    Ok(folder)
}

fn present(set: &Named, folder: &Path) -> Result<()> {
    if is_empty(folder) {
        let what = format!("data set {} is not in {}", set.name, folder.display());
        return Err(Error::missing(what, format!("mfactor data fetch {}", set.name)));
    }
    DataSet::open(folder).map(|_| ())
}

/// Whether a folder is not there, or holds nothing but hidden files, which a download that was cut off leaves.
fn is_empty(folder: &Path) -> bool {
    let is_hidden = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.all(|entry| entry.is_ok_and(is_hidden)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |variable| pairs.iter().find(|(name, _)| *name == variable).map(|(_, value)| value.into())
    }

    #[test]
    fn the_environment_says_where() {
        for (pairs, expected) in [
            (&[("MFACTOR_DATA", "/d"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")][..], "/d/digits"),
            (&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")], "/x/mfactor/digits"),
            (&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")], "/h/.cache/mfactor/digits"),
            (&[("MFACTOR_DATA", ""), ("HOME", "/h")], "/h/.cache/mfactor/digits"),
        ] {
            assert_eq!(folder_in("digits", &with(pairs)).unwrap(), Path::new(expected));
        }
        let error = folder_in("digits", &with(&[])).unwrap_err();
        assert!(error.to_string().contains("MFACTOR_DATA"), "{error}");
    }

    #[test]
    fn digits_appear_by_themselves_and_cifar10_does_not() {
        let place = tempfile::tempdir().unwrap();
        let pairs = [("MFACTOR_DATA", place.path().to_str().unwrap())];
        let digits = resolve_in("digits", &with(&pairs)).unwrap();
        assert_eq!(DataSet::open(&digits).unwrap().manifest().name, "digits");
        let error = resolve_in("cifar10", &with(&pairs)).unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::MISSING);
        assert!(error.to_string().ends_with("run: mfactor data fetch cifar10"), "{error}");
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones_and_a_folder_must_hold_a_set() {
        let error = resolve("mnist").unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        assert!(error.to_string().contains("digits, cifar10"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error = resolve(empty.path().to_str().unwrap()).unwrap_err();
        assert!(error.to_string().contains("data_batch_1.bin"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        crate::fetch("digits", folder.path(), &FetchOptions::default(), &mut |_| ()).unwrap();
        assert_eq!(resolve(folder.path().to_str().unwrap()).unwrap(), folder.path());
    }
}
