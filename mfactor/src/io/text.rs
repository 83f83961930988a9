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

/// Unicode's controls (Cc), and those format characters (Cf) that hide or turn round what stands beside them.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
    fn a_quotation_is_short() {
        assert_eq!(quoted("short", 5), "short");
        assert_eq!(quoted("longer", 5), "long…");
        assert_eq!(quoted(&"\u{1b}".repeat(1_000_000), 8).chars().count(), 8);
    }
}
