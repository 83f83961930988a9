//! Text that keeps to 80 columns: paragraphs that are broken at blanks, and tables without lines. The one place that
//! lays out what people read in a terminal; [`crate::numbers`] is the one that writes figures.

use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::text::visible;

/// Columns that every line keeps to.
pub const WIDTH: usize = 80;
/// Blanks between two columns of a table.
const GAP: usize = 2;

/// What a piece of text means; a terminal shows it in colour if it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Nothing in particular.
    Plain,
    /// A heading.
    Heading,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Beside the point.
    Quiet,
}

impl Style {
    /// `text` in this style's colour where there may be colours. What a terminal would obey in it is shown instead.
    pub fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            Self::Plain => None,
            Self::Heading => Some("1"),
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Quiet => Some("2"),
        };
        let text = visible(text);
        match code.filter(|_| colour) {
            Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => text.into_owned(),
        }
    }
}

/// Text after a head that stays as it is, broken at blanks so that no line is longer than [`WIDTH`]; lines after the
/// first are indented. A longer word stands alone, whole: it may be a path that somebody copies.
pub fn wrapped(head: &str, text: &str, indent: usize) -> String {
    broken(visible(head).into_owned(), text, indent, WIDTH).join("\n") + "\n"
}

/// Breaks text at blanks so that no line is longer than `width`; a longer word stands alone and is cut.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let lines = broken(String::new(), text, 0, width);
    lines.into_iter().flat_map(|line| pieces(&line, width)).collect()
}

fn broken(head: String, text: &str, indent: usize, width: usize) -> Vec<String> {
    let mut lines = vec![head];
    let mut begun = false;
    for word in text.split_whitespace().map(visible) {
        let line = lines.last_mut().expect("there is always a line");
        if begun && length(line) + 1 + length(&word) > width {
            lines.push(" ".repeat(indent) + &word);
        } else {
            line.push_str(if begun { " " } else { "" });
            line.push_str(&word);
        }
        begun = true;
    }
    lines
}

fn pieces(line: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for character in line.chars() {
        let piece = pieces.last_mut().expect("there is always a piece");
        if !piece.is_empty() && length(piece) + character.width().unwrap_or(0) > width {
            pieces.push(character.to_string());
        } else {
            piece.push(character);
        }
    }
    pieces
}

/// Columns that a text takes: letters of some scripts take two.
fn length(text: &str) -> usize {
    text.width()
}

/// A table without lines, at most as wide as it is asked to be. A column whose heading begins with '>' holds numbers: it
/// is aligned to the right, and its cells are never broken.
pub struct Table {
    is_right: Vec<bool>,
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    /// A table with a first row of headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut table =
            Self { is_right: headings.iter().map(|head| head.starts_with('>')).collect(), rows: vec![] };
        table.row(headings.iter().map(|head| (Style::Quiet, head.trim_start_matches('>').to_owned())));
        table
    }

    /// A row below the others; cells that it lacks are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = (Style, String)>) {
        // Escaped here already: the columns are as wide as what is shown.
        let shown = cells.into_iter().map(|(style, cell)| (style, visible(&cell).into_owned()));
        self.rows.push(shown.collect());
    }

    /// A row in [`Style::Plain`].
    pub fn plain_row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.row(cells.into_iter().map(|cell| (Style::Plain, cell)));
    }

    /// The table as lines of at most `width` characters where its numbers leave room for that, with colours if `colour`
    /// is set.
    pub fn draw(&self, width: usize, colour: bool) -> String {
        let widths = self.widths(width);
        self.rows.iter().map(|row| self.drawn(row, &widths, colour)).collect()
    }

    fn drawn(&self, row: &[(Style, String)], widths: &[usize], colour: bool) -> String {
        let cells: Vec<Vec<String>> =
            row.iter().zip(widths).map(|((_, cell), width)| in_lines(cell, *width)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        let mut text = String::new();
        for number in 0..height {
            let mut line = String::new();
            for (column, (lines, width)) in cells.iter().zip(widths).enumerate() {
                let piece = lines.get(number).map_or("", String::as_str);
                let gap = " ".repeat(width - length(piece));
                let painted = row[column].0.paint(piece, colour && !piece.is_empty());
                let (before, after) = if self.is_right[column] { (&*gap, "") } else { ("", &*gap) };
                let between = if column == 0 { 0 } else { GAP };
                write!(line, "{:between$}{before}{painted}{after}", "").expect("a string takes all");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// How wide each column is: as wide as its widest cell where all of them fit, else the widest of those with words give
    /// way, to the length of their longest word first.
    fn widths(&self, width: usize) -> Vec<usize> {
        let (natural, words) = (self.widest(length), self.widest(longest_word));
        let room = width.saturating_sub(GAP * natural.len().saturating_sub(1));
        let fits = |widths: &Vec<usize>| widths.iter().sum::<usize>() <= room;
        let capped = |cap: usize, least: &[usize]| -> Vec<usize> {
            let columns = self.is_right.iter().zip(&natural).zip(least);
            let of = |((is_right, natural), least): ((&bool, &usize), &usize)| match is_right {
                true => *natural,
                false => (*natural).min(cap.max(*least)),
            };
            columns.map(of).collect()
        };
        let narrowed = |least: &[usize]| (0..=width).rev().map(|cap| capped(cap, least)).find(fits);
        let nothing = vec![1; natural.len()];
        narrowed(&words).or_else(|| narrowed(&nothing)).unwrap_or_else(|| capped(0, &words))
    }

    /// The largest measure of each column's cells.
    fn widest(&self, measure: fn(&str) -> usize) -> Vec<usize> {
        let mut widest = vec![0; self.is_right.len()];
        for row in &self.rows {
            for (most, (_, cell)) in widest.iter_mut().zip(row) {
                *most = measure(cell).max(*most);
            }
        }
        widest
    }
}

fn longest_word(text: &str) -> usize {
    text.split_whitespace().map(length).max().unwrap_or(0)
}

/// Names and what is known by them, a line each; longer ones go on below where they began.
pub fn facts<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<(&str, String)> = rows.into_iter().collect();
    let indent = GAP + rows.iter().map(|(name, _)| length(name)).max().unwrap_or(0);
    let line = |(name, fact): &(&str, String)| {
        let gap = " ".repeat(indent - length(name));
        wrapped(&format!("{name}{gap}"), fact, indent)
    };
    rows.iter().map(line).collect()
}

/// A [`Table`] of plain rows, [`WIDTH`] wide and without colours.
pub fn table<R: IntoIterator<Item = String>>(headings: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let mut table = Table::new(headings);
    rows.into_iter().for_each(|row| table.plain_row(row));
    table.draw(WIDTH, false)
}

/// A cell as it is where it fits, else broken.
fn in_lines(cell: &str, width: usize) -> Vec<String> {
    if length(cell) <= width { vec![cell.to_owned()] } else { wrap(cell, width) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(headings: &[&str], rows: &[&[&str]]) -> String {
        table(headings, rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned())))
    }

    proptest! {
        #[test]
        fn wrapping_keeps_the_words_and_the_width(text in "[a-z α]{0,200}", width in 4usize..40) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }

        #[test]
        fn tables_of_words_keep_the_width_and_every_letter(
            cells in proptest::collection::vec("[a-z ]{0,60}", 12),
        ) {
            let mut table = Table::new(&["one", "two", "three", "four"]);
            cells.chunks(4).for_each(|row| table.plain_row(row.iter().cloned()));
            let text = table.draw(WIDTH, false);
            prop_assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{}", text);
            let letters = |text: &str| text.chars().filter(|c| c.is_ascii_lowercase()).count();
            prop_assert_eq!(letters(&text), letters(&cells.concat()) + letters("onetwothreefour"));
        }
    }

    #[test]
    fn tables_are_aligned_and_have_no_trailing_blanks() {
        let text = drawn(&["name", ">count"], &[&["a", "10"], &["bc", "7"], &["d"]]);
        assert_eq!(text, "name  count\na        10\nbc        7\nd\n");
    }

    #[test]
    fn long_text_is_broken_and_long_words_are_not() {
        let text = wrapped("", &"words and more ".repeat(12), 4);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH) && text.lines().count() == 3);
        assert!(text.lines().skip(1).all(|line| line.starts_with("    w") || line.starts_with("    a")));
        let path = format!("/{}", "x".repeat(100));
        assert_eq!(wrapped("a:  ", &format!("in {path}"), 2), format!("a:  in\n  {path}\n"));
        let wide = drawn(&["name", ">count", "note"], &[&["a", "1,000,000 B", &"word ".repeat(40)]]);
        assert!(wide.lines().all(|line| line.len() <= WIDTH) && wide.lines().count() > 2, "{wide}");
        assert!(wide.contains("a     1,000,000 B  word"), "numbers are not broken: {wide}");
    }

    #[test]
    fn nothing_of_elsewhere_is_obeyed_and_a_cell_stays_in_its_row() {
        let hostile = "a\nb\u{1b}[2J\u{9b}1m\u{202e}";
        let text = drawn(&["name", ">count"], &[&[hostile, "10"]]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("a\\nb\\u{1b}[2J\\u{9b}1m\\u{202e}  "), "{text}");
        assert_eq!(wrapped("a\u{7}: ", "b\u{7}", 2), "a\\u{7}: b\\u{7}\n");
        assert_eq!(wrap("\u{1b}[2J", 20), ["\\u{1b}[2J"]);
    }

    #[test]
    fn facts_stand_below_each_other() {
        let text = facts([("a", "b\u{7}".to_owned()), ("longer", "word ".repeat(20))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines.len()), ("a       b\\u{7}", 3), "{text}");
        assert!(lines[1].starts_with("longer  word") && lines[2].starts_with("        word"), "{text}");
    }

    #[test]
    fn letters_that_are_two_wide_count_as_two() {
        assert_eq!(drawn(&["name", ">n"], &[&["図図", "1"], &["abc", "2"]]), "name  n\n図図  1\nabc   2\n");
        assert_eq!(wrap("図図図", 4), ["図図", "図"]);
    }

    #[test]
    fn there_are_colours_only_if_asked() {
        let mut table = Table::new(&["name", ">M"]);
        table.row([(Style::Good, "a".to_owned()), (Style::Plain, "0.85".to_owned())]);
        assert_eq!(table.draw(WIDTH, false), "name     M\na     0.85\n");
        assert!(table.draw(WIDTH, true).ends_with("\u{1b}[32ma\u{1b}[0m     0.85\n"));
    }
}
