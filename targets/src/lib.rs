//! What a board is, and the runner built for one.
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

pub mod boards;
pub mod build;
pub mod elf;
pub mod glibc;
pub mod machine;
pub mod target;
pub mod ways;

pub use boards::{NAMES, list, load};
pub use build::{BuildEvent, BuildOptions, BuiltRunner, build, find_workspace};
pub use glibc::Glibc;
pub use target::Target;
pub use ways::{Obstacle, Way, WayName, ways};
