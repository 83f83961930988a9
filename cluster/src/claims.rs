//! Whose a trial is: the statements that give, take and keep leases. Each names the lease's token, so that looking and writing
//! are one, and each may be sent again. Times are the database's clock alone.

use std::collections::BTreeMap;
use std::sync::Mutex;

use uuid::Uuid;

/// Of the studies $1 those that have a trial which nobody holds. After the database has begun anew workers first have
/// a lease's time ($2 ms) to renew; what was handed back is free at once.
pub(crate) const FREE: &str = "
SELECT DISTINCT t.study_id FROM mfactor_leases l JOIN trials t USING (trial_id)
WHERE t.study_id = ANY($1) AND t.state = 'RUNNING' AND NOT l.done AND l.expires < clock_timestamp()
  AND (pg_postmaster_start_time() < clock_timestamp() - $2::float8 * interval '1 ms' OR l.expires = '-infinity')";

/// Fails a trial of study $1 that was lost $2 times.
pub(crate) const GIVE_UP: &str = "
WITH c AS (SELECT l.trial_id, l.attempt, l.worker FROM mfactor_leases l JOIN trials t USING (trial_id)
   WHERE t.study_id = $1 AND t.state = 'RUNNING' AND NOT l.done AND l.expires < clock_timestamp() AND l.attempt >= $2
     AND pg_postmaster_start_time() < clock_timestamp() - $3::float8 * interval '1 ms' AND l.expires <> '-infinity'
   ORDER BY t.number LIMIT 1 FOR UPDATE OF l SKIP LOCKED),
 n AS (INSERT INTO mfactor_deaths (trial_id, attempt, worker) SELECT * FROM c ON CONFLICT DO NOTHING),
 l AS (UPDATE mfactor_leases l SET done = true, expires = 'infinity' FROM c WHERE l.trial_id = c.trial_id
       RETURNING l.trial_id, l.attempt, l.worker),
 t AS (UPDATE trials SET state = 'FAIL', datetime_complete = clock_timestamp() AT TIME ZONE 'UTC' FROM l
       WHERE trials.trial_id = l.trial_id AND state = 'RUNNING' RETURNING trials.trial_id)
INSERT INTO trial_user_attributes (trial_id, key, value_json)
SELECT t.trial_id, 'failure', to_json('its worker was lost ' || l.attempt || ' times: '
   || coalesce((SELECT string_agg(d.worker, ', ' ORDER BY d.attempt) || ', ' FROM mfactor_deaths d
                WHERE d.trial_id = t.trial_id AND d.attempt < l.attempt), '') || l.worker)::text
FROM t JOIN l USING (trial_id)
ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json";

/// Gives worker $2 a trial of study $1 that nobody holds, for $3 ms by the token $4; what was said of it is forgotten.
pub(crate) const TAKE_OVER: &str = "
WITH c AS (SELECT l.trial_id, l.attempt, l.worker, l.expires = '-infinity' AS is_handed_back
   FROM mfactor_leases l JOIN trials t USING (trial_id)
   WHERE t.study_id = $1 AND t.state = 'RUNNING' AND NOT l.done AND l.expires < clock_timestamp()
     AND (pg_postmaster_start_time() < clock_timestamp() - $3::float8 * interval '1 ms' OR l.expires = '-infinity')
   ORDER BY t.number LIMIT 1 FOR UPDATE OF l SKIP LOCKED),
 n AS (INSERT INTO mfactor_deaths (trial_id, attempt, worker) SELECT trial_id, attempt, worker FROM c WHERE NOT is_handed_back
       ON CONFLICT DO NOTHING),
 d AS (DELETE FROM trial_intermediate_values i USING c WHERE i.trial_id = c.trial_id)
UPDATE mfactor_leases l SET token = $4, worker = $2, attempt = l.attempt + 1,
   expires = clock_timestamp() + $3::float8 * interval '1 ms'
FROM c WHERE l.trial_id = c.trial_id RETURNING l.trial_id";

/// The trial that a token was given for.
pub(crate) const TAKEN: &str = "SELECT trial_id FROM mfactor_leases WHERE token = $1";

/// A new trial with number $1 of study $2, its parameters $3 to $5, its attributes $6 and $7, held by worker $8 for $9 ms by the token $10.
pub(crate) const CREATE: &str = "
WITH t AS (INSERT INTO trials (number, study_id, state, datetime_start)
       VALUES ($1, $2, 'RUNNING', clock_timestamp() AT TIME ZONE 'UTC') RETURNING trial_id),
 p AS (INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
       SELECT trial_id, n, x, d FROM t, unnest($3::text[], $4::float8[], $5::text[]) AS u (n, x, d)),
 a AS (INSERT INTO trial_user_attributes (trial_id, key, value_json)
       SELECT trial_id, k, j FROM t, unnest($6::text[], $7::text[]) AS u (k, j))
INSERT INTO mfactor_leases (trial_id, worker, expires, token)
SELECT trial_id, $8, clock_timestamp() + $9::float8 * interval '1 ms', $10 FROM t RETURNING trial_id";

/// Keeps the leases of trials $1 with tokens $2 for $3 ms more; those that are kept.
pub(crate) const RENEW: &str = "
UPDATE mfactor_leases l SET expires = clock_timestamp() + $3::float8 * interval '1 ms'
FROM unnest($1::int[], $2::uuid[]) AS h (trial_id, token), trials t
WHERE l.trial_id = h.trial_id AND l.token = h.token AND NOT l.done AND l.expires <> '-infinity'
  AND t.trial_id = l.trial_id AND t.state = 'RUNNING' RETURNING l.trial_id";

/// Keeps the accuracy $5 after epoch $4 of trial $1 with token $2, and the lease for $3 ms more.
pub(crate) const REPORT: &str = "
WITH l AS (UPDATE mfactor_leases l SET expires = clock_timestamp() + $3::float8 * interval '1 ms' FROM trials t
       WHERE l.trial_id = $1 AND l.token = $2 AND NOT l.done AND t.trial_id = l.trial_id AND t.state = 'RUNNING'
       RETURNING l.trial_id)
INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
SELECT trial_id, $4, $5, 'FINITE' FROM l
ON CONFLICT (trial_id, step) DO UPDATE SET intermediate_value = excluded.intermediate_value";

/// Ends trial $1 with token $2 in state $3 with value $4, user attributes $5 and $6, system attributes $7 and $8.
pub(crate) const FINISH: &str = "
WITH r AS (SELECT trial_id FROM trials WHERE trial_id = $1 AND state = 'RUNNING' FOR UPDATE),
 l AS (UPDATE mfactor_leases l SET done = true, expires = 'infinity' FROM r
       WHERE l.trial_id = r.trial_id AND l.token = $2 AND NOT l.done RETURNING l.trial_id),
 t AS (UPDATE trials SET state = $3::text::trialstate, datetime_complete = clock_timestamp() AT TIME ZONE 'UTC'
       FROM l WHERE trials.trial_id = l.trial_id RETURNING trials.trial_id),
 v AS (INSERT INTO trial_values (trial_id, objective, value, value_type)
       SELECT trial_id, 0, $4, 'FINITE' FROM t WHERE $4::float8 IS NOT NULL),
 u AS (INSERT INTO trial_user_attributes (trial_id, key, value_json)
       SELECT trial_id, k, j FROM t, unnest($5::text[], $6::text[]) AS u (k, j)
       ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json),
 s AS (INSERT INTO trial_system_attributes (trial_id, key, value_json)
       SELECT trial_id, k, j FROM t, unnest($7::text[], $8::text[]) AS u (k, j)
       ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json)
SELECT count(*) FROM t";

/// Whether it was the holder of this token who ended the trial: its answer may have been lost.
pub(crate) const ENDED_BY: &str = "SELECT 1 FROM mfactor_leases WHERE trial_id = $1 AND token = $2 AND done";

/// Frees a trial at once, and counts no attempt.
pub(crate) const HAND_BACK: &str = "
UPDATE mfactor_leases SET expires = '-infinity', attempt = attempt - 1
WHERE trial_id = $1 AND token = $2 AND NOT done AND expires <> '-infinity'";

/// What this process holds, as its threads see it.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<i32, Uuid>,
    lost: Vec<(i32, Uuid)>,
    stops: bool,
    /// Trials of each strategy, as the database has it.
    trials: Option<u64>,
    /// Keys of trainings that this process is at.
    trainings: BTreeMap<String, Uuid>,
}

impl Holds {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes a trial as held.
    pub fn hold(&self, trial: i32, token: Uuid) {
        self.state().held.insert(trial, token);
    }

    /// The token of a trial that is held.
    pub fn token(&self, trial: i32) -> Option<Uuid> {
        self.state().held.get(&trial).copied()
    }

    /// Holds a trial no longer.
    pub fn let_go(&self, trial: i32) {
        self.state().held.remove(&trial);
    }

    /// All that is held.
    pub fn all(&self) -> Vec<(i32, Uuid)> {
        self.state().held.iter().map(|(trial, token)| (*trial, *token)).collect()
    }

    /// Takes note of the answer to a renewal of `asked`: what was not `kept` is lost.
    pub fn renewed(&self, asked: &[(i32, Uuid)], kept: &[i32], stops: bool) {
        let mut state = self.state();
        state.stops = stops;
        state.lost.extend(asked.iter().filter(|(trial, _)| !kept.contains(trial)));
    }

    /// Takes note of how many trials of each strategy are asked for.
    pub fn ask(&self, trials: u64) {
        self.state().trials = Some(trials);
    }

    /// How many trials of each strategy are asked for, if that changed since the last call.
    pub fn asked(&self) -> Option<u64> {
        self.state().trials.take()
    }

    /// Notes that this process is at a training, or no longer.
    pub fn train(&self, key: &str, token: Option<Uuid>) {
        let trainings = &mut self.state().trainings;
        match token {
            Some(token) => drop(trainings.insert(key.to_owned(), token)),
            None => drop(trainings.remove(key)),
        }
    }

    /// Trainings that this process is at.
    pub fn trainings(&self) -> (Vec<String>, Vec<Uuid>) {
        self.state().trainings.iter().map(|(key, token)| (key.clone(), *token)).unzip()
    }

    /// Trials that were lost since the last call and not ended or given up before that, and whether the study stops.
    pub fn heed(&self) -> (Vec<i32>, bool) {
        let mut state = self.state();
        let lost = std::mem::take(&mut state.lost);
        let was_held = |(trial, token): &(i32, Uuid)| state.held.get(trial) == Some(token);
        let lost: Vec<i32> = lost.into_iter().filter(was_held).map(|(trial, _)| trial).collect();
        for trial in &lost {
            state.held.remove(trial);
        }
        (lost, state.stops)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_told_once_and_not_of_a_trial_that_was_taken_again() {
        let (holds, tokens) =
            (Holds::default(), [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)]);
        holds.hold(1, tokens[0]);
        holds.hold(2, tokens[1]);
        let asked = holds.all();
        holds.renewed(&asked, &[2], true);
        holds.hold(1, tokens[2]);
        assert_eq!(holds.heed(), (vec![], true));
        holds.renewed(&holds.all(), &[1], false);
        assert_eq!(holds.heed(), (vec![2], false));
        assert_eq!(holds.heed(), (vec![], false));
        assert_eq!(holds.all(), [(1, tokens[2])]);
    }
}
