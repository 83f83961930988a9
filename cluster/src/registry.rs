//! The studies of a database: registered, found, stopped, extended, removed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mfactor::{Error, Result};
use postgres::Row;
use search::StudyConfig;
use search::config::EvaluatorConfig;
use search::storage::Attributes;
use search::storage::form::{METRIC, METRIC_NAMES};
use search::study::{OptunaStudy, optuna_studies};
use serde_json::json;

use crate::link::{Link, Session};
use crate::trouble::Trouble;

/// How long a worker holds a trial without a word, where a study says nothing else.
pub const LEASE: Duration = Duration::from_secs(60);
/// After so many workers that were lost at it a trial fails.
pub const MOST_ATTEMPTS: u32 = 5;

/// How a study is kept, beside its configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// How long a worker holds a trial without a word.
    pub lease: Duration,
    /// After so many workers that were lost at it a trial fails.
    pub most_attempts: u32,
    /// Whether what trainings leave is kept in a store.
    pub keeps_files: bool,
}

/// A study as the database has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// Version of the tool that registered it.
    pub tool: String,
    /// The configuration. Where data and tables lie is for each machine to say.
    pub config: StudyConfig,
    /// Ids of the tracks in Optuna's `studies`, and who proposes in each.
    pub tracks: Vec<(i32, String)>,
    /// Whether somebody stopped it.
    pub is_stopping: bool,
    /// How it is kept.
    pub terms: Terms,
}

impl Registered {
    /// Refuses a worker of another version: its trainings and proposals may be others.
    ///
    /// # Errors
    /// [`Error::Missing`], with both versions.
    pub fn check_version(&self) -> Result<()> {
        let own = mfactor::version();
        if self.tool == own {
            return Ok(());
        }
        let what = format!(
            "the study {:?} is of mfactor {}, and this is {own}: two versions need not train alike",
            self.name, self.tool
        );
        Err(Error::missing(what, "scripts/setup in a checkout of that version"))
    }

    /// Refuses to go on without a store where the study keeps what trainings leave.
    ///
    /// # Errors
    /// [`Error::Input`], with the option that names a store.
    pub fn check_store(&self, is_named: bool) -> Result<()> {
        if is_named || !self.terms.keeps_files {
            return Ok(());
        }
        let problem = "keeps what trainings leave in a store; name it by --artifacts or MFACTOR_ARTIFACTS";
        Err(Error::input(format!("study {:?}", self.name), problem))
    }

    /// Ids of its tracks in Optuna's `studies`.
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.tracks.iter().map(|(id, _)| *id).collect()
    }
}

/// Puts a study into the database, whole or not at all.
///
/// # Errors
/// [`Error::Input`] if there is one of its name, or a configuration is none to run.
pub fn register(link: &mut Link, config: &StudyConfig, terms: Terms) -> Result<()> {
    config.check("the study")?;
    let address = link.address().clone();
    let config = portable(config);
    let (text, studies) = (config.to_toml()?, optuna_studies(&config));
    link.work(|session, _| {
        session.transaction(|session| {
            if let Some(taken) = taken(session, &config.name, &studies)? {
                let problem = format!(
                    "holds a study {taken:?} already; add workers to it by `mfactor worker NAME`, or take another name"
                );
                return Err(Error::input(&address, problem).into());
            }
            let (lease_ms, attempts) = (terms.lease.as_secs_f64() * 1000.0, terms.most_attempts as i32);
            session.execute(
                "INSERT INTO mfactor_studies (study, tool, config, lease_ms, most_attempts, keeps_files)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                &[&config.name, &config.tool, &text, &lease_ms, &attempts, &terms.keeps_files],
            )?;
            for (position, study) in (0..).zip(&studies) {
                insert(session, &config.name, position, study)?;
            }
            Ok(Some(()))
        })
    })?;
    Ok(())
}

/// A configuration without paths of this machine: each machine says where its data are.
fn portable(config: &StudyConfig) -> StudyConfig {
    let mut config = config.clone();
    if let Some(data) = &mut config.data {
        data.folder = PathBuf::from(&data.name);
    }
    let name_of = |file: &Path| file.file_name().map_or_else(PathBuf::new, PathBuf::from);
    if let EvaluatorConfig::Table { file, .. } = &mut config.evaluator {
        *file = name_of(file);
    }
    if let Some(ratings) = &mut config.naswot {
        ratings.file = name_of(&ratings.file);
    }
    config
}

/// A name that is taken, of the study's or of those that Optuna sees of it.
fn taken(session: &mut Session, name: &str, studies: &[OptunaStudy]) -> Result<Option<String>, Trouble> {
    let names: Vec<&str> = studies.iter().map(|study| &*study.name).collect();
    let row = session.row(
        "SELECT study FROM mfactor_studies WHERE study = $1
         UNION ALL SELECT study_name FROM studies WHERE study_name = ANY($2::text[]) LIMIT 1",
        &[&name, &names],
    )?;
    Ok(row.map(|row| row.get(0)))
}

fn insert(session: &mut Session, name: &str, position: i32, study: &OptunaStudy) -> Result<(), Trouble> {
    let row = session
        .row("INSERT INTO studies (study_name) VALUES ($1::text) RETURNING study_id", &[&study.name])?
        .ok_or_else(|| Error::Defect("a row was inserted and has no id".to_owned()))?;
    let id: i32 = row.get(0);
    session.execute(
        "INSERT INTO study_directions (direction, study_id, objective) VALUES ('MAXIMIZE', $1, 0)",
        &[&id],
    )?;
    session.execute(
        "INSERT INTO study_system_attributes (study_id, key, value_json) VALUES ($1, $2::text, $3)",
        &[&id, &METRIC_NAMES, &json!([METRIC]).to_string()],
    )?;
    session.execute(
        "INSERT INTO mfactor_tracks (study_id, study, strategy, position) VALUES ($1, $2, $3, $4)",
        &[&id, &name, &study.strategy, &position],
    )?;
    note(session, &[id], &study.attributes)
}

/// Notes user attributes of Optuna's studies.
pub(crate) fn note(session: &mut Session, studies: &[i32], attributes: &Attributes) -> Result<(), Trouble> {
    let keys: Vec<&str> = attributes.keys().map(String::as_str).collect();
    let values: Vec<String> = attributes.values().map(ToString::to_string).collect();
    session.execute(
        "INSERT INTO study_user_attributes (study_id, key, value_json)
         SELECT id, k, v FROM unnest($1::int[]) AS s (id), unnest($2::text[], $3::text[]) AS a (k, v)
         ON CONFLICT (study_id, key) DO UPDATE SET value_json = excluded.value_json",
        &[&studies, &keys, &values],
    )?;
    Ok(())
}

/// Names of all studies, in order.
pub fn names(link: &mut Link) -> Result<Vec<String>> {
    let rows =
        link.work(|session, _| session.rows("SELECT study FROM mfactor_studies ORDER BY study", &[]))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Finds a study.
///
/// # Errors
/// [`Error::Input`] if there is none of this name, or it is not whole.
pub fn find(link: &mut Link, name: &str) -> Result<Registered> {
    let (address, name) = (link.address().clone(), name.to_owned());
    let found = link.work(|session, _| {
        let study = session.row(
            "SELECT tool, config, state, lease_ms, most_attempts, keeps_files FROM mfactor_studies WHERE study = $1",
            &[&name],
        )?;
        let tracks = session.rows(
            "SELECT t.study_id, t.strategy, s.study_name::text FROM mfactor_tracks t JOIN studies s USING (study_id)
             WHERE t.study = $1 ORDER BY t.position",
            &[&name],
        )?;
        Ok(study.map(|study| (study, tracks)))
    })?;
    let Some((study, tracks)) = found else {
        let known = mfactor::text::names(names(link)?.iter().map(String::as_str));
        return Err(Error::input(&address, format!("holds no study {name:?}; there are {known}")));
    };
    registered(&name, &study, &tracks).map_err(|problem| Error::input(&address, problem))
}

fn registered(name: &str, study: &Row, tracks: &[Row]) -> Result<Registered, String> {
    let config =
        StudyConfig::parse(study.get(1), &format!("study {name:?}")).map_err(|error| error.to_string())?;
    let expected = optuna_studies(&config).into_iter().map(|study| (study.strategy, study.name));
    let found: Vec<(String, String)> = tracks.iter().map(|row| (row.get(1), row.get(2))).collect();
    if !expected.eq(found) {
        return Err(format!(
            "another program (Optuna, or its dashboard) has deleted or renamed a part of the study {name:?}, so it cannot go \
             on; to remove the rest, run: mfactor cluster remove {name}"
        ));
    }
    Ok(Registered {
        name: name.to_owned(),
        tool: study.get(0),
        config,
        tracks: tracks.iter().map(|row| (row.get(0), row.get(1))).collect(),
        is_stopping: study.get::<_, &str>(2) == "stopping",
        terms: Terms {
            lease: Duration::from_secs_f64(study.get::<_, f64>(3) / 1000.0),
            most_attempts: study.get::<_, i32>(4).unsigned_abs(),
            keeps_files: study.get(5),
        },
    })
}

/// Has all workers hand back what they are at and leave.
///
/// # Errors
/// [`Error::Input`] if there is no such study.
pub fn stop(link: &mut Link, name: &str) -> Result<()> {
    find(link, name)?;
    set_state(link, name, "stopping")
}

fn set_state(link: &mut Link, name: &str, state: &str) -> Result<()> {
    let set = "UPDATE mfactor_studies SET state = $2 WHERE study = $1";
    link.work(|session, _| session.execute(set, &[&name, &state])).map(drop)
}

/// Lets a study go on that was stopped, with so many trials of each strategy if that is more.
///
/// # Errors
/// [`Error::Input`] if there is no such study, or fewer trials are asked for than it has.
pub fn extend(link: &mut Link, name: &str, trials: Option<u64>) -> Result<Registered> {
    let mut study = find(link, name)?;
    if let Some(trials) = trials {
        if trials < study.config.trials {
            let problem =
                format!("has {} trials; {trials} were asked for, and only more can be", study.config.trials);
            return Err(Error::input(format!("study {name:?}"), problem));
        }
        study.config.trials = trials;
        study.config.check("the options")?;
        let text = study.config.to_toml()?;
        let set = "UPDATE mfactor_studies SET config = $2 WHERE study = $1";
        link.work(|session, _| session.execute(set, &[&name, &text]))?;
    }
    set_state(link, name, "running")?;
    study.is_stopping = false;
    Ok(study)
}

/// Removes a study with its trials; files in a store stay until they are collected.
///
/// # Errors
/// [`Error::Input`] if there is no such study, or a worker is at it.
pub fn remove(link: &mut Link, name: &str) -> Result<()> {
    let address = link.address().clone();
    let gone = link.work(|session, _| {
        session.transaction(|session| {
            let tracks = session.rows("SELECT study_id FROM mfactor_tracks WHERE study = $1", &[&name])?;
            let ids: Vec<i32> = tracks.iter().map(|row| row.get(0)).collect();
            session.rows(
                "SELECT study_id FROM studies WHERE study_id = ANY($1) ORDER BY 1 FOR UPDATE",
                &[&ids],
            )?;
            let busy = session.row(
                "SELECT l.worker FROM mfactor_leases l JOIN trials USING (trial_id)
                 WHERE study_id = ANY($1) AND NOT l.done AND l.expires > clock_timestamp() LIMIT 1",
                &[&ids],
            )?;
            if let Some(worker) = busy.map(|row| row.get::<_, String>(0)) {
                let problem = format!("worker {worker} is at it; first run: mfactor cluster stop {name}");
                return Err(Error::input(format!("study {name:?}"), problem).into());
            }
            for statement in REMOVE {
                session.execute(statement, &[&ids])?;
            }
            let removed = session.execute("DELETE FROM mfactor_studies WHERE study = $1", &[&name])?;
            Ok((removed > 0).then_some(()))
        })
    })?;
    gone.ok_or_else(|| Error::input(&address, format!("holds no study {name:?}")))
}

/// Optuna's tables do not cascade; ours hang on them and do.
const REMOVE: [&str; 10] = [
    "DELETE FROM trial_heartbeats WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ANY($1))",
    "DELETE FROM trial_intermediate_values WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ANY($1))",
    "DELETE FROM trial_values WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ANY($1))",
    "DELETE FROM trial_params WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ANY($1))",
    "DELETE FROM trial_user_attributes WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ANY($1))",
    "DELETE FROM trial_system_attributes WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ANY($1))",
    "DELETE FROM trials WHERE study_id = ANY($1)",
    "DELETE FROM study_user_attributes WHERE study_id = ANY($1)",
    "DELETE FROM study_system_attributes WHERE study_id = ANY($1)",
    "WITH d AS (DELETE FROM study_directions WHERE study_id = ANY($1)) DELETE FROM studies WHERE study_id = ANY($1)",
];
