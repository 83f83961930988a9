//! A release: what is flashed to a board as one piece, and the words that host and board exchange about it.
//!
//! | module | holds |
//! |---|---|
//! | [`manifest`] | the list of a release's files, models and test records, and its id |
//! | [`dialogue`] | the lines between the host and the agent on the board |
//! | [`board`] | the board's side: receive, verify, try, switch, go back |
//!
//! The host's side is in `targets`; the runner serves the board's side and lends it its measuring.
//!
//! On the board a folder holds everything:
//!
//! ```text
//! releases/<id>/edge-runner, models/…, manifest.json, manifest.json.minisig
//! records/<sha256>       labelled test records, shared by all releases
//! staging/<id>/          an upload that is not whole yet
//! incoming/              the runner, before anything on the board can check it
//! current, previous      symlinks to releases/<id>; `current` changes by one rename
//! unconfirmed.json       only while a release was switched to and not yet confirmed
//! trusted.pub            the public key that was pinned at first use
//! taken.json             the target of this board, and the newest sequence number that it took
//! lock                   who is at work, held by flock(2)
//! ```

pub mod board;
pub mod dialogue;
pub mod manifest;

pub use dialogue::{
    BoardStatus, Collected, HeldRelease, LockOwner, MeasureRequest, ModelHealth, Reply, Request,
    SensorChoice, Wanted,
};
pub use manifest::{Manifest, RecordsFile, ReleaseFile, ReleaseModel, id, is_id};

/// Name of the runner in a release.
pub const RUNNER: &str = "edge-runner";
/// Folder of a release for libraries that an engine of the runner loads: one file at the most.
pub const LIBRARIES: &str = "lib/";
/// Name of the manifest in a release.
pub const MANIFEST: &str = "manifest.json";
/// Name of the manifest's signature, as minisign names it.
pub const SIGNATURE: &str = "manifest.json.minisig";
/// The hidden command of the runner that serves a flash.
pub const AGENT_COMMAND: &str = "release-agent";
/// Folder of the releases.
pub const RELEASES: &str = "releases";
/// Folder of what arrived before an agent could check it.
pub const INCOMING: &str = "incoming";
/// The pinned public key.
pub const TRUSTED_KEY: &str = "trusted.pub";
/// The file that is locked.
pub const LOCK: &str = "lock";
/// The symlink to the active release.
pub const CURRENT: &str = "current";
/// The symlink to the release that was active before.
pub const PREVIOUS: &str = "previous";
