//! Points: what a strategy proposes and learns from, whatever a space is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One choice of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The parameter's name in the journal: `stage1.block1.kernel`, `stem.width`.
    pub name: String,
    /// What there is to choose from: numbers ascending, blocks by their tokens.
    pub options: Vec<Label>,
    /// When it is there to be made; always if `None`.
    pub when: Option<Condition>,
}

/// What an option is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// A kernel, a width, a depth, a side.
    Number(u64),
    /// A block's token.
    Token(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Token(token) => f.pad(token),
        }
    }
}

/// A choice is active where an earlier one, which is always active, took this option or a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Position of the earlier choice.
    pub choice: usize,
    /// The first of its options that will do.
    pub least: u8,
}

impl Condition {
    /// Whether it holds at a point.
    pub fn holds(&self, point: &Point) -> bool {
        point.0[self.choice] >= self.least
    }
}

/// A point of a space: the position of the option taken, choice by choice; 0 where a choice is inactive. Only a space
/// gives it a meaning; see [`crate::SearchSpace::architecture`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(Vec<u8>);

impl Point {
    /// A point from the positions of its options, a choice each.
    pub fn new(options: Vec<u8>) -> Self {
        Self(options)
    }

    /// Positions of the options taken, choice by choice.
    pub fn options(&self) -> &[u8] {
        &self.0
    }

    /// The same, to be changed.
    pub fn options_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Choices in which two points of a space agree.
    pub fn agreements(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).filter(|(one, other)| one == other).count()
    }
}
