//! What a board is: the schema of `boards/*.toml` and of a user's own file.
//!
//! A file is parsed strictly (an unknown key is refused), checked key by key, then trusted.

use std::path::Path;

use mfactor::{Error, Limits, Result, text};
use release::manifest::check_target;
use serde::{Deserialize, Serialize};

use crate::glibc::Glibc;

/// Version of the board files that this program reads.
pub const SCHEMA: u32 = 1;
/// The triple of `host.toml`: the machine that this program runs on, whatever it is.
pub const HOST_TRIPLE: &str = "host";
/// Longest text in a board file.
const LONGEST_TEXT: usize = 2_000;

/// A board, or a family of boards that take the same runner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Target {
    /// Version of the schema, [`SCHEMA`].
    pub schema: u32,
    /// Short name: small letters, digits and hyphens.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Rust's name for what the runner is built for, `aarch64-unknown-linux-gnu`, or [`HOST_TRIPLE`].
    pub triple: String,
    /// Oldest C library among the board's systems: the runner must ask for no newer one. `None` for the host
    /// and for triples without glibc.
    pub glibc: Option<Glibc>,
    /// The processor; `None` for a family.
    pub processor: Option<Processor>,
    /// Cache sizes, as far as they are known.
    pub caches: Caches,
    /// Sizes of memory that the board is sold with, in MiB.
    pub memory_mib: Vec<u32>,
    /// Where the board tells of its state.
    pub sensors: Sensors,
    /// What a model must keep to on this board.
    pub limits: Limits,
    /// What a user should know.
    pub notes: Vec<String>,
    /// Pages that the figures come from.
    pub sources: Vec<String>,
}

/// The processor of a board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processor {
    /// Core, with the chip in brackets.
    pub name: String,
    /// Implementer and part as in `/proc/cpuinfo`: `0x41/0xd08`.
    pub part: Option<String>,
    /// Number of cores.
    pub cores: u32,
    /// Highest clock that the board ships with, in MHz.
    pub clock_mhz: u32,
}

/// Cache sizes in KiB. A level is shared by all cores, or there is one a core.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caches {
    /// First level, data, a core.
    pub l1_data_kib: Option<u32>,
    /// First level, instructions, a core.
    pub l1_instruction_kib: Option<u32>,
    /// Second level, a core.
    pub l2_per_core_kib: Option<u32>,
    /// Second level, shared.
    pub l2_shared_kib: Option<u32>,
    /// Third level, shared.
    pub l3_shared_kib: Option<u32>,
}

/// Files or commands on the board that tell of its state. The runner takes those that it knows how to read: see
/// [`release::SensorChoice`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensors {
    /// Temperature.
    pub temperature: Option<String>,
    /// Whether the processor was slowed down.
    pub throttle: Option<String>,
    /// Electric power.
    pub power: Option<String>,
}

/// A file as it is written, before the checks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    schema: u32,
    name: String,
    title: String,
    triple: String,
    glibc: Option<String>,
    processor: Option<Processor>,
    #[serde(default)]
    caches: Caches,
    #[serde(default)]
    memory_mib: Vec<u32>,
    #[serde(default)]
    sensors: Sensors,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(default)]
    sources: Vec<String>,
}

impl Target {
    /// Parses and checks the text of a board file; errors name `path` and the key.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        check_schema(text, path)?;
        let raw: Raw = toml::from_str(text).map_err(|error| Error::toml(path.display(), text, &error))?;
        check_target(&raw.name).map_err(|problem| at(path, "name", problem))?;
        if raw.title.trim().is_empty() {
            return Err(at(path, "title", "must not be empty"));
        }
        check_texts(&raw).map_err(|key| {
            let problem = format!("has characters that cannot be seen, or more than {LONGEST_TEXT} of them");
            at(path, key, problem)
        })?;
        check_triple(&raw.triple).map_err(|problem| at(path, "triple", problem))?;
        let glibc = check_glibc(&raw).map_err(|problem| at(path, "glibc", problem))?;
        check_processor(raw.processor.as_ref(), path)?;
        if raw.memory_mib.contains(&0) {
            return Err(at(path, "memory_mib", "sizes must be above 0"));
        }
        raw.limits.check(&path.display().to_string())?;
        Ok(Self {
            schema: raw.schema,
            name: raw.name,
            title: raw.title,
            triple: raw.triple,
            glibc,
            processor: raw.processor,
            caches: raw.caches,
            memory_mib: raw.memory_mib,
            sensors: raw.sensors,
            limits: raw.limits,
            notes: raw.notes,
            sources: raw.sources,
        })
    }

    /// Whether the target is the machine that this program runs on.
    pub fn is_host(&self) -> bool {
        self.triple == HOST_TRIPLE
    }

    /// The processor's architecture as Rust names it: `aarch64`, `arm`, `x86_64`.
    pub fn architecture(&self) -> &str {
        match self.triple.split('-').next().unwrap_or_default() {
            HOST_TRIPLE => std::env::consts::ARCH,
            name if name.starts_with("arm") => "arm",
            name => name,
        }
    }
}

fn at(path: &Path, key: &str, problem: impl ToString) -> Error {
    Error::input(format!("{}, {key}", path.display()), problem)
}

/// Texts for people can be shown as they are. The error is the key of the first that cannot.
fn check_texts(raw: &Raw) -> Result<(), &'static str> {
    let is_fit = |text: &String| text.len() <= LONGEST_TEXT && text::visible(text) == *text;
    let sensors = [&raw.sensors.temperature, &raw.sensors.throttle, &raw.sensors.power];
    let texts = [
        ("title", is_fit(&raw.title)),
        ("triple", is_fit(&raw.triple)),
        ("notes", raw.notes.iter().all(is_fit)),
        ("sources", raw.sources.iter().all(is_fit)),
        ("sensors", sensors.into_iter().flatten().all(is_fit)),
        ("processor.name", raw.processor.iter().all(|processor| is_fit(&processor.name))),
    ];
    texts.iter().find(|(_, is_fit)| !is_fit).map_or(Ok(()), |(key, _)| Err(*key))
}

/// The schema is judged before all else: a file of another version has other keys.
fn check_schema(text: &str, path: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Header {
        schema: u32,
    }
    let header: Header = toml::from_str(text).map_err(|error| Error::toml(path.display(), text, &error))?;
    if header.schema == SCHEMA {
        return Ok(());
    }
    Err(at(path, "schema", format!("is {}; this version reads {SCHEMA}", header.schema)))
}

fn check_triple(triple: &str) -> Result<(), String> {
    let known = ["aarch64", "arm", "armv7", "x86_64"];
    let parts: Vec<&str> = triple.split('-').collect();
    let is_plain = parts
        .iter()
        .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    let is_known = matches!(parts[..], [cpu, _, "linux", _] if known.contains(&cpu));
    if triple == HOST_TRIPLE || is_plain && is_known {
        return Ok(());
    }
    Err(format!("`{triple}` must be `host` or CPU-VENDOR-linux-ABI, with a CPU of {}", known.join(", ")))
}

/// A triple of the GNU C library needs its version; any other must not have one.
fn check_glibc(raw: &Raw) -> Result<Option<Glibc>, String> {
    let is_gnu = raw.triple.rsplit('-').next().is_some_and(|abi| abi.starts_with("gnu"));
    match (&raw.glibc, is_gnu) {
        (Some(text), true) => text.parse().map(Some),
        (None, true) => Err("is missing; on the board, `ldd --version` tells it".to_owned()),
        (Some(_), false) => Err(format!("has no meaning for the triple `{}`", raw.triple)),
        (None, false) => Ok(None),
    }
}

fn check_processor(processor: Option<&Processor>, path: &Path) -> Result<()> {
    let Some(processor) = processor else { return Ok(()) };
    if processor.cores == 0 {
        return Err(at(path, "processor.cores", "must be above 0"));
    }
    if processor.clock_mhz == 0 {
        return Err(at(path, "processor.clock_mhz", "must be above 0"));
    }
    let Some(part) = &processor.part else { return Ok(()) };
    let is_hex =
        |text: &str| text.strip_prefix("0x").is_some_and(|digits| u32::from_str_radix(digits, 16).is_ok());
    match part.split_once('/') {
        Some((implementer, part)) if is_hex(implementer) && is_hex(part) => Ok(()),
        _ => Err(at(path, "processor.part", format!("`{part}` is not IMPLEMENTER/PART, such as 0x41/0xd08"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: &str = r#"schema = 1
name = "my-board"
title = "My board"
triple = "aarch64-unknown-linux-gnu"
glibc = "2.31"
memory_mib = [1024]
[processor]
name = "Cortex-A55"
part = "0x41/0xd05"
cores = 4
clock_mhz = 1800
[limits]
latency_ms = 5.0
"#;

    fn parse(text: &str) -> Result<Target> {
        Target::parse(text, Path::new("my.toml"))
    }

    #[test]
    fn a_board_is_read_whole() {
        let target = parse(BOARD).unwrap();
        assert_eq!(target.glibc, Some(Glibc { major: 2, minor: 31 }));
        assert_eq!(target.limits.latency_ms, Some(5.0));
        assert_eq!((target.architecture(), target.is_host()), ("aarch64", false));
    }

    #[test]
    fn what_is_wrong_is_named_with_file_and_key() {
        let wrong = [
            ("schema = 1", "schema = 2", "my.toml, schema: is 2"),
            ("my-board", "../board", "my.toml, name:"),
            ("\"My board\"", "\" \"", "my.toml, title:"),
            ("\"My board\"", "\"My \\u001b[2J\"", "my.toml, title: has characters"),
            ("Cortex-A55", "Cortex\\u202e", "my.toml, processor.name:"),
            ("aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "my.toml, triple:"),
            ("aarch64-unknown-linux-gnu", "aarch64-unknown-linux-gnu; rm", "my.toml, triple:"),
            ("glibc = \"2.31\"", "", "my.toml, glibc: is missing"),
            ("2.31", "new", "my.toml, glibc: `new`"),
            ("linux-gnu\"", "linux-musl\"", "my.toml, glibc: has no meaning"),
            ("[1024]", "[0]", "my.toml, memory_mib:"),
            ("cores = 4", "cores = 0", "my.toml, processor.cores:"),
            ("1800", "0", "my.toml, processor.clock_mhz:"),
            ("0x41/0xd05", "A55", "my.toml, processor.part:"),
            ("5.0", "-5.0", "my.toml, limits.latency_ms:"),
            ("clock_mhz", "clock_ghz", "clock_ghz"),
            ("title", "owner = \"me\"\ntitle", "owner"),
        ];
        for (from, to, expected) in wrong {
            assert!(BOARD.contains(from), "{from}");
            let error = parse(&BOARD.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(expected) && error.to_string().contains("my.toml"), "{error}");
            assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        }
    }
}
