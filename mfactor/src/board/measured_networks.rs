//! What boards said of networks while they were searched: one entry a network, in a file of the study.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::cost::BoardCosts;
use crate::cost_table::Entry;
use crate::error::{Error, Result};
use crate::files;
use crate::measurement::{Measurement, Preset};
use crate::quantity::Quantity;

/// Name of the file in a study's folder.
pub const FILE: &str = "measured.json";
/// Version of its form.
const SCHEMA: u32 = 1;

/// On what else than the network a measurement hangs: a value counts in its own circumstances alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// The kind of board: the name of its file, or `host`.
    pub target: String,
    /// The engine, and its version.
    pub engine: [String; 2],
    /// Type of the weights.
    pub precision: String,
    /// How thoroughly it was measured.
    pub preset: Preset,
    /// Version of the runner.
    pub runner: String,
    /// Whether the processor is emulated, so that times mean nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emulated: bool,
}

impl Circumstances {
    /// Those of a record from a kind of board.
    pub fn of(target: &str, record: &Measurement) -> Self {
        Self {
            target: target.to_owned(),
            engine: [record.engine.name.clone(), record.engine.version.clone()],
            precision: record.model.metadata.precision.clone(),
            preset: record.preset,
            runner: record.tool_version.clone(),
            emulated: record.board.emulated,
        }
    }
}

/// What a board said of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredNetwork {
    /// The network.
    pub architecture: Architecture,
    /// What it took.
    pub took: Entry,
    /// The board's name.
    pub board: String,
    /// On what else it hangs.
    pub circumstances: Circumstances,
    /// When, seconds since 1970.
    pub unix_seconds: u64,
}

impl MeasuredNetwork {
    /// What a record says of a network, from a board of this name and kind.
    pub fn of(architecture: &Architecture, board: &str, target: &str, record: &Measurement) -> Self {
        Self {
            architecture: architecture.clone(),
            took: Entry::of(record),
            board: board.to_owned(),
            circumstances: Circumstances::of(target, record),
            unix_seconds: record.unix_seconds,
        }
    }

    /// What M is computed from. Of the median the upper end of its interval: what keeps to a budget does so for sure.
    pub fn costs(&self) -> BoardCosts {
        BoardCosts {
            latency_p50: Some(self.took.interval[1]),
            latency_p90: self.took.get(Quantity::LatencyP90),
            peak_memory: self.took.get(Quantity::PeakMemory),
            energy: self.took.get(Quantity::Energy),
        }
    }
}

/// What is known of the networks of one study, each at most once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredNetworks {
    schema: u32,
    networks: Vec<MeasuredNetwork>,
}

impl MeasuredNetworks {
    /// Of no network.
    pub fn none() -> Self {
        Self { schema: SCHEMA, networks: vec![] }
    }

    /// Reads what a study has in its folder; nothing, if it has nothing.
    ///
    /// # Errors
    /// [`Error::Input`] if the file is none of these, of a later version, or holds what cannot be.
    pub fn read(study: &Path) -> Result<Self> {
        let path = study.join(FILE);
        if !path.exists() {
            return Ok(Self::none());
        }
        let read: Self = files::read_json(&path)?;
        if read.schema != SCHEMA {
            let problem = format!("has schema {}, and this version knows {SCHEMA}", read.schema);
            return Err(Error::file(&path, problem));
        }
        match read.networks.iter().find(|network| !network.costs().are_sound()) {
            Some(network) => {
                Err(Error::file(&path, format!("{} has a cost that cannot be", network.architecture)))
            }
            None => Ok(read),
        }
    }

    /// Writes them into a study's folder, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn write(&self, study: &Path) -> Result<()> {
        files::write_json(&study.join(FILE), self)
    }

    /// What is known of a network.
    pub fn get(&self, architecture: &Architecture) -> Option<&MeasuredNetwork> {
        self.networks.iter().find(|network| network.architecture == *architecture)
    }

    /// Adds a network, in place of what was known of it.
    pub fn add(&mut self, network: MeasuredNetwork) {
        self.forget(std::slice::from_ref(&network.architecture));
        self.networks.push(network);
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// All of them.
    pub fn into_networks(self) -> Vec<MeasuredNetwork> {
        self.networks
    }

    /// Forgets networks.
    pub fn forget(&mut self, architectures: &[Architecture]) {
        self.networks.retain(|network| !architectures.contains(&network.architecture));
    }
}
