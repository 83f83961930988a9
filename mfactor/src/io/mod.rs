//! Files, pipes, other programs, errors and exit codes: everything between this program and the system.

pub mod columns;
pub mod console;
pub mod drafts;
pub mod error;
pub mod exit;
pub mod files;
pub mod lines;
pub mod magic;
pub mod markdown;
pub mod name;
pub mod numbers;
pub mod patience;
pub mod process;
mod room;
pub mod text;
