//! Text for a terminal: wrapped paragraphs, aligned tables, and colour only where it is asked for.

use std::fmt::Write;

use mfactor::text::{quoted, visible};

/// Columns that every line keeps to.
pub(crate) const WIDTH: usize = 80;

/// What a piece of text means; the terminal shows it in colour if it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Heading,
    Good,
    Bad,
    Quiet,
}

/// Text under construction.
pub(crate) struct Text {
    pub(crate) out: String,
    colour: bool,
}

impl Text {
    pub(crate) fn new(colour: bool) -> Self {
        Self { out: String::new(), colour }
    }

    /// Appends styled text, one line or less of it. What a terminal would obey in it is shown instead.
    pub(crate) fn push(&mut self, style: Style, text: &str) {
        let code = match style {
            Style::Plain => None,
            Style::Heading => Some("1"),
            Style::Good => Some("32"),
            Style::Bad => Some("31"),
            Style::Quiet => Some("2"),
        };
        let text = visible(text);
        match code.filter(|_| self.colour) {
            Some(code) => write!(self.out, "\u{1b}[{code}m{text}\u{1b}[0m").expect("a string takes all"),
            None => self.out.push_str(&text),
        }
    }

    /// A heading after an empty line, unless it is the first line.
    pub(crate) fn heading(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        for line in wrap(text, WIDTH) {
            self.push(Style::Heading, &line);
            self.out.push('\n');
        }
    }

    /// A paragraph, indented by two.
    pub(crate) fn paragraph(&mut self, style: Style, text: &str) {
        for line in wrap(text, WIDTH - 2) {
            self.out.push_str("  ");
            self.push(style, &line);
            self.out.push('\n');
        }
    }

    /// An item of a list: a dash, and further lines under its text.
    pub(crate) fn item(&mut self, text: &str) {
        for (position, line) in wrap(text, WIDTH - 4).into_iter().enumerate() {
            self.out.push_str(if position == 0 { "  - " } else { "    " });
            self.push(Style::Plain, &line);
            self.out.push('\n');
        }
    }

    /// A table, indented by two.
    pub(crate) fn table(&mut self, table: &Table) {
        let columns = table.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = table.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, cell)| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &table.rows {
            let mut line = Self::new(self.colour);
            for (column, (style, cell)) in row.iter().enumerate() {
                let gap = " ".repeat(widths[column] - cell.chars().count());
                line.out.push_str("  ");
                if table.left.contains(&column) {
                    line.push(*style, cell);
                    line.out.push_str(&gap);
                } else {
                    line.out.push_str(&gap);
                    line.push(*style, cell);
                }
            }
            self.out.push_str(line.out.trim_end());
            self.out.push('\n');
        }
    }
}

/// Rows of cells; columns are aligned to the right but for those named in `left`.
pub(crate) struct Table {
    left: &'static [usize],
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    /// A table with a first row of headings.
    pub(crate) fn new(left: &'static [usize], headings: &[&str]) -> Self {
        let mut table = Self { left, rows: Vec::new() };
        table.row(headings.iter().map(|heading| (Style::Quiet, (*heading).to_owned())));
        table
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (Style, String)>) {
        // Escaped here already: the columns are as wide as what is shown.
        let shown = cells.into_iter().map(|(style, cell)| (style, visible(&cell).into_owned()));
        self.rows.push(shown.collect());
    }

    pub(crate) fn plain_row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.row(cells.into_iter().map(|cell| (Style::Plain, cell)));
    }
}

/// Breaks text at spaces so that no line is longer than `width`; a longer word stands alone and is cut.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = visible(word).into_owned();
        let line = lines.last_mut().expect("there is always a line");
        let used = line.chars().count();
        if used > 0 && used + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(&word);
            continue;
        }
        if used > 0 {
            lines.push(String::new());
        }
        while word.chars().count() > width {
            let rest = word.chars().skip(width).collect();
            let line = lines.last_mut().expect("there is always a line");
            line.extend(word.chars().take(width));
            word = rest;
            lines.push(String::new());
        }
        lines.last_mut().expect("there is always a line").push_str(&word);
    }
    lines
}

/// At most `width` characters; a cut end is marked.
pub(crate) fn cut(text: &str, width: usize) -> String {
    quoted(text, width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn wrapping_keeps_the_words_and_the_width(text in "[a-z α]{0,200}", width in 4usize..40) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }

    #[test]
    fn nothing_of_elsewhere_is_obeyed() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}\nb";
        let mut table = Table::new(&[0], &["name"]);
        table.plain_row([hostile.to_owned()]);
        let mut text = Text::new(false);
        text.heading(hostile);
        text.paragraph(Style::Plain, hostile);
        text.item(hostile);
        text.table(&table);
        assert!(text.out.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{}", text.out);
        assert!(text.out.ends_with("  name\n  a\\u{1b}[2J\\u{9b}31m\\u{202e}\\nb\n"), "{}", text.out);
        assert_eq!(cut("\u{1b}\u{1b}", 8), "\\u{1b}\\…");
    }

    #[test]
    fn a_table_is_aligned_and_coloured_only_if_asked() {
        let mut table = Table::new(&[0], &["name", "M"]);
        table.row([(Style::Good, "a".to_owned()), (Style::Plain, "0.85".to_owned())]);
        let drawn = |colour| {
            let mut text = Text::new(colour);
            text.table(&table);
            text.out
        };
        assert_eq!(drawn(false), "  name     M\n  a     0.85\n");
        assert!(drawn(true).contains("\u{1b}[32ma\u{1b}[0m     0.85"));
    }
}
