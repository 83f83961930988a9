//! Which kernels are asked for.

use kernels::InstructionSet;
use mfactor::{Error, Result};

/// The environment variable that says so.
pub const KNOB: &str = "MFACTOR_KERNELS";

/// What [`KNOB`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The quickest that the processor has.
    Best,
    /// None: everything is tract's.
    Off,
    /// Those for one instruction set.
    Set(InstructionSet),
}

impl Setting {
    /// What the environment says; without a word the best.
    ///
    /// # Errors
    /// [`Error::Usage`] for a word that means nothing.
    pub fn from_environment() -> Result<Self> {
        match std::env::var_os(KNOB) {
            None => Ok(Self::Best),
            Some(word) => Self::parse(&word.to_string_lossy()),
        }
    }

    fn parse(word: &str) -> Result<Self> {
        match word {
            "" | "best" => Ok(Self::Best),
            "off" => Ok(Self::Off),
            _ => word.parse().map(Self::Set).map_err(|_| {
                let names = InstructionSet::ALL.map(InstructionSet::name).join(", ");
                Error::Usage(format!("{KNOB} is {word:?}; it may be best, off, {names}"))
            }),
        }
    }

    /// The instruction set to use on this processor; `None` for none.
    ///
    /// # Errors
    /// [`Error::Input`] if the processor has not the instructions.
    pub fn instruction_set(self) -> Result<Option<InstructionSet>> {
        match self {
            Self::Best => Ok(InstructionSet::best()),
            Self::Off => Ok(None),
            Self::Set(set) if set.is_available() => Ok(Some(set)),
            Self::Set(set) => {
                let here: Vec<_> = InstructionSet::available().map(InstructionSet::name).collect();
                let reason =
                    format!("asks for {set}, which this processor lacks; it has {}", here.join(", "));
                Err(Error::input(KNOB, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mfactor::exit;

    use super::*;

    #[test]
    fn words_are_read_and_others_are_wrong_use() {
        assert_eq!(Setting::parse("").unwrap(), Setting::Best);
        assert_eq!(Setting::parse("off").unwrap(), Setting::Off);
        assert_eq!(Setting::parse("plain").unwrap(), Setting::Set(InstructionSet::Plain));
        let error = Setting::parse("AVX3").unwrap_err();
        assert_eq!(error.exit_code(), exit::USAGE);
        assert!(
            error.to_string().contains("best, off, plain, avx2, avx2vnni, avx512, avx512vnni, neon"),
            "{error}"
        );
    }

    #[test]
    fn instructions_that_are_not_there_are_bad_input() {
        let missing = InstructionSet::ALL.into_iter().find(|set| !set.is_available()).unwrap();
        let error = Setting::Set(missing).instruction_set().unwrap_err();
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains("lacks"), "{error}");
        assert_eq!(Setting::Off.instruction_set().unwrap(), None);
        let plain = Setting::Set(InstructionSet::Plain);
        assert_eq!(plain.instruction_set().unwrap(), Some(InstructionSet::Plain));
    }
}
