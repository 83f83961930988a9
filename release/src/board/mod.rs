//! The board's side of a flash: receive a release, verify it on the disk, try it, switch to it, and be able to go back.
//!
//! The rule that every function here keeps: at any moment, whatever is cut off, `current` leads to one whole release
//! that passed its health check. See [`crate`] for the folder, and `docs/boards.md` for what each fault
//! leaves behind.
//!
//! | module | holds |
//! |---|---|
//! | [`ownership`], [`beneath`] | whose folder it is; opening what lies in it, past no link |
//! | [`layout`] | the folder on the board: paths, symlinks, syncing |
//! | [`lock`] | one at a time |
//! | [`trust`], [`taken`] | the pinned key and signatures; one target, and nothing older than what was taken |
//! | [`verify`] | whether a release on the disk is what its manifest says |
//! | [`staging`], [`receive`] | what is lacking; receiving it; making it a release |
//! | [`health`] | golden inputs through every model, with the release's own runner |
//! | [`switch`] | activate, confirm, recover, roll back |
//! | [`status`], [`collect`], [`running`] | what the board holds; making room, but not of what runs |
//! | [`agent`] | the dialogue with the host |

pub mod agent;
pub mod beneath;
pub mod collect;
pub mod health;
pub mod layout;
pub mod lock;
pub mod ownership;
pub mod receive;
pub mod running;
pub mod staging;
pub mod status;
pub mod switch;
pub mod taken;
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
    /// Path of the release's own runner: that of its descriptor, which children inherit.
    pub program: PathBuf,
    /// The models.
    pub models: Vec<Opened>,
    /// The labelled test records.
    pub data: Vec<Opened>,
    /// The library of an engine that needs one.
    pub library: Option<Opened>,
    /// How to measure.
    pub request: MeasureRequest,
}

/// A file that was verified and is still open.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its path in the release, for people.
    pub path: PathBuf,
    /// Where its bytes are read, here and in every child: the path of its descriptor.
    pub contents: PathBuf,
}
