//! A file of boards that are flashed together. It holds names, hosts and targets, and no secrets.

use std::collections::BTreeSet;
use std::path::Path;

use mfactor::{Error, Result, files};
use release::manifest::check_target;
use serde::Deserialize;

use crate::flash::Board;
use crate::host::{Folder, Host};

/// Version of the form.
pub const SCHEMA: u32 = 1;

/// A board, and the target whose runner it takes.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The board.
    pub board: Board,
    /// Name of its target, or the path of a board file; `None` leaves it to the command line.
    pub target: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    schema: u32,
    #[serde(default)]
    board: Vec<RawBoard>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBoard {
    name: String,
    host: Host,
    target: Option<String>,
    #[serde(default)]
    folder: Folder,
}

/// Reads an inventory.
///
/// # Errors
/// [`Error::Input`] naming the file and the board for an unknown key, a name that is no plain name or stands twice,
/// and a file without boards.
pub fn load(path: &Path) -> Result<Vec<Listed>> {
    let text = String::from_utf8(files::read(path)?).map_err(|_| Error::file(path, "is not UTF-8 text"))?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Vec<Listed>> {
    let raw: Raw = toml::from_str(text).map_err(|error| Error::file(path, error.to_string().trim_end()))?;
    if raw.schema != SCHEMA {
        let problem = format!("schema is {}; this version reads {SCHEMA}", raw.schema);
        return Err(Error::file(path, problem));
    }
    if raw.board.is_empty() {
        return Err(Error::file(path, "lists no board; each is a [[board]] with a name and a host"));
    }
    let mut names = BTreeSet::new();
    for board in &raw.board {
        let at = |problem: &str| Error::input(format!("{}, board `{}`", path.display(), board.name), problem);
        check_target(&board.name).map_err(|problem| at(&format!("its name {problem}")))?;
        if !names.insert(&board.name) {
            return Err(at("stands twice"));
        }
    }
    let listed = raw.board.into_iter().map(|raw| Listed {
        board: Board { name: raw.name, host: raw.host, folder: raw.folder },
        target: raw.target,
    });
    Ok(listed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "schema = 1\n[[board]]\nname = \"kitchen\"\nhost = \"pi@kitchen.local\"\ntarget = \"rpi4\"\n\
                        [[board]]\nname = \"roof\"\nhost = \"roof\"\nfolder = \"/opt/mfactor\"\n";

    #[test]
    fn boards_are_read_and_what_is_wrong_is_named() {
        let boards = parse(TEXT, Path::new("boards.toml")).unwrap();
        assert_eq!(boards[0].board.folder, Folder::default());
        assert_eq!((boards[1].board.folder.as_str(), &boards[1].target), ("/opt/mfactor", &None));
        let wrong = [
            ("schema = 1", "schema = 2", "schema is 2"),
            ("kitchen\"", "../x\"", "board `../x`"),
            ("\"roof\"\nhost", "\"kitchen\"\nhost", "stands twice"),
            ("target", "password", "password"),
            ("\"roof\"\nfolder", "\"-oProxyCommand=x\"\nfolder", "no host"),
            ("/opt/mfactor", "/opt/../etc", "no folder"),
        ];
        for (from, to, expected) in wrong {
            assert!(TEXT.contains(from), "{from}");
            let text = parse(&TEXT.replacen(from, to, 1), Path::new("boards.toml")).unwrap_err().to_string();
            assert!(text.contains(expected) && text.contains("boards.toml"), "{text}");
        }
        assert!(parse("schema = 1", Path::new("b.toml")).unwrap_err().to_string().contains("no board"));
    }
}
