//! Whether this machine can work with the database: what is looked at, and what it said.

use std::time::Instant;

use mfactor::Result;
use serde::Serialize;

use crate::link::Link;
use crate::schema;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// Version of the server.
    pub server: String,
    /// Protocol and cipher, where the way is encrypted.
    pub encryption: Option<String>,
    /// Connections that others and this one have, and how many there may be.
    pub connections: i64,
    /// How many there may be.
    pub most_connections: i64,
    /// Median time of a question and its answer.
    pub round_trip_ms: f64,
    /// What the role may not do that a worker does.
    pub lacks: Vec<String>,
    /// Whether the role may register and remove studies.
    pub is_owner: bool,
    /// The server's own time zone, which changes nothing.
    pub time_zone: String,
    /// What tells this database from others.
    pub database: String,
}

const FACTS: &str = "
SELECT current_setting('server_version'),
  (SELECT version || ', ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl),
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint,
  (SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'),
  has_table_privilege('studies', 'INSERT') AND has_table_privilege('mfactor_studies', 'INSERT')";

/// What a worker does, table by table.
const LACKS: &str = "
SELECT privilege || ' on ' || name FROM (VALUES
  ('studies', 'SELECT'), ('studies', 'UPDATE'), ('mfactor_studies', 'SELECT'), ('mfactor_tracks', 'SELECT'),
  ('study_user_attributes', 'INSERT'), ('study_user_attributes', 'UPDATE'), ('trials', 'INSERT'), ('trials', 'UPDATE'),
  ('trial_params', 'INSERT'), ('trial_values', 'INSERT'), ('trial_user_attributes', 'INSERT'),
  ('trial_system_attributes', 'INSERT'), ('trial_intermediate_values', 'INSERT'), ('trial_intermediate_values', 'DELETE'),
  ('mfactor_leases', 'INSERT'), ('mfactor_leases', 'UPDATE'), ('mfactor_deaths', 'INSERT'), ('mfactor_trainings', 'INSERT'), ('mfactor_trainings', 'UPDATE')
) AS needed (name, privilege) WHERE NOT has_table_privilege(name, privilege)";

const ASKED: usize = 9;

/// Looks at all of it.
///
/// # Errors
/// As [`schema::check`].
pub fn look(link: &mut Link) -> Result<Health> {
    let database = schema::check(link)?;
    let (facts, lacks, mut times) = link.work(|session, _| {
        let mut times = vec![];
        for _ in 0..ASKED {
            let began = Instant::now();
            session.rows("SELECT 1", &[])?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        Ok((session.rows(FACTS, &[])?.remove(0), session.rows(LACKS, &[])?, times))
    })?;
    times.sort_by(f64::total_cmp);
    Ok(Health {
        server: facts.get(0),
        encryption: facts.get(1),
        connections: facts.get(2),
        most_connections: facts.get(3),
        round_trip_ms: times[ASKED / 2],
        lacks: lacks.iter().map(|row| row.get(0)).collect(),
        is_owner: facts.get(5),
        time_zone: facts.get(4),
        database: database.to_string(),
    })
}
