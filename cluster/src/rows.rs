//! Rows of Optuna's tables read as trials, each held against what the configuration makes of it.

use std::collections::{BTreeMap, BTreeSet};

use mfactor::{Error, Objective, Result, SearchSpace, Trial};
use postgres::Row;
use search::StudyConfig;
use search::storage::Attributes;
use search::storage::form::{Stored, state};

use crate::claims::Holds;
use crate::link::Session;
use crate::registry::Registered;
use crate::trouble::Trouble;

/// The columns that a trial is read from, and the rows by name `t` that have them.
macro_rules! trials {
    ($rows:literal) => {
        concat!(
            "
SELECT t.trial_id, t.study_id, t.number, t.state::text, l.trial_id IS NOT NULL, coalesce(l.done, false),
  (SELECT v.value FROM trial_values v WHERE v.trial_id = t.trial_id AND v.objective = 0),
  p.names, p.numbers, a.keys, a.texts, i.steps, i.numbers
FROM (",
            $rows,
            ") AS t LEFT JOIN mfactor_leases l ON l.trial_id = t.trial_id,
LATERAL (SELECT array_agg(param_name::text) AS names, array_agg(param_value) AS numbers
         FROM trial_params WHERE trial_params.trial_id = t.trial_id) AS p,
LATERAL (SELECT array_agg(key::text) AS keys, array_agg(value_json) AS texts
         FROM trial_user_attributes WHERE trial_user_attributes.trial_id = t.trial_id) AS a,
LATERAL (SELECT array_agg(step) AS steps, array_agg(intermediate_value) AS numbers
         FROM trial_intermediate_values WHERE trial_intermediate_values.trial_id = t.trial_id) AS i
ORDER BY t.study_id, t.number, t.trial_id"
        )
    };
}

/// Trials of the studies $1 from the numbers $2 on, and those of the trials $3 that run no longer. What was deleted of these
/// has no id.
const NEWS: &str = trials!(
    "SELECT t.* FROM unnest($1::int[], $2::int[]) AS w (study_id, known) JOIN trials t ON t.study_id = w.study_id AND t.number >= w.known
     UNION ALL SELECT t.* FROM unnest($3::int[]) AS o (id) LEFT JOIN trials t ON t.trial_id = o.id WHERE t.state IS DISTINCT FROM 'RUNNING'"
);

/// The trial $1.
const ONE: &str = trials!("SELECT * FROM trials WHERE trial_id = $1");

/// How far a track is known. What has ended never changes, and what runs only in that it ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// How many trials, from the first on.
    known: usize,
    /// Ids of those that run.
    open: BTreeSet<i32>,
}

impl Seen {
    /// Takes note of a trial.
    pub fn note(&mut self, trial: &Trial) {
        self.known = self.known.max(trial.number as usize + 1);
        let id = trial.id as i32;
        if trial.is_finished() {
            self.open.remove(&id)
        } else {
            self.open.insert(id)
        };
    }

    /// Takes note of a trial's end.
    pub fn ended(&mut self, id: i32) {
        self.open.remove(&id);
    }

    /// How many run.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The same without what this process holds, which nobody else ends.
    pub fn besides(&self, holds: &Holds) -> Self {
        let open = self.open.iter().copied().filter(|id| holds.token(*id).is_none());
        Self { known: self.known, open: open.collect() }
    }
}

/// What rows are read against.
pub(crate) struct Reader {
    name: String,
    tracks: Vec<(i32, String)>,
    space: SearchSpace,
    objective: Objective,
}

impl Reader {
    /// For the trials of a study.
    pub fn new(study: &Registered, config: &StudyConfig) -> Result<Self> {
        let (space, objective) = (config.space.clone(), config.objective()?);
        Ok(Self { name: study.name.clone(), tracks: study.tracks.clone(), space, objective })
    }

    /// What is new since the tracks were `seen` like that, from the first track on.
    pub fn news(&self, session: &mut Session, seen: &[Seen]) -> Result<Vec<Vec<Trial>>, Trouble> {
        self.since(session, 0, seen)
    }

    /// What is new of one track.
    pub fn news_of(&self, session: &mut Session, track: usize, seen: Seen) -> Result<Vec<Trial>, Trouble> {
        Ok(self.since(session, track, &[seen])?.remove(0))
    }

    /// What is new of the tracks from `first` on.
    fn since(&self, session: &mut Session, first: usize, seen: &[Seen]) -> Result<Vec<Vec<Trial>>, Trouble> {
        let ids: Vec<i32> = self.tracks[first..][..seen.len()].iter().map(|(id, _)| *id).collect();
        let known: Vec<i32> = seen.iter().map(|seen| seen.known as i32).collect();
        let open: Vec<i32> = seen.iter().flat_map(|seen| &seen.open).copied().collect();
        let rows = session.rows(NEWS, &[&ids, &known, &open])?;
        let (mut news, mut next) = (vec![vec![]; ids.len()], known);
        for row in rows {
            let track = ids.iter().position(|id| Some(*id) == row.get(1)).ok_or_else(|| self.is_gone())?;
            let number: i32 = row.get(2);
            let is_new = number >= next[track];
            let expected = if is_new { next[track] } else { number };
            next[track] += i32::from(is_new);
            news[track].push(self.trial(&row, first + track, expected as usize)?);
        }
        Ok(news)
    }

    /// A trial that was not there at the last look; none if it is gone.
    pub fn one(&self, session: &mut Session, track: usize, id: i32) -> Result<Option<Trial>, Trouble> {
        let row = session.row(ONE, &[&id])?;
        let trial = row.map(|row| self.trial(&row, track, row.get::<_, i32>(2) as usize));
        Ok(trial.transpose()?)
    }

    fn is_gone(&self) -> Error {
        let problem = "another program deleted a trial of it that ran, or all of it, so it cannot go on";
        Error::input(format!("study {:?}", self.name), problem)
    }

    fn trial(&self, row: &Row, track: usize, expected: usize) -> Result<Trial> {
        let (number, strategy): (i32, _) = (row.get(2), &self.tracks[track].1);
        let refuse = |problem: String| {
            Error::input(format!("study {:?}, trial {number} of {strategy}", self.name), problem)
        };
        if !row.get::<_, bool>(4) {
            return Err(refuse(
                "was made by another program (Optuna's `optimize`, say), so the study cannot go on; what was found can be had by \
                 mfactor cluster pull once that trial is deleted"
                    .to_owned(),
            ));
        }
        if number as usize != expected {
            return Err(refuse(format!(
                "stands where trial {expected} should: trials were deleted or doubled"
            )));
        }
        let own = self.read(row, strategy).map_err(refuse)?;
        Ok(Trial { number: expected as u64, ..own })
    }

    fn read(&self, row: &Row, strategy: &str) -> Result<Trial, String> {
        let state = match row.get(3) {
            "RUNNING" => state::RUNNING,
            "COMPLETE" => state::COMPLETE,
            "PRUNED" => state::PRUNED,
            "FAIL" => state::FAIL,
            other => return Err(format!("is {other}, which mfactor does not write")),
        };
        let pairs = |keys: usize| row.get::<_, Option<Vec<String>>>(keys).into_iter().flatten();
        let numbers = |values: usize| row.get::<_, Option<Vec<Option<f64>>>>(values).into_iter().flatten();
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let parameters: BTreeMap<String, f64> = pairs(7).zip(numbers(8).map(number)).collect();
        let steps = row.get::<_, Option<Vec<i32>>>(11).into_iter().flatten().map(i64::from);
        let epochs: BTreeMap<i64, f64> = steps.zip(numbers(12).map(number)).collect();
        let texts = row.get::<_, Option<Vec<Option<String>>>>(10).unwrap_or_default();
        let stored = Stored {
            id: row.get::<_, i32>(0) as u64,
            state,
            ended_by_other: state != state::RUNNING && !row.get::<_, bool>(5),
            value: row.get(6),
            parameters: &parameters,
            attributes: &attributes(pairs(9), &texts),
            epochs: &epochs,
        };
        stored.read(&self.space, &self.objective, strategy)
    }
}

/// Attributes from keys and texts; what is no JSON is no attribute.
fn attributes(keys: impl Iterator<Item = String>, texts: &[Option<String>]) -> Attributes {
    let value = |text: &Option<String>| serde_json::from_str(text.as_deref()?).ok();
    keys.zip(texts).filter_map(|(key, text)| Some((key, value(text)?))).collect()
}
