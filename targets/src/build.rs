//! Builds the runner for a target by the first way that works here, and checks the program that came out.

use std::fmt;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mfactor::lines::{self, Line};
use mfactor::{Error, Result, text};
use serde::{Deserialize, Serialize};

use crate::elf;
use crate::glibc::Glibc;
use crate::machine::{Machine, said};
use crate::target::Target;
use crate::ways::{Way, WayName, judge, linked_glibc};

/// Longest line of cargo's that is passed on whole.
const LONGEST_LINE: usize = 64 << 10;

/// How to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// This project's folder, as [`find_workspace`] finds it.
    pub workspace: PathBuf,
}

/// What happens during a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum BuildEvent {
    /// The way that is taken.
    Way {
        /// Which.
        name: WayName,
        /// What it does.
        description: &'static str,
    },
    /// The command that is started, with the environment set for it.
    Command {
        /// As one would type it.
        line: String,
    },
    /// A line that cargo said.
    Line {
        /// The line.
        text: String,
    },
}

/// A runner that fits its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuiltRunner {
    /// Name of the target.
    pub target: String,
    /// Triple it was built for, or `host`.
    pub triple: String,
    /// The way that was taken.
    pub way: WayName,
    /// The program.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its architecture as Rust names it.
    pub architecture: String,
    /// The newest glibc that it asks for.
    pub glibc: Option<Glibc>,
}

/// Builds `edge-runner` for `target` with the profile `board`: minutes the first time.
///
/// # Errors
/// [`Error::Missing`] if no way works here, with the commands that would make one work; [`Error::Input`] if
/// cargo fails, if `workspace` is not this project, or if the program does not fit the board.
pub fn build(
    target: &Target,
    options: &BuildOptions,
    on_event: &mut dyn FnMut(BuildEvent),
) -> Result<BuiltRunner> {
    let workspace = &options.workspace;
    if !is_workspace(workspace) {
        return Err(Error::file(workspace, "is not the source folder of mfactor, which a build needs"));
    }
    let machine = Machine::probe(target, workspace);
    let way = choose(target, &judge(target, &machine))?;
    on_event(BuildEvent::Way { name: way, description: way.description() });
    let invocation = Invocation::new(way, target, &machine, &target_folder(workspace)?);
    on_event(BuildEvent::Command { line: invocation.to_string() });
    invocation.run(workspace, &mut |text| on_event(BuildEvent::Line { text }))?;

    let path = invocation.product;
    let bytes = std::fs::metadata(&path).map_err(Error::io("read", &path))?.len();
    let facts = elf::read(&path)?;
    elf::check(&facts, &path, target)?;
    Ok(BuiltRunner {
        target: target.name.clone(),
        triple: target.triple.clone(),
        way,
        path,
        bytes,
        architecture: facts.architecture,
        glibc: facts.glibc,
    })
}

/// The project's folder: the nearest one above `start` or above this program that holds the runner's sources.
///
/// # Errors
/// [`Error::Missing`] if there is none.
pub fn find_workspace(start: &Path) -> Result<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    let folders = start.ancestors().chain(program.ancestors());
    folders.map(Path::to_owned).find(|folder| is_workspace(folder)).ok_or_else(|| {
        let what = format!(
            "the sources of edge-runner are neither above {} nor above this program",
            start.display()
        );
        Error::missing(what, "cd into the source folder of mfactor")
    })
}

fn is_workspace(folder: &Path) -> bool {
    folder.join("edge-runner/Cargo.toml").is_file() && folder.join("Cargo.lock").is_file()
}

/// The first possible way; without one, all that would have to be installed.
fn choose(target: &Target, ways: &[Way]) -> Result<WayName> {
    if let Some(way) = ways.iter().find(|way| way.is_possible()) {
        return Ok(way.name);
    }
    let joined = |part: fn(&crate::ways::Obstacle) -> &str, way: &Way, separator: &str| {
        let mut parts: Vec<&str> = way.obstacles.iter().map(part).collect();
        parts.dedup();
        parts.join(separator)
    };
    let problems: Vec<String> = ways
        .iter()
        .map(|way| format!("{}: {}", way.name.description(), joined(|o| &o.problem, way, ", ")))
        .collect();
    let mut commands: Vec<String> = vec![];
    for command in ways.iter().map(|way| joined(|o| &o.install, way, " && ")) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    let what = format!("no way to build the runner for {} works here ({})", target.name, problems.join("; "));
    Err(Error::missing(what, commands.join(" or ")))
}

/// Cargo's own build folder, wherever the user's settings put it.
fn target_folder(workspace: &Path) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let text = said("cargo", &["metadata", "--no-deps", "--format-version", "1"], workspace);
    let metadata: Option<Metadata> = text.and_then(|text| serde_json::from_str(&text).ok());
    metadata
        .map(|metadata| metadata.target_directory)
        .ok_or_else(|| Error::file(workspace, "cargo cannot read this workspace; run `cargo metadata` in it"))
}

/// A command with what is set for it in the environment, and the program that it makes.
#[derive(Debug)]
struct Invocation {
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    product: PathBuf,
}

impl Invocation {
    /// Each way and each C library has a folder of its own: cargo does not notice that only the linker changed.
    fn new(way: WayName, target: &Target, machine: &Machine, target_folder: &Path) -> Self {
        let triple = &target.triple;
        let mut variables = vec![];
        let mut program = PathBuf::from("cargo");
        let mut subcommand = "build";
        let mut linked_triple = triple.clone();
        if let (WayName::StdZigbuild | WayName::DistributionZigbuild, Some(zigbuild)) =
            (way, &machine.zigbuild)
        {
            program.clone_from(zigbuild);
            subcommand = "zigbuild";
            if let Some(glibc) = linked_glibc(target) {
                linked_triple = format!("{triple}.{glibc}");
            }
            variables.extend(path_with(zigbuild));
        }
        if let (WayName::StdGcc | WayName::DistributionGcc, Some(compiler)) = (way, &machine.compiler) {
            let name = triple.replace('-', "_");
            variables
                .push((format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), compiler.command.clone()));
            variables.push((format!("CC_{name}"), compiler.command.clone()));
        }
        if way == WayName::Cross {
            program = PathBuf::from("cross");
        }
        let package = ["--locked", "--profile", "board", "--package", "edge-runner", "--bin", "edge-runner"];
        let mut arguments: Vec<String> =
            [subcommand].iter().chain(&package).map(ToString::to_string).collect();
        let mut folder = target_folder.to_owned();
        if way != WayName::Host {
            let family = serde_json::to_value(way).ok().and_then(|name| name.as_str().map(str::to_owned));
            folder.push(format!("boards/{linked_triple}-{}", family.expect("a way's name is text")));
            arguments.extend(["--target".to_owned(), linked_triple]);
            arguments.extend(["--target-dir".to_owned(), folder.display().to_string()]);
            folder.push(triple);
        }
        if let (WayName::DistributionZigbuild | WayName::DistributionGcc, Some(rustc)) =
            (way, &machine.distribution)
        {
            variables.push(("RUSTC".to_owned(), rustc.display().to_string()));
            // The library can only be built with unstable options, which a released compiler takes by this.
            variables.push(("RUSTC_BOOTSTRAP".to_owned(), "1".to_owned()));
            arguments.extend(["-Z".to_owned(), "build-std=std,panic_abort".to_owned()]);
        }
        Self { program, arguments, variables, product: folder.join("board/edge-runner") }
    }

    /// Runs it to its end and passes its lines on.
    fn run(&self, workspace: &Path, on_line: &mut dyn FnMut(String)) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.variables.iter().cloned()).current_dir(workspace);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("start", &self.program))?;
        let mut stderr = BufReader::new(child.stderr.take().expect("the pipe was asked for above"));
        let mut first_error = None;
        while let Ok(Line::Whole(line) | Line::Torn(line) | Line::TooLong(line)) =
            lines::next(&mut stderr, LONGEST_LINE)
        {
            let line = text::visible(String::from_utf8_lossy(&line).trim_end()).into_owned();
            if first_error.is_none() && line.starts_with("error") {
                first_error = Some(line.clone());
            }
            on_line(line);
        }
        let status = child.wait().map_err(Error::io("wait for", &self.program))?;
        if status.success() {
            return Ok(());
        }
        let problem = first_error.unwrap_or_else(|| format!("it ended with {status}"));
        Err(Error::input(format!("the build of edge-runner ({self})"), problem))
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.variables.iter().filter(|(name, _)| name != "PATH") {
            write!(f, "{name}={value} ")?;
        }
        write!(f, "{} {}", self.program.display(), self.arguments.join(" "))
    }
}

/// PATH with the folder of `program` in front: cargo-zigbuild looks there for the Python that has Zig.
fn path_with(program: &Path) -> Option<(String, String)> {
    let folder = program.parent()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    let joined = std::env::join_paths(folders).ok()?;
    Some(("PATH".to_owned(), joined.to_str()?.to_owned()))
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
