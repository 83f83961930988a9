//! A study of the database as a folder like any other: read once, or again and again while it runs. And what a store holds
//! that no study names.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use mfactor::{Error, Result, Trial, files};
use search::evaluators::TRAINED_FILES;
use search::storage::Attributes;
use search::{Study, StudyConfig};

use crate::link::Link;
use crate::registry::Registered;
use crate::rows::{Reader, Seen};
use crate::store::{ARTIFACTS, Artifact, Kept, Store};
use crate::trainings;

/// What was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulled {
    /// Trials that ended since the last time.
    pub ended: u64,
    /// Trials that have not ended.
    pub running: usize,
}

/// Brings the folder's copy of a study up to date. `config` is the study's, with where data lie here.
///
/// # Errors
/// If the folder holds another study, or a file is not in the store as it was put there.
pub fn pull(
    link: &mut Link,
    study: &Registered,
    config: StudyConfig,
    store: Option<&Store>,
    folder: &Path,
) -> Result<Pulled> {
    let reader = Reader::new(study, &config)?;
    let said = trainers(link, study)?;
    let tracks = link.work(|session, _| reader.news(session, &vec![Seen::default(); study.tracks.len()]))?;
    let running = tracks.iter().flatten().filter(|trial| !trial.is_finished()).count();
    let mut copy = Study::copy_of(folder, config)?;
    let ended = copy.copy(&said, tracks, &mut |trial, output| fetch(link, store, trial, output))?;
    Ok(Pulled { ended, running })
}

/// What a study says of its trainers.
fn trainers(link: &mut Link, study: &Registered) -> Result<Attributes> {
    let id = study.ids()[0];
    let rows = link.work(|session, _| {
        session.rows(
            "SELECT key::text, value_json FROM study_user_attributes
             WHERE study_id = $1 AND key IN ('trainer', 'hardware')",
            &[&id],
        )
    })?;
    let parsed = |text: Option<&str>| serde_json::from_str(text?).ok();
    Ok(rows.iter().filter_map(|row| Some((row.get(0), parsed(row.get(1))?))).collect())
}

/// Brings what a training left.
fn fetch(link: &mut Link, store: Option<&Store>, trial: &Trial, output: &Path) -> Result<()> {
    let id = trial.id as i32;
    let rows = link.work(|session, _| {
        session.rows(
            "SELECT value_json FROM trial_system_attributes WHERE trial_id = $1 AND starts_with(key, $2)",
            &[&id, &ARTIFACTS],
        )
    })?;
    let artifacts = rows.iter().filter_map(|row| Artifact::parse(row.get::<_, Option<&str>>(0)?));
    for artifact in artifacts.filter(|artifact| TRAINED_FILES.contains(&&*artifact.name)) {
        let Some(store) = store else {
            let problem = "has files in a store; name it by --artifacts or MFACTOR_ARTIFACTS";
            return Err(Error::input(format!("trial {} of {}", trial.number, trial.proposer), problem));
        };
        files::write(&output.join(&artifact.name), &store.get(&artifact.sha256)?)?;
    }
    Ok(())
}

/// What a store holds that no trial of the database names, and that is older than `age`: a worker that was killed left it, or a
/// study was removed.
///
/// # Errors
/// [`Error::Input`] if another database names files of the store too.
pub fn orphans(link: &mut Link, store: &Store, database: uuid::Uuid, age: Duration) -> Result<Vec<Kept>> {
    store.check(database)?;
    let strangers = store.strangers(database)?;
    if !strangers.is_empty() {
        let problem = format!(
            "is used by other databases as well ({}), and what they name cannot be seen from here",
            strangers.join(", ")
        );
        return Err(Error::input("the store", problem));
    }
    // First the files and then the names: what is named in between is known.
    let kept = store.list()?;
    let rows = link.work(|session, _| {
        session.rows(
            "SELECT substr(key, length($1) + 1)::text FROM trial_system_attributes WHERE starts_with(key, $1)
             UNION ALL SELECT substr(key, length($1) + 1)::text FROM study_system_attributes WHERE starts_with(key, $1)",
            &[&ARTIFACTS],
        )
    })?;
    let mut named: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    named.extend(trainings::files(link)?);
    Ok(kept.into_iter().filter(|kept| !named.contains(&kept.name) && kept.age > age).collect())
}
