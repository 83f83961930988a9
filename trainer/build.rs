//! Finds the libtorch that torch-sys links, so that the program starts without `LD_LIBRARY_PATH`, and says what
//! to do where there is none.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prints version and folder of the PyTorch package without the second that importing it takes.
const ASK_PYTHON: &str = "import importlib.metadata as m; d = m.distribution('torch'); \
                          print(d.version); print(d.locate_file('torch'))";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["LIBTORCH_USE_PYTORCH", "LIBTORCH", "LIBTORCH_LIB", "VIRTUAL_ENV"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    match find() {
        Some((version, folder)) => {
            println!("cargo::rustc-env=MFACTOR_LIBTORCH={version}");
            println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
            link_cuda(&folder);
        }
        None => println!(
            "cargo::error=libtorch was not found; to mend it, run: scripts/setup (it makes a private Python \
             environment with libtorch in .venv and builds with it), or before a build of your own: . scripts/environment; \
             or set LIBTORCH to a folder with libtorch 2.13"
        ),
    }
}

/// Version and library folder, looked for where torch-sys looks.
fn find() -> Option<(String, PathBuf)> {
    let (version, folder) = if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        let python = if env::var_os("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
        let output = Command::new(python).args(["-c", ASK_PYTHON]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let (version, package) = text.trim_end().split_once('\n')?;
        (version.to_owned(), Path::new(package).join("lib"))
    } else {
        let root = env::var_os("LIBTORCH").map_or_else(|| PathBuf::from("/usr"), PathBuf::from);
        let version = std::fs::read_to_string(root.join("build-version")).unwrap_or_default();
        let version = if version.trim().is_empty() { "2.13".to_owned() } else { version.trim().to_owned() };
        (version, env::var_os("LIBTORCH_LIB").map_or(root, PathBuf::from).join("lib"))
    };
    folder.join("libtorch.so").is_file().then_some((version, folder))
}

/// Nothing in the program names a symbol of the CUDA half of libtorch, so a linker that drops unused libraries
/// would drop it, and no GPU would ever be seen.
fn link_cuda(folder: &Path) {
    if folder.join("libtorch_cuda.so").is_file() {
        println!("cargo::rustc-link-arg=-Wl,--no-as-needed");
        println!("cargo::rustc-link-arg={}", folder.join("libtorch_cuda.so").display());
        println!("cargo::rustc-link-arg=-Wl,--as-needed");
    }
}
