//! Shell scripts as one line that every login shell passes on unchanged, and the mark around what they print.
//!
//! A login shell may be any: fish, csh, a busybox. In single quotes they all leave letters, digits and blanks alone, but
//! they disagree on newlines, `!`, `\` and `'`. So a script is written as the format of a `printf` in which all of these
//! are octal, and a POSIX shell below the login shell puts it together again.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Before what is ours comes the mark on a line of its own, and after it the mark and an exit code: a login may print
/// what it likes around them.
const FRAMED: &str = r#"mark=$1
shift
printf "\n%s\n" "$mark"
(
@
)
printf "\n%s %s\n" "$mark" "$?""#;
/// The same for a program that talks until it ends.
const OPEN: &str = r#"mark=$1
shift
printf "\n%s\n" "$mark"
@"#;

/// A command for the login shell on a board.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The command.
    pub(crate) text: String,
    /// What stands before what is ours, on a line of its own: nobody else says it.
    pub(crate) mark: String,
}

impl Line {
    /// Runs `script` with `arguments` as `$1`, `$2`, …, and tells its exit code.
    pub(crate) fn framed(script: &str, arguments: &[&str]) -> Self {
        Self::new(FRAMED, script, arguments)
    }

    /// Runs `script` until it ends.
    pub(crate) fn open(script: &str, arguments: &[&str]) -> Self {
        Self::new(OPEN, script, arguments)
    }

    fn new(frame: &str, script: &str, arguments: &[&str]) -> Self {
        // Hash maps are keyed at random by the system; no other use is made of a mark than to tell it from a greeting.
        let mark = format!("mfactor-{:016x}", RandomState::new().build_hasher().finish());
        let lines = script.lines().filter(|line| !line.trim_start().starts_with('#'));
        let script = lines.collect::<Vec<_>>().join("\n");
        let script = frame.replace('@', script.trim());
        let mut text = format!("sh -c 'eval \"$(printf \"{}\")\"' sh {mark}", format_of(&script));
        for argument in arguments {
            text.push(' ');
            text.push_str(&quote(argument));
        }
        Self { text, mark }
    }
}

/// A text as the format of a `printf` in double quotes in single quotes.
fn format_of(script: &str) -> String {
    let mut format = String::with_capacity(script.len() * 5 / 4);
    for byte in script.bytes() {
        match byte {
            b'%' => format.push_str("%%"),
            b'\\' | b'\'' | b'"' | b'$' | b'`' | b'!' | 0..=0x1f | 0x7f.. => {
                format.push_str(&format!("\\{byte:03o}"));
            }
            plain => format.push(char::from(plain)),
        }
    }
    format
}

/// An argument as one word for every login shell: in single quotes, where nothing has a meaning but a single quote.
/// Newlines and `!` are not for csh.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Shells that a login may have; the first two are everywhere.
    const SHELLS: [&[&str]; 8] =
        [&["sh"], &["bash"], &["busybox", "ash"], &["fish"], &["tcsh"], &["zsh"], &["mksh"], &["dash"]];
    const SCRIPT: &str =
        "if ! false; then\n    printf '%s|' \"$@\" 'it'\\''s' \"100% \\\\ !\" `echo ä`\nfi\nexit 3";

    #[test]
    fn every_login_shell_passes_a_script_on_unchanged() {
        let line = Line::framed(SCRIPT, &["a b", "$(reboot)", "*", "it's"]);
        let mut seen = 0;
        for shell in SHELLS {
            let output = Command::new(shell[0]).args(&shell[1..]).arg("-c").arg(&line.text).output();
            let Ok(output) = output else { continue };
            let said = String::from_utf8(output.stdout).unwrap();
            let expected =
                format!("\n{mark}\na b|$(reboot)|*|it's|it's|100% \\ !|ä|\n{mark} 3\n", mark = line.mark);
            assert_eq!(said, expected, "{shell:?}: {}", String::from_utf8_lossy(&output.stderr));
            seen += 1;
        }
        assert!(seen >= 2, "sh and bash are everywhere");
    }

    #[test]
    fn words_of_a_script_can_be_read_in_the_list_of_processes_and_marks_differ() {
        let line = Line::open("exec \"$1\" release-agent", &[]);
        assert!(line.text.contains("release-agent"), "{}", line.text);
        assert_ne!(line.mark, Line::open("", &[]).mark);
    }
}
