//! Flashing one board: probe, bring the runner, stage, upload what is lacking, seal, check, switch, measure.
//!
//! Everything that changes the board's releases is done by the agent there (`edge-runner release-agent`), which holds
//! a lock as long as it runs; the host only sends and asks. So wherever a flash is cut off, the board is left in a state
//! that the next agent understands.
//!
//! | module | holds |
//! |---|---|
//! | `agent` | the agent's other end |
//! | `bootstrap` | bringing the runner to a board that has nothing of ours, or another version |
//! | `dialogue` | what is asked of an agent, from the manifest to the measurements |
//! | `told` | what of a board's words is taken, held against what was sent |

mod agent;
mod bootstrap;
mod dialogue;
#[cfg(test)]
mod hostile;
mod told;

use std::time::{Duration, Instant};

use mfactor::{Measurement, Result};
use release::{BoardStatus, Collected, ModelHealth, Reply, Request};
use serde::Serialize;

use crate::bundle::{Bundle, MeasureOptions};
use crate::host::{BoardName, Folder, Host};
use crate::probe::{Probe, probe};
use crate::ssh::{Connection, SshOptions};
use crate::target::Target;
use agent::{Agent, FOR_A_FLASH, FOR_A_QUESTION, PATIENCE, work};
use dialogue::{Conversed, Sent, converse};

/// How long an agent may take at most to put right what an earlier flash left: it tries the models of a release.
const RECOVERY: Duration = Duration::from_secs(20 * 60);
/// How long a board may take to read every file of every release.
const INVENTORY: Duration = Duration::from_secs(30 * 60);

/// A board to flash.
#[derive(Debug, Clone)]
pub struct Board {
    /// Its name: of its column in a comparison, and of the folder of its measurements.
    pub name: BoardName,
    /// How ssh reaches it.
    pub host: Host,
    /// Where everything of ours lies on it.
    pub folder: Folder,
}

/// How to flash.
#[derive(Debug, Clone)]
pub struct FlashOptions {
    /// How to connect.
    pub ssh: SshOptions,
    /// What to measure afterwards; `None` for nothing.
    pub measure: Option<MeasureOptions>,
    /// Flash a release although the board took a newer one before.
    pub allow_downgrade: bool,
    /// Pin our key on a board that trusts another, or that holds releases and has lost its pin.
    pub repin: bool,
    /// Ask the board and say what would be sent, and change nothing.
    pub dry_run: bool,
}

/// What happens on one board, in this order; uploads and measurements repeat.
#[derive(Debug, Clone, PartialEq)]
pub enum FlashEvent {
    /// ssh is connecting.
    Connecting,
    /// The board answered.
    Probed(Box<Probe>),
    /// An earlier flash was cut off; in words, what became of it.
    Recovered(String),
    /// The board holds so many bytes of the release already, and lacks so many.
    Planned {
        /// Bytes that are there.
        held: u64,
        /// Bytes that will be sent.
        lacking: u64,
    },
    /// Bytes were sent, of all that will be.
    Sent {
        /// The file.
        name: String,
        /// Bytes so far, of all files.
        done: u64,
        /// Bytes of all files.
        of: u64,
    },
    /// The board reads everything back and compares.
    Verifying,
    /// The board runs the golden inputs.
    Checking,
    /// The board switched and confirmed.
    Activated,
    /// A model is being measured.
    Measuring {
        /// Its file.
        model: String,
        /// What is being done.
        step: String,
    },
    /// A model was measured.
    Measured(Box<Measurement>),
    /// It is over, and not as it should be.
    Failed(String),
}

/// What came of flashing one board.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flashed {
    /// Name of the board.
    pub board: BoardName,
    /// Its host.
    pub host: Host,
    /// Id of the release.
    pub release: String,
    /// Id of the release that a rollback would go back to.
    pub previous: Option<String>,
    /// Nothing was changed: this was a dry run.
    pub dry_run: bool,
    /// Files that were sent, or would be.
    pub sent: Vec<String>,
    /// Bytes that were sent, or would be.
    pub sent_bytes: u64,
    /// Bytes of the release and its records that the board had.
    pub held_bytes: u64,
    /// Seconds from the first byte to the switch.
    pub seconds: f64,
    /// What the models answered on the board.
    pub health: Vec<ModelHealth>,
    /// What the board measured.
    pub measurements: Vec<Measurement>,
}

/// Flashes one board.
///
/// # Errors
/// [`mfactor::Error::Board`] for everything that the board or the connection refuses, naming the host. Measurements
/// that are not valid are no error: their verdict says so.
pub fn flash(
    board: &Board,
    target: &Target,
    bundle: &Bundle,
    options: &FlashOptions,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<Flashed> {
    on_event(FlashEvent::Connecting);
    let connection = Connection::open(&board.host, &options.ssh)?;
    let probed = probe(&connection, &board.folder)?;
    on_event(FlashEvent::Probed(Box::new(probed.clone())));
    let (manifest, key) = (&bundle.manifest, &bundle.public_key);
    probed.check(board.host.as_str(), target, manifest, key, options.repin)?;
    if options.dry_run {
        return planned(board, &connection, bundle, &probed, on_event);
    }
    let start = Instant::now();
    let mut sent = Sent::new(bundle);
    let runner = bootstrap::bring_runner(&connection, &board.folder, bundle, &mut sent, on_event)?;
    let longest = if probed.is_unconfirmed { RECOVERY } else { work(bundle.runner()?.bytes) };
    let (mut agent, recovered) = Agent::start(&connection, &runner, &board.folder, FOR_A_FLASH, longest)?;
    if let Some(words) = recovered {
        on_event(FlashEvent::Recovered(words));
    }
    let conversed = converse(&mut agent, bundle, options, &mut sent, on_event)?;
    Ok(flashed(board, bundle, sent, conversed, start))
}

fn flashed(board: &Board, bundle: &Bundle, sent: Sent, conversed: Conversed, start: Instant) -> Flashed {
    Flashed {
        board: board.name.clone(),
        host: board.host.clone(),
        release: bundle.id.clone(),
        previous: conversed.previous,
        dry_run: false,
        sent_bytes: sent.done,
        held_bytes: bundle.manifest.bytes().saturating_sub(sent.done),
        sent: sent.names,
        seconds: conversed.activated.saturating_duration_since(start).as_secs_f64(),
        health: conversed.health,
        measurements: conversed.measurements,
    }
}

/// A dry run: what the board says that it holds, believed rather than checked.
fn planned(
    board: &Board,
    connection: &Connection,
    bundle: &Bundle,
    probed: &Probe,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<Flashed> {
    let held = bootstrap::listed(connection, &board.folder, probed)?;
    let manifest = &bundle.manifest;
    let files = manifest.files.iter().map(|file| (&file.name, &file.sha256, file.bytes));
    let records = manifest.records.iter().map(|file| (&file.name, &file.sha256, file.bytes));
    let lacking: Vec<_> = files.chain(records).filter(|(_, sha256, _)| !held.contains(*sha256)).collect();
    let bytes = lacking.iter().map(|(_, _, bytes)| bytes).sum();
    on_event(FlashEvent::Planned { held: manifest.bytes().saturating_sub(bytes), lacking: bytes });
    Ok(Flashed {
        board: board.name.clone(),
        host: board.host.clone(),
        release: bundle.id.clone(),
        previous: probed.current.clone(),
        dry_run: true,
        sent: lacking.iter().map(|(name, ..)| (*name).clone()).collect(),
        sent_bytes: bytes,
        held_bytes: manifest.bytes().saturating_sub(bytes),
        seconds: 0.0,
        health: vec![],
        measurements: vec![],
    })
}

/// What the board is.
pub fn info(board: &Board, ssh: &SshOptions) -> Result<Probe> {
    probe(&Connection::open(&board.host, ssh)?, &board.folder)
}

/// What the board holds, read and compared there; empty where it holds nothing of ours.
pub fn status(board: &Board, ssh: &SshOptions) -> Result<BoardStatus> {
    let connection = Connection::open(&board.host, ssh)?;
    let probed = probe(&connection, &board.folder)?;
    if probed.releases.is_empty() {
        let free_bytes = probed.free_bytes.unwrap_or(0);
        return Ok(BoardStatus { free_bytes, trusted_key: probed.trusted_key, ..BoardStatus::default() });
    }
    let (agent, reply) = on_board(&connection, board, &probed, &Request::Status)?;
    match reply {
        Reply::Status(status) => told::status(status).map_err(|problem| agent.error(problem)),
        other => Err(agent.unexpected(&other)),
    }
}

/// Goes back to the previous release. Returns the current one and the one before it.
pub fn rollback(board: &Board, ssh: &SshOptions) -> Result<(String, Option<String>)> {
    let connection = Connection::open(&board.host, ssh)?;
    let probed = probe(&connection, &board.folder)?;
    let (agent, reply) = on_board(&connection, board, &probed, &Request::Rollback)?;
    match reply {
        Reply::Activated { current, previous } => told::id(current)
            .and_then(|current| Ok((current, previous.map(told::id).transpose()?)))
            .map_err(|problem| agent.error(problem)),
        other => Err(agent.unexpected(&other)),
    }
}

/// Removes all but the `keep` newest releases.
pub fn collect(board: &Board, ssh: &SshOptions, keep: usize) -> Result<Collected> {
    let connection = Connection::open(&board.host, ssh)?;
    let probed = probe(&connection, &board.folder)?;
    let (agent, reply) = on_board(&connection, board, &probed, &Request::Collect { keep })?;
    match reply {
        Reply::Collected(collected) => told::collected(collected).map_err(|problem| agent.error(problem)),
        other => Err(agent.unexpected(&other)),
    }
}

/// Asks an agent of one of the board's own releases.
fn on_board(
    connection: &Connection,
    board: &Board,
    probed: &Probe,
    request: &Request,
) -> Result<(Agent<agent::Hung>, Reply)> {
    let runner = bootstrap::find_runner(connection, &board.folder, probed)?;
    let longest = if probed.is_unconfirmed { RECOVERY } else { PATIENCE };
    let (mut agent, _) = Agent::start(connection, &runner, &board.folder, FOR_A_QUESTION, longest)?;
    let reply = agent.ask(request, INVENTORY)?;
    Ok((agent, reply))
}
