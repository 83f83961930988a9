//! One point of a search space: a kernel size for every block. Data only, never weights.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::text;

/// Kernel sizes of the blocks, stage by stage. Its id has one digit a block and a dash between
/// stages, `357-333-377`; ids parse back, and sort as the architectures do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Architecture {
    stages: Vec<Vec<u8>>,
}

impl Architecture {
    /// An architecture from kernel sizes (odd, 1 to 9) per stage and block. An architecture is only
    /// meaningful in a space: [`crate::SearchSpace::check`] says whether it belongs to one.
    pub fn new(stages: Vec<Vec<u8>>) -> Result<Self, Error> {
        let well_formed = !stages.is_empty()
            && stages.iter().all(|stage| !stage.is_empty() && stage.iter().all(|k| k % 2 == 1 && *k <= 9));
        if well_formed {
            Ok(Self { stages })
        } else {
            Err(Error::input(
                format!("architecture {}", text::list(stages.iter().map(text::list))),
                "every stage needs at least one block, and a kernel is odd and from 1 to 9",
            ))
        }
    }

    /// Kernel sizes, stage by stage.
    pub fn stages(&self) -> &[Vec<u8>] {
        &self.stages
    }

    /// Kernel sizes of all blocks in order, stages joined.
    pub fn kernels(&self) -> impl Iterator<Item = u8> + '_ {
        self.stages.iter().flatten().copied()
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id: Vec<String> = self
            .stages
            .iter()
            .map(|stage| stage.iter().map(|kernel| char::from(b'0' + kernel)).collect())
            .collect();
        f.pad(&id.join("-"))
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self, Error> {
        let stages: Option<Vec<Vec<u8>>> = id
            .split('-')
            .map(|stage| stage.chars().map(|digit| digit.to_digit(10).map(|d| d as u8)).collect())
            .collect();
        stages.and_then(|stages| Self::new(stages).ok()).ok_or_else(|| {
            Error::input(
                format!("architecture {}", text::name(id)),
                "not an architecture id; one kernel digit (1, 3, 5, 7 or 9) a block and a dash between \
                 stages, as in 357-333-377",
            )
        })
    }
}

impl TryFrom<String> for Architecture {
    type Error = Error;

    fn try_from(id: String) -> Result<Self, Error> {
        id.parse()
    }
}

impl From<Architecture> for String {
    fn from(architecture: Architecture) -> Self {
        architecture.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_architecture() -> impl Strategy<Value = Architecture> {
        let kernel = prop::sample::select(vec![1u8, 3, 5, 7, 9]);
        let stage = prop::collection::vec(kernel, 1..6);
        prop::collection::vec(stage, 1..5).prop_map(|stages| Architecture::new(stages).unwrap())
    }

    proptest! {
        #[test]
        fn ids_round_trip(architecture in any_architecture()) {
            prop_assert_eq!(architecture.to_string().parse::<Architecture>().unwrap(), architecture.clone());
            let json = serde_json::to_string(&architecture).unwrap();
            prop_assert_eq!(serde_json::from_str::<Architecture>(&json).unwrap(), architecture);
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,20}") {
            let _ = text.parse::<Architecture>();
        }
    }

    #[test]
    fn ids_sort_as_architectures_do() {
        let mut ids = ["777-333-333", "333-333-335", "333-733-333", "333-333-333"];
        let mut architectures: Vec<Architecture> = ids.iter().map(|id| id.parse().unwrap()).collect();
        ids.sort_unstable();
        architectures.sort();
        assert_eq!(architectures.iter().map(ToString::to_string).collect::<Vec<_>>(), ids);
    }

    #[test]
    fn a_bad_id_is_refused_in_words() {
        for id in ["", "-", "333", "3x3-333-333", "343-333-333", "333--333", "303-333-333"] {
            let parsed = id.parse::<Architecture>();
            if id == "333" {
                assert!(parsed.is_ok(), "a space of one stage has such ids");
            } else {
                assert!(parsed.unwrap_err().to_string().contains("357-333-377"), "{id}");
            }
        }
    }
}
