//! How a study of the database stands.

use mfactor::Result;
use serde::Serialize;

use crate::link::Link;
use crate::registry::Registered;

/// A study as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Its name.
    pub study: String,
    /// `running`, `stopping` or `done`.
    pub state: &'static str,
    /// Its tracks, in order.
    pub tracks: Vec<TrackStatus>,
    /// Who works at it.
    pub workers: Vec<WorkerStatus>,
    /// Trials that wait for somebody to take them over.
    pub waiting: i64,
    /// Workers that were lost at a trial.
    pub deaths: i64,
    /// Trials that failed because too many workers were lost at them.
    pub given_up: i64,
    /// Trials an hour that ended within the last hour.
    pub per_hour: i64,
}

/// A strategy, the baseline or the given architectures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackStatus {
    /// Who proposes.
    pub strategy: String,
    /// Trials that were asked for.
    pub asked: u64,
    /// Trials that run.
    pub running: i64,
    /// With a result.
    pub complete: i64,
    /// Stopped early, or skipped.
    pub pruned: i64,
    /// Without one.
    pub failed: i64,
    /// Largest M.
    pub best: Option<f64>,
}

/// A worker that holds trials.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// Trials that it is at.
    pub trials: i64,
    /// Seconds until the first of them is free; below 0 if nobody has taken it yet.
    pub seconds_left: f64,
}

const TRACKS: &str = "
SELECT k.strategy, count(*) FILTER (WHERE t.state = 'RUNNING'), count(*) FILTER (WHERE t.state = 'COMPLETE'),
  count(*) FILTER (WHERE t.state = 'PRUNED'), count(*) FILTER (WHERE t.state = 'FAIL'), max(v.value)
FROM mfactor_tracks k LEFT JOIN trials t USING (study_id) LEFT JOIN trial_values v ON v.trial_id = t.trial_id
WHERE k.study = $1 GROUP BY k.position, k.strategy ORDER BY k.position";

const WORKERS: &str = "
SELECT l.worker, count(*), extract(epoch FROM min(l.expires) - clock_timestamp())::float8
FROM mfactor_leases l JOIN trials t USING (trial_id)
WHERE t.study_id = ANY($1) AND NOT l.done AND t.state = 'RUNNING' AND l.expires <> '-infinity' GROUP BY l.worker ORDER BY l.worker";

const COUNTS: &str = "
SELECT (SELECT count(*) FROM mfactor_leases l JOIN trials t USING (trial_id)
        WHERE t.study_id = ANY($1) AND NOT l.done AND t.state = 'RUNNING' AND l.expires < clock_timestamp()),
  (SELECT count(*) FROM mfactor_deaths d JOIN trials t USING (trial_id) WHERE t.study_id = ANY($1)),
  (SELECT count(*) FROM mfactor_leases l JOIN trials t USING (trial_id) WHERE t.study_id = ANY($1) AND t.state = 'FAIL'
     AND EXISTS (SELECT FROM mfactor_deaths d WHERE d.trial_id = t.trial_id AND d.attempt = l.attempt)),
  (SELECT count(*) FROM trials t WHERE t.study_id = ANY($1)
     AND t.datetime_complete > (clock_timestamp() AT TIME ZONE 'UTC') - interval '1 hour')";

impl Status {
    /// Of a study.
    pub fn of(link: &mut Link, study: &Registered) -> Result<Self> {
        let ids = study.ids();
        let (tracks, workers, counts) = link.work(|session, _| {
            let tracks = session.rows(TRACKS, &[&study.name])?;
            Ok((tracks, session.rows(WORKERS, &[&ids])?, session.rows(COUNTS, &[&ids])?))
        })?;
        let asked = |strategy: &str| match strategy {
            search::study::BASELINE => 1,
            search::study::GIVEN => study.config.architectures.len() as u64,
            _ => study.config.trials,
        };
        let track = |row: &postgres::Row| TrackStatus {
            strategy: row.get(0),
            asked: asked(row.get(0)),
            running: row.get(1),
            complete: row.get(2),
            pruned: row.get(3),
            failed: row.get(4),
            best: row.get(5),
        };
        let worker = |row: &postgres::Row| WorkerStatus {
            name: row.get(0),
            trials: row.get(1),
            seconds_left: row.get(2),
        };
        let count = |column: usize| counts.first().map_or(0, |row| row.get(column));
        let tracks: Vec<TrackStatus> = tracks.iter().map(track).collect();
        Ok(Self {
            study: study.name.clone(),
            state: state(study.is_stopping, &tracks),
            tracks,
            workers: workers.iter().map(worker).collect(),
            waiting: count(0),
            deaths: count(1),
            given_up: count(2),
            per_hour: count(3),
        })
    }
}

fn state(is_stopping: bool, tracks: &[TrackStatus]) -> &'static str {
    let is_done = |track: &TrackStatus| {
        track.running == 0 && (track.complete + track.pruned + track.failed) as u64 >= track.asked
    };
    match is_stopping {
        _ if tracks.iter().all(is_done) => "done",
        true => "stopping",
        false => "running",
    }
}
