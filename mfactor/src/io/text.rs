//! Text that came from somewhere else, made fit to be shown: it can neither move a cursor nor hide.

use std::borrow::Cow;

/// `text` with everything escaped that a terminal obeys or an eye cannot see: control characters (newlines and tabs
/// among them), marks that change the direction of writing, and characters of no width. `\x1b[2J` comes out as
/// `\u{1b}[2J`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_invisible) {
        return Cow::Borrowed(text);
    }
    let escape = |shown: String, c: char| match c {
        '\n' => shown + "\\n",
        '\r' => shown + "\\r",
        '\t' => shown + "\\t",
        c if is_invisible(c) => shown + &c.escape_unicode().to_string(),
        c => {
            let mut shown = shown;
            shown.push(c);
            shown
        }
    };
    Cow::Owned(text.chars().fold(String::new(), escape))
}

/// [`visible`], line by line: newlines stay.
pub fn visible_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(|line| visible(line.trim_end_matches('\r'))).collect();
    lines.join("\n")
}

/// [`visible`], cut to `most` characters, the last of which is then `…`. For quoting what somebody else said.
pub fn quoted(text: &str, most: usize) -> String {
    // What is cut off need not be escaped first: a flood would be long.
    let head: String = text.chars().take(most + 1).collect();
    let shown = visible(&head);
    if shown.chars().count() <= most {
        return shown.into_owned();
    }
    shown.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Longest name that a message repeats.
const LONGEST_NAME: usize = 80;

/// A name that somebody else chose, in quotation marks, for a sentence: visible, and cut where it is long.
pub fn name(text: &str) -> String {
    format!("\"{}\"", quoted(text, LONGEST_NAME))
}

/// Names as [`name`] writes them, with commas between; `none` of none.
pub fn names<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 8;
    let mut texts = texts.into_iter();
    let mut shown: Vec<String> = texts.by_ref().take(MOST).map(name).collect();
    let left = texts.count();
    if left > 0 {
        shown.push(format!("{left} more"));
    }
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

/// Numbers in brackets, as shapes are written: `[1, 3, 32, 32]`.
pub fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// JSON with everything escaped in it that [`visible`] escapes; it stays the same JSON. Its own newlines stay.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c != '\n' && is_invisible(c);
    if !json.chars().any(is_hidden) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) {
            // Such characters stand in strings only, where JSON takes UTF-16 units.
            for unit in c.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Unicode's controls (Cc), those format characters (Cf) that hide or turn round what stands beside them, and letters
/// without a shape.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e01ef}')
        || matches!(
            c,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
        )
        || matches!(c, '\u{1d173}'..='\u{1d17a}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_remains() {
        assert_eq!(visible("\u{1b}[2Jgone\r\n"), "\\u{1b}[2Jgone\\r\\n");
        assert_eq!(visible("\u{9b}31m"), "\\u{9b}31m", "C1 controls too");
        assert_eq!(visible("cod\u{202e}gnp.exe"), "cod\\u{202e}gnp.exe");
        assert_eq!(visible("Straße → 図"), "Straße → 図");
        assert_eq!(visible_lines("one\r\ntwo\u{7}"), "one\ntwo\\u{7}");
    }

    #[test]
    fn names_and_shapes_are_written_for_people() {
        assert_eq!(name("a\u{1b}[2J\"b"), "\"a\\u{1b}[2J\"b\"");
        assert_eq!(names(["a", "b\n"]), "\"a\", \"b\\n\"");
        assert_eq!(names([]), "none");
        assert!(names(["x"; 20]).ends_with("\"x\", 12 more"));
        assert_eq!(list([1, 3]), "[1, 3]");
    }

    #[test]
    fn visible_json_is_the_same_json() {
        let value = vec!["\u{9b}31m\u{202e}\u{7f}\u{1b}é\u{e0041}", "plain"];
        let json = serde_json::to_string_pretty(&value).unwrap();
        let shown = visible_json(&json);
        assert!(shown.chars().all(|c| c == '\n' || !is_invisible(c)), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), value);
    }

    #[test]
    fn a_quotation_is_short() {
        assert_eq!(quoted("short", 5), "short");
        assert_eq!(quoted("longer", 5), "long…");
        assert_eq!(quoted(&"\u{1b}".repeat(1_000_000), 8).chars().count(), 8);
    }
}
