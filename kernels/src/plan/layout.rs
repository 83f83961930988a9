//! Where values lie: images of row × column × channel in one piece of memory, with borders of zeros as wide as their readers need.
//!
//! A place is used again once its value has been read for the last time, by values of the same geometry only, so that
//! borders stay zeros without anybody writing them.

use super::network::Shape;
use crate::memory::{Source, whole_lines};

/// Rows or columns beyond an image that are read: above, to the left, below and to the right.
pub(super) type Border = [usize; 4];

/// A value's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffer {
    pub shape: Shape,
    /// Numbers of a pixel, of which the last ones stay zeros.
    pub pixel: usize,
    pub border: Border,
    /// The first number.
    at: usize,
}

impl Buffer {
    pub(super) fn new(shape: Shape, pixel: usize) -> Self {
        Self { shape, pixel, border: [0; 4], at: 0 }
    }

    /// Widens the border to what a reader needs.
    pub(super) fn reach(&mut self, border: Border) {
        for (mine, other) in self.border.iter_mut().zip(border) {
            *mine = (*mine).max(other);
        }
    }

    /// Numbers of a row.
    pub(super) fn row(&self) -> usize {
        (self.border[1] + self.shape.columns + self.border[3]) * self.pixel
    }

    /// Numbers altogether.
    fn length(&self) -> usize {
        (self.border[0] + self.shape.rows + self.border[2]) * self.row()
    }

    /// The first number of the first pixel.
    pub(super) fn origin(&self) -> usize {
        self.at + self.border[0] * self.row() + self.border[1] * self.pixel
    }

    /// The image, from so many rows above and columns to the left on.
    pub(super) fn source(&self, memory: *const f32, above: usize, left: usize) -> Source {
        assert!(above <= self.border[0] && left <= self.border[1], "a reader has said how far it reaches");
        // SAFETY: within the buffer, by the assertion; memory is as long as `place` said.
        let at = unsafe { memory.add(self.origin() - above * self.row() - left * self.pixel) };
        Source { at, row: self.row(), pixel: self.pixel }
    }

    fn has_geometry_of(&self, other: &Self) -> bool {
        (self.shape, self.pixel, self.border) == (other.shape, other.pixel, other.border)
    }
}

/// Gives all values their places, and says how many numbers they take. `readers` are, for each value, the last layer that reads it;
/// value *n* + 1 is written by layer *n*.
pub(super) fn place(buffers: &mut [Buffer], readers: &[Option<usize>]) -> Option<usize> {
    let mut free: Vec<Buffer> = vec![];
    let mut end = 0usize;
    for value in 0..buffers.len() {
        let buffer = &mut buffers[value];
        match free.iter().position(|place| place.has_geometry_of(buffer)) {
            Some(place) => buffer.at = free.swap_remove(place).at,
            None => {
                buffer.at = end;
                end = end.checked_add(whole_lines(buffer.length()))?;
            }
        }
        // What layer `value - 1` has read for the last time is free for the next layers' outputs.
        for (read, _) in readers.iter().enumerate().filter(|(_, last)| value > 0 && **last == Some(value - 1))
        {
            free.push(buffers[read]);
        }
    }
    Some(end)
}
