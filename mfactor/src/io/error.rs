//! The one error type of the libraries: each variant is a class with its own exit code.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit;
use crate::text::quoted;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, by who can mend it. The text is a sentence that names the subject.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bad input. `subject` is a file, with the place in it where there is one.
    #[error("{subject}: {problem}")]
    Input {
        /// The file, key or value that is wrong.
        subject: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// A wrong use of the command line that parsing alone cannot see.
    #[error("{0}")]
    Usage(String),
    /// Something this machine lacks.
    #[error("{what}; to mend it, run: {install}")]
    Missing {
        /// What was looked for, and where.
        what: String,
        /// The command that installs it.
        install: String,
    },
    /// The board or the network failed.
    #[error("{subject}: {problem}")]
    Board {
        /// The board or host.
        subject: String,
        /// What it answered, or did not.
        problem: String,
    },
    /// A measurement was made and is not valid.
    #[error("the measurement is not valid: {0}")]
    Invalid(String),
    /// A search came to its end and no trial has a result.
    #[error("{0}")]
    Fruitless(String),
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The result could not be handed over.
    #[error("cannot write standard output: {0}")]
    Output(io::Error),
    /// Something that this program promised itself did not hold.
    #[error("{0} (this is a defect of mfactor)")]
    Defect(String),
    /// The user stopped the work.
    #[error("{0}")]
    Interrupted(String),
}

impl Error {
    /// Bad input at `subject`.
    pub fn input(subject: impl ToString, problem: impl ToString) -> Self {
        Self::Input { subject: subject.to_string(), problem: problem.to_string() }
    }

    /// Bad input in the file at `path`.
    pub fn file(path: &Path, problem: impl ToString) -> Self {
        Self::input(path.display(), problem)
    }

    /// TOML `text` from `subject`, which does not say what it should: the place, and what is wrong there, in one line.
    pub fn toml(subject: impl ToString, text: &str, error: &toml::de::Error) -> Self {
        let place = error.span().map_or_else(String::new, |span| {
            let before = text.get(..span.start).unwrap_or(text);
            let start = before.rfind('\n').map_or(0, |end| end + 1);
            let (line, column) = (before.matches('\n').count() + 1, before[start..].chars().count() + 1);
            let shown = quoted(text[start..].lines().next().unwrap_or_default().trim(), 60);
            let shown = if shown.is_empty() { shown } else { format!(" ({shown})") };
            format!("line {line}, column {column}{shown}: ")
        });
        let message = error.message().trim_end().replace('\n', "; ");
        Self::input(subject, format!("{place}{message}"))
    }

    /// Something missing, and the command that installs it.
    pub fn missing(what: impl ToString, install: impl ToString) -> Self {
        Self::Missing { what: what.to_string(), install: install.to_string() }
    }

    /// Wraps a refusal of the operating system; for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// The exit code of this class, from [`exit`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input { .. } => exit::INPUT,
            Self::Usage(_) => exit::USAGE,
            Self::Missing { .. } | Self::Output(_) => exit::MISSING,
            Self::Board { .. } => exit::BOARD,
            Self::Invalid(_) | Self::Fruitless(_) => exit::INVALID,
            Self::Defect(_) => exit::DEFECT,
            Self::Interrupted(_) => exit::INTERRUPTED,
            Self::Io { source, .. } => match source.kind() {
                // Space is a thing this machine lacks; everything else is a wrong path or permission.
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    exit::MISSING
                }
                _ => exit::INPUT,
            },
        }
    }
}

/// An [`Error`] that can cross a pipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// [`Error::Input`]
    Input {
        /// The file, key or value.
        subject: String,
        /// What is wrong.
        problem: String,
    },
    /// [`Error::Missing`]
    Missing {
        /// What is missing.
        what: String,
        /// How to install it.
        install: String,
    },
    /// [`Error::Board`]
    Board {
        /// The board or host.
        subject: String,
        /// What it answered, or did not.
        problem: String,
    },
    /// [`Error::Usage`]
    Usage(String),
    /// Anything else.
    Defect(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Input { subject, problem } => Self::Input { subject, problem },
            Error::Missing { what, install } => Self::Missing { what, install },
            Error::Board { subject, problem } => Self::Board { subject, problem },
            Error::Usage(text) => Self::Usage(text),
            Error::Io { action, path, source } => Self::Input {
                subject: path.display().to_string(),
                problem: format!("cannot {action} it: {source}"),
            },
            other => Self::Defect(other.to_string()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Input { subject, problem } => Self::Input { subject, problem },
            Failure::Missing { what, install } => Self::Missing { what, install },
            Failure::Board { subject, problem } => Self::Board { subject, problem },
            Failure::Usage(text) => Self::Usage(text),
            Failure::Defect(text) => Self::Defect(text),
        }
    }
}
