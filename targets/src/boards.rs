//! The boards that ship with this program, and a user's own file.

use std::path::Path;

use mfactor::{Error, Result, files};

use crate::target::Target;

/// Largest board file that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

macro_rules! boards {
    ($($name:literal),* $(,)?) => {
        /// Names of the boards that ship.
        pub const NAMES: &[&str] = &[$($name),*];
        const TEXTS: &[&str] = &[$(include_str!(concat!("../boards/", $name, ".toml"))),*];
    };
}

boards![
    "rpi-zero-2w",
    "rpi3",
    "rpi4",
    "rpi5",
    "jetson-nano",
    "jetson-orin-nano",
    "generic-aarch64",
    "generic-armv7",
    "host",
];

/// All boards that ship, in the order of [`NAMES`].
pub fn list() -> Vec<Target> {
    let boards = NAMES.iter().zip(TEXTS);
    boards
        .map(|(name, text)| shipped(name, text).expect("a test loads every board file that ships"))
        .collect()
}

/// The board of this name, or the one in a user's own file: what ends in `.toml` or has a `/` in it is a path.
///
/// # Errors
/// [`Error::Input`] for an unknown name, and for a file that cannot be read or is wrong; it names the key.
pub fn load(name_or_path: &str) -> Result<Target> {
    if let Some(index) = NAMES.iter().position(|name| *name == name_or_path) {
        return shipped(NAMES[index], TEXTS[index]);
    }
    let path = Path::new(name_or_path);
    if name_or_path.contains('/') || path.extension().is_some_and(|extension| extension == "toml") {
        let bytes = files::read_at_most(path, LARGEST_FILE)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::file(path, "is not UTF-8 text"))?;
        return Target::parse(&text, path);
    }
    let problem =
        format!("is not a known board; take one of {}, or a .toml file of your own", NAMES.join(", "));
    Err(Error::input(mfactor::text::quoted(name_or_path, 100), problem))
}

fn shipped(name: &str, text: &str) -> Result<Target> {
    Target::parse(text, Path::new(&format!("targets/boards/{name}.toml")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_board_that_ships_loads_under_its_file_s_name() {
        for (name, target) in NAMES.iter().zip(list()) {
            assert_eq!(target.name, *name);
            assert_eq!(load(name).unwrap(), target);
            let is_sourced = target.sources.iter().all(|source| source.starts_with("https://"));
            assert!(is_sourced && (target.is_host() || !target.sources.is_empty()), "{name}");
        }
    }

    #[test]
    fn every_file_in_the_folder_ships() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
        let entries = std::fs::read_dir(folder).unwrap();
        let found: BTreeSet<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let expected: BTreeSet<String> = NAMES.iter().map(|name| format!("{name}.toml")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_of_one_s_own_works_by_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let mine = include_str!("../boards/rpi4.toml").replace("\"rpi4\"", "\"mine\"");
        std::fs::write(&path, mine).unwrap();
        let target = load(path.to_str().unwrap()).unwrap();
        assert_eq!((target.name.as_str(), target.glibc), ("mine", load("rpi4").unwrap().glibc));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let text = load("rpi6").unwrap_err().to_string();
        assert!(text.contains("rpi6") && text.contains("rpi5") && text.contains(".toml"), "{text}");
        assert!(load("no/such.toml").unwrap_err().to_string().contains("no/such.toml"));
    }
}
