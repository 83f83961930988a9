//! Which kernels are asked for.

use std::fmt;

use crate::InstructionSet;

/// The environment variable that says so.
pub const KNOB: &str = "MFACTOR_KERNELS";

/// What [`KNOB`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The quickest that the processor has.
    Best,
    /// None: everything is left to the library that these stand in for.
    Off,
    /// Those for one instruction set.
    Set(InstructionSet),
}

impl Setting {
    /// What the environment says; without a word the best.
    ///
    /// # Errors
    /// [`BadSetting::Unknown`] for a word that means nothing.
    pub fn from_environment() -> Result<Self, BadSetting> {
        match std::env::var_os(KNOB) {
            None => Ok(Self::Best),
            Some(word) => Self::parse(&word.to_string_lossy()),
        }
    }

    fn parse(word: &str) -> Result<Self, BadSetting> {
        match word {
            "" | "best" => Ok(Self::Best),
            "off" => Ok(Self::Off),
            _ => word.parse().map(Self::Set).map_err(|_| BadSetting::Unknown(word.to_owned())),
        }
    }

    /// The instruction set to use on this processor; `None` for none.
    ///
    /// # Errors
    /// [`BadSetting::Missing`] if the processor has not the instructions.
    pub fn instruction_set(self) -> Result<Option<InstructionSet>, BadSetting> {
        match self {
            Self::Best => Ok(InstructionSet::best()),
            Self::Off => Ok(None),
            Self::Set(set) if set.is_available() => Ok(Some(set)),
            Self::Set(set) => Err(BadSetting::Missing(set)),
        }
    }
}

/// What cannot be obeyed. The sentences begin after the name of [`KNOB`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadSetting {
    /// A word that means nothing.
    Unknown(String),
    /// Instructions that this processor has not.
    Missing(InstructionSet),
}

impl fmt::Display for BadSetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |sets: &mut dyn Iterator<Item = InstructionSet>| {
            sets.map(InstructionSet::name).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Unknown(word) => {
                let all = names(&mut InstructionSet::ALL.into_iter());
                write!(formatter, "is {word:?}; it may be best, off, {all}")
            }
            Self::Missing(set) => {
                let here = names(&mut InstructionSet::available());
                write!(formatter, "asks for {set}, which this processor lacks; it has {here}")
            }
        }
    }
}

impl std::error::Error for BadSetting {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_others_refused() {
        assert_eq!(Setting::parse(""), Ok(Setting::Best));
        assert_eq!(Setting::parse("off"), Ok(Setting::Off));
        assert_eq!(Setting::parse("plain"), Ok(Setting::Set(InstructionSet::Plain)));
        let error = Setting::parse("AVX3").unwrap_err();
        let expected =
            "is \"AVX3\"; it may be best, off, plain, avx2, avx2vnni, avx512, avx512vnni, neon, neondot";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn instructions_that_are_not_there_are_refused() {
        let missing = InstructionSet::ALL.into_iter().find(|set| !set.is_available()).unwrap();
        let error = Setting::Set(missing).instruction_set().unwrap_err();
        assert!(error.to_string().contains("lacks"), "{error}");
        assert_eq!(Setting::Off.instruction_set(), Ok(None));
        let plain = Setting::Set(InstructionSet::Plain);
        assert_eq!(plain.instruction_set(), Ok(Some(InstructionSet::Plain)));
    }
}
