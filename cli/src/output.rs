//! Talking to the user: results go to stdout, everything else to stderr.

use std::io::{self, IsTerminal};

use clap::Args;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use mfactor::console;
use mfactor::text::{visible, visible_json, visible_lines};
use serde::Serialize;

pub use report::numbers::thousands;

/// Options that every command takes.
#[derive(Args)]
pub struct OutputOptions {
    /// Print the result as JSON, and nothing else on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more: all that the build of a runner prints
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

/// Where results and talk go.
pub struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
}

impl Output {
    /// Decides once how to talk.
    pub fn new(options: &OutputOptions) -> Self {
        Self { json: options.json, quiet: options.quiet, verbose: options.verbose }
    }

    /// Whether nothing but results and errors is wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether results are wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether results go to a terminal.
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether a result may have colours: on a terminal, unless NO_COLOR is set.
    pub fn colour(&self) -> bool {
        self.is_terminal() && console::may_colour()
    }

    /// Prints the result: `value` as JSON if that was asked for, else what `text` makes of it. Whatever control characters
    /// are in it, they are shown and not obeyed.
    pub fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        self.drawn_result(value, || visible_lines(&text()))
    }

    /// [`Output::result`] for a text that has colours, and in which everything from elsewhere is escaped already.
    pub fn drawn_result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let mut text =
            if self.json { visible_json(&serde_json::to_string_pretty(value)?).into_owned() } else { text() };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.bytes(text.as_bytes())
    }

    /// Prints a result that is a file of its own.
    pub fn bytes(&self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(console::print(bytes)?)
    }

    /// Says something about the work on stderr.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            console::talk(text.as_ref());
        }
    }

    /// Says something that only those want to know who asked for it with `-v`.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.verbose {
            console::talk(text.as_ref());
        }
    }

    /// Prints an error with its causes in one line.
    pub fn error(&self, error: &anyhow::Error) {
        console::talk(&format!("error: {}", chain(error)));
    }
}

/// An error with its causes, each said once: some errors repeat their cause in their own text.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.ends_with(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

/// Prints the help, the version, or what is wrong with the command line; the exit code.
pub fn parsing_stopped(stopped: &clap::Error) -> u8 {
    let rendered = stopped.render();
    console::parsing_stopped(&rendered.to_string(), rendered.ansi().to_string(), stopped.use_stderr())
}

/// Columns that text for people keeps to.
pub const WIDTH: usize = 80;

/// Text after a head that stays as it is, broken at blanks so that no line is longer than [`WIDTH`]; lines after the
/// first are indented. A longer word stands alone, whole: it may be a path that somebody copies.
pub fn wrapped(head: &str, text: &str, indent: usize) -> String {
    let mut lines = vec![visible(head).into_owned()];
    let mut begun = false;
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(indent) + word);
        } else {
            line.push_str(if begun { " " } else { "" });
            line.push_str(word);
        }
        begun = true;
    }
    lines.join("\n") + "\n"
}

/// A table without lines, at most [`WIDTH`] wide where its words allow; columns whose header starts with '>' are
/// aligned to the right.
pub fn table<R: IntoIterator<Item = String>>(headers: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH as u16);
    table.set_header(headers.iter().map(|header| header.trim_start_matches('>')));
    for row in rows {
        table.add_row(row.into_iter().map(|cell| visible(&cell).into_owned()));
    }
    for (column, header) in table.column_iter_mut().zip(headers) {
        column.set_padding((0, 2));
        if header.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A length of time for people: `48 s`, `3 min 20 s`, `2 h 05 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0.4, 61.0, 3660.0].map(duration), ["0 s", "1 min 01 s", "1 h 01 min"]);
    }

    #[test]
    fn causes_are_said_once() {
        let io = std::io::Error::other("no space");
        let error = mfactor::Error::io("write", std::path::Path::new("f"))(io);
        assert_eq!(
            chain(&anyhow::Error::from(error).context("to go on")),
            "to go on: cannot write f: no space"
        );
    }

    #[test]
    fn long_text_is_broken_and_long_words_are_not() {
        let text = wrapped("", &"words and more ".repeat(12), 4);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH) && text.lines().count() == 3);
        assert!(text.lines().skip(1).all(|line| line.starts_with("    w") || line.starts_with("    a")));
        let path = format!("/{}", "x".repeat(100));
        assert_eq!(wrapped("a:  ", &format!("in {path}"), 2), format!("a:  in\n  {path}\n"));
        let wide = table(&["name", "note"], [["a".to_owned(), "word ".repeat(40)]]);
        assert!(wide.lines().all(|line| line.len() <= WIDTH) && wide.lines().count() > 2, "{wide}");
    }

    #[test]
    fn a_cell_stays_in_its_row() {
        let text =
            table(&["name", ">count"], [["a\nb\u{1b}[2J\u{9b}1m\u{202e}".to_owned(), "10".to_owned()]]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("a\\nb\\u{1b}[2J\\u{9b}1m\\u{202e}  "), "{text}");
        assert_eq!(wrapped("a\u{7}: ", "b", 2), "a\\u{7}: b\n");
    }

    #[test]
    fn tables_are_aligned_and_have_no_trailing_blanks() {
        let text = table(
            &["name", ">count"],
            [["a".to_owned(), "10".to_owned()], ["bc".to_owned(), "7".to_owned()]],
        );
        assert_eq!(text, "name  count\na        10\nbc        7\n");
    }
}
