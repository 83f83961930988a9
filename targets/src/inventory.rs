//! A file of boards that are flashed together. It holds names, hosts and targets, and no secrets.

use std::path::Path;

use mfactor::{Error, Result, files, text};
use serde::Deserialize;

use crate::flash::Board;
use crate::host::{BoardName, Folder, Host};

/// Version of the form.
pub const SCHEMA: u32 = 1;

/// Largest inventory that is read, in bytes, and most boards in it.
const LARGEST: u64 = 1 << 20;
const MOST_BOARDS: usize = 1_000;

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
    let bytes = files::read_at_most(path, LARGEST)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::file(path, "is not UTF-8 text"))?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Vec<Listed>> {
    let raw: Raw = toml::from_str(text).map_err(|error| Error::toml(path.display(), text, &error))?;
    if raw.schema != SCHEMA {
        let problem = format!("schema is {}; this version reads {SCHEMA}", raw.schema);
        return Err(Error::file(path, problem));
    }
    if raw.board.is_empty() {
        return Err(Error::file(path, "lists no board; each is a [[board]] with a name and a host"));
    }
    if raw.board.len() > MOST_BOARDS {
        let problem = format!("lists {} boards; at most {MOST_BOARDS} are flashed together", raw.board.len());
        return Err(Error::file(path, problem));
    }
    let mut listed: Vec<Listed> = vec![];
    for board in raw.board {
        let at = |problem: &str| {
            let shown = text::quoted(&board.name, 100);
            Error::input(format!("{}, board `{shown}`", path.display()), problem)
        };
        let name: BoardName = board.name.parse().map_err(|problem: String| at(&problem))?;
        if listed.iter().any(|other| other.board.name.is_like(&name)) {
            return Err(at("stands twice"));
        }
        let (host, folder, target) = (board.host, board.folder, board.target);
        listed.push(Listed { board: Board { name, host, folder }, target });
    }
    Ok(listed)
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
            ("kitchen\"", "host\"", "this machine"),
            ("kitchen\"", "a\\u001b[2J\"", "board `a\\u{1b}[2J`"),
            ("\"roof\"\nhost", "\"kitchen\"\nhost", "stands twice"),
            ("\"roof\"\nhost", "\"Kitchen\"\nhost", "stands twice"),
            ("target", "password", "password"),
            ("\"roof\"\nfolder", "\"-oProxyCommand=x\"\nfolder", "no host"),
            ("/opt/mfactor", "/opt/../etc", "no folder"),
        ];
        for (from, to, expected) in wrong {
            assert!(TEXT.contains(from), "{from}");
            let text = parse(&TEXT.replacen(from, to, 1), Path::new("boards.toml")).unwrap_err().to_string();
            assert!(text.contains(expected) && text.contains("boards.toml"), "{text}");
        }
        let many = (0..1_001).map(|n| format!("[[board]]\nname = \"b{n}\"\nhost = \"h{n}\"\n"));
        let many = format!("schema = 1\n{}", many.collect::<String>());
        assert!(parse(&many, Path::new("b.toml")).unwrap_err().to_string().contains("at most 1000"));
        assert!(parse("schema = 1", Path::new("b.toml")).unwrap_err().to_string().contains("no board"));
    }
}
