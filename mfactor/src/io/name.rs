//! Names that people give to studies, spaces and the like: one rule, which makes every name a file's name as well that
//! stays in its folder.

/// The rule, in words.
pub const RULE: &str =
    "must have 1 to 64 letters, digits, '-', '_' or '.', of which the first is a letter, a digit or '_'";
/// Most characters of a name.
const LONGEST: usize = 64;

/// Whether `text` is a name.
pub fn is_name(text: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= LONGEST && text.starts_with(begins) && text.chars().all(is_allowed)
}

/// A name made of any text, a folder's name say: `my study` gives `my-study`, and `Prüfung` gives `Pr-fung`. `None` if
/// nothing of it can stand in a name.
pub fn derived(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(|c| !is_allowed(c)).filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    name = name.trim_start_matches(['-', '.']).to_owned();
    name.truncate(LONGEST);
    is_name(&name).then_some(name)
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_stays_in_its_folder() {
        for name in ["a", "first", "2026-11-26", "_x", "v1.2", "a..b", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for text in
            ["", ".", "..", ".hidden", "-rf", "a/b", "a\\b", "a b", "é", "a\n", "a\0", &"x".repeat(65)]
        {
            assert!(!is_name(text), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_made_of_what_can_stand_in_one() {
        for (text, name) in [
            ("first", Some("first")),
            ("my study", Some("my-study")),
            ("Prüfung", Some("Pr-fung")),
            ("  (draft) 2 ", Some("draft-2")),
            ("..hidden", Some("hidden")),
            ("図", None),
            ("..", None),
        ] {
            assert_eq!(derived(text).as_deref(), name, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_is_a_name_and_names_stay_as_they_are(text in "\\PC{0,90}") {
            if let Some(name) = derived(&text) {
                prop_assert!(is_name(&name), "{name:?}");
                prop_assert_eq!(derived(&name), Some(name));
            }
        }
    }
}
