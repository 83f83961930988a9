//! What is asked of an agent: take the manifest, then what is lacking of its files, seal, check, switch, measure. Nothing
//! here knows of ssh, so that a test can be the board.

use std::time::{Duration, Instant};

use mfactor::{Measurement, Result};
use release::{MeasureRequest, ModelHealth, Reply, Request};

use crate::bundle::{Bundle, MeasureOptions};
use crate::flash::agent::{Agent, work};
use crate::flash::{FlashEvent, FlashOptions, told};
use crate::ssh::session::Wire;

/// What the golden inputs of one model may take: the agent gives up on it after three minutes.
const CHECK: Duration = Duration::from_secs(200);
/// Longest pause between two words about a measurement: a round of ten seconds on a board that cools down first.
const SILENCE: Duration = Duration::from_secs(30 * 60);
/// Longest measurement of one model, all rounds and test records of it.
const LONGEST_MEASUREMENT: Duration = Duration::from_secs(6 * 3600);
/// Most words about the measurement of one model.
const MOST_STEPS: usize = 20_000;

/// What was sent, for progress and the result.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) names: Vec<String>,
    pub(crate) done: u64,
    pub(crate) of: u64,
}

impl Sent {
    pub(crate) fn new(bundle: &Bundle) -> Self {
        Self { names: vec![], done: 0, of: bundle.manifest.bytes() }
    }
}

/// What came of a dialogue.
#[derive(Debug)]
pub(crate) struct Conversed {
    pub(crate) health: Vec<ModelHealth>,
    pub(crate) previous: Option<String>,
    pub(crate) activated: Instant,
    pub(crate) measurements: Vec<Measurement>,
}

/// Brings a release to the board at the other end of `agent`, and measures it.
///
/// # Errors
/// [`mfactor::Error::Board`] for whatever the board does not do, or says that cannot be.
pub(crate) fn converse<W: Wire>(
    agent: &mut Agent<W>,
    bundle: &Bundle,
    options: &FlashOptions,
    sent: &mut Sent,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<Conversed> {
    upload(agent, bundle, options, sent, on_event)?;
    on_event(FlashEvent::Checking);
    let id = bundle.id.clone();
    let models = bundle.manifest.models.len() as u32;
    let longest = work(bundle.manifest.bytes()) + CHECK * models;
    let health = match agent.ask(&Request::Check { id: id.clone() }, longest)? {
        Reply::Health { models } => {
            told::health(&bundle.manifest, models).map_err(|problem| agent.error(problem))?
        }
        other => return Err(agent.unexpected(&other)),
    };
    let previous = match agent.ask(&Request::Activate { id: id.clone() }, longest)? {
        Reply::Activated { current, previous } if current == id => {
            previous.map(told::id).transpose().map_err(|problem| agent.error(problem))?
        }
        other => return Err(agent.unexpected(&other)),
    };
    on_event(FlashEvent::Activated);
    let activated = Instant::now();
    let measurements = match &options.measure {
        Some(asked) => measure(agent, bundle, asked, on_event)?,
        None => vec![],
    };
    Ok(Conversed { health, previous, activated, measurements })
}

fn upload<W: Wire>(
    agent: &mut Agent<W>,
    bundle: &Bundle,
    options: &FlashOptions,
    sent: &mut Sent,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<()> {
    let stage = Request::Stage {
        manifest: bundle.text.clone(),
        signature: bundle.signature.clone(),
        public_key: bundle.public_key.clone(),
        allow_downgrade: options.allow_downgrade,
        repin: options.repin,
    };
    // The board looks for what it holds in all its releases, and copies it.
    let (files, records) = match agent.ask(&stage, work(bundle.manifest.bytes().saturating_mul(2)))? {
        Reply::Wanted { files, records, .. } => (files, records),
        other => return Err(agent.unexpected(&other)),
    };
    let refuse = |problem| agent.error(problem);
    let files = told::lacking(bundle, &files).map_err(refuse)?;
    let records = told::lacking(bundle, &records).map_err(refuse)?;
    let size = |name: &str| bundle.bytes(name).map_or(0, |bytes| bytes.len() as u64);
    let lacking: u64 = files.iter().chain(&records).map(|(name, _, offset)| size(name) - offset).sum();
    sent.of = sent.done + lacking;
    on_event(FlashEvent::Planned { held: bundle.manifest.bytes().saturating_sub(lacking), lacking });
    for (name, shown, offset) in files {
        let request = |offset| Request::File { name: name.clone(), offset };
        send(agent, bundle, (&name, &shown), offset, &request, sent, on_event)?;
    }
    for (sha256, shown, offset) in records {
        let request = |offset| Request::Records { sha256: sha256.clone(), offset };
        send(agent, bundle, (&sha256, &shown), offset, &request, sent, on_event)?;
    }
    on_event(FlashEvent::Verifying);
    match agent.ask(&Request::Seal, work(bundle.manifest.bytes()))? {
        Reply::Sealed { id } if id == bundle.id => Ok(()),
        other => Err(agent.unexpected(&other)),
    }
}

/// Sends a file from `offset`; one that arrived damaged is sent once more, whole. `names` are the one by which the
/// board asked and the one for people.
fn send<W: Wire>(
    agent: &mut Agent<W>,
    bundle: &Bundle,
    names: (&str, &str),
    offset: u64,
    request: &dyn Fn(u64) -> Request,
    sent: &mut Sent,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<()> {
    let bytes = bundle.bytes(names.0).unwrap_or_default();
    let mut problem = String::new();
    for offset in [offset, 0] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
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
            Reply::Damaged { problem: told } => problem = mfactor::text::quoted(&told, 200),
            other => return Err(agent.unexpected(&other)),
        }
    }
    Err(agent.error(format!("{} arrived damaged twice: {problem}", names.1)))
}

fn measure<W: Wire>(
    agent: &mut Agent<W>,
    bundle: &Bundle,
    asked: &MeasureOptions,
    on_event: &mut dyn FnMut(FlashEvent),
) -> Result<Vec<Measurement>> {
    let models = bundle.manifest.models.len() * asked.engines.len();
    let end = Instant::now() + LONGEST_MEASUREMENT * models as u32;
    let mut measurements: Vec<Measurement> = vec![];
    let MeasureOptions { preset, threads, engines } = asked.clone();
    agent.tell(&Request::Measure(MeasureRequest {
        preset,
        threads,
        engines,
        sensors: bundle.sensors.clone(),
    }))?;
    for _ in 0..=MOST_STEPS.saturating_mul(models) {
        let longest = SILENCE.min(end.saturating_duration_since(Instant::now()));
        match agent.hear_measurement(longest)? {
            Reply::Measuring { model, step } => {
                let (model, step) =
                    told::step(&bundle.manifest, &model, &step).map_err(|p| agent.error(p))?;
                on_event(FlashEvent::Measuring { model, step });
            }
            Reply::Measured(measured) => {
                let measured = told::measurement(bundle, asked, *measured).map_err(|p| agent.error(p))?;
                let is_again = |other: &Measurement| {
                    other.model.file == measured.model.file && other.engine.name == measured.engine.name
                };
                if measurements.iter().any(is_again) {
                    return Err(agent.error(format!("measured {} twice", measured.model.file)));
                }
                // Told at once, lest a later model's failure lose it.
                on_event(FlashEvent::Measured(Box::new(measured.clone())));
                measurements.push(measured);
            }
            Reply::Done if measurements.len() == models => return Ok(measurements),
            Reply::Done => {
                return Err(agent.error(format!("sent {} measurements of {models}", measurements.len())));
            }
            other => return Err(agent.unexpected(&other)),
        }
    }
    Err(agent.error("does not come to the end of measuring"))
}
