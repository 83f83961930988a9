//! What a board is; the runner built for one; flashing it, and coming back with numbers.
//!
//! | module | holds |
//! |---|---|
//! | [`target`] | the schema of a board file, parsed and checked |
//! | [`boards`] | the boards that ship, and a user's own file |
//! | [`machine`] | what this machine has for building |
//! | [`ways`](mod@ways) | which ways of building work with that |
//! | [`build`](mod@build) | the build itself |
//! | [`elf`] | what the built program says about where it runs |
//! | [`glibc`] | versions of the C library |
//! | [`host`], [`inventory`] | what a user calls a board, and a file of many |
//! | [`keys`], `numbers` | keys that sign releases, and the numbers that releases have |
//! | [`bundle`] | a release as the host makes it |
//! | [`ssh`] | the system's ssh |
//! | [`probe`](mod@probe) | what a board is and holds, before anything is sent |
//! | [`flash`](mod@flash), [`fleet`] | flashing one board, and many side by side |

pub mod boards;
pub mod build;
pub mod bundle;
pub mod elf;
pub mod flash;
pub mod fleet;
pub mod glibc;
pub mod host;
pub mod inventory;
pub mod keys;
pub mod machine;
mod numbers;
pub mod probe;
pub mod ssh;
pub mod target;
pub mod ways;

pub use boards::{NAMES, list, load};
pub use build::{BuildEvent, BuildOptions, BuiltRunner, build, find_workspace};
pub use bundle::{Bundle, Contents, MeasureOptions};
pub use flash::{Board, FlashEvent, FlashOptions, Flashed};
pub use fleet::{Assignment, flash_all};
pub use glibc::Glibc;
pub use host::{BoardName, Folder, Host};
pub use probe::Probe;
pub use ssh::SshOptions;
pub use target::Target;
pub use ways::{Obstacle, Way, WayName, ways};
