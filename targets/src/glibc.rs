//! Versions of the GNU C library, which decide whether a program starts on a board.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version such as `2.28`. Ordered as versions are: 2.4 is older than 2.28.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Glibc {
    /// The 2 in `2.28`.
    pub major: u32,
    /// The 28 in `2.28`.
    pub minor: u32,
}

impl Glibc {
    /// The version in a symbol version's name: `GLIBC_2.28`, or `GLIBC_2.2.5`, whose last number is dropped.
    /// `None` for other names, such as `GCC_3.0` and `GLIBC_PRIVATE`.
    pub fn from_symbol_version(name: &str) -> Option<Self> {
        let version = name.strip_prefix("GLIBC_")?;
        let mut numbers = version.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), None | Some(Ok(_)), None) => Some(Self { major, minor }),
            _ => None,
        }
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl From<Glibc> for String {
    fn from(version: Glibc) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for Glibc {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Glibc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('.').map(|(major, minor)| (major.parse(), minor.parse()));
        match numbers {
            Some((Ok(major), Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(format!("`{text}` is not a glibc version; write it as \"2.28\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbol_versions_are_read_and_ordered_by_number() {
        let version = |name| Glibc::from_symbol_version(name);
        assert_eq!(version("GLIBC_2.28"), Some(Glibc { major: 2, minor: 28 }));
        assert_eq!(version("GLIBC_2.2.5"), Some(Glibc { major: 2, minor: 2 }));
        assert!(version("GLIBC_2.4") < version("GLIBC_2.28"));
        for other in ["GLIBC_PRIVATE", "GCC_3.0", "GLIBC_2", "GLIBC_2.x", "GLIBC_2.2.5.1", ""] {
            assert_eq!(version(other), None, "{other}");
        }
    }

    #[test]
    fn a_version_parses_back() {
        assert_eq!("2.36".parse::<Glibc>().unwrap().to_string(), "2.36");
        for wrong in ["2", "2.28.1", "2.", "-2.1", "two"] {
            assert!(wrong.parse::<Glibc>().unwrap_err().contains("2.28"), "{wrong}");
        }
    }
}
