//! `mfactor completions` and `mfactor man`: generated from the command line's own definition.

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
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
        // A file of its own: nothing in it is from elsewhere.
        output.drawn_result(&script, || script.clone())
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
        files::check_room(&self.dir, 1 << 20)?;
        let mut written = vec![];
        for command in pages(&root) {
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

/// A command and all commands below it; `help` has no page, for the pages are it.
fn pages(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    std::iter::once(command).chain(below.flat_map(pages)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let mut root = Cli::command();
        root.build();
        let names: Vec<String> =
            pages(&root).into_iter().map(|page| clap_mangen::Man::new(page.clone()).get_filename()).collect();
        for name in ["mfactor.1", "mfactor-search.1", "mfactor-targets-build.1", "mfactor-compare.1"] {
            assert!(names.iter().any(|own| own == name), "{name} is not among {names:?}");
        }
        assert!(names.iter().all(|name| !name.contains("help")), "{names:?}");
    }
}
