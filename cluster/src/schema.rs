//! The tables: Optuna's, as Optuna 5 makes them, and ours beside them, in whatever schema the database's `search_path` has.

use mfactor::{Error, Result};
use uuid::Uuid;

use crate::address::Address;
use crate::link::{Link, Session};
use crate::trouble::Trouble;

/// Version of our tables.
pub const SCHEMA: i32 = 2;
/// The version before, which lacks the table of trainings alone.
const WITHOUT_TRAININGS: i32 = 1;
/// Version of Optuna's tables, the same from Optuna 3.2 to 5.0.
const ALEMBIC: &str = "v3.2.0.a";
/// The first Optuna that writes times in UTC: times of earlier ones are those of whoever wrote them.
const OPTUNA: u32 = 5;
/// Oldest server that has `gen_random_uuid`.
const SERVER: i32 = 130_000;
/// Number of the lock under which tables are made: "mfactor" in ASCII.
const LOCK: i64 = 0x006d_6661_6374_6f72;

const OPTUNA_TABLES: &str = include_str!("sql/optuna.sql");
const OUR_TABLES: &str = include_str!("sql/mfactor.sql");
const TRAININGS: &str = include_str!("sql/trainings.sql");

/// What a worker's role needs beside `CONNECT` and `USAGE`: it reads and writes trials, and makes or removes no study.
const RIGHTS: &str = include_str!("sql/rights.sql");

/// What was found, or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Whether Optuna's tables were made.
    pub optuna: bool,
    /// Whether ours were.
    pub ours: bool,
    /// What tells this database from others.
    pub database: Uuid,
}

/// Makes the tables that are not there, all or none.
///
/// # Errors
/// [`Error::Input`] if there are tables of other versions, or the role may not make any.
pub fn make(link: &mut Link) -> Result<Made> {
    let address = link.address().clone();
    link.work(|session, _| {
        let made = session.transaction(|session| {
            session.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
            check_server(session, &address)?;
            let optuna = !exists(session, "alembic_version")?;
            if optuna {
                session.batch(OPTUNA_TABLES)?;
            }
            let ours = !exists(session, "mfactor_schema")?;
            check_optuna(session, &address)?;
            if ours {
                session.batch(OUR_TABLES)?;
                session.batch(TRAININGS)?;
                session.execute("INSERT INTO mfactor_schema (version) VALUES ($1)", &[&SCHEMA])?;
            }
            upgrade(session)?;
            let database = check_ours(session, &address)?;
            Ok(Some(Made { optuna, ours, database }))
        })?;
        made.ok_or_else(|| Trouble::Other(Error::Defect("tables were made and taken back".to_owned())))
    })
}

/// Adds what tables of an earlier version lack.
fn upgrade(session: &mut Session) -> Result<(), Trouble> {
    let set = "UPDATE mfactor_schema SET version = $1 WHERE version = $2";
    if session.execute(set, &[&SCHEMA, &WITHOUT_TRAININGS])? > 0 {
        session.batch(TRAININGS)?;
    }
    Ok(())
}

/// Holds the tables against what this version expects; what tells this database from others.
///
/// # Errors
/// [`Error::Input`] if they are not there or of another version.
pub fn check(link: &mut Link) -> Result<Uuid> {
    let address = link.address().clone();
    link.work(|session, _| {
        check_server(session, &address)?;
        if !exists(session, "mfactor_schema")? {
            let problem = "holds no tables of mfactor; to make them, run: mfactor cluster init";
            return Err(Error::input(&address, problem).into());
        }
        check_optuna(session, &address)?;
        check_ours(session, &address)
    })
}

/// Gives a role the rights that a worker needs; the tables' owner may.
///
/// # Errors
/// [`Error::Input`] if there is no such role, or this one may not give rights.
pub fn grant(link: &mut Link, role: &str) -> Result<()> {
    let address = link.address().clone();
    let statements = RIGHTS.replace(":role", &format!("\"{}\"", role.replace('"', "\"\"")));
    link.work(|session, _| {
        if session.row("SELECT FROM pg_roles WHERE rolname = $1", &[&role])?.is_none() {
            let problem = format!("has no role {role:?}; to make it, run: createuser --pwprompt {role}");
            return Err(Error::input(&address, problem).into());
        }
        session.transaction(|session| session.batch(&statements).map(Some))
    })?;
    Ok(())
}

fn exists(session: &mut Session, table: &str) -> Result<bool, Trouble> {
    let row = session.row("SELECT to_regclass($1) IS NOT NULL", &[&table])?;
    Ok(row.is_some_and(|row| row.get(0)))
}

fn check_server(session: &mut Session, address: &Address) -> Result<(), Trouble> {
    let row = session.row("SELECT current_setting('server_version_num')::int", &[])?;
    let version: i32 = row.map_or(0, |row| row.get(0));
    if version >= SERVER {
        return Ok(());
    }
    let problem = format!("runs PostgreSQL {}; 13 or newer is needed", version / 10_000);
    Err(Error::input(address, problem).into())
}

fn check_optuna(session: &mut Session, address: &Address) -> Result<(), Trouble> {
    let refuse = |problem: String| Err(Trouble::Other(Error::input(address, problem)));
    let row = session.row("SELECT version_num FROM alembic_version", &[])?;
    let version: String = row.map_or_else(String::new, |row| row.get(0));
    if version != ALEMBIC {
        return refuse(format!(
            "holds Optuna's tables in version {version:?}; this mfactor knows {ALEMBIC}, that of Optuna 5; take a database of \
             its own, or run: optuna storage upgrade"
        ));
    }
    let row = session.row("SELECT library_version FROM version_info", &[])?;
    let library: String = row.map_or_else(String::new, |row| row.get(0));
    let major = library.split('.').next().and_then(|major| major.parse().ok());
    if major.is_some_and(|major: u32| major >= OPTUNA) {
        return Ok(());
    }
    refuse(format!(
        "was made for Optuna {library}, which writes local times into it; take a database of its own, or have Optuna 5 run: \
         optuna storage upgrade"
    ))
}

fn check_ours(session: &mut Session, address: &Address) -> Result<Uuid, Trouble> {
    let row = session.row("SELECT version, database FROM mfactor_schema", &[])?;
    let Some(row) = row else {
        return Err(Error::input(address, "has lost what mfactor_schema held; restore it from a copy").into());
    };
    let version: i32 = row.get(0);
    if version == SCHEMA {
        return Ok(row.get(1));
    }
    let problem = if version < SCHEMA {
        format!(
            "holds mfactor's tables in version {version}; to bring them to {SCHEMA}, run: mfactor cluster init"
        )
    } else {
        format!(
            "holds mfactor's tables in version {version}; this mfactor knows {SCHEMA}: take the mfactor that made them"
        )
    };
    Err(Error::input(address, problem).into())
}
