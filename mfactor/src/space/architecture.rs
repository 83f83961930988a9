//! The architecture of one network of a search space, by its id. Data only, never weights.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::space::block::Block;
use crate::text;

/// Most characters of an id of widths and blocks: what fits into a file name with room for what stands around it.
pub const LONGEST_ID: usize = 160;
/// Largest number in an id.
const LARGEST_NUMBER: u16 = 2048;

/// What a network is made of, as far as its space leaves a choice. Its id reads back without the space:
///
/// - where the kernels of basic blocks are the only choice, a digit a block and a dash between stages, `357-333-377`;
/// - elsewhere the side of the image where it is a choice, the width of the stem, width and blocks of each stage, and
///   the width of the head where it is a choice: `r96-s16-w16.b3-w32.i3e4.i5e6s-h128`. [`Block`] has the tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Architecture {
    pub(super) side: Option<u16>,
    pub(super) stem: Option<u16>,
    pub(super) stages: Vec<ArchitectureStage>,
    pub(super) head: Option<u16>,
}

/// One stage of an architecture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchitectureStage {
    /// Channels, if the id says them.
    pub width: Option<u16>,
    /// Blocks, at least one. Where the id says only kernels they are basic ones.
    pub blocks: Vec<Block>,
}

impl Architecture {
    /// An architecture from kernel sizes (odd, 1 to 9) per stage and block. An architecture is only
    /// meaningful in a space: [`crate::SearchSpace::check`] says whether it belongs to one.
    pub fn new(stages: Vec<Vec<u8>>) -> Result<Self, Error> {
        let well_formed = !stages.is_empty()
            && stages.iter().all(|stage| !stage.is_empty() && stage.iter().all(|k| k % 2 == 1 && *k <= 9));
        if !well_formed {
            return Err(Error::input(
                format!("architecture {}", text::list(stages.iter().map(text::list))),
                "every stage needs at least one block, and a kernel is odd and from 1 to 9",
            ));
        }
        let basic = |kernels: Vec<u8>| kernels.into_iter().map(Block::basic).collect();
        let stages =
            stages.into_iter().map(|kernels| ArchitectureStage { width: None, blocks: basic(kernels) });
        Ok(Self { side: None, stem: None, stages: stages.collect(), head: None })
    }

    /// Its stages.
    pub fn stages(&self) -> &[ArchitectureStage] {
        &self.stages
    }

    /// Blocks of all stages in order.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> + '_ {
        self.stages.iter().flat_map(|stage| &stage.blocks)
    }

    /// Kernel sizes of all blocks in order, stages joined.
    pub fn kernels(&self) -> impl Iterator<Item = u8> + '_ {
        self.blocks().map(|block| block.kernel)
    }

    /// Whether the id is of digits.
    pub(super) fn is_of_kernels(&self) -> bool {
        self.stem.is_none()
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = |stage: &ArchitectureStage| match stage.width {
            None => stage.blocks.iter().map(|block| char::from(b'0' + block.kernel)).collect(),
            Some(width) => stage.blocks.iter().fold(format!("w{width}"), |id, block| format!("{id}.{block}")),
        };
        let part = |letter: char, number: Option<u16>| number.map(|number| format!("{letter}{number}"));
        let parts = part('r', self.side).into_iter().chain(part('s', self.stem));
        let parts = parts.chain(self.stages.iter().map(stage)).chain(part('h', self.head));
        f.pad(&parts.collect::<Vec<String>>().join("-"))
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self, Error> {
        let is_of_parts = id.starts_with(['r', 's']);
        let parsed = match is_of_parts {
            true if id.len() > LONGEST_ID => None,
            true => of_parts(id),
            false => of_digits(id),
        };
        parsed.ok_or_else(|| {
            Error::input(
                format!("architecture {}", text::name(id)),
                "not an architecture id; one kernel digit (1, 3, 5, 7 or 9) a block and a dash between \
                 stages, as in 357-333-377, or widths and blocks, as in s16-w16.b3-w32.i3e4.i5e6; \
                 `mfactor space` shows the ids of a space",
            )
        })
    }
}

fn of_digits(id: &str) -> Option<Architecture> {
    let stages: Option<Vec<Vec<u8>>> = id
        .split('-')
        .map(|stage| stage.chars().map(|digit| digit.to_digit(10).map(|d| d as u8)).collect())
        .collect();
    stages.and_then(|stages| Architecture::new(stages).ok())
}

fn of_parts(id: &str) -> Option<Architecture> {
    let mut parts = id.split('-').peekable();
    let side = match parts.peek()?.strip_prefix('r') {
        Some(digits) => {
            parts.next();
            Some(number(digits)?)
        }
        None => None,
    };
    let stem = Some(number(parts.next()?.strip_prefix('s')?)?);
    let (mut stages, mut head) = (vec![], None);
    for part in parts {
        if head.is_some() {
            return None;
        }
        match part.strip_prefix('h') {
            Some(digits) => head = Some(number(digits)?),
            None => stages.push(stage(part)?),
        }
    }
    (!stages.is_empty()).then_some(Architecture { side, stem, stages, head })
}

fn stage(part: &str) -> Option<ArchitectureStage> {
    let (width, blocks) = part.strip_prefix('w')?.split_once('.')?;
    let blocks: Option<Vec<Block>> = blocks.split('.').map(|token| token.parse().ok()).collect();
    Some(ArchitectureStage { width: Some(number(width)?), blocks: blocks? })
}

/// A number without leading zeros, so that each has one text.
fn number(digits: &str) -> Option<u16> {
    let number: u16 = digits.parse().ok()?;
    (number <= LARGEST_NUMBER && number.to_string() == digits).then_some(number)
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

        #[test]
        fn text_of_the_alphabet_never_panics_and_reads_as_it_is_written(text in "[rs][0-9]{1,2}-[-.whbinfdemqs0-9é]{0,16}") {
            if let Ok(architecture) = text.parse::<Architecture>() {
                prop_assert_eq!(architecture.to_string(), text);
            }
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

    #[test]
    fn ids_of_parts() {
        for id in ["s16-w16.b3", "s8-w8.d.i3e4-w16.f3e2s6-h0", "r96-s16-w16.n3mq.n3mq-h128"] {
            assert_eq!(id.parse::<Architecture>().unwrap().to_string(), id);
        }
        let long = format!("s16-w16{}", ".b3".repeat(60));
        for id in [
            "s16",
            "s16-w16",
            "s16-w16.",
            "w16.b3",
            "s016-w16.b3",
            "s16-h8-w16.b3",
            "r8-w16.b3",
            "s16-w9999.b3",
            &long,
        ] {
            assert!(id.parse::<Architecture>().is_err(), "{id}");
        }
    }
}
