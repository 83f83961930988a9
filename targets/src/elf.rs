//! What a program file itself says about where it runs: its processor and the newest C library symbol it asks for.

use std::path::Path;

use mfactor::{Error, Result, files};
use object::elf::{EM_AARCH64, EM_ARM, EM_X86_64, FileHeader32, FileHeader64};
use object::read::elf::FileHeader;
use object::{Endianness, FileKind};
use serde::Serialize;

use crate::glibc::Glibc;
use crate::target::Target;

/// Facts from the headers of an ELF file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ElfFacts {
    /// Architecture as Rust names it (`aarch64`), or `machine 243` for one that no board here has.
    pub architecture: String,
    /// The newest `GLIBC_x.y` among the symbol versions it needs; `None` if it needs none.
    pub glibc: Option<Glibc>,
}

/// Reads the facts of the program at `path`.
///
/// # Errors
/// [`Error::Input`] if it cannot be read or is no ELF file.
pub fn read(path: &Path) -> Result<ElfFacts> {
    let data = files::read(path)?;
    let facts = match FileKind::parse(&*data) {
        Ok(FileKind::Elf32) => facts::<FileHeader32<Endianness>>(&data),
        Ok(FileKind::Elf64) => facts::<FileHeader64<Endianness>>(&data),
        _ => return Err(Error::file(path, "is not an ELF program")),
    };
    facts.map_err(|error| Error::file(path, format!("is a broken ELF program: {error}")))
}

/// Refuses a program that `target` cannot run; the error names both.
pub fn check(facts: &ElfFacts, path: &Path, target: &Target) -> Result<()> {
    let name = &target.name;
    if facts.architecture != target.architecture() {
        let ours = target.architecture();
        let problem = format!("is built for {}, and {name} is {ours}", facts.architecture);
        return Err(Error::file(path, problem));
    }
    match (facts.glibc, target.glibc) {
        (Some(asked), Some(there)) if asked > there => Err(Error::file(
            path,
            format!(
                "asks for glibc {asked}, and {name} has {there}; build it with cargo-zigbuild (scripts/setup-cross)"
            ),
        )),
        (Some(asked), None) if !target.is_host() => {
            Err(Error::file(path, format!("asks for glibc {asked}, and {name} has none ({})", target.triple)))
        }
        _ => Ok(()),
    }
}

fn facts<Elf: FileHeader<Endian = Endianness>>(data: &[u8]) -> object::Result<ElfFacts> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let architecture = match header.e_machine(endian) {
        EM_AARCH64 => "aarch64".to_owned(),
        EM_ARM => "arm".to_owned(),
        EM_X86_64 => "x86_64".to_owned(),
        other => format!("machine {other:?}"),
    };
    let sections = header.sections(endian, data)?;
    let mut glibc = None;
    if let Some((mut libraries, link)) = sections.gnu_verneed(endian, data)? {
        let strings = sections.strings(endian, data, link)?;
        while let Some((_, mut versions)) = libraries.next()? {
            while let Some(version) = versions.next()? {
                let name = String::from_utf8_lossy(version.name(endian, strings)?);
                glibc = glibc.max(Glibc::from_symbol_version(&name));
            }
        }
    }
    Ok(ElfFacts { architecture, glibc })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boards;

    fn own() -> std::path::PathBuf {
        std::env::current_exe().unwrap()
    }

    #[test]
    fn this_very_program_fits_the_host_and_no_other_machine() {
        let facts = read(&own()).unwrap();
        check(&facts, &own(), &boards::load("host").unwrap()).unwrap();
        let other = boards::list().into_iter().find(|t| t.architecture() != std::env::consts::ARCH).unwrap();
        let error = check(&facts, &own(), &other).unwrap_err();
        let text = error.to_string();
        for part in [std::env::consts::ARCH, other.architecture(), &other.name] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn a_board_with_an_older_c_library_is_refused() {
        let facts = read(&own()).unwrap();
        let asked = facts.glibc.unwrap();
        let mut board = boards::load("generic-aarch64").unwrap();
        board.triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        board.glibc = Some(asked);
        check(&facts, &own(), &board).unwrap();
        board.glibc = Some(Glibc { major: 2, minor: asked.minor - 1 });
        let text = check(&facts, &own(), &board).unwrap_err().to_string();
        assert!(text.contains(&format!("glibc {asked}")) && text.contains(&board.name), "{text}");
        board.glibc = None;
        assert!(check(&facts, &own(), &board).is_err());
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runner");
        let whole = std::fs::read(own()).unwrap();
        for (bytes, expected) in [(&b"#!/bin/sh\n"[..], "not an ELF"), (&whole[..200], "broken ELF")] {
            std::fs::write(&path, bytes).unwrap();
            let text = read(&path).unwrap_err().to_string();
            assert!(text.contains(expected) && text.contains("runner"), "{text}");
        }
    }
}
