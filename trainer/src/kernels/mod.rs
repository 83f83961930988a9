//! Layers of this project's own, for training on a CPU in float32 or bfloat16, where they are quicker than libtorch's: convolutions, those with
//! large kernels by an algorithm that needs a fraction of the multiplications, and batch norms that read and write their images as seldom as can be.
//!
//! The vector code is that of the crate `kernels`, which the runner uses too. Images lie in memory as image × row × column ×
//! channel. All but [`tensors`] knows slices of numbers and not libtorch.

mod convolution;
pub mod tensors;

pub use convolution::Convolution;
pub use kernels::training::BatchNorm;

use std::sync::OnceLock;

use kernels::{BadSetting, InstructionSet, KNOB, Setting};
use mfactor::{Error, Result};

static INSTRUCTIONS: OnceLock<Option<InstructionSet>> = OnceLock::new();

/// The instructions of all layers that are computed here; `None` if libtorch computes everything, as on a processor without vectors.
/// The quickest, unless [`obey_environment`] came first.
pub fn instructions() -> Option<InstructionSet> {
    let best = || InstructionSet::best().map(InstructionSet::of_numbers);
    *INSTRUCTIONS.get_or_init(best)
}

/// Those of a layer that is computed here, which there are only if there are any.
fn vectors() -> InstructionSet {
    instructions().expect("what is supported has vectors")
}

/// Has layers computed as [`KNOB`] says. Comes before the first of them.
///
/// # Errors
/// [`Error::Usage`] for a word that means nothing, [`Error::Input`] for instructions that this processor lacks.
pub fn obey_environment() -> Result<()> {
    let set = Setting::from_environment().and_then(Setting::instruction_set).map_err(|bad| match bad {
        BadSetting::Unknown(_) => Error::Usage(format!("{KNOB} {bad}")),
        BadSetting::Missing(_) => Error::input(KNOB, bad.to_string()),
    })?;
    INSTRUCTIONS.get_or_init(|| set.map(InstructionSet::of_numbers));
    Ok(())
}
