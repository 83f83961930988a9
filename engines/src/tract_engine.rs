//! tract: pure Rust, part of this program, the default engine.

use mfactor::measurement::EngineFacts;
use mfactor::{Error, Result};
use tract::State;
use tract::prelude::*;
use tract_linalg::MmmDispatch;
use tract_linalg::mmm::Query;

use crate::engine::{Engine, Session, Signature, check_image};
use crate::panics;

/// Environment variables that change which kernels tract takes; they belong in the record.
const KNOB_PREFIX: &str = "TRACT_";

/// tract on one thread.
pub struct Tract;

impl Tract {
    /// The engine.
    ///
    /// # Errors
    /// [`Error::Usage`] for more than one thread: tract is built without its thread pool here, for it gains
    /// nothing on networks this small.
    pub fn new(threads: usize) -> Result<Self> {
        if threads == 1 {
            return Ok(Self);
        }
        Err(Error::Usage(format!("tract runs on one thread, not {threads}; --engine ort can use more")))
    }
}

impl Engine for Tract {
    fn facts(&self) -> EngineFacts {
        let knobs = std::env::vars().filter(|(name, _)| name.starts_with(KNOB_PREFIX)).collect();
        let version = tract::version().to_owned();
        EngineFacts { name: "tract".to_owned(), version, threads: 1, knobs, kernels: Some(kernels()) }
    }

    fn allocates_here(&self) -> bool {
        true
    }

    fn load(&self, model: &[u8], signature: Signature, subject: &str) -> Result<Box<dyn Session>> {
        let refuse = |reason: String| Error::input(subject, format!("tract refuses this model: {reason}"));
        let state = panics::caught(|| prepare(model, signature))
            .ok_or_else(|| refuse("it panicked".to_owned()))?
            .map_err(|error| refuse(format!("{error:#}")))?;
        Ok(Box::new(TractSession { state, signature }))
    }
}

/// What tract takes this processor for, and the kernels that it picks for a convolution of the paper's second stage:
/// 32 output channels, 288 values a patch, 256 places.
fn kernels() -> String {
    let dispatch = MmmDispatch::native();
    let tiers: Vec<&str> = dispatch.tiers().iter().map(|tier| tier.name).collect();
    let pick = |accumulator| {
        let query = Query::plain(accumulator, Some(32), Some(288), Some(256));
        dispatch.pick(&query).map_or_else(|| "none".to_owned(), |(kernel, _, _)| kernel.name().to_owned())
    };
    let (float, integer) =
        (pick(tract_data::prelude::DatumType::F32), pick(tract_data::prelude::DatumType::I32));
    format!("{}: f32 {float}, int8 {integer}", tiers.join(" > "))
}

/// Parses, fixes the batch at 1, and optimises. Only for a concrete shape does tract choose its convolution
/// kernels; a graph that is merely decluttered runs several times slower.
fn prepare(model: &[u8], signature: Signature) -> anyhow::Result<State> {
    let mut model = tract::onnx()?.load_buffer(model)?;
    let image = signature.image;
    model.set_input_fact(0, format!("1,{},{},{},u8", image.channels, image.height, image.width).as_str())?;
    let runnable = model.into_model()?.into_runnable()?;
    runnable.spawn_state()
}

struct TractSession {
    state: State,
    signature: Signature,
}

impl Session for TractSession {
    fn run(&mut self, image: &[u8]) -> Result<Vec<f32>> {
        check_image(image, self.signature)?;
        let refuse = |reason: String| Error::input("model", format!("tract cannot run it: {reason}"));
        let shape = self.signature.image;
        let answer = panics::caught(|| {
            let input =
                Tensor::from_bytes(DatumType::U8, &[1, shape.channels, shape.height, shape.width], image)?;
            self.state.run([input])?[0].as_slice::<f32>().map(<[f32]>::to_vec)
        });
        answer.ok_or_else(|| refuse("it panicked".to_owned()))?.map_err(|error| refuse(format!("{error:#}")))
    }
}
