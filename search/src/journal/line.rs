//! The lines of a journal, one JSON object each. Those of this program carry their number among its lines and a checksum,
//! in fields that Optuna passes over; of the lines of others only what counts for the numbering is understood.

use std::borrow::Cow;

use mfactor::files;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::log_file::Rest;
use super::operation::{Operation, code};
use crate::storage::form::state;

/// Who wrote a line. Optuna asks only whether it was itself.
const WORKER: &str = "mfactor";
/// What begins the checksum, the last field of a line of ours.
const SUM: &str = ",\"sum\":\"";
/// Hexadecimal digits of the checksum: enough against accidents. It is no protection against intent.
const SUM_DIGITS: usize = 16;
/// No line of ours is longer.
const LONGEST: usize = 1 << 20;

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// This program wrote it. `number` is its number among those lines, from 0; the first versions had none.
    Ours { operation: Operation, number: Option<u64> },
    /// Another program wrote it.
    Other(Other),
    /// It is not what was written.
    Damaged(Damaged),
}

/// What another program did, as far as it changes what our lines mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Other {
    CreateStudy(String),
    DeleteStudy(usize),
    /// In this study.
    CreateTrial(usize),
    /// Ended a trial, as Optuna's `tell` does.
    EndTrial(usize),
    /// Nothing of that kind.
    Nothing,
}

/// A line that cannot be believed, and what it seems to be about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Damaged {
    pub problem: String,
    pub op_code: Option<u64>,
    pub study: Option<usize>,
    pub trial: Option<usize>,
}

/// The line of an operation, newline included. `number` counts the lines of this program in the file before it.
pub(super) fn write(operation: &Operation, number: u64) -> String {
    #[derive(Serialize)]
    struct Fields<'a> {
        op_code: u64,
        worker_id: &'a str,
        #[serde(flatten)]
        operation: &'a Operation,
        line: u64,
    }
    let fields = Fields { op_code: operation.code(), worker_id: WORKER, operation, line: number };
    let mut line = serde_json::to_string(&fields).expect("names are strings and numbers finite");
    line.pop();
    let sum = sum(&line);
    format!("{line}{SUM}{sum}\"}}\n")
}

/// Reads a line, without its newline.
pub(super) fn read(line: &[u8]) -> Line {
    let Ok(text) = std::str::from_utf8(line) else {
        return damaged("is not UTF-8 text", &String::from_utf8_lossy(line));
    };
    let Some(fields) = Fields::read(text) else {
        return damaged("is not a line of Optuna's journal format", text);
    };
    if !fields.is_ours() {
        let other = fields.other();
        return other.map_or_else(|| damaged("is not a line of Optuna's journal format", text), Line::Other);
    }
    let seal = text.rfind(SUM).map(|at| (&text[..at], &text[at + SUM.len()..]));
    if seal.is_none() && fields.sum.is_some() || seal.is_some_and(|(body, rest)| rest != sum(body) + "\"}") {
        return damaged("was changed after it was written: its checksum is another", text);
    }
    let number = fields.line.as_ref().and_then(Value::as_u64).filter(|_| seal.is_some());
    match Operation::parse(fields.op_code, text) {
        Ok(operation) => Line::Ours { operation, number },
        Err(problem) => damaged(&format!("is not one that mfactor writes: {problem}"), text),
    }
}

/// What stands after the last newline of a journal.
pub(super) fn rest(bytes: &[u8]) -> Rest {
    if !matches!(read(bytes), Line::Damaged(_)) {
        return Rest::Whole;
    }
    let head = |code: u64| format!("{{\"op_code\":{code},\"worker_id\":\"{WORKER}\"");
    let is_head = |code: u64| {
        let head = head(code);
        bytes.starts_with(head.as_bytes()) || head.as_bytes().starts_with(bytes)
    };
    let is_one = || {
        std::str::from_utf8(bytes)
            .is_ok_and(|text| text.matches("\"op_code\":").count() <= 1 && !text.contains(char::is_control))
    };
    if bytes.len() <= LONGEST && (0..=10).any(is_head) && is_one() { Rest::Piece } else { Rest::Foreign }
}

fn sum(body: &str) -> String {
    let mut sum = files::sha256(body.as_bytes());
    sum.truncate(SUM_DIGITS);
    sum
}

/// The fields that decide what a line is. Optuna writes every op_code, and values of any kind in between.
#[derive(Deserialize)]
struct Fields {
    op_code: u64,
    #[serde(default)]
    worker_id: Option<Value>,
    #[serde(default)]
    study_id: Option<Value>,
    #[serde(default)]
    study_name: Option<Value>,
    #[serde(default)]
    trial_id: Option<Value>,
    #[serde(default)]
    state: Option<Value>,
    #[serde(default)]
    line: Option<Value>,
    #[serde(default)]
    sum: Option<Value>,
}

impl Fields {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).or_else(|_| serde_json::from_str(&plain(text))).ok()
    }

    fn is_ours(&self) -> bool {
        self.worker_id.as_ref().and_then(Value::as_str) == Some(WORKER) || self.sum.is_some()
    }

    /// What another program did; `None` if the line lacks what Optuna itself needs of it.
    fn other(&self) -> Option<Other> {
        let id = |value: &Option<Value>| value.as_ref().and_then(Value::as_u64).map(|id| id as usize);
        Some(match self.op_code {
            code::CREATE_STUDY => Other::CreateStudy(self.study_name.as_ref()?.as_str()?.to_owned()),
            code::DELETE_STUDY => Other::DeleteStudy(id(&self.study_id)?),
            code::CREATE_TRIAL => Other::CreateTrial(id(&self.study_id)?),
            code::TRIAL_STATE => {
                let ends = [state::COMPLETE, state::PRUNED, state::FAIL].map(u64::from);
                let ended = self.state.as_ref()?.as_u64().is_some_and(|state| ends.contains(&state));
                if ended { Other::EndTrial(id(&self.trial_id)?) } else { Other::Nothing }
            }
            _ => Other::Nothing,
        })
    }
}

/// The line in stricter JSON: Python writes NaN and infinities bare, and halves of surrogate pairs in strings.
fn plain(text: &str) -> Cow<'_, str> {
    const BARE: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    let mut plain = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (text, false);
    while let Some(c) = rest.chars().next() {
        let bare = BARE.iter().find(|word| !in_string && rest.starts_with(**word));
        let is_surrogate = in_string
            && rest.starts_with("\\u")
            && rest.as_bytes().get(2).is_some_and(|digit| b"dD".contains(digit))
            && rest.as_bytes().get(3).is_some_and(|digit| b"89aAbBcCdDeEfF".contains(digit))
            && rest.is_char_boundary(6.min(rest.len()));
        let (taken, written) = match bare {
            Some(word) => (word.len(), "null"),
            None if is_surrogate => (6.min(rest.len()), "\\ufffd"),
            // An escaped quotation mark does not end a string.
            None if c == '\\' => {
                let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                (length, &rest[..length])
            }
            None => (c.len_utf8(), &rest[..c.len_utf8()]),
        };
        in_string ^= c == '"';
        plain.push_str(written);
        rest = &rest[taken..];
    }
    Cow::Owned(plain)
}

/// What can still be told of a line that cannot be read.
fn damaged(problem: &str, text: &str) -> Line {
    let number = |field: &str| {
        let (_, rest) = text.split_once(&format!("\"{field}\":"))?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<u64>().ok()
    };
    let id = |field: &str| number(field).map(|id| id as usize);
    let (op_code, study, trial) = (number("op_code"), id("study_id"), id("trial_id"));
    Line::Damaged(Damaged { problem: problem.to_owned(), op_code, study, trial })
}

#[cfg(test)]
mod tests {
    use super::super::operation::{CreateStudy, IntermediateValue, TrialState};
    use super::*;

    fn operations() -> [Operation; 3] {
        [
            Operation::CreateStudy(CreateStudy {
                study_name: "a\"é".to_owned(),
                study_id: Some(1),
                directions: vec![2],
            }),
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
        ]
    }

    #[test]
    fn lines_are_read_back_with_their_number() {
        for (operation, number) in operations().into_iter().zip(7..) {
            let line = write(&operation, number);
            assert!(line.ends_with("}\n") && line.starts_with(r#"{"op_code":"#), "{line}");
            assert_eq!(read(line.trim_end().as_bytes()), Line::Ours { operation, number: Some(number) });
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        for operation in operations() {
            let line = write(&operation, 12);
            let line = line.trim_end().as_bytes();
            for bit in 0..8 * line.len() {
                let mut changed = line.to_vec();
                changed[bit / 8] ^= 1 << (bit % 8);
                let read = read(&changed);
                let text = String::from_utf8_lossy(&changed);
                assert!(!matches!(read, Line::Ours { number: Some(_), .. } | Line::Other(_)), "{text}");
            }
        }
    }

    #[test]
    fn lines_of_the_first_versions_have_no_checksum() {
        let line = br#"{"op_code":7,"worker_id":"mfactor","trial_id":3,"step":1,"intermediate_value":1e-9}"#;
        let [_, _, operation] = operations();
        assert_eq!(read(line), Line::Ours { operation, number: None });
    }

    #[test]
    fn of_the_lines_of_others_only_what_counts_is_understood() {
        let other = |text: &str| match read(text.as_bytes()) {
            Line::Other(other) => other,
            line => panic!("{text}: {line:?}"),
        };
        let uuid = r#""worker_id":"5d1c-140""#;
        for (text, expected) in [
            (
                r#"{"op_code":0,W,"study_name":"a\ud800\"NaN","directions":[1,2]}"#,
                Other::CreateStudy("a\u{fffd}\"NaN".to_owned()),
            ),
            (r#"{"op_code":1,W,"study_id":2}"#, Other::DeleteStudy(2)),
            (
                r#"{"op_code":4,W,"study_id":1,"datetime_start":null,"state":4,"value":NaN}"#,
                Other::CreateTrial(1),
            ),
            (r#"{"op_code":6,W,"trial_id":4,"state":1,"values":[Infinity,-Infinity]}"#, Other::EndTrial(4)),
            (r#"{"op_code":6,W,"trial_id":4,"state":0,"values":null}"#, Other::Nothing),
            (
                r#"{"op_code":8,W,"trial_id":0,"user_attr":{"note\\":NaN,"x":"NaN, \"-Infinity"}}"#,
                Other::Nothing,
            ),
            (r#"{"op_code":10,W,"anything":[{}]}"#, Other::Nothing),
            (r#"{"op_code":4711,W}"#, Other::Nothing),
            (r#"{"op_code":9}"#, Other::Nothing),
        ] {
            assert_eq!(other(&text.replace('W', uuid)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_line_tells_what_it_can() {
        let seems = |text: &str| match read(text.as_bytes()) {
            Line::Damaged(damaged) => (damaged.op_code, damaged.trial),
            line => panic!("{text}: {line:?}"),
        };
        for (text, expected) in [
            ("", (None, None)),
            ("garbage", (None, None)),
            (r#"{"op_code":6,"worker_id":"mfactor","trial_id":17,"sta"#, (Some(6), Some(17))),
            (r#"{"op_code":6,"worker_id":"mfactor"}"#, (Some(6), None)),
            (r#"{"op_code":5,"worker_id":"mfactor","trial_id":1}"#, (Some(5), Some(1))),
            (r#"{"op_code":4,"worker_id":"x"}"#, (Some(4), None)),
            (r#"{"op_code":-1,"worker_id":"x"}"#, (None, None)),
        ] {
            assert_eq!(seems(text), expected, "{text}");
        }
    }

    #[test]
    fn the_rest_of_a_journal_is_judged() {
        let [_, operation, _] = operations();
        let line = write(&operation, 3);
        let line = line.trim_end();
        assert_eq!(rest(line.as_bytes()), Rest::Whole);
        for end in 1..line.len() {
            assert_eq!(rest(&line.as_bytes()[..end]), Rest::Piece, "{}", &line[..end]);
        }
        assert_eq!(rest(br#"{"op_code":2,"worker_id":"other","study_id":0}"#), Rest::Whole);
        let two = format!("{line}\0{line}");
        for foreign in ["\0\0\0", r#"{"op_code":2,"worker_id":"oth"#, "x", &two, &format!("{line}{line}")] {
            assert_eq!(rest(foreign.as_bytes()), Rest::Foreign, "{foreign:?}");
        }
    }
}
