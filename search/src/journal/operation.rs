//! The lines of a journal: Optuna's operations (`optuna/storages/journal/_storage.py`, release 5.0), one JSON
//! object a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who wrote a line. Optuna asks only whether it was itself.
const WORKER: &str = "mfactor";

/// Attributes: JSON values by name.
pub(crate) type Attributes = Map<String, Value>;

/// Optuna's numbers for the states of a trial.
pub(crate) mod state {
    pub const RUNNING: u8 = 0;
    pub const COMPLETE: u8 = 1;
    pub const PRUNED: u8 = 2;
    pub const FAIL: u8 = 3;
}

/// One line. Studies and trials are numbered by the order of their creation, from 0, and trials across all
/// studies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Operation {
    CreateStudy(CreateStudy),
    DeleteStudy(DeleteStudy),
    StudyUserAttribute(StudyUserAttribute),
    StudySystemAttribute(StudySystemAttribute),
    CreateTrial(CreateTrial),
    TrialState(TrialState),
    IntermediateValue(IntermediateValue),
    TrialUserAttribute(TrialUserAttribute),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CreateStudy {
    pub study_name: String,
    /// 1 minimises, 2 maximises.
    pub directions: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeleteStudy {
    pub study_id: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StudyUserAttribute {
    pub study_id: usize,
    /// Exactly one entry.
    pub user_attr: Attributes,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StudySystemAttribute {
    pub study_id: usize,
    /// Exactly one entry.
    pub system_attr: Attributes,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CreateTrial {
    pub study_id: usize,
    pub datetime_start: Option<String>,
    #[serde(default)]
    pub state: u8,
    /// Index of the choice, by parameter.
    #[serde(default)]
    pub params: BTreeMap<String, f64>,
    /// Optuna's distribution as JSON in a string, by parameter.
    #[serde(default)]
    pub distributions: BTreeMap<String, String>,
    #[serde(default)]
    pub user_attrs: Attributes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrialState {
    pub trial_id: usize,
    pub state: u8,
    pub values: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datetime_complete: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IntermediateValue {
    pub trial_id: usize,
    pub step: i64,
    pub intermediate_value: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrialUserAttribute {
    pub trial_id: usize,
    /// Exactly one entry.
    pub user_attr: Attributes,
}

impl Operation {
    fn code(&self) -> u8 {
        match self {
            Self::CreateStudy(_) => 0,
            Self::DeleteStudy(_) => 1,
            Self::StudyUserAttribute(_) => 2,
            Self::StudySystemAttribute(_) => 3,
            Self::CreateTrial(_) => 4,
            Self::TrialState(_) => 6,
            Self::IntermediateValue(_) => 7,
            Self::TrialUserAttribute(_) => 8,
        }
    }

    /// The line, newline included.
    pub fn line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            op_code: u8,
            worker_id: &'a str,
            #[serde(flatten)]
            operation: &'a Operation,
        }
        let line = Line { op_code: self.code(), worker_id: WORKER, operation: self };
        serde_json::to_string(&line).expect("names are strings and numbers finite") + "\n"
    }

    /// Reads a line; the error says what is wrong with it. `None` is a line that Optuna or its dashboard may
    /// add and that says nothing to this program.
    pub fn parse(line: &str) -> Result<Option<Self>, String> {
        #[derive(Deserialize)]
        struct Header {
            op_code: u8,
        }
        fn body<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
            serde_json::from_str(line).map_err(|error| {
                let text = error.to_string();
                let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
                format!("not a line of Optuna's journal format: {problem} (column {})", error.column())
            })
        }
        Ok(Some(match body::<Header>(line)?.op_code {
            0 => Self::CreateStudy(body(line)?),
            1 => Self::DeleteStudy(body(line)?),
            2 => Self::StudyUserAttribute(body(line)?),
            3 => Self::StudySystemAttribute(body(line)?),
            4 => Self::CreateTrial(body(line)?),
            6 => Self::TrialState(body(line)?),
            7 => Self::IntermediateValue(body(line)?),
            8 => Self::TrialUserAttribute(body(line)?),
            // Parameters are written with the trial, so those set later are not ours; 9 sets a trial's
            // system attribute and 10 is Rustuna's.
            5 | 9 | 10 => return Ok(None),
            code => return Err(format!("op_code is {code}; Optuna's journal format has 0 to 10")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_parse_back() {
        let operations = [
            Operation::CreateStudy(CreateStudy { study_name: "a".to_owned(), directions: vec![2] }),
            Operation::TrialState(TrialState {
                trial_id: 3,
                state: state::COMPLETE,
                values: Some(vec![0.1 + 0.2]),
                datetime_complete: None,
            }),
            Operation::IntermediateValue(IntermediateValue {
                trial_id: 3,
                step: 1,
                intermediate_value: 1e-9,
            }),
        ];
        for operation in operations {
            let line = operation.line();
            assert!(line.ends_with("}\n") && line.starts_with(r#"{"op_code":"#), "{line}");
            assert_eq!(Operation::parse(&line).unwrap(), Some(operation));
        }
    }

    #[test]
    fn what_is_not_a_line_is_named() {
        let problem = |line| Operation::parse(line).unwrap_err();
        assert_eq!(Operation::parse(r#"{"op_code":9,"trial_id":0,"system_attr":{}}"#).unwrap(), None);
        assert!(problem("garbage").contains("journal format"));
        assert!(problem(r#"{"op_code":11}"#).contains("op_code is 11"));
        assert!(problem(r#"{"op_code":6,"worker_id":"x"}"#).contains("trial_id"));
    }
}
