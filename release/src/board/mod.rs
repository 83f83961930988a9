//! The board's side of a flash: receive a release, verify it on the disk, try it, switch to it, and be able to go back.
//!
//! The rule that every function here keeps: at any moment, whatever is cut off, `current` leads to one whole release
//! that passed its health check. See [`release`] for the folder, and `docs/boards.md` for what each fault
//! leaves behind.
//!
//! | module | holds |
//! |---|---|
//! | [`layout`] | the folder on the board: paths, symlinks, syncing |
//! | [`lock`] | one at a time |
//! | [`trust`] | the pinned key and signatures |
//! | [`verify`] | whether a release on the disk is what its manifest says |
//! | [`staging`] | what is lacking; receiving it; making it a release |
//! | [`health`] | golden inputs through every model, with the release's own runner |
//! | [`switch`] | activate, confirm, recover, roll back |
//! | [`status`], [`collect`] | what the board holds; making room |
//! | [`agent`] | the dialogue with the host |

pub mod agent;
pub mod collect;
pub mod health;
pub mod layout;
pub mod lock;
pub mod staging;
pub mod status;
pub mod switch;
pub mod trust;
pub mod verify;

use std::path::PathBuf;

use mfactor::{Error, Result};

use crate::{MeasureRequest, Reply};

/// An error about what the board holds; the host says which board it is.
fn board(subject: impl ToString, problem: impl ToString) -> Error {
    Error::Board { subject: subject.to_string(), problem: problem.to_string() }
}

/// Who measures models on this board; the dialogue knows nothing of engines and clocks.
pub trait Measurer {
    /// Measures, and tells [`Reply::Measuring`] on the way and a [`Reply::Measured`] for each model.
    ///
    /// # Errors
    /// The first failure of a model, when the others are done, or what `tell` returned.
    fn measure(&self, work: &Measuring, tell: &mut dyn FnMut(&Reply) -> Result<()>) -> Result<()>;
}

/// What is to be measured, all of it verified just before.
#[derive(Debug)]
pub struct Measuring {
    /// Path of the release's own runner.
    pub program: PathBuf,
    /// Paths of the models.
    pub models: Vec<PathBuf>,
    /// Paths of the labelled test records.
    pub data: Vec<PathBuf>,
    /// How to measure.
    pub request: MeasureRequest,
}
