//! Blocks: what a stage is made of, and the tokens that stand for them in ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The blocks there are. `in` and `out` are the channels that a block reads and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// k×k to expansion · out, 3×3, shortcut (He et al. 2015, with projections where the shape changes).
    Basic,
    /// 1×1 to expansion · out, k×k, 1×1, shortcut (He et al. 2015).
    Bottleneck,
    /// k×k to expansion · in, 1×1 without activation; sum where the shape allows (Tan and Le 2021).
    Fused,
    /// 1×1 to expansion · in, depthwise k×k, 1×1 without activation; sum where the shape allows (Sandler et al.
    /// 2018). At expansion 1 the first convolution is left out, as there.
    Inverted,
    /// Nothing, or a 1×1 convolution with batch norm where the shape changes.
    Identity,
}

impl BlockKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Basic, Self::Bottleneck, Self::Fused, Self::Inverted, Self::Identity];

    /// The letter in ids.
    pub fn letter(self) -> char {
        match self {
            Self::Basic => 'b',
            Self::Bottleneck => 'n',
            Self::Fused => 'f',
            Self::Inverted => 'i',
            Self::Identity => 'd',
        }
    }

    /// The name in space files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Bottleneck => "bottleneck",
            Self::Fused => "fused",
            Self::Inverted => "inverted",
            Self::Identity => "identity",
        }
    }

    /// Whether the expansion is of the channels that a block reads, and not of those that it gives.
    pub fn expands_input(self) -> bool {
        matches!(self, Self::Fused | Self::Inverted)
    }
}

/// What follows a convolution and its batch norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(x, 0).
    #[default]
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x · min(max(x + 3, 0), 6) / 6 (Howard et al. 2019).
    HardSwish,
}

/// Channels inside a block, in quarters of those that it reads or gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expansion(u8);

impl Expansion {
    /// As many channels inside as outside.
    pub const ONE: Self = Self(4);
    /// Largest expansion.
    const LARGEST: f64 = 9.0;

    /// The expansion by this factor, if it is one for blocks of this kind: a whole number up to 9 for those that expand
    /// what they read, and ¼, ½, 1 or 2 for the others.
    pub fn new(factor: f64, kind: BlockKind) -> Option<Self> {
        let quarters = factor * 4.0;
        let is_allowed = if kind.expands_input() {
            factor.fract() == 0.0 && (1.0..=Self::LARGEST).contains(&factor)
        } else {
            [1.0, 2.0, 4.0, 8.0].contains(&quarters)
        };
        is_allowed.then_some(Self(quarters as u8))
    }

    /// The factor.
    pub fn factor(self) -> f64 {
        f64::from(self.0) / 4.0
    }

    /// Channels inside for so many outside: as many at 1, else rounded up to a multiple of 8, which vector units compute
    /// anyway.
    pub fn channels(self, outside: usize) -> usize {
        if self == Self::ONE {
            return outside;
        }
        (outside * usize::from(self.0)).div_ceil(4).next_multiple_of(8)
    }
}

/// One option of a choice of blocks. Its token is a letter for the kind, the kernel, `eN` for an expansion of what it
/// reads or `mq`, `mh`, `md` for ¼, ½ or twice of what it gives, `s` for squeeze-and-excitation, and `6` or `h` for ReLU6
/// or hard-swish: `b3`, `i5e4s`, `b3mh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// Kind.
    pub kind: BlockKind,
    /// Kernel, odd, 1 to 9; 1 for [`BlockKind::Identity`].
    pub kernel: u8,
    /// Channels inside.
    pub expansion: Expansion,
    /// Whether the channels inside are weighted by squeeze-and-excitation (Hu et al. 2018) with a quarter of them.
    pub squeezes: bool,
    /// Its activation.
    pub activation: Activation,
}

impl Block {
    /// A basic block with ReLU, as in the space of the paper.
    pub fn basic(kernel: u8) -> Self {
        let (kind, expansion, activation) = (BlockKind::Basic, Expansion::ONE, Activation::Relu);
        Self { kind, kernel, expansion, squeezes: false, activation }
    }

    /// The block that does nothing where the shape stays.
    pub fn identity() -> Self {
        Self { kind: BlockKind::Identity, kernel: 1, ..Self::basic(1) }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut token = String::from(self.kind.letter());
        if self.kind != BlockKind::Identity {
            token.push(char::from(b'0' + self.kernel));
            match (self.kind.expands_input(), self.expansion.0) {
                (true, quarters) => token += &format!("e{}", quarters / 4),
                (false, 1) => token += "mq",
                (false, 2) => token += "mh",
                (false, 8) => token += "md",
                (false, _) => {}
            }
            token += if self.squeezes { "s" } else { "" };
            token += match self.activation {
                Activation::Relu => "",
                Activation::Relu6 => "6",
                Activation::HardSwish => "h",
            };
        }
        f.pad(&token)
    }
}

/// A token that stands for no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoBlock;

impl FromStr for Block {
    type Err = NoBlock;

    fn from_str(token: &str) -> Result<Self, NoBlock> {
        let letter = token.chars().next().ok_or(NoBlock)?;
        let kind = BlockKind::ALL.into_iter().find(|kind| kind.letter() == letter).ok_or(NoBlock)?;
        let rest = &token[1..];
        if kind == BlockKind::Identity {
            return if rest.is_empty() { Ok(Self::identity()) } else { Err(NoBlock) };
        }
        let kernel = rest.chars().next().and_then(|digit| digit.to_digit(10)).ok_or(NoBlock)? as u8;
        let (expansion, rest) = expansion(kind, &rest[1..])?;
        let (squeezes, rest) = rest.strip_prefix('s').map_or((false, rest), |rest| (true, rest));
        let activation = match rest {
            "" => Activation::Relu,
            "6" => Activation::Relu6,
            "h" => Activation::HardSwish,
            _ => return Err(NoBlock),
        };
        let is_odd = kernel % 2 == 1 && kernel <= 9;
        (is_odd && (kind.expands_input() || !squeezes))
            .then_some(Self { kind, kernel, expansion, squeezes, activation })
            .ok_or(NoBlock)
    }
}

/// The expansion at the beginning of the rest of a token, and what follows.
fn expansion(kind: BlockKind, rest: &str) -> Result<(Expansion, &str), NoBlock> {
    if kind.expands_input() {
        let factor = rest.strip_prefix('e').and_then(|rest| rest.chars().next()?.to_digit(10));
        let expansion = factor.and_then(|factor| Expansion::new(f64::from(factor), kind));
        return Ok((expansion.ok_or(NoBlock)?, &rest[2..]));
    }
    for (text, quarters) in [("mq", 1), ("mh", 2), ("md", 8)] {
        if let Some(rest) = rest.strip_prefix(text) {
            return Ok((Expansion(quarters), rest));
        }
    }
    Ok((Expansion::ONE, rest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::variants::variants;

    #[test]
    fn all_kinds_are_listed_by_the_names_of_files_and_told_apart_by_their_letters() {
        assert_eq!(variants::<BlockKind>(), BlockKind::ALL.map(BlockKind::name));
        let letters = BTreeSet::from(BlockKind::ALL.map(BlockKind::letter));
        assert_eq!(letters.len(), BlockKind::ALL.len());
    }

    #[test]
    fn tokens_parse_back() {
        for token in ["b3", "b5mh", "b3mq6", "b3md", "n3mq", "n5h", "i3e4", "i5e6sh", "i3e46", "f3e2s", "d"] {
            assert_eq!(token.parse::<Block>().unwrap().to_string(), token);
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for token in [
            "", "x3", "b", "b4", "b33", "b3s", "b3mx", "i3", "i3e", "i3e0", "i3e10", "d3", "é3", "i3é", "b3é",
        ] {
            assert_eq!(token.parse::<Block>(), Err(NoBlock), "{token}");
        }
    }

    #[test]
    fn channels_inside_are_multiples_of_8_where_they_are_not_those_outside() {
        let half = Expansion::new(0.5, BlockKind::Basic).unwrap();
        assert_eq!([8, 16, 24, 32].map(|outside| half.channels(outside)), [8, 8, 16, 16]);
        assert_eq!(Expansion::ONE.channels(6), 6, "schema 1 has any width");
        assert_eq!(Expansion::new(6.0, BlockKind::Inverted).unwrap().channels(24), 144);
        assert_eq!(Expansion::new(0.5, BlockKind::Inverted), None);
        assert_eq!(Expansion::new(3.0, BlockKind::Basic), None);
    }
}
