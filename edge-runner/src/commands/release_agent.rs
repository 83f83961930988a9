//! The hidden command that `mfactor flash` starts on the board.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use clap::Args;
use edge_runner::release_measurer::RoundsOfRelease;
use mfactor::patience::Patient;
use mfactor::{Error, Result, exit};
use release::board::agent::{LONGEST_SILENCE, serve};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::Mode;

/// Serve one flash from the host
#[derive(Args)]
pub struct Arguments {
    /// The folder that holds everything of ours
    #[arg(long)]
    folder: PathBuf,
    /// Who flashes, for those who find the lock taken
    #[arg(long)]
    owner: String,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<u8> {
    // What is made here is not to be changed by others, whatever the login's habit.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let input = unbuffered(io::stdin().as_fd()).map_err(Error::io("read", "standard input".as_ref()))?;
    let output = unbuffered(io::stdout().as_fd()).map_err(Error::io("write", "standard output".as_ref()))?;
    let input = Patient::each(input, LONGEST_SILENCE);
    let mut output = Patient::each(output, LONGEST_SILENCE);
    serve(&arguments.folder, &arguments.owner, &RoundsOfRelease, input, &mut output)?;
    Ok(exit::DONE)
}

/// The same pipe without a buffer: what that held back could not be waited for.
fn unbuffered(pipe: BorrowedFd<'_>) -> io::Result<File> {
    pipe.try_clone_to_owned().map(File::from)
}
