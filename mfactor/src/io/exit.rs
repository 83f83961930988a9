//! The exit codes of every program of this project.

/// The work is done.
pub const DONE: u8 = 0;
/// A defect of ours: please report it.
pub const DEFECT: u8 = 1;
/// Wrong use of the command line.
pub const USAGE: u8 = 2;
/// Bad input: data, model or configuration. The message names the file and the place in it.
pub const INPUT: u8 = 3;
/// Something is missing on this machine. The message names the command that installs it.
pub const MISSING: u8 = 4;
/// The board, or the network on the way to it, failed.
pub const BOARD: u8 = 5;
/// Done, but without a valid result: the measurement does not count, or every trial of the search failed.
pub const INVALID: u8 = 6;
/// Stopped by Ctrl-C, SIGTERM or SIGHUP (the shell's own convention, 128 + SIGINT). What was known is written.
pub const INTERRUPTED: u8 = 130;
