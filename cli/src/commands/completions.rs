//! `mfactor completions` and `mfactor man`: generated from the command line's own definition.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use mfactor::{Error, files};

use crate::Cli;
use crate::output::Output;

/// Print shell completions
#[derive(Args)]
#[command(after_help = "\
Example:
  mfactor completions bash > ~/.local/share/bash-completion/completions/mfactor")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let mut script = vec![];
        clap_complete::generate(self.shell, &mut Cli::command(), "mfactor", &mut script);
        let script = String::from_utf8(script)?;
        output.result(&script, || script.clone())
    }
}

/// Write man pages, one a command
#[derive(Args)]
#[command(after_help = "Example:\n  mfactor man ~/.local/share/man/man1")]
pub struct Man {
    /// Folder that receives mfactor.1, mfactor-search.1 and so on
    dir: PathBuf,
}

impl Man {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let mut root = Cli::command();
        // Without this the pages of subcommands would not show the global options.
        root.build();
        let mut written = vec![];
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            let page = clap_mangen::Man::new(command.clone());
            let path = self.dir.join(page.get_filename());
            let mut text = vec![];
            page.render(&mut text).map_err(Error::io("write", &path))?;
            files::write(&path, &text)?;
            written.push(path);
        }
        output.result(&written, || written.iter().map(|path| format!("{}\n", path.display())).collect())
    }
}
