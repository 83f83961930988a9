//! Flashing one board: probe, bring the runner, stage, upload what is lacking, seal, check, switch, measure.
//!
//! Everything that changes the board's releases is done by the agent there (`edge-runner release-agent`), which holds
//! a lock as long as it runs; the host only sends and asks. So wherever a flash is cut off, the board is left in a state
//! that the next agent understands.
//!
//! | module | holds |
//! |---|---|
//! | [`agent`] | the agent's other end |
//! | [`bootstrap`] | bringing the runner to a board that has nothing of ours, or another version |

pub mod agent;
pub mod bootstrap;

use std::time::Instant;

use mfactor::{Error, Measurement, Result};
use release::{BoardStatus, Collected, MeasureRequest, ModelHealth, Reply, Request, Wanted};
use serde::Serialize;

use crate::bundle::{Bundle, MeasureOptions};
use crate::host::{Folder, Host};
use crate::probe::{Probe, probe};
use crate::ssh::{Connection, SshOptions};
use crate::target::Target;
use agent::{Agent, unexpected};

/// A board to flash.
#[derive(Debug, Clone)]
pub struct Board {
    /// Its name: of its column in a comparison, and of the folder of its measurements.
    pub name: String,
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
    pub board: String,
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
/// [`Error::Board`] for everything that the board or the connection refuses, naming the host. Measurements that
/// are not valid are no error: their verdict says so.
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
    probed.check(board.host.as_str(), target, &bundle.manifest, &bundle.public_key)?;
    if options.dry_run {
        return planned(board, &connection, bundle, &probed, on_event);
    }
    let start = Instant::now();
    let mut sent = Sent::new(bundle);
    let runner = bootstrap::bring_runner(&connection, &board.folder, bundle, &mut sent, on_event)?;
    let (mut agent, recovered) = Agent::start(&connection, &runner, &board.folder)?;
    if let Some(words) = recovered {
        on_event(FlashEvent::Recovered(words));
    }
    upload(&mut agent, bundle, &mut sent, on_event)?;
    on_event(FlashEvent::Checking);
    let id = bundle.id.clone();
    let health = match agent.ask(&Request::Check { id: id.clone() })? {
        Reply::Health { models } => models,
        other => return Err(unexpected(&other)),
    };
    let previous = match agent.ask(&Request::Activate { id: id.clone() })? {
        Reply::Activated { current, previous } if current == id => previous,
        other => return Err(unexpected(&other)),
    };
    on_event(FlashEvent::Activated);
    let seconds = start.elapsed().as_secs_f64();
    let measurements = measure(&mut agent, options, on_event)?;
    Ok(Flashed {
        board: board.name.clone(),
        host: board.host.clone(),
        release: id,
        previous,
        dry_run: false,
        sent_bytes: sent.done,
        held_bytes: bundle.manifest.bytes().saturating_sub(sent.done),
        sent: sent.names,
        seconds,
        health,
        measurements,
    })
}

/// What was sent, for progress and the result.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) names: Vec<String>,
    pub(crate) done: u64,
    pub(crate) of: u64,
}

impl Sent {
    fn new(bundle: &Bundle) -> Self {
        Self { names: vec![], done: 0, of: bundle.manifest.bytes() }
    }
}

fn upload(
    agent: &mut Agent<'_>,
    bundle: &Bundle,
    sent: &mut Sent,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<()> {
    let stage = Request::Stage {
        manifest: bundle.text.clone(),
        signature: bundle.signature.clone(),
        public_key: bundle.public_key.clone(),
    };
    let (files, records) = match agent.ask(&stage)? {
        Reply::Wanted { files, records, .. } => (files, records),
        other => return Err(unexpected(&other)),
    };
    let lacking = lacking(bundle, &files)? + lacking(bundle, &records)?;
    sent.of = sent.done + lacking;
    on_event(FlashEvent::Planned { held: bundle.manifest.bytes().saturating_sub(lacking), lacking });
    for Wanted { name, offset } in files {
        let request = |offset| Request::File { name: name.clone(), offset };
        send(agent, bundle, (&name, &name), offset, &request, sent, on_event)?;
    }
    for Wanted { name: sha256, offset } in records {
        let request = |offset| Request::Records { sha256: sha256.clone(), offset };
        let known = bundle.manifest.records.iter().find(|records| records.sha256 == sha256);
        let name = known.map_or(sha256.as_str(), |records| records.name.as_str());
        send(agent, bundle, (&sha256, name), offset, &request, sent, on_event)?;
    }
    on_event(FlashEvent::Verifying);
    match agent.ask(&Request::Seal)? {
        Reply::Sealed { id } if id == bundle.id => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn lacking(bundle: &Bundle, wanted: &[Wanted]) -> Result<u64> {
    let sizes = wanted.iter().map(|wanted| {
        let bytes = bundle.bytes(&wanted.name).ok_or_else(|| foreign(&wanted.name))?;
        Ok((bytes.len() as u64).saturating_sub(wanted.offset))
    });
    sizes.sum()
}

fn foreign(name: &str) -> Error {
    Error::Defect(format!("the board asks for {name}, which is not in the release"))
}

/// Sends a file from `offset`; one that arrived damaged is sent once more, whole. `names` are the one by which the
/// board asked and the one for people.
fn send(
    agent: &mut Agent<'_>,
    bundle: &Bundle,
    names: (&str, &str),
    offset: u64,
    request: &dyn Fn(u64) -> Request,
    sent: &mut Sent,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<()> {
    let bytes = bundle.bytes(names.0).ok_or_else(|| foreign(names.0))?;
    let mut problem = String::new();
    for offset in [offset, 0] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).ok_or_else(|| foreign(names.0))?;
        let mut on_bytes = |count: u64| {
            sent.done += count;
            sent.of = sent.of.max(sent.done);
            on_event(FlashEvent::Sent { name: names.1.to_owned(), done: sent.done, of: sent.of });
        };
        match agent.send(&request(offset), rest, &mut on_bytes)? {
            Reply::Stored => {
                sent.names.push(names.1.to_owned());
                return Ok(());
            }
            Reply::Damaged { problem: told } => problem = told,
            other => return Err(unexpected(&other)),
        }
    }
    Err(agent.error(format!("{} arrived damaged twice: {problem}", names.1)))
}

fn measure(
    agent: &mut Agent<'_>,
    options: &FlashOptions,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<Vec<Measurement>> {
    let Some(MeasureOptions { preset, threads }) = options.measure else { return Ok(vec![]) };
    let mut measurements = vec![];
    agent.tell(&Request::Measure(MeasureRequest { preset, threads }))?;
    loop {
        match agent.hear()? {
            Reply::Measuring { model, step } => on_event(FlashEvent::Measuring { model, step }),
            Reply::Measured(measurement) => {
                // Told at once, lest a later model's failure lose it.
                on_event(FlashEvent::Measured(measurement.clone()));
                measurements.push(*measurement);
            }
            Reply::Done => return Ok(measurements),
            other => return Err(unexpected(&other)),
        }
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
    match on_board(&connection, board, &probed, &Request::Status)? {
        Reply::Status(status) => Ok(status),
        other => Err(unexpected(&other)),
    }
}

/// Goes back to the previous release. Returns the current one and the one before it.
pub fn rollback(board: &Board, ssh: &SshOptions) -> Result<(String, Option<String>)> {
    let connection = Connection::open(&board.host, ssh)?;
    let probed = probe(&connection, &board.folder)?;
    match on_board(&connection, board, &probed, &Request::Rollback)? {
        Reply::Activated { current, previous } => Ok((current, previous)),
        other => Err(unexpected(&other)),
    }
}

/// Removes all but the `keep` newest releases.
pub fn collect(board: &Board, ssh: &SshOptions, keep: usize) -> Result<Collected> {
    let connection = Connection::open(&board.host, ssh)?;
    let probed = probe(&connection, &board.folder)?;
    match on_board(&connection, board, &probed, &Request::Collect { keep })? {
        Reply::Collected(collected) => Ok(collected),
        other => Err(unexpected(&other)),
    }
}

/// Asks an agent of one of the board's own releases.
fn on_board(connection: &Connection, board: &Board, probed: &Probe, request: &Request) -> Result<Reply> {
    let runner = bootstrap::find_runner(connection, &board.folder, probed)?;
    let (mut agent, _) = Agent::start(connection, &runner, &board.folder)?;
    agent.ask(request)
}
