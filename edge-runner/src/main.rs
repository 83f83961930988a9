//! `edge-runner`: measures and runs models on the board it is copied to.

mod commands;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mfactor::{Result, exit};

use crate::output::{Output, OutputOptions};

#[global_allocator]
static ALLOCATOR: edge_runner::allocator::Counting = edge_runner::allocator::Counting;

/// Runs and measures mfactor's models on this board
///
/// Exit codes: 0 done, 2 wrong use, 3 bad input, 4 something missing, 5 the board failed, 6 measured but not valid.
#[derive(Parser)]
#[command(name = "edge-runner", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Subcommand)]
enum Command {
    Measure(commands::measure::Arguments),
    Classify(commands::classify::Arguments),
    Info(commands::info::Arguments),
    Board(commands::board::Arguments),
    Check(commands::check::Arguments),
    #[command(name = release::AGENT_COMMAND, hide = true)]
    ReleaseAgent(commands::release_agent::Arguments),
    #[command(name = edge_runner::child::COMMAND, hide = true)]
    MeasureAlone,
}

fn main() -> ExitCode {
    edge_runner::heap::keep_freed_blocks();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(stopped) => return ExitCode::from(output::parsing_stopped(&stopped)),
    };
    let output = Output::new(&cli.output);
    engines::panics::end_in_words(output::talk_of_panic);
    ExitCode::from(run(&cli.command, &output).unwrap_or_else(|error| {
        output.error(&error);
        error.exit_code()
    }))
}

fn run(command: &Command, output: &Output) -> Result<u8> {
    match command {
        Command::Measure(arguments) => commands::measure::run(arguments, output),
        Command::Classify(arguments) => commands::classify::run(arguments, output),
        Command::Info(arguments) => commands::info::run(arguments, output),
        Command::Board(_) => commands::board::run(output),
        Command::Check(arguments) => commands::check::run(arguments, output),
        Command::ReleaseAgent(arguments) => commands::release_agent::run(arguments),
        Command::MeasureAlone => {
            edge_runner::child::serve(std::io::stdin().lock(), &mut std::io::stdout())?;
            Ok(exit::DONE)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in super::Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("edge-runner"), "{}", command.get_name());
        }
    }
}
