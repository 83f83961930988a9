//! Where ONNX Runtime's library lies, and the Python environments in which it is looked for. Whether it is there is settled
//! before anything tries to load it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mfactor::{Error, Result};

const VARIABLE: &str = "ORT_DYLIB_PATH";
const INSTALL: &str = "python3 -m venv .venv && .venv/bin/pip install onnxruntime";
const FILE_NAME: &str = "libonnxruntime.so";

/// The library at `explicit`, else at `ORT_DYLIB_PATH`, else in the Python environment `$VIRTUAL_ENV`, else in a
/// `.venv` of the current folder or of a folder above this program.
///
/// # Errors
/// [`Error::Missing`] if it is not there; a path that was asked for is never replaced by another.
pub fn find(explicit: Option<&Path>) -> Result<PathBuf> {
    find_in(explicit, |variable| env::var_os(variable), &folders())
}

/// The Python environments that what the set-up installs may be in, there or not, first the likeliest: `$VIRTUAL_ENV`, then
/// the `.venv` of the current folder and of each folder above this program.
pub fn environments() -> Vec<PathBuf> {
    environments_in(|variable| env::var_os(variable), &folders())
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::current_dir().into_iter().collect();
    if let Ok(program) = env::current_exe() {
        folders.extend(program.ancestors().skip(1).map(Path::to_owned));
    }
    folders
}

fn environments_in(variable: impl Fn(&str) -> Option<OsString>, folders: &[PathBuf]) -> Vec<PathBuf> {
    let active = variable("VIRTUAL_ENV").filter(|value| !value.is_empty()).map(PathBuf::from);
    active.into_iter().chain(folders.iter().map(|folder| folder.join(".venv"))).collect()
}

fn find_in(
    explicit: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
    folders: &[PathBuf],
) -> Result<PathBuf> {
    if let Some(path) = explicit {
        return existing(path, "asked for");
    }
    if let Some(path) = variable(VARIABLE).filter(|path| !path.is_empty()) {
        return existing(Path::new(&path), "named by ORT_DYLIB_PATH");
    }
    let environments = environments_in(variable, folders);
    let found = environments.iter().find_map(|environment| in_environment(environment));
    found.ok_or_else(|| {
        missing("ONNX Runtime (no libonnxruntime.so in $VIRTUAL_ENV or a .venv folder, and ORT_DYLIB_PATH is not set)")
    })
}

fn existing(path: &Path, how: &str) -> Result<PathBuf> {
    if path.is_file() {
        // A relative path would be taken relative to this program.
        return path.canonicalize().map_err(Error::io("read", path));
    }
    let problem = if path.exists() { "it is not a file" } else { "there is no such file" };
    Err(missing(format!("ONNX Runtime at {} ({how}; {problem})", path.display())))
}

/// The library inside a Python environment; the newest by name where there are several.
fn in_environment(environment: &Path) -> Option<PathBuf> {
    let pythons = entries(&environment.join("lib"), "python3");
    let libraries =
        pythons.iter().flat_map(|python| entries(&python.join("site-packages/onnxruntime/capi"), FILE_NAME));
    libraries.filter(|path| path.is_file()).max()
}

fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder) else { return vec![] };
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    listing.flatten().map(|entry| entry.path()).filter(named).collect()
}

/// The error for a library that is not there or not usable.
pub(crate) fn missing(what: impl ToString) -> Error {
    Error::missing(what, INSTALL)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn environment(folder: &Path, version: &str) -> PathBuf {
        let capi = folder.join("lib/python3.11/site-packages/onnxruntime/capi");
        fs::create_dir_all(&capi).unwrap();
        fs::write(capi.join("libonnxruntime_providers_shared.so"), b"").unwrap();
        let library = capi.join(format!("libonnxruntime.so.{version}"));
        fs::write(&library, b"").unwrap();
        library
    }

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn the_order_of_places() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let active = environment(&root.join("active"), "1.1.0");
        let local = environment(&root.join("project/.venv"), "1.2.0");
        let folders = [root.join("project/deep"), root.join("project")];
        let variables = |name: &str| (name == "VIRTUAL_ENV").then(|| root.join("active").into_os_string());
        assert_eq!(find_in(None, nothing, &folders).unwrap(), local);
        assert_eq!(find_in(None, variables, &folders).unwrap(), active);
        let named = |name: &str| (name == VARIABLE).then(|| local.clone().into_os_string());
        assert_eq!(find_in(None, named, &[]).unwrap(), local);
        assert_eq!(find_in(Some(&active), named, &[]).unwrap(), active);
    }

    #[test]
    fn a_library_that_is_not_there_is_missing_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        environment(&folder.path().join(".venv"), "1.2.0");
        let folders = [folder.path().to_owned()];
        let named = |name: &str| (name == VARIABLE).then(|| "/no/such/library.so".into());
        for error in [
            find_in(None, nothing, &[]).unwrap_err(),
            find_in(None, named, &folders).unwrap_err(),
            find_in(Some(Path::new("no.so")), nothing, &folders).unwrap_err(),
        ] {
            assert_eq!(error.exit_code(), mfactor::exit::MISSING);
            assert!(error.to_string().contains("pip install onnxruntime"), "{error}");
        }
    }
}
