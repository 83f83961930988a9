//! In what two configurations differ, and what a journal keeps of one to find that out.

use serde_json::{Map, Value, json};

use super::StudyConfig;

/// Keys that do not decide a result: where things lie, how far to go, who made the file. Contents of data and
/// tables are compared by their digests.
const UNDECISIVE: [&str; 5] = ["tool", "trials", "data.folder", "evaluator.file", "naswot.file"];

impl StudyConfig {
    /// What decides the result of a study and is another in `asked`: a phrase for each key, none if they
    /// agree.
    pub fn differences(&self, asked: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        compare("", &tree(self), &tree(asked), &mut differences);
        differences
    }

    /// What decides the result of a study, for [`StudyConfig::changes_since`].
    pub(crate) fn decisive(&self) -> Value {
        let mut tree = tree(self);
        for key in UNDECISIVE {
            let (parent, name) = place(&mut tree, key);
            parent.map(|parent| parent.remove(name));
        }
        tree
    }

    /// What is another than it was when `began` was kept, likewise.
    pub(crate) fn changes_since(&self, began: &Value) -> Vec<String> {
        let (mut began, mut own) = (began.clone(), tree(self));
        for key in UNDECISIVE {
            let value = place(&mut own, key).0.and_then(|parent| parent.get(key_name(key)).cloned());
            if let (Some(value), (Some(parent), name)) = (value, place(&mut began, key)) {
                parent.insert(name.to_owned(), value);
            }
        }
        // What a later version has beside it had its default.
        match serde_json::from_value::<Self>(began) {
            Ok(began) => self.differences(&began),
            Err(error) => vec![format!("the journal has what this version does not know ({error})")],
        }
    }

    /// The same for a study of the first versions, which kept no more than these attributes.
    pub(crate) fn changes_since_attributes(&self, attributes: &Map<String, Value>) -> Vec<String> {
        let mut own = tree(self);
        own["space"] = json!(self.space.name());
        own["data"] = json!(self.data.as_ref().map(|data| &data.name));
        let kept = ["seed", "workers", "alpha", "evaluator", "data", "recipe", "space"];
        let mut differences = Vec::new();
        for (name, began) in kept.iter().filter_map(|name| Some((*name, attributes.get(*name)?))) {
            compare(name, &within(&own[name], began), began, &mut differences);
        }
        differences
    }
}

/// The object that holds a key such as `data.folder`, if there is one, and the key's last part.
fn place<'a>(tree: &'a mut Value, key: &'static str) -> (Option<&'a mut Map<String, Value>>, &'static str) {
    let parent = match key.split_once('.') {
        Some((parent, _)) => tree.get_mut(parent),
        None => Some(tree),
    };
    (parent.and_then(Value::as_object_mut), key_name(key))
}

fn key_name(key: &'static str) -> &'static str {
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

/// Of `tree` what `other` has as well.
fn within(tree: &Value, other: &Value) -> Value {
    match (tree, other) {
        (Value::Object(tree), Value::Object(other)) => {
            let both = tree.iter().filter_map(|(name, value)| Some((name, value, other.get(name)?)));
            both.map(|(name, value, other)| (name.clone(), within(value, other))).collect()
        }
        _ => tree.clone(),
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
    use crate::pruning::Pruning;

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
    fn what_a_journal_keeps_tells_what_was_changed_since() {
        let study = StudyConfig { data: data("here", "1"), ..StudyConfig::new("s") };
        let began = study.decisive();
        let text = began.to_string();
        assert!(!text.contains("here") && !text.contains("trials"), "{text}");
        let grown = StudyConfig { trials: 99, data: data("there", "1"), ..study.clone() };
        assert_eq!(grown.changes_since(&began), [""; 0]);
        let pruned = StudyConfig { prune: Some(Pruning::default()), seed: 5, ..study.clone() };
        let changes = pruned.changes_since(&began).join("; ");
        assert!(changes.contains("seed is 5 and not 0") && changes.contains("prune is {"), "{changes}");
        let mut newer = began.clone();
        newer["temperature"] = json!(1);
        assert!(study.changes_since(&newer)[0].contains("temperature"));
        let mut older = began;
        older.as_object_mut().unwrap().remove("workers");
        assert_eq!(study.changes_since(&older), [""; 0], "it had the default");
    }

    #[test]
    fn the_attributes_of_the_first_versions_tell_what_they_can() {
        let study = StudyConfig { data: data("here", "1"), ..StudyConfig::new("s") };
        let kept = json!({
            "alpha": 1.0, "seed": 3, "data": "digits", "space": "paper", "strategy": "tpe",
            "recipe": {"epochs": 4}, "evaluator": {"kind": "train"},
        });
        let changes = study.changes_since_attributes(kept.as_object().unwrap());
        assert_eq!(changes, ["seed is 0 and not 3", "recipe.epochs is 3 and not 4"]);
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
