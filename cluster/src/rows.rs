//! Rows of Optuna's tables read as trials, each held against what the configuration makes of it.

use std::collections::BTreeMap;

use mfactor::{Error, Objective, Result, SearchSpace, Trial};
use postgres::Row;
use search::StudyConfig;
use search::storage::Attributes;
use search::storage::form::{Stored, state};

use crate::link::Session;
use crate::registry::Registered;
use crate::trouble::Trouble;

/// Trials of the studies $1 from the numbers $2 on.
const TRIALS: &str = "
SELECT t.trial_id, t.study_id, t.number, t.state::text, l.trial_id IS NOT NULL, coalesce(l.done, false),
  (SELECT v.value FROM trial_values v WHERE v.trial_id = t.trial_id AND v.objective = 0),
  ARRAY(SELECT p.param_name::text FROM trial_params p WHERE p.trial_id = t.trial_id ORDER BY p.param_id),
  ARRAY(SELECT p.param_value FROM trial_params p WHERE p.trial_id = t.trial_id ORDER BY p.param_id),
  ARRAY(SELECT a.key::text FROM trial_user_attributes a WHERE a.trial_id = t.trial_id ORDER BY a.trial_user_attribute_id),
  ARRAY(SELECT a.value_json FROM trial_user_attributes a WHERE a.trial_id = t.trial_id ORDER BY a.trial_user_attribute_id),
  ARRAY(SELECT i.step FROM trial_intermediate_values i WHERE i.trial_id = t.trial_id ORDER BY i.step),
  ARRAY(SELECT i.intermediate_value FROM trial_intermediate_values i WHERE i.trial_id = t.trial_id ORDER BY i.step)
FROM unnest($1::int[], $2::int[]) AS w (study_id, first)
JOIN trials t ON t.study_id = w.study_id AND t.number >= w.first
LEFT JOIN mfactor_leases l ON l.trial_id = t.trial_id
ORDER BY t.study_id, t.number, t.trial_id";

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

    /// Trials of every track, from a number of each on.
    pub fn from(&self, session: &mut Session, first: &[usize]) -> Result<Vec<Vec<Trial>>, Trouble> {
        let ids: Vec<i32> = self.tracks.iter().map(|(id, _)| *id).collect();
        let numbers: Vec<i32> = first.iter().map(|number| *number as i32).collect();
        let rows = session.rows(TRIALS, &[&ids, &numbers])?;
        let mut trials = vec![vec![]; ids.len()];
        for row in rows {
            let id: i32 = row.get(1);
            let track = ids.iter().position(|known| *known == id);
            let track = track.expect("rows are of the studies that were asked for");
            let expected = first[track] + trials[track].len();
            trials[track].push(self.trial(&row, track, expected)?);
        }
        Ok(trials)
    }

    /// Trials of one track, from a number on.
    pub fn of(&self, session: &mut Session, track: usize, first: usize) -> Result<Vec<Trial>, Trouble> {
        let rows = session.rows(TRIALS, &[&vec![self.tracks[track].0], &vec![first as i32]])?;
        rows.iter().zip(first..).map(|(row, number)| Ok(self.trial(row, track, number)?)).collect()
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
        let pairs = |keys: usize| row.get::<_, Vec<String>>(keys).into_iter();
        let numbers = |values: usize| row.get::<_, Vec<Option<f64>>>(values).into_iter();
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let parameters: BTreeMap<String, f64> = pairs(7).zip(numbers(8).map(number)).collect();
        let steps = row.get::<_, Vec<i32>>(11).into_iter().map(i64::from);
        let epochs: BTreeMap<i64, f64> = steps.zip(numbers(12).map(number)).collect();
        let texts: Vec<Option<String>> = row.get(10);
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
