//! What this program writes into a journal: Optuna's operations (`optuna/storages/journal/_storage.py`, release 5.0).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::storage::Attributes;

/// Optuna's numbers for the operations that matter here.
pub(crate) mod code {
    pub const CREATE_STUDY: u64 = 0;
    pub const DELETE_STUDY: u64 = 1;
    pub const STUDY_USER_ATTRIBUTE: u64 = 2;
    pub const STUDY_SYSTEM_ATTRIBUTE: u64 = 3;
    pub const CREATE_TRIAL: u64 = 4;
    pub const TRIAL_STATE: u64 = 6;
    pub const INTERMEDIATE_VALUE: u64 = 7;
    pub const TRIAL_USER_ATTRIBUTE: u64 = 8;
}

/// One operation. Studies and trials are numbered by the order of their creation, from 0, and trials across all
/// studies: whoever writes into a journal has to know what others wrote before.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Operation {
    CreateStudy(CreateStudy),
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
    /// The number that the study has by its place. Optuna counts and passes over this; lines of the first versions lack
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study_id: Option<usize>,
    /// 1 minimises, 2 maximises.
    pub directions: Vec<u8>,
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
    /// The number that the trial has by its place, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_id: Option<usize>,
    /// Its number among the trials of its strategy. Optuna counts those of others too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
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
    /// Optuna's number for it.
    pub fn code(&self) -> u64 {
        match self {
            Self::CreateStudy(_) => code::CREATE_STUDY,
            Self::StudyUserAttribute(_) => code::STUDY_USER_ATTRIBUTE,
            Self::StudySystemAttribute(_) => code::STUDY_SYSTEM_ATTRIBUTE,
            Self::CreateTrial(_) => code::CREATE_TRIAL,
            Self::TrialState(_) => code::TRIAL_STATE,
            Self::IntermediateValue(_) => code::INTERMEDIATE_VALUE,
            Self::TrialUserAttribute(_) => code::TRIAL_USER_ATTRIBUTE,
        }
    }

    /// Reads a line of this program; the error says what is wrong with it.
    pub fn parse(op_code: u64, line: &str) -> Result<Self, String> {
        fn body<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
            serde_json::from_str(line).map_err(|error| {
                let text = error.to_string();
                text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem).to_owned()
            })
        }
        Ok(match op_code {
            code::CREATE_STUDY => Self::CreateStudy(body(line)?),
            code::STUDY_USER_ATTRIBUTE => Self::StudyUserAttribute(body(line)?),
            code::STUDY_SYSTEM_ATTRIBUTE => Self::StudySystemAttribute(body(line)?),
            code::CREATE_TRIAL => Self::CreateTrial(body(line)?),
            code::TRIAL_STATE => Self::TrialState(body(line)?),
            code::INTERMEDIATE_VALUE => Self::IntermediateValue(body(line)?),
            code::TRIAL_USER_ATTRIBUTE => Self::TrialUserAttribute(body(line)?),
            other => return Err(format!("op_code is {other}, which this version of mfactor does not write")),
        })
    }
}
