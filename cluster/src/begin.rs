//! How a trial begins: in a transaction, under a lock on its study's row.

use std::time::Duration;

use mfactor::{Error, Result, SearchSpace, Trial};
use search::storage::Attributes;
use search::storage::form;
use serde_json::Value;
use uuid::Uuid;

use crate::claims::{CREATE, TAKEN};
use crate::link::Session;
use crate::rows::Reader;
use crate::trouble::Trouble;

/// What an idle transaction is given, in ms, where strategies are quick; doubled when one is thrown out of it.
pub(crate) const FIRST_PROPOSAL_MS: u64 = 10_000;
pub(crate) const LONGEST_PROPOSAL_MS: u64 = 640_000;

/// What is fixed of a study.
pub(crate) struct Study {
    pub ids: Vec<i32>,
    pub reader: Reader,
    pub space: SearchSpace,
    pub lease: Duration,
    pub most_attempts: i32,
    pub proposal_ms: u64,
}

/// Begins the next trial of a track within a transaction. Nobody else begins one meanwhile, for all lock the study's row first;
/// so what an earlier try did that was cut off is decided as well.
pub(crate) fn begin(
    session: &mut Session,
    study: &Study,
    track: usize,
    first: usize,
    worker: &str,
    token: Uuid,
    propose: &mut dyn FnMut(Vec<Trial>) -> Option<Trial>,
) -> Result<Option<Trial>, Trouble> {
    if study.proposal_ms > FIRST_PROPOSAL_MS {
        session.batch(&format!(
            "SET LOCAL idle_in_transaction_session_timeout = {}; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
            study.proposal_ms,
            3 * study.proposal_ms,
            6 * study.proposal_ms
        ))?;
    }
    lock(session, study.ids[track])?;
    let news = study.reader.of(session, track, first)?;
    if let Some(row) = session.row(TAKEN, &[&token])? {
        let id = row.get::<_, i32>(0) as u64;
        return Ok(news.into_iter().find(|trial| trial.id == id));
    }
    let Some(trial) = propose(news) else { return Ok(None) };
    create(session, study, track, &trial, worker, token).map(Some)
}

fn create(
    session: &mut Session,
    study: &Study,
    track: usize,
    trial: &Trial,
    worker: &str,
    token: Uuid,
) -> Result<Trial, Trouble> {
    let (mut names, mut options, mut distributions) = (vec![], vec![], vec![]);
    for (name, option, distribution) in form::parameters(trial, &study.space)? {
        names.push(name);
        options.push(option);
        distributions.push(distribution);
    }
    let (keys, values) = columns(form::fixed_attributes(trial));
    let number = i32::try_from(trial.number)
        .map_err(|_| Error::input("trials", "there are more than a database counts"))?;
    let lease_ms = millis(study.lease);
    let row = session.row(
        CREATE,
        &[
            &number,
            &study.ids[track],
            &names,
            &options,
            &distributions,
            &keys,
            &values,
            &worker,
            &lease_ms,
            &token,
        ],
    )?;
    let id = row.map(|row| row.get::<_, i32>(0));
    let id = id.ok_or_else(|| Error::Defect("a trial was made and has no id".to_owned()))?;
    Ok(Trial { id: id as u64, ..trial.clone() })
}

/// Locks a study for who begins a trial in it.
pub(crate) fn lock(session: &mut Session, study: i32) -> Result<(), Trouble> {
    let row = session.row("SELECT study_id FROM studies WHERE study_id = $1 FOR UPDATE", &[&study])?;
    let gone = || {
        let problem = "was removed from the database, by `mfactor cluster remove` or by Optuna";
        Trouble::Other(Error::input("the study", problem))
    };
    row.map(drop).ok_or_else(gone)
}

/// Keys and values of attributes.
pub(crate) fn columns(attributes: Attributes) -> (Vec<String>, Vec<String>) {
    attributes.into_iter().map(|(key, value): (String, Value)| (key, value.to_string())).unzip()
}

/// A time as the statements take it.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
