//! Who proposed a trial.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who proposed a trial. In files it is a name; one that this version does not know is a strategy's of another version, and
/// stays readable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Proposer {
    /// The study itself: the smallest architecture, which all are held against.
    Baseline,
    /// Whoever named the architecture in the configuration.
    Given,
    /// The strategy of this name.
    Strategy(String),
}

/// Name of [`Proposer::Baseline`] in files and tables.
pub const BASELINE: &str = "baseline";
/// Name of [`Proposer::Given`].
pub const GIVEN: &str = "given";

impl Proposer {
    /// Its name in files and tables.
    pub fn name(&self) -> &str {
        match self {
            Self::Baseline => BASELINE,
            Self::Given => GIVEN,
            Self::Strategy(name) => name,
        }
    }

    /// Whether it searches.
    pub fn is_strategy(&self) -> bool {
        matches!(self, Self::Strategy(_))
    }
}

impl From<&str> for Proposer {
    fn from(name: &str) -> Self {
        match name {
            BASELINE => Self::Baseline,
            GIVEN => Self::Given,
            name => Self::Strategy(name.to_owned()),
        }
    }
}

impl From<String> for Proposer {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<Proposer> for String {
    fn from(proposer: Proposer) -> Self {
        proposer.name().to_owned()
    }
}

impl fmt::Display for Proposer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files_whoever_wrote_them() {
        for (json, proposer) in [
            ("\"baseline\"", Proposer::Baseline),
            ("\"given\"", Proposer::Given),
            ("\"of a later version\"", Proposer::Strategy("of a later version".to_owned())),
        ] {
            assert_eq!(serde_json::from_str::<Proposer>(json).unwrap(), proposer);
            assert_eq!(serde_json::to_string(&proposer).unwrap(), json);
        }
    }
}
