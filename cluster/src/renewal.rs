//! Leases kept alive by a thread with a connection of its own: an epoch may take longer than a lease.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use mfactor::{Error, Result};
use search::StudyConfig;

use crate::claims::{Holds, RENEW};
use crate::link::{Link, Session};
use crate::trainings;
use crate::trouble::Trouble;

/// A lease is renewed so many times while it lasts.
const RENEWALS: u32 = 3;

/// The thread, which ends with this.
pub(crate) struct Renewal {
    _end: Sender<()>,
}

impl Renewal {
    /// Begins to renew what is held.
    pub fn start(link: Link, study: String, lease: Duration, holds: Arc<Holds>) -> Result<Self> {
        let (end, ended) = channel();
        std::thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || renew(link, &study, lease, &holds, &ended))
            .map_err(|error| Error::Defect(format!("no thread can be started: {error}")))?;
        Ok(Self { _end: end })
    }
}

/// What the renewal has seen of the study last, by its digest.
type Seen = String;

fn renew(mut link: Link, study: &str, lease: Duration, holds: &Holds, ended: &Receiver<()>) {
    let mut seen = Seen::new();
    while ended.recv_timeout(lease / RENEWALS) == Err(RecvTimeoutError::Timeout) {
        // Whoever waits for the database says so; this thread comes back after a third of a lease.
        let _ = renew_once(&mut link, study, lease, holds, &mut seen);
    }
}

fn renew_once(link: &mut Link, study: &str, lease: Duration, holds: &Holds, seen: &mut Seen) -> Result<()> {
    let asked = holds.all();
    let (trials, tokens): (Vec<i32>, Vec<uuid::Uuid>) = asked.iter().copied().unzip();
    let lease_ms = lease.as_secs_f64() * 1000.0;
    let trained = holds.trainings();
    let (kept, state) = link.work_at_once(|session| {
        let kept = session.rows(RENEW, &[&trials, &tokens, &lease_ms])?;
        session.execute(trainings::RENEW, &[&trained.0, &trained.1, &lease_ms])?;
        Ok((kept.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), look(session, study, seen)?))
    })?;
    let stops = state.as_ref().is_none_or(|state| !state.is_running);
    holds.renewed(&asked, &kept, stops);
    if let Some(Looked { config: Some((config, digest)), .. }) = state {
        *seen = digest;
        holds.ask(StudyConfig::parse(&config, study)?.trials);
    }
    Ok(())
}

/// What a look at the study found.
struct Looked {
    is_running: bool,
    /// The configuration and its digest, where they are others than at the last look.
    config: Option<(String, String)>,
}

/// Looks at the study; `None` if it is gone.
fn look(session: &mut Session, study: &str, seen: &Seen) -> Result<Option<Looked>, Trouble> {
    let row = session.row(
        "SELECT state, CASE WHEN md5(config) <> $2 THEN config END, md5(config) FROM mfactor_studies WHERE study = $1",
        &[&study, seen],
    )?;
    Ok(row.map(|row| Looked {
        is_running: row.get::<_, &str>(0) == "running",
        config: row.get::<_, Option<String>>(1).map(|config| (config, row.get(2))),
    }))
}
