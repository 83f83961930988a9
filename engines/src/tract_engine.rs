//! tract: pure Rust, part of this program, the default engine.

use std::io::Cursor;

use kernels::{InstructionSet, KNOB, Setting};
use mfactor::measurement::EngineFacts;
use mfactor::{Error, Result};
use tract_core::internal::*;
use tract_linalg::MmmDispatch;
use tract_linalg::mmm::Query;
use tract_onnx::prelude::{Framework, InferenceModelExt};

use crate::engine::{Engine, Session, Signature, check_image};
use crate::fused;
use crate::{panics, tract_operators};

/// Environment variables that change which kernels tract takes; they belong in the record.
const KNOB_PREFIX: &str = "TRACT_";

/// tract's version, which Cargo.toml pins.
const VERSION: &str = "0.23.9";

/// tract on one thread.
pub struct Tract {
    /// Which of this project's kernels it uses.
    set: Option<InstructionSet>,
}

impl Tract {
    /// The engine.
    ///
    /// # Errors
    /// [`Error::Usage`] for more than one thread: tract is built without its thread pool here, for it gains
    /// nothing on networks this small; or for a word in [`KNOB`] that means nothing. [`Error::Input`] if that asks for
    /// instructions that the processor lacks.
    pub fn new(threads: usize) -> Result<Self> {
        if threads != 1 {
            let reason = format!("tract runs on one thread, not {threads}; --engine ort can use more");
            return Err(Error::Usage(reason));
        }
        Self::with(Setting::from_environment().map_err(fused::refused)?)
    }

    /// The engine with the kernels that are asked for.
    ///
    /// # Errors
    /// [`Error::Input`] if the processor lacks their instructions.
    pub fn with(setting: Setting) -> Result<Self> {
        let set = setting.instruction_set().map_err(fused::refused)?;
        Ok(Self { set })
    }
}

impl Engine for Tract {
    fn facts(&self) -> EngineFacts {
        let is_knob = |name: &str| name.starts_with(KNOB_PREFIX) || name == KNOB;
        let knobs = std::env::vars().filter(|(name, _)| is_knob(name)).collect();
        let version = VERSION.to_owned();
        EngineFacts { name: "tract".to_owned(), version, threads: 1, knobs, kernels: Some(self.kernels()) }
    }

    fn allocates_here(&self) -> bool {
        true
    }

    fn load(&self, model: &[u8], signature: Signature, subject: &str) -> Result<Box<dyn Session>> {
        let refuse = |reason: String| Error::input(subject, format!("tract refuses this model: {reason}"));
        let (state, fused) = panics::caught(|| prepare(model, signature, self.set))
            .ok_or_else(|| refuse("it panicked".to_owned()))?
            .map_err(|error| refuse(format!("{error:#}")))?;
        Ok(Box::new(TractSession { state, signature, fused }))
    }
}

impl Tract {
    /// Whose kernels compute what: this project's as much as they can, tract's the rest.
    fn kernels(&self) -> String {
        match self.set {
            Some(set) => format!("fused {set}; {}", kernels()),
            None => kernels(),
        }
    }
}

/// What tract takes this processor for, and the kernel that it picks for a convolution of the paper's second stage:
/// 32 output channels, 288 values a patch, 256 places. It runs int8 files in f32 as well, and to pick a kernel of integers it would
/// time some, for milliseconds.
fn kernels() -> String {
    let dispatch = MmmDispatch::native();
    let tiers: Vec<&str> = dispatch.tiers().iter().map(|tier| tier.name).collect();
    let query = Query::plain(DatumType::F32, Some(32), Some(288), Some(256));
    let picked = dispatch.pick(&query);
    let picked = picked.map_or_else(|| "none".to_owned(), |(kernel, _, _)| kernel.name().to_owned());
    format!("{}: f32 {picked}", tiers.join(" > "))
}

/// Parses, fixes the batch at 1, lets the kernels take what they can, and optimises the rest. Only for a concrete shape does
/// tract choose its convolution kernels; a graph that is merely decluttered runs several times slower.
fn prepare(
    model: &[u8],
    signature: Signature,
    set: Option<InstructionSet>,
) -> TractResult<(TypedSimpleState, Option<String>)> {
    let mut model = tract_operators::reader().model_for_read(&mut Cursor::new(model))?;
    model.set_input_fact(0, u8::fact(shape(signature)).into())?;
    let mut model = model.into_typed()?;
    let fused = set.map(|set| fused::fuse(&mut model, set)).transpose()?.flatten();
    Ok((model.into_optimized()?.into_runnable()?.spawn()?, fused))
}

/// The shape of the input: one image.
fn shape(signature: Signature) -> [usize; 4] {
    let image = signature.image;
    [1, image.channels, image.height, image.width]
}

struct TractSession {
    state: TypedSimpleState,
    signature: Signature,
    /// What is computed by this project's kernels, if anything is.
    fused: Option<String>,
}

impl Session for TractSession {
    fn kernels(&self) -> Option<String> {
        Some(match &self.fused {
            Some(fused) => format!("fused {fused}; {}", kernels()),
            None => kernels(),
        })
    }

    fn run(&mut self, image: &[u8]) -> Result<Vec<f32>> {
        check_image(image, self.signature)?;
        let refuse = |reason: String| Error::input("model", format!("tract cannot run it: {reason}"));
        let shape = shape(self.signature);
        let answer = panics::caught(|| {
            let input = Tensor::from_shape(&shape, image)?;
            let outputs = self.state.run(tvec!(input.into_tvalue()))?;
            let logits = outputs.first().context("it has no output")?;
            Ok(logits.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
        });
        answer
            .ok_or_else(|| refuse("it panicked".to_owned()))?
            .map_err(|error: TractError| refuse(format!("{error:#}")))
    }
}
