//! `mfactor`, the host program: finds small networks, exports the winners, measures and compares them.
//!
//! This file is the table of contents: parse, run, print the error chain, exit. One file a subcommand
//! lives in `commands/`; what they share to talk to the user is in `output.rs`.

mod boards_in_search;
mod commands;
mod confirm;
mod cost_tables;
mod flash_progress;
mod goal;
mod measurements;
mod output;
mod programs;
mod progress;
mod signals;
mod studies;
mod summary;
mod trainers;
mod trial_table;
mod workers;

use std::process::ExitCode;

use clap::Parser;
use mfactor::{Error, exit};

use crate::commands::Command;
use crate::output::{Output, OutputOptions};

/// Find small neural networks for small computers, and prove on the board that they are good.
#[derive(Parser)]
#[command(name = "mfactor", version = mfactor::version(), after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    output: OutputOptions,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  a defect of mfactor: please report it
  2  wrong use of the command line
  3  bad input: the message names the file and the place in it
  4  something is missing on this machine: the message names the command that installs it
  5  the board or the network failed
  6  done, but without a valid result: the measurement does not count, or every trial failed
  130  stopped by Ctrl-C, SIGTERM or SIGHUP; what was known is written";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(stopped) => return ExitCode::from(output::parsing_stopped(&stopped)),
    };
    let output = Output::new(&cli.output);
    let run = || {
        signals::listen()?;
        cli.command.run(&output)
    };
    match run() {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => {
            output.error(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The code of the first error in the chain that has one; any other error is a defect of ours.
fn exit_code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(|cause| cause.downcast_ref::<Error>()).map_or(exit::DEFECT, Error::exit_code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let leaves: Vec<_> = match command.get_subcommands().count() {
                0 => vec![command],
                _ => command.get_subcommands().collect(),
            };
            for leaf in leaves {
                let help = leaf.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("mfactor "), "{} has no example in its help", leaf.get_name());
            }
        }
    }

    #[test]
    fn context_does_not_hide_the_exit_code() {
        let error = anyhow::Error::from(Error::missing("no runner", "scripts/setup")).context("measuring");
        assert_eq!(exit_code(&error), exit::MISSING);
        assert_eq!(exit_code(&anyhow::anyhow!("unexpected")), exit::DEFECT);
    }
}
