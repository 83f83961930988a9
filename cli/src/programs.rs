//! Finding the programs that this one starts: `mfactor-trainer` and `edge-runner`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mfactor::{Error, Result};

/// A program of this project.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    name: &'static str,
    variable: &'static str,
}

/// Trains; the only program that needs libtorch.
pub const TRAINER: Program = Program { name: "mfactor-trainer", variable: "MFACTOR_TRAINER" };
/// Measures.
pub const RUNNER: Program = Program { name: "edge-runner", variable: "MFACTOR_RUNNER" };

impl Program {
    /// Name of the executable.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its path: what the environment variable says, else beside this program, else on PATH.
    pub fn find(&self) -> Result<PathBuf> {
        if let Some(path) = std::env::var_os(self.variable).filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            return if path.is_file() {
                Ok(path)
            } else {
                let problem =
                    format!("{} is not a file; name the program {}, or unset it", path.display(), self.name);
                Err(Error::input(self.variable, problem))
            };
        }
        let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        beside
            .into_iter()
            .chain(std::env::split_paths(&on_path))
            .map(|folder| folder.join(self.name))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                let what = format!("{} is neither beside this program nor on PATH", self.name);
                Error::missing(what, "scripts/setup")
            })
    }
}

/// libtorch's threads (libgomp) wait for each other by spinning, which on a machine that does other work as well burns the
/// time they wait for: with two busy neighbours on two cores a training took 17.1 s spinning and 9.0 s sleeping, and
/// 4.6 s and 4.8 s on the quiet machine. What the user set stands.
pub fn patient_threads() -> Vec<(OsString, OsString)> {
    let chosen = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"].iter().any(|name| std::env::var_os(name).is_some());
    if chosen { vec![] } else { vec![("GOMP_SPINCOUNT".into(), "0".into())] }
}
