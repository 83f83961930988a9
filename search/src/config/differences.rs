//! In what two configurations differ.

use serde_json::{Map, Value};

use super::StudyConfig;

/// Keys that do not decide a result: where things lie, how far to go, who made the file. Contents of data and
/// tables are compared by their digests.
const UNDECISIVE: [&str; 4] = ["tool", "trials", "data.folder", "evaluator.file"];

impl StudyConfig {
    /// What decides the result of a study and is another in `asked`: a phrase for each key, none if they
    /// agree.
    pub fn differences(&self, asked: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        compare("", &tree(self), &tree(asked), &mut differences);
        differences
    }
}

fn tree(config: &StudyConfig) -> Value {
    serde_json::to_value(config).expect("a configuration has names for keys")
}

fn compare(key: &str, own: &Value, asked: &Value, differences: &mut Vec<String>) {
    if let (Value::Object(own), Value::Object(asked)) = (own, asked) {
        let added = asked.keys().filter(|name| !own.contains_key(*name));
        for name in own.keys().chain(added) {
            let of = |tree: &Map<String, Value>| tree.get(name).cloned().unwrap_or_default();
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            compare(&key, &of(own), &of(asked), differences);
        }
    } else if own != asked && !UNDECISIVE.contains(&key) {
        differences.push(format!("{key} is {} and not {}", show(own), show(asked)));
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{DataSource, EvaluatorConfig};
    use super::*;

    fn data(folder: &str, fingerprint: &str) -> Option<DataSource> {
        let (folder, fingerprint) = (PathBuf::from(folder), fingerprint.to_owned());
        Some(DataSource { name: "digits".to_owned(), folder, fingerprint })
    }

    #[test]
    fn more_trials_and_moved_data_are_no_difference() {
        let study = StudyConfig { data: data("here", "1"), ..StudyConfig::new("s") };
        let asked = StudyConfig {
            trials: 99,
            tool: "0.0.0".to_owned(),
            data: data("there", "1"),
            ..StudyConfig::new("s")
        };
        assert_eq!(study.differences(&asked), [""; 0]);
    }

    #[test]
    fn what_decides_the_result_is_named_by_key_with_both_values() {
        let study = StudyConfig { data: data("here", "1"), ..StudyConfig::new("s") };
        let mut asked = StudyConfig {
            alpha: 2.0,
            data: data("here", "2"),
            trial_timeout_seconds: Some(5),
            evaluator: EvaluatorConfig::Constant { accuracy: 0.5 },
            ..study.clone()
        };
        asked.recipe.epochs = 9;
        let differences = study.differences(&asked);
        let expected = [
            "alpha is 1.0 and not 2.0",
            "data.fingerprint is 1 and not 2",
            "evaluator.kind is train and not constant",
            "evaluator.accuracy is absent and not 0.5",
            "recipe.epochs is 3 and not 9",
            "trial_timeout_seconds is absent and not 5",
        ];
        for expected in expected {
            assert!(
                differences.iter().any(|difference| difference == expected),
                "{expected}: {differences:?}"
            );
        }
        assert_eq!(differences.len(), expected.len(), "{differences:?}");
    }
}
