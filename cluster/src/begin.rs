//! How a trial begins: in a transaction, under a lock on its study's row.

use std::time::Duration;

use mfactor::{Error, Result, SearchSpace, Trial};
use search::storage::Attributes;
use search::storage::form;
use serde_json::Value;
use uuid::Uuid;

use crate::claims::{CREATE, Holds, TAKEN};
use crate::link::Session;
use crate::rows::{Reader, Seen};
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

impl Study {
    /// Settings of a transaction in which strategies are slow.
    fn patience(&self) -> String {
        if self.proposal_ms <= FIRST_PROPOSAL_MS {
            return String::new();
        }
        format!(
            "SET LOCAL idle_in_transaction_session_timeout = {}; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {};",
            self.proposal_ms,
            3 * self.proposal_ms,
            6 * self.proposal_ms
        )
    }
}

/// Begins the next trial of a track within a transaction. Nobody else begins one meanwhile, for all lock the study's row first;
/// so what an earlier try did that was cut off (`is_again`) is decided as well. How far the track is `seen` is what
/// `propose` was given.
pub(crate) fn begin(
    session: &mut Session,
    study: &Study,
    (track, seen): (usize, &mut Seen),
    holds: &Holds,
    (worker, token, is_again): (&str, Uuid, bool),
    propose: &mut dyn FnMut(Vec<Trial>) -> Option<Trial>,
) -> Result<Option<Trial>, Trouble> {
    session.locked(study.ids[track], &study.patience(), |session| {
        let news = study.reader.news_of(session, track, seen.besides(holds))?;
        if is_again && let Some(row) = session.row(TAKEN, &[&token])? {
            let id = row.get::<_, i32>(0) as u64;
            return Ok(news.into_iter().find(|trial| trial.id == id));
        }
        news.iter().for_each(|trial| seen.note(trial));
        let Some(trial) = propose(news) else { return Ok(None) };
        create(session, study, track, &trial, worker, token).map(Some)
    })
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

/// Keys and values of attributes.
pub(crate) fn columns(attributes: Attributes) -> (Vec<String>, Vec<String>) {
    attributes.into_iter().map(|(key, value): (String, Value)| (key, value.to_string())).unzip()
}

/// A time as the statements take it.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
