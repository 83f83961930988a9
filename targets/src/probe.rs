//! What a board is and holds, asked with the tools that every Linux has, before anything is sent. Nothing on the
//! board is changed by asking.

use mfactor::{Error, Result, text};
use release::{Manifest, is_id};
use serde::Serialize;

use crate::glibc::Glibc;
use crate::host::Folder;
use crate::ssh::{Connection, Limits};
use crate::target::Target;

/// Asks; `$1` is our folder. A line each: name, tab, value.
const SCRIPT: &str = include_str!("probe.sh");
/// Memory that the runner takes beside a model. Measured: 20.6 MiB resident with a model of 1.1 MB.
const RUNNER_MEMORY_BYTES: u64 = 32 << 20;
/// An engine keeps the weights as they lie in the file, and packed for the processor, and reads the file first.
const COPIES_OF_A_MODEL: u64 = 4;
/// Space that stays free.
const RESERVE_BYTES: u64 = 4 << 20;
/// Longest name of a board, a governor, a tool; what is longer is cut.
const LONGEST_NAME: usize = 100;
/// Tools that a board is told to lack at most, and releases that are counted.
const MOST_TOOLS: usize = 20;
const MOST_RELEASES: usize = 10_000;
/// Temperatures that a board can have and still answer, °C.
const POSSIBLE_CELSIUS: std::ops::RangeInclusive<f64> = -60.0..=150.0;

/// Facts of a board; what it did not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Probe {
    /// Name from the device tree; where there is none the processor's.
    pub model: Option<String>,
    /// Architecture of its programs, as Rust names it; a 32-bit system on a 64-bit kernel is `arm`.
    pub architecture: String,
    /// What the kernel calls the machine: `armv7l`.
    pub machine: String,
    /// Its C library; `None` where it is another, or nothing told.
    pub glibc: Option<Glibc>,
    /// Whether its C library is musl, for which programs are built otherwise.
    pub is_musl: bool,
    /// Logical processors.
    pub cores: Option<u32>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Memory that a program could get now, in bytes.
    pub available_bytes: Option<u64>,
    /// Free space where our folder is or will be, in bytes.
    pub free_bytes: Option<u64>,
    /// Whether that place can be written.
    pub is_writable: bool,
    /// The file system of our folder, if no program may be started from it.
    pub noexec: Option<String>,
    /// What lets another user of the board change what is flashed, if anything does.
    pub stranger: Option<String>,
    /// Highest temperature that can be, °C.
    pub temperature_celsius: Option<f64>,
    /// Frequency governor.
    pub governor: Option<String>,
    /// Why it is slowed down, or was since it started, as a Raspberry Pi tells: empty where it was not.
    pub throttled: Option<Vec<&'static str>>,
    /// How much of its soldered flash memory's life is over, a share of 1 in tenths: as much as this at the most.
    pub worn: Option<f64>,
    /// Programs that flashing needs and the board lacks.
    pub missing_tools: Vec<String>,
    /// Id of the active release.
    pub current: Option<String>,
    /// Id of the one before it.
    pub previous: Option<String>,
    /// Ids of all releases.
    pub releases: Vec<String>,
    /// Whether an earlier flash switched and was cut off before it confirmed.
    pub is_unconfirmed: bool,
    /// The pinned public key.
    pub trusted_key: Option<String>,
}

/// Asks the board.
///
/// # Errors
/// [`Error::Board`] if it does not answer as a Linux system does.
pub fn probe(connection: &Connection, folder: &Folder) -> Result<Probe> {
    let answer = connection.run(SCRIPT, &[folder.as_str()], Limits::SMALL)?;
    let probe = Probe::parse(&answer);
    if probe.machine.is_empty() {
        let said = text::quoted(answer.trim(), 2 * LONGEST_NAME);
        return Err(connection.error(format!("does not answer as a Linux system: {said}")));
    }
    Ok(probe)
}

impl Probe {
    /// Reads the answers of the script; what a login started may print what it likes between them. Nothing of it is taken
    /// for more than text of some length, a number that can be, or an id.
    pub(crate) fn parse(answer: &str) -> Self {
        let lines = answer.lines().filter_map(|line| line.split_once('\t'));
        let lines: Vec<(&str, &str)> = lines.map(|(name, value)| (name, value.trim())).collect();
        let all = |name: &'static str| {
            lines
                .iter()
                .filter(move |(key, value)| *key == name && !value.is_empty())
                .map(|(_, value)| *value)
        };
        let name = |value: &str| text::quoted(value, LONGEST_NAME);
        let text = |key| all(key).next().map(name);
        let kilobytes = |name| {
            let value = all(name).find_map(|value| value.parse::<u64>().ok());
            value.map(|value| value.saturating_mul(1024))
        };
        let release =
            |name| all(name).next().and_then(|link| link.strip_prefix("releases/")).filter(|id| is_id(id));
        let machine = text("machine").unwrap_or_default();
        let celsius =
            all("temperature").filter_map(|value| value.parse::<f64>().ok()).map(|value| value / 1000.0);
        let celsius = celsius.filter(|value| POSSIBLE_CELSIUS.contains(value));
        Self {
            model: text("model"),
            architecture: architecture(&machine, all("bits").next()).to_owned(),
            glibc: all("libc").next().and_then(|text| text.rsplit(' ').next()?.parse().ok()),
            is_musl: all("libc").any(|text| text == "musl"),
            cores: all("cores").next().and_then(|value| value.parse().ok()),
            memory_bytes: kilobytes("memory"),
            available_bytes: kilobytes("available"),
            free_bytes: kilobytes("free"),
            is_writable: all("writable").any(|value| value == "yes"),
            noexec: text("noexec"),
            stranger: text("stranger"),
            temperature_celsius: celsius.max_by(f64::total_cmp),
            governor: text("governor"),
            throttled: all("throttled").find_map(hexadecimal).map(throttling),
            worn: all("worn")
                .flat_map(str::split_whitespace)
                .filter_map(hexadecimal)
                .filter_map(worn)
                .reduce(f64::max),
            missing_tools: all("lacks").take(MOST_TOOLS).map(name).collect(),
            current: release("current").map(str::to_owned),
            previous: release("previous").map(str::to_owned),
            releases: all("release").filter(|id| is_id(id)).take(MOST_RELEASES).map(str::to_owned).collect(),
            is_unconfirmed: all("unconfirmed").any(|value| value == "yes"),
            trusted_key: text("key"),
            machine,
        }
    }

    /// Refuses a board that could not take the release, with what would have to change. `public_key` is ours, which the
    /// board is to trust from now on if `repin`.
    ///
    /// # Errors
    /// [`Error::Board`], naming `host`.
    pub fn check(
        &self,
        host: &str,
        target: &Target,
        manifest: &Manifest,
        public_key: &str,
        repin: bool,
    ) -> Result<()> {
        let checks = [
            self.check_machine(target, manifest),
            self.check_tools(),
            if repin { Ok(()) } else { self.check_key(public_key) },
            self.check_memory(manifest),
            self.check_starts(),
            self.check_strangers(),
            self.check_space(manifest),
        ];
        let problem = checks.into_iter().find_map(std::result::Result::err);
        problem.map_or(Ok(()), |problem| Err(Error::Board { subject: host.to_owned(), problem }))
    }

    fn check_machine(&self, target: &Target, manifest: &Manifest) -> Result<(), String> {
        let (ours, theirs) = (&self.architecture, &manifest.architecture);
        if ours != theirs {
            let machine = &self.machine;
            return Err(format!(
                "runs programs for {ours} ({machine}), and the runner for {} is for {theirs}; choose another --target",
                target.name
            ));
        }
        if target.triple.starts_with("armv7") && self.machine.starts_with("armv6") {
            return Err(format!("is an {} machine, and {} takes ARMv7 programs", self.machine, target.name));
        }
        let asked = manifest.glibc.as_deref().and_then(|text| text.parse::<Glibc>().ok());
        match (asked, self.glibc) {
            (Some(asked), Some(there)) if asked > there => Err(format!(
                "has glibc {there}, and the runner asks for {asked}; build it for an older C library (scripts/setup-cross)"
            )),
            (Some(asked), None) if self.is_musl => Err(format!(
                "has musl for its C library, and the runner asks for glibc {asked}; take a target whose triple ends in -musl"
            )),
            // A board that does not tell may have it all the same: the runner is tried.
            _ => Ok(()),
        }
    }

    /// Refuses a board without the tools that bring and start a runner.
    pub(crate) fn check_tools(&self) -> Result<(), String> {
        if self.missing_tools.is_empty() {
            return Ok(());
        }
        let tools = self.missing_tools.join(", ");
        Err(format!("lacks {tools}; on the board, run: sudo apt-get install coreutils util-linux"))
    }

    fn check_key(&self, public_key: &str) -> Result<(), String> {
        match &self.trusted_key {
            Some(pinned) if pinned != public_key => Err(format!(
                "trusts releases signed with {pinned}, and yours is {public_key}; take the key that it was first flashed with (--key), or have it trust yours from now on: `mfactor flash STUDY --repin`"
            )),
            None if !self.releases.is_empty() => Err(
                "holds releases and has lost the key that it trusted (trusted.pub): whoever removed it could have changed more; to have it trust yours: `mfactor flash STUDY --repin`"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    fn check_strangers(&self) -> Result<(), String> {
        match &self.stranger {
            Some(what) => Err(format!(
                "keeps the folder where another user could change what is flashed: {what}; choose another with --folder, or \
                 take that right away (chmod go-w)"
            )),
            None => Ok(()),
        }
    }

    fn check_starts(&self) -> Result<(), String> {
        match &self.noexec {
            Some(place) => Err(format!(
                "starts no program from the folder: {place} is mounted noexec; choose another folder with --folder, or \
                 mount it with exec"
            )),
            None => Ok(()),
        }
    }

    fn check_memory(&self, manifest: &Manifest) -> Result<(), String> {
        let models = manifest.models.iter().map(|model| model.file.as_str());
        let sizes = models.filter_map(|name| manifest.files.iter().find(|file| file.name == name));
        let largest = sizes.map(|file| file.bytes).max().unwrap_or(0);
        let needed = RUNNER_MEMORY_BYTES + COPIES_OF_A_MODEL * largest;
        match self.available_bytes {
            Some(available) if available < needed => Err(format!(
                "has {} MB of memory to give, and the largest model needs about {} MB; stop what else runs there",
                available / 1_000_000,
                needed / 1_000_000
            )),
            _ => Ok(()),
        }
    }

    /// A release that is there takes no space; otherwise all of it might have to be written.
    fn check_space(&self, manifest: &Manifest) -> Result<(), String> {
        if !self.is_writable {
            return Err("does not let this user write to the folder; choose another with --folder".to_owned());
        }
        let id = manifest.to_bytes().map(|bytes| release::id(&bytes)).map_err(|error| error.to_string())?;
        if self.releases.contains(&id) {
            return Ok(());
        }
        let needed = manifest.files.iter().map(|file| file.bytes).sum::<u64>() + RESERVE_BYTES;
        match self.free_bytes {
            Some(free) if free < needed => Err(format!(
                "has {} MB free, and the release needs {} MB; `mfactor board gc` removes old releases",
                free / 1_000_000,
                needed / 1_000_000
            )),
            _ => Ok(()),
        }
    }
}

/// Rust's name for what runs on a machine of this name whose programs have so many bits.
fn architecture<'a>(machine: &'a str, bits: Option<&str>) -> &'a str {
    match machine {
        "aarch64" | "arm64" | "armv8l" if bits == Some("32") => "arm",
        "arm64" => "aarch64",
        machine if machine.starts_with("armv") => "arm",
        machine => machine,
    }
}

/// A number as the kernel and the firmware write them: `0x50005`.
fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The bits of `vcgencmd get_throttled` in words
/// (<https://www.raspberrypi.com/documentation/computers/os.html#get_throttled>).
fn throttling(bits: u32) -> Vec<&'static str> {
    let words = [
        (0, "under-voltage now"),
        (1, "frequency capped now"),
        (2, "throttled now"),
        (3, "at its temperature limit now"),
        (16, "under-voltage since it started"),
        (17, "frequency capped since it started"),
        (18, "throttled since it started"),
        (19, "at its temperature limit since it started"),
    ];
    words.into_iter().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, word)| word).collect()
}

/// JEDEC's estimate of the life of an eMMC: 1 to 10 for up to so many tenths, 11 for more than all of it.
fn worn(estimate: u32) -> Option<f64> {
    (1..=11).contains(&estimate).then(|| f64::from(estimate.min(10)) / 10.0)
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
