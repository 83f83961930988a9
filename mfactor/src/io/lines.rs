//! Lines from a pipe or a file that somebody else writes: none may be longer than its reader allows.

use std::io::{self, BufRead, Read};

use serde::Serialize;

use crate::error::{Error, Result};

/// What a reader of lines met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line without its newline.
    Whole(Vec<u8>),
    /// The rest of the input, which does not end in a newline.
    Torn(Vec<u8>),
    /// The beginning of a line that is longer than allowed. The rest of it is still in the input.
    TooLong(Vec<u8>),
    /// Nothing is left.
    End,
}

/// The next line of `input`, of at most `most` bytes without its newline.
///
/// # Errors
/// If reading fails.
pub fn next(input: &mut impl BufRead, most: usize) -> io::Result<Line> {
    let mut line = vec![];
    input.by_ref().take(most as u64 + 1).read_until(b'\n', &mut line)?;
    Ok(match line.last() {
        None => Line::End,
        Some(b'\n') => {
            line.pop();
            Line::Whole(line)
        }
        Some(_) if line.len() > most => Line::TooLong(line),
        Some(_) => Line::Torn(line),
    })
}

/// `value` as one line of JSON with its newline.
///
/// # Errors
/// [`Error::Defect`] if it has no JSON form.
pub fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)
        .map_err(|error| Error::Defect(format!("a message has no JSON form: {error}")))?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_torn_or_too_long() {
        let mut input = &b"one\n\n1234\n12345\nend"[..];
        let mut next = || next(&mut input, 4).unwrap();
        assert_eq!(next(), Line::Whole(b"one".to_vec()));
        assert_eq!(next(), Line::Whole(vec![]));
        assert_eq!(next(), Line::Whole(b"1234".to_vec()));
        assert_eq!(next(), Line::TooLong(b"12345".to_vec()));
        assert_eq!(next(), Line::Whole(vec![]), "the rest of the long line");
        assert_eq!(next(), Line::Torn(b"end".to_vec()));
        assert_eq!(next(), Line::End);
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let mut input = io::BufReader::new(io::repeat(b'x'));
        assert!(matches!(next(&mut input, 1000).unwrap(), Line::TooLong(line) if line.len() == 1001));
    }
}
