//! The lines between the host and the agent on the board: JSON, one message a line. After [`Request::File`] and
//! [`Request::Records`] the bytes themselves follow.
//!
//! The agent speaks first: [`Reply::Ready`] once it has the lock, or [`Reply::Busy`]. Then each request is
//! answered by exactly one reply other than [`Reply::Measuring`], which may come before it.

use serde::{Deserialize, Serialize};

use mfactor::error::Failure;
use mfactor::measurement::{Measurement, Preset};

/// Version of the dialogue. Since 2 a release has a sequence number, and [`Request::Stage`] says what an older one may.
pub const VERSION: u32 = 2;
/// The oldest agent that a host still talks to: it can be asked for its status, rolled back and tidied, in the same words.
/// A flash brings the board an agent of its own version.
pub const OLDEST_VERSION: u32 = 1;

/// What the host asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Begin a release, or go on with one: answered by [`Reply::Wanted`].
    Stage {
        /// The manifest's text.
        manifest: String,
        /// Its signature, in minisign's form.
        signature: String,
        /// The signer's public key: pinned if the board holds no release yet, else it has to be the pinned one.
        public_key: String,
        /// Take a release whose sequence number is below the highest that the board took. One for another target than
        /// that of the releases on the board is refused all the same.
        allow_downgrade: bool,
        /// Pin `public_key` where the board trusts another key, or holds releases and has lost its pin.
        repin: bool,
    },
    /// A file of the staged release, from `offset` to its end; as many bytes as remain follow.
    File {
        /// Its name in the manifest.
        name: String,
        /// Where the bytes begin.
        offset: u64,
    },
    /// Test records of the staged release, likewise.
    Records {
        /// Their SHA-256.
        sha256: String,
        /// Where the bytes begin.
        offset: u64,
    },
    /// Check everything that was staged, on the disk, and make it a release: [`Reply::Sealed`].
    Seal,
    /// Run the golden inputs through the models of a release: [`Reply::Health`].
    Check {
        /// Its id.
        id: String,
    },
    /// Make a release the current one and confirm it: [`Reply::Activated`].
    Activate {
        /// Its id.
        id: String,
    },
    /// Measure the models of the current release: a [`Reply::Measured`] each, then [`Reply::Done`].
    Measure(MeasureRequest),
    /// What the board holds: [`Reply::Status`].
    Status,
    /// Go back to the previous release: [`Reply::Activated`].
    Rollback,
    /// Remove all but the newest releases, and what no release needs: [`Reply::Collected`].
    Collect {
        /// How many releases stay; the current and the previous one count and stay in any case.
        keep: usize,
    },
}

/// How to measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureRequest {
    /// How thorough.
    pub preset: Preset,
    /// Threads of one inference.
    pub threads: usize,
    /// Names of the engines, in whose rounds each model is measured. Runners that know one alone are not told.
    #[serde(default = "first_engine", skip_serializing_if = "is_first_engine")]
    pub engines: Vec<String>,
    /// Sensors that the board's description names.
    #[serde(default)]
    pub sensors: SensorChoice,
}

/// The engine that every runner has.
pub const FIRST_ENGINE: &str = "tract";

fn first_engine() -> Vec<String> {
    vec![FIRST_ENGINE.to_owned()]
}

fn is_first_engine(engines: &[String]) -> bool {
    engines == [FIRST_ENGINE]
}

/// Sensors that the description of a board names. What is not named, or is not there, is found by the runner itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorChoice {
    /// A file that tells the processor's temperature, or a pattern with `*`, of which the sensors of the processor are
    /// taken.
    pub temperature: Option<String>,
    /// A file that tells throttle bits, or `vcgencmd get_throttled`.
    pub throttle: Option<String>,
    /// The rail of an INA3221, as `rail VDD_IN` somewhere in the text, or `vcgencmd pmic_read_adc`.
    pub power: Option<String>,
}

/// What the board answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The agent has the lock and listens.
    Ready {
        /// [`VERSION`]
        version: u32,
        /// What had to be put right after an interruption, if anything.
        recovered: Option<String>,
    },
    /// Another one has the lock; the agent ends.
    Busy(LockOwner),
    /// What the board lacks of the release; nothing where it holds it whole.
    Wanted {
        /// Files.
        files: Vec<Wanted>,
        /// Test records; the name is their SHA-256.
        records: Vec<Wanted>,
        /// The board holds this release already, verified just now.
        is_held: bool,
    },
    /// A file arrived whole, is what the manifest says, and is on the disk.
    Stored,
    /// A file arrived and is not what the manifest says. It was dropped and can be sent again from its start.
    Damaged {
        /// What differs.
        problem: String,
    },
    /// The release lies verified under its id.
    Sealed {
        /// Its id.
        id: String,
    },
    /// What the models of a release answered.
    Health {
        /// One a model.
        models: Vec<ModelHealth>,
    },
    /// The current release changed, or already was this one.
    Activated {
        /// The current release.
        current: String,
        /// The one before it.
        previous: Option<String>,
    },
    /// How far a measurement is.
    Measuring {
        /// The model's file name.
        model: String,
        /// What is being done.
        step: String,
    },
    /// One model was measured.
    Measured(Box<Measurement>),
    /// All is done.
    Done,
    /// What the board holds.
    Status(BoardStatus),
    /// What was removed.
    Collected(Collected),
    /// The request was not fulfilled.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// A file that the board lacks, or has the beginning of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Bytes that are there already from an earlier upload.
    pub offset: u64,
}

/// Who holds the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockOwner {
    /// Who, as the host named itself: `ada@desk`.
    pub owner: String,
    /// Process on the board.
    pub process: u32,
    /// For how many seconds.
    pub seconds: u64,
}

/// What one model answered on the golden inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelHealth {
    /// Its file name.
    pub model: String,
    /// Largest difference from the golden logits, see [`mfactor::golden::difference`]; `None` if an answer is not a
    /// number.
    pub golden_difference: Option<f64>,
    /// Largest difference that is allowed, see [`mfactor::golden::tolerance`].
    pub tolerance: f64,
    /// Whether it is within that.
    pub is_healthy: bool,
}

/// What a board holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BoardStatus {
    /// Id of the active release.
    pub current: Option<String>,
    /// Id of the one before it.
    pub previous: Option<String>,
    /// All releases, the newest first.
    pub releases: Vec<HeldRelease>,
    /// Id of the pinned public key, as minisign prints it.
    pub trusted_key: Option<String>,
    /// The target whose releases the board takes; an agent of version 1 does not tell.
    #[serde(default)]
    pub target: Option<String>,
    /// Highest sequence number that the board took: below it nothing is taken. 0 before the first.
    #[serde(default)]
    pub sequence: u64,
    /// Uploads that are not whole.
    pub unfinished: usize,
    /// Free space in the file system, in bytes.
    pub free_bytes: u64,
    /// What else is not as it should be, a sentence each: a link that leads nowhere, a key that cannot be read.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// A release on the board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldRelease {
    /// Its id.
    pub id: String,
    /// The study of its models; `None` where the manifest is lost or damaged.
    pub study: Option<String>,
    /// The target it was made for; an agent of version 1 does not tell.
    #[serde(default)]
    pub target: Option<String>,
    /// Its sequence number; 0 for one that has none.
    #[serde(default)]
    pub sequence: u64,
    /// Its models' file names.
    pub models: Vec<String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// What is wrong with it on the disk: a changed file, a lost manifest, a signature of a stranger. `None` if all is
    /// right.
    pub damage: Option<String>,
}

/// What was removed to make room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Ids of the releases that are gone.
    pub removed: Vec<String>,
    /// Ids of those that are left.
    pub kept: Vec<String>,
    /// Bytes that were freed.
    pub freed_bytes: u64,
    /// What could not be removed, a sentence each.
    #[serde(default)]
    pub problems: Vec<String>,
}

impl LockOwner {
    /// Reads the lock's file: owner, process and start in seconds since 1970, a line each. `now` is the board's time;
    /// what is not there is unknown.
    pub fn parse(text: &str, now: u64) -> Self {
        let mut lines = text.lines();
        let owner = lines.next().filter(|owner| !owner.is_empty()).unwrap_or("someone").to_owned();
        let process = lines.next().and_then(|line| line.parse().ok()).unwrap_or(0);
        let since: u64 = lines.next().and_then(|line| line.parse().ok()).unwrap_or(now);
        Self { owner, process, seconds: now.saturating_sub(since) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_an_age() {
        let owner = |text| LockOwner::parse(text, 130);
        assert_eq!(owner("ada\n7\n100\n"), LockOwner { owner: "ada".into(), process: 7, seconds: 30 });
        assert_eq!(owner("").owner, "someone");
        assert_eq!(owner("ada\n7\n200\n").seconds, 0, "a clock that was set back");
    }

    #[test]
    fn messages_are_lines_and_parse_back() {
        let failure = Failure::Board { subject: "disk".into(), problem: "full\nindeed".into() };
        for reply in [Reply::Stored, Reply::Failed { failure }, Reply::Busy(LockOwner::default())] {
            let line = serde_json::to_string(&reply).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply);
        }
        let request = Request::Measure(MeasureRequest {
            preset: Preset::Quick,
            threads: 1,
            engines: vec![FIRST_ENGINE.to_owned()],
            sensors: SensorChoice::default(),
        });
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        assert!(!line.contains("engines"), "as former runners expect it: {line}");
    }
}
