//! Leases kept alive by a thread with a connection of its own: an epoch may take longer than a lease.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use mfactor::{Error, Result};

use crate::claims::{Holds, RENEW};
use crate::link::Link;

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

fn renew(mut link: Link, study: &str, lease: Duration, holds: &Holds, ended: &Receiver<()>) {
    while ended.recv_timeout(lease / RENEWALS) == Err(RecvTimeoutError::Timeout) {
        // Whoever waits for the database says so; this thread comes back after a third of a lease.
        let _ = renew_once(&mut link, study, lease, holds);
    }
}

fn renew_once(link: &mut Link, study: &str, lease: Duration, holds: &Holds) -> Result<()> {
    let asked = holds.all();
    let (trials, tokens): (Vec<i32>, Vec<uuid::Uuid>) = asked.iter().copied().unzip();
    let lease_ms = lease.as_secs_f64() * 1000.0;
    let (kept, stops) = link.work_at_once(|session| {
        let kept = session.rows(RENEW, &[&trials, &tokens, &lease_ms])?;
        let state = session.row("SELECT state FROM mfactor_studies WHERE study = $1", &[&study])?;
        let is_running = state.is_some_and(|row| row.get::<_, &str>(0) == "running");
        Ok((kept.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), !is_running))
    })?;
    holds.renewed(&asked, &kept, stops);
    Ok(())
}
