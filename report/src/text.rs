//! Text for a terminal under construction: headings, paragraphs, lists and tables.

use mfactor::columns::{Style, Table, WIDTH, wrap};
use mfactor::text::quoted;

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
        self.out.push_str(&style.paint(text, self.colour));
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
        for line in table.draw(WIDTH - 2, self.colour).lines() {
            self.out.push_str("  ");
            self.out.push_str(line);
            self.out.push('\n');
        }
    }
}

/// At most `width` characters; a cut end is marked.
pub(crate) fn cut(text: &str, width: usize) -> String {
    quoted(text, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_elsewhere_is_obeyed() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}\nb";
        let mut table = Table::new(&["name"]);
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
}
