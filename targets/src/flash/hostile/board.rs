//! A board that a test is: it answers as an honest one would, or with whatever may hurt.

use std::collections::VecDeque;
use std::time::Duration;

use mfactor::error::Failure;
use proptest::prelude::*;
use release::{LockOwner, dialogue};
use serde_json::{Value, json};

use super::{Bundle, ModelHealth, Reply, Request, measured};
use crate::ssh::session::{Broken, Wire};

const EVIL: [&str; 8] = [
    "../../../../etc/passwd",
    "/absolute",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "cod\u{202e}gnp.exe",
    "a\nb\r\tc",
    "=cmd|' /C calc'!A0",
    "",
    "../333-333-333.onnx",
];

/// What the board does when it is listened to.
#[derive(Debug, Clone)]
pub(super) enum Move {
    /// What an honest board would say.
    Right,
    /// That, with one value somewhere in it replaced.
    Changed {
        place: usize,
        by: usize,
    },
    /// An answer to another question.
    Other(usize),
    /// Bytes.
    Garbage(Vec<u8>),
    /// Something that a login might print.
    Chatter(usize),
    /// A complaint.
    Failed(usize),
    /// A line without end.
    Endless,
    Silence,
    End,
}

pub(super) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        40 => Just(Move::Right),
        8 => (any::<usize>(), any::<usize>()).prop_map(|(place, by)| Move::Changed { place, by }),
        2 => any::<usize>().prop_map(Move::Other),
        1 => proptest::collection::vec(any::<u8>(), 0..64).prop_map(Move::Garbage),
        2 => (0_usize..400_000).prop_map(Move::Chatter),
        1 => any::<usize>().prop_map(Move::Failed),
        1 => Just(Move::Endless),
        1 => Just(Move::Silence),
        1 => Just(Move::End),
    ];
    proptest::collection::vec(one, 0..24)
}

/// A board that a test is.
pub(super) struct Board<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) moves: VecDeque<Move>,
    pub(super) asked: Option<Request>,
    /// Models that are still to be measured.
    pub(super) unmeasured: Vec<String>,
    pub(super) heard: usize,
}

impl Wire for Board<'_> {
    fn say(&mut self, bytes: &[u8], _: Duration) -> Result<(), Broken> {
        self.heard += bytes.len();
        // The bytes of files are no requests.
        if let Ok(request) = serde_json::from_slice(bytes) {
            self.asked = Some(request);
        }
        Ok(())
    }

    fn hear(&mut self, most: usize, longest: Duration) -> Result<Vec<u8>, Broken> {
        let line = match self.moves.pop_front().unwrap_or(Move::End) {
            Move::Right => self.right().to_string().into_bytes(),
            Move::Changed { place, by } => changed(self.right(), place, by).to_string().into_bytes(),
            Move::Other(kind) => other(kind).to_string().into_bytes(),
            Move::Garbage(bytes) => bytes,
            Move::Chatter(bytes) => vec![b'x'; bytes],
            Move::Failed(kind) => failed(kind).to_string().into_bytes(),
            Move::Endless => return Err(Broken::Endless(most)),
            Move::Silence => return Err(Broken::Late(longest)),
            Move::End => return Err(Broken::Ended),
        };
        if line.len() > most { Err(Broken::Endless(most)) } else { Ok(line) }
    }

    fn last_words(&mut self) -> String {
        String::new()
    }
}

impl Board<'_> {
    /// What an honest board answers.
    fn right(&mut self) -> Value {
        let (bundle, manifest) = (self.bundle, &self.bundle.manifest);
        let reply = match &self.asked {
            None => Reply::Ready { version: dialogue::VERSION, recovered: None },
            Some(Request::Stage { .. }) => {
                let wanted = |name: &String| release::Wanted { name: name.clone(), offset: 1 };
                Reply::Wanted {
                    files: manifest.files.iter().map(|file| wanted(&file.name)).collect(),
                    records: manifest.records.iter().map(|records| wanted(&records.sha256)).collect(),
                    is_held: false,
                }
            }
            Some(Request::File { .. } | Request::Records { .. }) => Reply::Stored,
            Some(Request::Seal) => Reply::Sealed { id: bundle.id.clone() },
            Some(Request::Check { .. }) => Reply::Health {
                models: ["a.onnx", "b.onnx"]
                    .map(|model| ModelHealth {
                        model: model.to_owned(),
                        golden_difference: Some(1e-6),
                        tolerance: 1e-3,
                        is_healthy: true,
                    })
                    .to_vec(),
            },
            Some(Request::Activate { .. }) => {
                Reply::Activated { current: bundle.id.clone(), previous: Some("b".repeat(64)) }
            }
            Some(Request::Measure(_)) => match self.unmeasured.pop() {
                Some(model) => Reply::Measured(Box::new(measured(manifest, &model))),
                None => Reply::Done,
            },
            Some(Request::Status | Request::Rollback | Request::Collect { .. }) => Reply::Done,
        };
        serde_json::to_value(reply).expect("a reply has a JSON form")
    }
}

/// Replaces the value at some place by one that should not be there.
fn changed(mut value: Value, place: usize, by: usize) -> Value {
    let evil = [
        Value::Null,
        json!(-1),
        json!(u64::MAX),
        json!(1e308),
        json!([]),
        json!({}),
        json!(vec![0; 100]),
        json!("a".repeat(100_000)),
    ];
    let evil = if by.is_multiple_of(2) {
        evil[by / 2 % evil.len()].clone()
    } else {
        json!(EVIL[by / 2 % EVIL.len()])
    };
    let mut places = vec![];
    collect(&value, String::new(), &mut places);
    if let Some(found) = value.pointer_mut(&places[place % places.len()]) {
        *found = evil;
    }
    value
}

/// Pointers to all values in a value.
fn collect(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| collect(value, format!("{at}/{key}"), places))
        }
        Value::Array(list) => {
            let some = list.iter().take(4).enumerate();
            some.for_each(|(index, value)| collect(value, format!("{at}/{index}"), places));
        }
        _ => {}
    }
    places.push(at);
}

fn other(kind: usize) -> Value {
    let evil = EVIL[kind / 8 % EVIL.len()].to_owned();
    let reply = match kind % 8 {
        0 => Reply::Ready { version: 1, recovered: Some(evil) },
        1 => Reply::Busy(LockOwner { owner: evil, process: u32::MAX, seconds: u64::MAX }),
        2 => Reply::Measuring { model: evil.clone(), step: evil },
        3 => Reply::Damaged { problem: evil },
        4 => Reply::Activated { current: evil.clone(), previous: Some(evil) },
        5 => Reply::Wanted {
            files: vec![release::Wanted { name: evil, offset: u64::MAX }],
            records: vec![],
            is_held: true,
        },
        6 => Reply::Done,
        _ => Reply::Health { models: vec![] },
    };
    serde_json::to_value(reply).expect("a reply has a JSON form")
}

fn failed(kind: usize) -> Value {
    let evil = || EVIL[kind / 5 % EVIL.len()].repeat(kind % 1000);
    let failure = match kind % 5 {
        0 => Failure::Usage(evil()),
        1 => Failure::Defect(evil()),
        2 => Failure::Missing { what: evil(), install: evil() },
        3 => Failure::Input { subject: evil(), problem: evil() },
        _ => Failure::Board { subject: evil(), problem: evil() },
    };
    serde_json::to_value(Reply::Failed { failure }).expect("a reply has a JSON form")
}
