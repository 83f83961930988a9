//! Where values lie: images of row × column × channel in one piece of memory, with borders of zeros as wide as their readers need.
//!
//! A place is used again once its value has been read for the last time, by values of the same geometry only, so that
//! borders stay zeros without anybody writing them. Values that are stored in bytes have borders of what 0 is stored as.

use super::network::Shape;
use crate::memory::{Lines, Place, Source, whole_lines};

/// Bytes in the place of a number.
const BYTES: usize = size_of::<f32>();

/// Rows or columns beyond an image that are read: above, to the left, below and to the right.
pub(super) type Border = [usize; 4];

/// A value's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffer {
    pub shape: Shape,
    /// Numbers or bytes of a pixel, of which the last ones stay zeros.
    pub pixel: usize,
    pub border: Border,
    /// What 0 is stored as, if the values are stored in bytes, which may be signed.
    pub zero: Option<i32>,
    /// The first number of all memory.
    at: usize,
}

impl Buffer {
    pub(super) fn new(shape: Shape, pixel: usize, zero: Option<i32>) -> Self {
        Self { shape, pixel, border: [0; 4], zero, at: 0 }
    }

    /// Widens the border to what a reader needs.
    pub(super) fn reach(&mut self, border: Border) {
        for (mine, other) in self.border.iter_mut().zip(border) {
            *mine = (*mine).max(other);
        }
    }

    /// Numbers or bytes of a row.
    pub(super) fn row(&self) -> usize {
        (self.border[1] + self.shape.columns + self.border[3]) * self.pixel
    }

    /// Numbers or bytes altogether.
    fn length(&self) -> usize {
        (self.border[0] + self.shape.rows + self.border[2]) * self.row()
    }

    /// Numbers of memory, in whole lines.
    fn numbers(&self) -> usize {
        whole_lines(if self.zero.is_some() { self.length().div_ceil(BYTES) } else { self.length() })
    }

    /// The first number or byte of the first pixel, counted from the beginning of memory.
    pub(super) fn origin(&self) -> usize {
        let at = if self.zero.is_some() { self.at * BYTES } else { self.at };
        at + self.border[0] * self.row() + self.border[1] * self.pixel
    }

    /// Makes the borders what 0 is stored as.
    pub(super) fn clear(&self, memory: &mut Lines) {
        if let Some(zero) = self.zero {
            memory.as_mut_bytes()[self.at * BYTES..][..self.length()].fill(zero as u8);
        }
    }

    /// The image of numbers, from so many rows above and columns to the left on.
    pub(super) fn source(&self, memory: *mut f32, above: usize, left: usize) -> Source {
        assert!(self.zero.is_none(), "numbers are read as numbers");
        // SAFETY: within the buffer, by the assertion; memory is as long as `place` said.
        let at = unsafe { memory.add(self.first(above, left)) };
        Source { at, row: self.row(), pixel: self.pixel }
    }

    /// The image of stored bytes, from so many rows above and columns to the left on.
    pub(super) fn bytes(&self, memory: *mut f32, above: usize, left: usize) -> Source<u8> {
        assert!(self.zero.is_some(), "bytes are read as bytes");
        // SAFETY: as above.
        let at = unsafe { memory.cast::<u8>().add(self.first(above, left)) };
        Source { at, row: self.row(), pixel: self.pixel }
    }

    fn first(&self, above: usize, left: usize) -> usize {
        assert!(above <= self.border[0] && left <= self.border[1], "a reader has said how far it reaches");
        self.origin() - above * self.row() - left * self.pixel
    }

    /// The image of numbers, to be written.
    pub(super) fn place(&self, memory: *mut f32) -> Place {
        let Source { at, row, pixel } = self.source(memory, 0, 0);
        Place { at: at.cast_mut(), row, pixel }
    }

    /// The image of stored bytes, to be written.
    pub(super) fn byte_place(&self, memory: *mut f32) -> Place<u8> {
        let Source { at, row, pixel } = self.bytes(memory, 0, 0);
        Place { at: at.cast_mut(), row, pixel }
    }

    fn has_geometry_of(&self, other: &Self) -> bool {
        (self.shape, self.pixel, self.border, self.zero)
            == (other.shape, other.pixel, other.border, other.zero)
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
                end = end.checked_add(buffer.numbers())?;
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
