//! Points: what a strategy proposes and learns from, whatever a space is made of.

/// One choice of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The parameter's name in the journal: `stage1.block1.kernel`.
    pub name: String,
    /// What there is to choose from, ascending: kernel sizes.
    pub options: &'a [u8],
}

/// A point of a space: the position of the option taken, choice by choice. Only a space gives it a meaning; see
/// [`crate::SearchSpace::architecture`].
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
