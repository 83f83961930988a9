//! `mfactor-trainer`: the only program that links libtorch. Takes jobs on standard input and answers events on
//! standard output, one JSON line each, see [`mfactor::protocol`].

mod allocator;
mod augmentation;
mod averaging;
mod cores;
mod device;
mod evaluation;
mod failure;
mod images;
mod kernels;
mod naswot;
mod network;
mod normalisation;
mod optimizer;
mod owner;
mod parameters;
mod serve;
mod tape;
#[cfg(test)]
#[path = "../tests/toy/mod.rs"]
mod toy;
mod training;
mod weights;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use mfactor::Result;

use crate::device::{Backend, DeviceChoice, Precision};

/// Trains networks for `mfactor search`, which starts this program: jobs on standard input, events on standard
/// output, one JSON line each. It ends when its input ends.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example: mfactor-trainer --device cpu --threads 2 < jobs.jsonl > events.jsonl"
)]
struct Cli {
    /// Where to train: auto (a GPU if libtorch sees one, else the CPU), cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Type that convolutions are trained in; evaluation is always in float32
    #[arg(long, value_enum, default_value = "auto")]
    precision: Precision,
    /// Threads of one operation on the CPU [default: one for each core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print the number of GPUs that libtorch sees, and end
    #[arg(long)]
    count_gpus: bool,
    /// Rate untrained networks by NASWOT instead: one JSON object on standard input, a line of JSON for each network on
    /// standard output
    #[arg(long)]
    naswot: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the one place where this program talks to people")]
            {
                eprintln!("mfactor-trainer: {error}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    if cli.count_gpus {
        #[expect(clippy::print_stdout, reason = "it is what was asked for")]
        {
            println!("{}", device::gpus());
        }
        return Ok(());
    }
    owner::end_with_owner();
    cores::stay_on_cores()?;
    allocator::keep_freed_memory();
    kernels::obey_environment()?;
    let backend = Backend::new(cli.device, cli.precision, cli.threads)?;
    if cli.naswot {
        return naswot::serve(backend, io::stdin().lock(), io::stdout().lock());
    }
    serve::serve(backend, io::stdin().lock(), io::stdout().lock())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
