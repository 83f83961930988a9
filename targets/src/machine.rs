//! What this machine has for building a runner: facts only, no choice.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::glibc::Glibc;
use crate::target::Target;

/// Debian's compiler and the folder below its root that holds the library sources.
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";
const LIBRARY_SOURCES: &str = "lib/rustlib/src/rust/library/Cargo.toml";

/// Facts about this machine, as far as they matter for one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// Whether cargo starts.
    pub has_cargo: bool,
    /// Whether the standard library of the target's triple is installed beside cargo's compiler.
    pub has_std: bool,
    /// `cargo-zigbuild`, where Zig starts too.
    pub zigbuild: Option<PathBuf>,
    /// A C compiler for the triple.
    pub compiler: Option<CrossCompiler>,
    /// Whether `cross` is on PATH.
    pub has_cross: bool,
    /// Whether Docker or podman answers.
    pub has_containers: bool,
    /// The distribution's Rust compiler, if it is new enough and its library sources are there.
    pub distribution: Option<PathBuf>,
}

/// A C compiler that links for another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossCompiler {
    /// Its command.
    pub command: String,
    /// The C library that it links against.
    pub glibc: Option<Glibc>,
}

impl Machine {
    /// Looks at this machine. `workspace` is this project's folder, whose `.venv` may hold tools.
    pub fn probe(target: &Target, workspace: &Path) -> Self {
        let said = |program: &str, arguments: &[&str]| said(program, arguments, workspace);
        let sysroot = said("rustc", &["--print", "sysroot"]);
        let std = sysroot.map(|root| Path::new(&root).join("lib/rustlib").join(&target.triple).join("lib"));
        Self {
            has_cargo: said("cargo", &["--version"]).is_some(),
            has_std: std.is_some_and(|folder| folder.is_dir()),
            zigbuild: zigbuild(workspace),
            compiler: compiler(&target.triple, workspace),
            has_cross: find("cross", None).is_some(),
            has_containers: ["docker", "podman"].iter().any(|engine| said(engine, &["info"]).is_some()),
            distribution: distribution(workspace),
        }
    }
}

/// The GNU names that Debian gives a triple's compiler; `None` where it has no package for it.
pub(crate) fn debian_name(triple: &str) -> Option<&'static str> {
    match triple {
        "aarch64-unknown-linux-gnu" => Some("aarch64-linux-gnu"),
        "armv7-unknown-linux-gnueabihf" => Some("arm-linux-gnueabihf"),
        "x86_64-unknown-linux-gnu" => Some("x86-64-linux-gnu"),
        _ => None,
    }
}

fn compiler(triple: &str, workspace: &Path) -> Option<CrossCompiler> {
    let command = format!("{}-gcc", debian_name(triple)?.replace("x86-64", "x86_64"));
    let macros = said(&command, &["-dM", "-E", "-include", "features.h", "-x", "c", "/dev/null"], workspace)?;
    let number = |name: &str| -> Option<u32> {
        let line = macros.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let glibc = number("__GLIBC__ ").zip(number("__GLIBC_MINOR__ "));
    Some(CrossCompiler { command, glibc: glibc.map(|(major, minor)| Glibc { major, minor }) })
}

/// cargo-zigbuild takes Zig from the Python beside it, or from PATH; without one it cannot link.
fn zigbuild(workspace: &Path) -> Option<PathBuf> {
    let program = find("cargo-zigbuild", Some(&workspace.join(".venv/bin")))?;
    let python = program.with_file_name("python");
    let starts = |program: &str, arguments: &[&str]| said(program, arguments, workspace).is_some();
    let has_zig = starts(&python.to_string_lossy(), &["-m", "ziglang", "version"])
        || starts("python3", &["-m", "ziglang", "version"])
        || starts("zig", &["version"]);
    has_zig.then_some(program)
}

fn distribution(workspace: &Path) -> Option<PathBuf> {
    let sysroot = said(DISTRIBUTION_RUSTC, &["--print", "sysroot"], workspace)?;
    let version = said(DISTRIBUTION_RUSTC, &["--version"], workspace)?;
    let has_sources = Path::new(&sysroot).join(LIBRARY_SOURCES).is_file();
    let is_new = rust_version(&version)? >= rust_version(env!("CARGO_PKG_RUST_VERSION"))?;
    (has_sources && is_new).then(|| PathBuf::from(DISTRIBUTION_RUSTC))
}

/// `rustc 1.96.0 (…)` or `1.95` as (1, 96) and (1, 95).
fn rust_version(text: &str) -> Option<(u32, u32)> {
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = version.split('.').map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A program in `first`, else on PATH.
fn find(name: &str, first: Option<&Path>) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = first.map(Path::to_owned).into_iter().chain(std::env::split_paths(&on_path));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A tool that needs longer than this to say what it is hangs: the first start of Zig, or of Docker's daemon, takes some
/// seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program prints; `None` if it is not there, fails or hangs. It runs in the workspace, where a toolchain
/// file may choose the compiler.
pub(crate) fn said(program: &str, arguments: &[&str], workspace: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace);
    mfactor::process::said(&mut command, PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_rust_are_compared_by_number() {
        assert_eq!(
            rust_version("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"),
            Some((1, 96))
        );
        assert!(rust_version("rustc 1.100.0") > rust_version("1.95"));
        assert_eq!(rust_version("rustc"), None);
    }

    #[test]
    fn the_machine_that_runs_this_test_has_cargo_and_its_own_std() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let verbose = said("rustc", &["-vV"], workspace).unwrap();
        let mut target = crate::boards::load("generic-aarch64").unwrap();
        target.triple = verbose.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
        let machine = Machine::probe(&target, workspace);
        assert!(machine.has_cargo && machine.has_std, "{machine:?}");
    }
}
