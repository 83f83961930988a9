//! Markdown from text that came from somewhere else: it can become neither markup, nor a link, nor HTML.

use crate::text::visible;

/// Text as it is, wherever in a line it stands.
pub fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let shown = visible(text);
    let mut before = ' ';
    for (position, c) in shown.char_indices() {
        let rest = &shown[position..];
        let is_markup = matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '!')
            // What GitHub makes links of by itself.
            || (c == ':' && rest.starts_with("://"))
            || (c == '.' && before.eq_ignore_ascii_case(&'w'))
            || c == '@'
            // What would begin a heading, a list or a rule at the beginning of a line.
            || (position == 0 && matches!(c, '#' | '+' | '-' | '='));
        if is_markup {
            escaped.push('\\');
        }
        escaped.push(c);
        before = c;
    }
    escaped
}

/// Text as code: between more backticks than it holds itself. A pipe does not end a cell in it.
pub fn code(text: &str) -> String {
    let shown = visible(text);
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let room = if longest > 0 || shown.trim().is_empty() { " " } else { "" };
    format!("{fence}{room}{}{room}{fence}", shown.replace('|', "\\|"))
}

/// A table; columns whose heading starts with '>' are aligned to the right. Cells are Markdown already.
pub fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut table = line(&headings.map(|heading| heading.trim_start_matches('>').to_owned()));
    table += &line(&headings.map(|heading| if heading.starts_with('>') { "---:" } else { "---" }.to_owned()));
    rows.into_iter().for_each(|row| table += &line(&row));
    table
}

/// A text as YAML between two quotation marks, for what stands before a document.
pub fn yaml(text: &str) -> String {
    // A JSON string is one of YAML, too.
    serde_json::to_string(&*visible(text)).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(text("333-333-333, f32 (3 %)"), "333-333-333, f32 (3 %)");
        assert_eq!(text("a|b"), "a\\|b");
        assert_eq!(text("<img src=x onerror=alert(1)>"), "\\<img src=x onerror=alert(1)\\>");
        assert_eq!(text("[x](javascript:y) ![z](w)"), "\\[x\\](javascript:y) \\!\\[z\\](w)");
        assert_eq!(
            text("see https://evil.example, www.evil.example"),
            "see https\\://evil.example, www\\.evil.example"
        );
        assert_eq!(text("a\n# b\u{1b}"), "a\\\\n# b\\\\u{1b}");
        assert_eq!(text("# b"), "\\# b");
        assert_eq!(text("`x` &amp; \\"), "\\`x\\` \\&amp; \\\\");
    }

    #[test]
    fn code_ends_where_it_should() {
        assert_eq!(code("a b"), "`a b`");
        assert_eq!(code("a``b"), "``` a``b ```");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code(""), "`  `");
    }

    #[test]
    fn a_table_keeps_its_columns() {
        let table = table(["name", ">count"], [[text("a|b"), "1".to_owned()]]);
        assert_eq!(table, "| name | count |\n| --- | ---: |\n| a\\|b | 1 |\n");
    }

    #[test]
    fn yaml_is_one_text() {
        assert_eq!(yaml("a\", b: [c]\n"), "\"a\\\", b: [c]\\\\n\"");
    }
}
