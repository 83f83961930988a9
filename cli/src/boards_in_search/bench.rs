//! Where untrained networks are measured: on this machine, or on a board that gets them as signed releases.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use edge_runner::rounds::{self, LiveMachine, Order, Subject};
use engines::EngineOptions;
use mfactor::measured_networks::MeasuredNetwork;
use mfactor::measurement::{Preset, Verdict};
use mfactor::{Architecture, Error, Result};
use release::SensorChoice;
use targets::FlashEvent;

use crate::commands::table::HOST;
use crate::cost_tables::board::OnBoard;

/// A place where a model is measured.
pub trait Bench: Send {
    /// Its name: of a board, or `host`.
    fn name(&self) -> &str;

    /// Measures the model of a network, without accuracy: what it took, and whether that counts.
    ///
    /// # Errors
    /// What measuring itself says; [`Error::Interrupted`] where the user stopped it.
    fn measure(&mut self, network: &Architecture, model: &Path) -> Result<(MeasuredNetwork, Verdict)>;
}

/// This machine.
pub struct Here {
    /// The runner.
    pub program: PathBuf,
    /// The engine.
    pub engine: EngineOptions,
    /// How thoroughly.
    pub preset: Preset,
    /// What ends it.
    pub stop: Arc<AtomicBool>,
}

impl Bench for Here {
    fn name(&self) -> &str {
        HOST
    }

    fn measure(&mut self, network: &Architecture, model: &Path) -> Result<(MeasuredNetwork, Verdict)> {
        let subject = Subject { model: model.to_owned(), contents: None, engine: self.engine.clone() };
        let order = Order { subjects: vec![subject], data: vec![], preset: self.preset };
        let is_stopped = || self.stop.load(Ordering::Relaxed);
        let mut machine = LiveMachine::new(&self.program, &SensorChoice::default(), &is_stopped);
        let measured = rounds::measure(&order, &mut machine, &mut |_, _| ()).into_iter().next();
        if is_stopped() {
            return Err(Error::Interrupted("stopped while a network was measured".to_owned()));
        }
        let record = measured.ok_or_else(|| Error::Defect("nothing was measured".to_owned()))??;
        Ok((MeasuredNetwork::of(network, self.name(), HOST, &record), record.verdict))
    }
}

/// A board.
pub struct Away<'a> {
    /// How it gets releases.
    pub on: OnBoard<'a>,
    /// How thoroughly.
    pub preset: Preset,
}

impl Bench for Away<'_> {
    fn name(&self) -> &str {
        self.on.board.name.as_str()
    }

    fn measure(&mut self, network: &Architecture, model: &Path) -> Result<(MeasuredNetwork, Verdict)> {
        let mut measured = None;
        let models = vec![model.to_owned()];
        self.on.release("search", models, self.preset, &mut |event| {
            if let FlashEvent::Measured(record) = event {
                measured = Some(record.as_ref().clone());
            }
        })?;
        let nothing =
            || Error::Board { subject: self.name().to_owned(), problem: "measured nothing".to_owned() };
        let record = measured.ok_or_else(nothing)?;
        Ok((MeasuredNetwork::of(network, self.name(), &self.on.target.name, &record), record.verdict))
    }
}
