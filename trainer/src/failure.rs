//! Why a job failed: the kind and the sentence that the `failed` event carries.

use mfactor::protocol::FailureKind;
use tch::TchError;

/// Why one job failed. The trainer goes on with the next.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The job itself is wrong: data, architecture, recipe or output folder.
    #[error(transparent)]
    Job(#[from] mfactor::Error),
    /// libtorch refused an operation; out of memory is the usual reason.
    #[error("libtorch refused: {}", first_line(.0))]
    Torch(#[from] TchError),
    /// The loss left the numbers.
    #[error(
        "training diverged: the loss was {loss} by step {step} of {steps}; a lower learning rate may help"
    )]
    Diverged {
        /// Mean loss so far: not a number, or infinite.
        loss: f64,
        /// The step in which it was noticed, from 1.
        step: usize,
        /// Steps of the whole budget.
        steps: usize,
    },
    /// The last step of an epoch threw weights out of the numbers.
    #[error("training diverged: weights are not finite after epoch {epoch}; a lower learning rate may help")]
    NotFinite {
        /// The epoch, from 1.
        epoch: u32,
    },
    /// The search does not listen any more, or does not answer: the trainer ends.
    #[error("{0}")]
    Conversation(mfactor::Error),
    /// Code panicked; the text is the panic's.
    #[error("training panicked: {0}")]
    Panic(String),
}

impl Failure {
    /// What kind of failure it is, for whoever gave the job.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Job(_) => FailureKind::Job,
            Self::Torch(_) => FailureKind::Library,
            Self::Diverged { .. } | Self::NotFinite { .. } => FailureKind::Diverged,
            Self::Conversation(_) => FailureKind::Unknown,
            Self::Panic(_) => FailureKind::Panic,
        }
    }
}

/// libtorch appends a C++ stack trace to its messages; only the first line is for people.
fn first_line(error: &TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
