//! The hidden command that `mfactor flash` starts on the board.

use std::fs::File;
use std::path::PathBuf;

use clap::Args;
use edge_runner::release_measurer::RoundsOfRelease;
use mfactor::{Error, Result, exit};
use release::board::agent::{Leased, serve};
use rustix::fd::AsFd;

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
    let input = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let input = Leased::new(input.map_err(Error::io("read", "standard input".as_ref()))?);
    serve(&arguments.folder, &arguments.owner, &RoundsOfRelease, input, &mut std::io::stdout())?;
    Ok(exit::DONE)
}
