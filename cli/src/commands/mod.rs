//! The subcommands, one file each.

mod bench;
mod board;
mod cluster;
mod compare;
mod completions;
mod data;
mod data_import;
mod doctor;
mod export;
pub mod flash;
mod launch;
mod measure;
mod naswot;
mod paper;
mod pick;
mod predict;
mod score;
mod search;
mod shared;
mod space;
pub mod table;
pub mod targets;
mod trials;
mod worker;

use clap::Subcommand;

use crate::output::Output;

pub use export::models_folder;
pub use measure::measurements_folder;

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    Space(space::Space),
    Score(score::Score),
    Paper(paper::Paper),
    Data(data::Data),
    Search(Box<search::Search>),
    Trials(trials::Trials),
    Export(export::Export),
    Measure(measure::Measure),
    Compare(compare::Compare),
    Pick(pick::Pick),
    Predict(predict::Predict),
    Naswot(naswot::Naswot),
    Table(table::Table),
    Bench(bench::Bench),
    Targets(targets::Targets),
    Flash(flash::Flash),
    Board(board::Board),
    Cluster(cluster::Cluster),
    Worker(Box<worker::Worker>),
    Launch(Box<launch::Launch>),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(completions::Man),
}

impl Command {
    /// Runs the command.
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        match self {
            Self::Space(command) => command.run(output),
            Self::Score(command) => command.run(output),
            Self::Paper(command) => command.run(output),
            Self::Data(command) => command.run(output),
            Self::Search(command) => command.run(output),
            Self::Trials(command) => command.run(output),
            Self::Export(command) => command.run(output),
            Self::Measure(command) => command.run(output),
            Self::Compare(command) => command.run(output),
            Self::Pick(command) => command.run(output),
            Self::Predict(command) => command.run(output),
            Self::Naswot(command) => command.run(output),
            Self::Table(command) => command.run(output),
            Self::Bench(command) => command.run(output),
            Self::Targets(command) => command.run(output),
            Self::Flash(command) => command.run(output),
            Self::Board(command) => command.run(output),
            Self::Cluster(command) => command.run(output),
            Self::Worker(command) => command.run(output),
            Self::Launch(command) => command.run(output),
            Self::Doctor(command) => command.run(output),
            Self::Completions(command) => command.run(output),
            Self::Man(command) => command.run(output),
        }
    }
}
