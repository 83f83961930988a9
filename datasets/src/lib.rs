//! Fetches, imports and checks data sets. Every set ends up as a folder in the layout of [`mfactor::dataset`], which the
//! trainer, export and the edge-runner read by themselves.
//!
//! | module | holds |
//! |---|---|
//! | `digits` | 1,797 handwritten digits that are embedded in the program, from `digits/` |
//! | `cifar10` | CIFAR-10, downloaded and checked against its published MD5 sum |
//! | `published` | tables of accuracies that others have published, for judging strategies |
//! | `download` | what comes from a server |
//! | `import` | pictures in folders or named by a CSV file, made into a set |
//! | `places` | where a named set is kept on this machine |
//! | `summary` | what a set holds |

mod cifar10;
mod digits;
mod download;
pub mod import;
mod places;
mod published;
mod summary;

use std::fs;
use std::path::Path;

use mfactor::dataset::DataSet;
use mfactor::{Error, Result};

pub use places::{folder, folder_of, resolve};
pub use published::{PublishedTable, fetch_table, table, table_names};
pub use summary::{Summary, check};

/// The sets that are known by name, a module each: whoever adds one writes the module, and a line here.
const SETS: &[Named] = &[digits::SET, cifar10::SET];

/// A data set that is known by its name.
struct Named {
    name: &'static str,
    /// Whether it comes with this program, so that whoever names it has it.
    is_embedded: bool,
    /// Puts it into a folder and opens it; returns at once where it is there already, whole.
    fetch: Fetch,
}

type Fetch = fn(&Path, &FetchOptions, &mut dyn FnMut(Progress)) -> Result<DataSet>;

/// The names that [`fetch`] and [`resolve`] know.
pub fn names() -> Vec<&'static str> {
    SETS.iter().map(|set| set.name).collect()
}

/// Those of them that somebody has to fetch before a study can use them.
pub fn names_to_fetch() -> Vec<&'static str> {
    SETS.iter().filter(|set| !set.is_embedded).map(|set| set.name).collect()
}

fn named(name: &str) -> Option<&'static Named> {
    SETS.iter().find(|set| set.name == name)
}

/// Where a download comes from, if not from its publisher.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchOptions {
    /// Address of the archive at a mirror.
    pub url: Option<String>,
    /// MD5 sum that the archive must have, in hexadecimal; the published one where it is not given.
    pub md5: Option<String>,
}

/// How far a fetch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Bytes arrive. Reported every megabyte or so, and once at the end.
    Downloading {
        /// Bytes so far.
        bytes: u64,
        /// Bytes of the whole archive, where the server says it.
        total: Option<u64>,
    },
    /// A file of the archive is being unpacked.
    Unpacking {
        /// Its name.
        file: String,
    },
    /// Pictures are being read.
    Reading {
        /// Pictures so far.
        done: usize,
        /// All of them.
        total: usize,
    },
    /// Records are being written.
    Writing {
        /// How many.
        records: usize,
    },
}

/// Puts the data set `name` into `folder` and opens it. Returns at once where it is there already, whole. What
/// fails leaves nothing behind.
///
/// # Errors
/// [`Error::Input`] for an unknown name and for a download that is not what was published; [`Error::Board`] where
/// the network or the server fails; [`Error::Io`] where the folder cannot be written.
pub fn fetch(
    name: &str,
    folder: &Path,
    options: &FetchOptions,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<DataSet> {
    let set = named(name).ok_or_else(|| unknown(name))?;
    leaving_nothing(folder, || (set.fetch)(folder, options, on_progress))
}

/// Does what may make `folder` and those above it; where it fails, those that it made go again.
fn leaving_nothing<T>(folder: &Path, fetch: impl FnOnce() -> Result<T>) -> Result<T> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|place| !place.exists()).collect();
    let fetched = fetch();
    if fetched.is_err() {
        // Succeeds only for empty folders, which are the only ones that may go.
        missing.into_iter().take_while(|place| fs::remove_dir(place).is_ok()).for_each(drop);
    }
    fetched
}

fn unknown(name: &str) -> Error {
    let names = names().join(", ");
    Error::input(
        format!("data set {}", mfactor::text::name(name)),
        format!("is neither a folder nor a set that mfactor can fetch ({names})"),
    )
}
