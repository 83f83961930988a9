//! The subcommands, one file each.

mod paper;
mod score;
mod space;

use clap::Subcommand;

use crate::output::Output;

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    Space(space::Space),
    Score(score::Score),
    Paper(paper::Paper),
}

impl Command {
    /// Runs the command.
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        match self {
            Self::Space(command) => command.run(output),
            Self::Score(command) => command.run(output),
            Self::Paper(command) => command.run(output),
        }
    }
}
