//! What a user calls a board: `USER@HOST`, an alias from the ssh configuration, or `ssh://USER@HOST:PORT`; and the
//! folder on it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where everything of ours lies if nobody says otherwise, below the user's home.
pub const DEFAULT_FOLDER: &str = "mfactor";

/// A destination for ssh, which reads it as it reads its own command line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Host(String);

impl Host {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for files, made of the part after the user: `pi@kitchen.local` is `kitchen.local`.
    pub fn file_name(&self) -> String {
        let address = self.0.strip_prefix("ssh://").unwrap_or(&self.0);
        let address = address.rsplit('@').next().unwrap_or(address);
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
        address.chars().map(plain).collect::<String>().trim_start_matches(['.', '-']).to_owned()
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_printable = text.chars().all(|c| !c.is_whitespace() && !c.is_control());
        // ssh would take a leading hyphen for an option, some of which run programs.
        if text.is_empty() || text.starts_with('-') || !is_printable {
            return Err(format!("`{text}` is no host; write USER@HOST or ssh://USER@HOST:PORT"));
        }
        let host = Self(text.to_owned());
        if host.file_name().is_empty() {
            return Err(format!("`{text}` names no host"));
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
            "`{text}` is no folder of plain names (letters, digits, . _ -); it is taken below the home of the user, or absolute with a leading /"
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
        for wrong in ["", "-oProxyCommand=reboot", "pi@a b", "pi@a\n", "pi@", "ssh://"] {
            assert!(wrong.parse::<Host>().is_err(), "{wrong:?}");
        }
        let name = |host: &str| host.parse::<Host>().unwrap().file_name();
        assert_eq!(name("pi@kitchen.local"), "kitchen.local");
        assert_eq!(name("ssh://pi@10.0.0.7:2222"), "10.0.0.7-2222");
        assert_eq!(name("kitchen"), "kitchen");
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
