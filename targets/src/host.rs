//! What a user calls a board: `USER@HOST`, an alias from the ssh configuration, or `ssh://USER@HOST:PORT`; and the
//! folder on it.

use std::fmt;
use std::str::FromStr;

use mfactor::text;
use serde::{Deserialize, Serialize};

/// Longest name of a board: it is a column's head, and part of paths.
const LONGEST_NAME: usize = 64;
/// Longest name of a host that the internet has, with a user and more before and after it.
const LONGEST_HOST: usize = 512;
/// The folder of what this machine measured itself.
const THIS_MACHINE: &str = "host";

/// Where everything of ours lies if nobody says otherwise, below the user's home.
pub const DEFAULT_FOLDER: &str = "mfactor";

/// A board's name: of its column in a comparison, and of the folder of its measurements, which it never leaves. One rule
/// holds for what `--name` and inventories say, and for what is made of a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BoardName(String);

impl BoardName {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether two names are one where a file system does not tell small letters from capitals.
    pub fn is_like(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl FromStr for BoardName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = text::quoted(text, LONGEST_NAME);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || !text.chars().all(is_plain) || text.len() > LONGEST_NAME || text.ends_with('.') {
            return Err(format!(
                "`{shown}` is no name for a board: letters, digits, `.`, `_` and `-`, at most {LONGEST_NAME}, with a letter \
                 or a digit at the beginning and no dot at the end"
            ));
        }
        if text.eq_ignore_ascii_case(THIS_MACHINE) {
            return Err(format!("`{shown}` is this machine; call the board otherwise"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for BoardName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BoardName> for String {
    fn from(name: BoardName) -> Self {
        name.0
    }
}

impl fmt::Display for BoardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A destination for ssh, which reads it as it reads its own command line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Host(String);

impl Host {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for the board, made of the part after the user: `pi@kitchen.local` is `kitchen.local`.
    ///
    /// # Errors
    /// What is wrong with it, for a host of which no name can be made.
    pub fn board_name(&self) -> Result<BoardName, String> {
        self.file_name().parse().map_err(|problem| format!("{problem}; give it one with --name"))
    }

    fn file_name(&self) -> String {
        let address = self.0.strip_prefix("ssh://").unwrap_or(&self.0);
        let address = address.rsplit('@').next().unwrap_or(address);
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
        let name: String = address.chars().map(plain).collect();
        name.trim_start_matches(['.', '-', '_']).trim_end_matches('.').to_owned()
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = text::quoted(text, 100);
        let is_printable = text.chars().all(|c| !c.is_whitespace()) && text::visible(text) == text;
        let is_short = text.len() <= LONGEST_HOST;
        let rest = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
        // ssh would take a leading hyphen for an option, some of which run programs.
        let is_option = rest.starts_with('-') || host.starts_with('-');
        if rest.is_empty() || user == Some("") || is_option || !is_printable || !is_short {
            return Err(format!("`{shown}` is no host; write USER@HOST or ssh://USER@HOST:PORT"));
        }
        let host = Self(text.to_owned());
        if host.file_name().is_empty() {
            return Err(format!("`{shown}` names no host"));
        }
        Ok(host)
    }
}

impl TryFrom<String> for Host {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A folder on a board: absolute, or below the user's home; plain names only, so that it means the same to every
/// shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Folder(String);

impl Folder {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self(DEFAULT_FOLDER.to_owned())
    }
}

impl FromStr for Folder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_part =
            |part: &str| !part.is_empty() && part.chars().all(is_plain) && !part.starts_with(['.', '-']);
        let hidden = |part: &str| part.strip_prefix('.').is_some_and(is_part);
        let below = text.strip_prefix('/').unwrap_or(text).trim_end_matches('/');
        if !below.is_empty() && below.split('/').all(|part| is_part(part) || hidden(part)) {
            return Ok(Self(text.trim_end_matches('/').to_owned()));
        }
        Err(format!(
            "`{}` is no folder of plain names (letters, digits, . _ -); it is taken below the home of the user, or absolute with a leading /",
            text::quoted(text, 100)
        ))
    }
}

impl TryFrom<String> for Folder {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Folder> for String {
    fn from(folder: Folder) -> Self {
        folder.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_would_take_for_an_option_is_no_host() {
        for wrong in
            ["", "-oProxyCommand=reboot", "pi@a b", "pi@a\n", "pi@", "@pi", "pi@-oX", "ssh://", "ssh://@pi"]
        {
            assert!(wrong.parse::<Host>().is_err(), "{wrong:?}");
        }
        for wrong in ["ssh://-oProxyCommand=x@a", "a\u{1b}[2J", "a\u{202e}b", &"a".repeat(600)] {
            let error = wrong.parse::<Host>().unwrap_err();
            assert!(!error.contains(['\u{1b}', '\u{202e}']) && error.len() < 300, "{error:?}");
        }
    }

    #[test]
    fn an_accepted_name_never_leaves_its_folder_and_is_never_this_machine() {
        let name = |host: &str| host.parse::<Host>().unwrap().board_name().map(String::from);
        assert_eq!(name("pi@kitchen.local").unwrap(), "kitchen.local");
        assert_eq!(name("ssh://pi@10.0.0.7:2222").unwrap(), "10.0.0.7-2222");
        assert_eq!(name("kitchen").unwrap(), "kitchen");
        assert_eq!(name("pi@fe80::1%eth0").unwrap(), "fe80--1-eth0");
        assert_eq!(name("pi@kitchen.local.").unwrap(), "kitchen.local");
        assert!(name("pi@HOST").unwrap_err().contains("--name"));
        assert!(name(&"a".repeat(65)).unwrap_err().contains("--name"));
        for wrong in [
            "", ".", "..", "../x", "a/b", "/x", "a\0b", "-rf", ".hidden", "a b", "a\nb", "host", "Host", "ü",
            "a.",
        ] {
            assert!(wrong.parse::<BoardName>().is_err(), "{wrong:?}");
        }
        let names = ["Kitchen", "kitchen"].map(|name| name.parse::<BoardName>().unwrap());
        assert!(names[0].is_like(&names[1]) && names[0] != names[1]);
    }

    #[test]
    fn a_folder_means_one_thing_to_every_shell() {
        for wrong in ["", "/", "~/x", "../x", "a/../b", "a b", "$HOME", "-rf", "a//b", "a;b", "a\nb", "/."] {
            assert!(wrong.parse::<Folder>().is_err(), "{wrong:?}");
        }
        for right in ["mfactor", "/opt/mfactor", ".local/share/mfactor"] {
            assert_eq!(right.parse::<Folder>().unwrap().as_str(), right);
        }
        assert_eq!("/opt/mfactor/".parse::<Folder>().unwrap().as_str(), "/opt/mfactor");
    }
}
