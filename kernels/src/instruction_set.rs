//! The instruction sets that there are kernels for, and which of them this processor has.

use std::fmt;
use std::str::FromStr;

/// Vector instructions that the kernels are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// None: arrays of four numbers, for tests and for Miri.
    Plain,
    /// x86-64 with AVX2 and fused multiply-add: 8 numbers.
    Avx2,
    /// The same with AVX-VNNI: dot products of bytes.
    Avx2Vnni,
    /// x86-64 with AVX-512F: 16 numbers.
    Avx512,
    /// The same with AVX-512 VNNI: dot products of bytes.
    Avx512Vnni,
    /// 64-bit ARM: 4 numbers.
    Neon,
    /// The same with dot products of bytes, which ARMv8.2 may have.
    NeonDot,
}

impl InstructionSet {
    /// All of them, the quickest last on each processor.
    pub const ALL: [Self; 7] =
        [Self::Plain, Self::Avx2, Self::Avx2Vnni, Self::Avx512, Self::Avx512Vnni, Self::Neon, Self::NeonDot];

    /// The name in settings: `plain`, `avx2`, `avx2vnni`, `avx512`, `avx512vnni`, `neon` or `neondot`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Avx2 => "avx2",
            Self::Avx2Vnni => "avx2vnni",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::Neon => "neon",
            Self::NeonDot => "neondot",
        }
    }

    /// Whether this processor, and the system on it, has them.
    pub fn is_available(self) -> bool {
        match self {
            Self::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Self::Avx2.is_available() && is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Vnni => Self::Avx2.is_available() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Self::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => Self::Neon.is_available() && std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            _ => false,
        }
    }

    /// The one without dot products, which computes everything that is not made of bytes.
    pub fn of_numbers(self) -> Self {
        match self {
            Self::Avx2Vnni => Self::Avx2,
            Self::Avx512Vnni => Self::Avx512,
            Self::NeonDot => Self::Neon,
            Self::Plain | Self::Avx2 | Self::Avx512 | Self::Neon => self,
        }
    }

    /// Those of this processor, the quickest last.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.is_available())
    }

    /// The quickest on this processor; `None` if there are no vectors to speak of.
    pub fn best() -> Option<Self> {
        Self::available().filter(|set| *set != Self::Plain).last()
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "plain",
            Self::Avx2 => "AVX2",
            Self::Avx2Vnni => "AVX-VNNI",
            Self::Avx512 => "AVX-512",
            Self::Avx512Vnni => "AVX-512 VNNI",
            Self::Neon => "NEON",
            Self::NeonDot => "NEON with dot products",
        })
    }
}

/// A word that names no instruction set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownInstructionSet(String);

impl fmt::Display for UnknownInstructionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = InstructionSet::ALL.map(InstructionSet::name).join(", ");
        write!(formatter, "{:?} is none of the instruction sets {names}", self.0)
    }
}

impl std::error::Error for UnknownInstructionSet {}

impl FromStr for InstructionSet {
    type Err = UnknownInstructionSet;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|set| set.name() == name);
        found.ok_or_else(|| UnknownInstructionSet(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for set in InstructionSet::ALL {
            assert_eq!(set.name().parse(), Ok(set));
        }
        let error = "sse9".parse::<InstructionSet>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"sse9\" is none of the instruction sets plain, avx2, avx2vnni, avx512, avx512vnni, neon, neondot"
        );
    }

    #[test]
    fn the_plain_form_is_everywhere_and_never_the_best() {
        assert!(InstructionSet::Plain.is_available());
        assert_ne!(InstructionSet::best(), Some(InstructionSet::Plain));
    }
}
