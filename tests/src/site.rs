//! A place where commands find a database and a store.

use std::process::{Command, Output};

use serde_json::Value;

use crate::bucket::SECRET;
use crate::{Workplace, expect};

/// A study of eleven trials without training.
pub const DRY: &str = "search --evaluator constant:0.75 --strategy random,evolution --trials 5 --workers 2";

/// A place where commands find a database.
pub struct Site {
    /// Where they run.
    pub place: Workplace,
    /// The database's URL.
    pub url: String,
    /// Variables of every command.
    pub variables: Vec<(&'static str, String)>,
}

impl Site {
    /// A place with an empty folder for a store.
    ///
    /// # Panics
    /// If the system refuses one.
    pub fn new(url: &str) -> Self {
        let site = Self { place: Workplace::new(), url: url.to_owned(), variables: vec![] };
        std::fs::create_dir(site.place.path("store")).expect("a folder");
        site
    }

    /// The store in that folder.
    pub fn store(&self) -> String {
        format!("file://{}", self.place.path("store").display())
    }

    /// `mfactor` with these arguments, which knows of no other database, store or data than those of this place.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = self.place.mfactor(arguments.split_whitespace());
        command.env("MFACTOR_DATABASE", &self.url).env("HOME", self.place.path("."));
        for variable in ["PGPASSWORD", "PGPASSFILE", "MFACTOR_ARTIFACTS", "MFACTOR_DATA", "XDG_CACHE_HOME"] {
            command.env_remove(variable);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().cloned());
        command
    }

    /// What came of a command.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn output(&self, arguments: &str) -> Output {
        self.command(arguments).output().expect("mfactor runs")
    }

    /// Runs a command that must end with `code`; stdout and stderr.
    ///
    /// # Panics
    /// If it ends otherwise.
    pub fn run(&self, arguments: &str, code: u8) -> (String, String) {
        expect(arguments, &self.output(arguments), code)
    }

    /// What a command says with `--json`.
    ///
    /// # Panics
    /// If it fails, or prints anything but JSON.
    pub fn json(&self, arguments: &str) -> Value {
        let (stdout, _) = self.run(&format!("{arguments} --json"), mfactor::exit::DONE);
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{arguments}: {error}\n{stdout}"))
    }

    /// Runs what must fail with `code` in one sentence that has every one of the words, and no secret.
    ///
    /// # Panics
    /// If it does not.
    pub fn refused(&self, arguments: &str, code: u8, words: &[&str]) {
        let (stdout, stderr) = self.run(arguments, code);
        let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!((errors.len(), &*stdout), (1, ""), "{arguments}: {stderr}");
        for word in words {
            assert!(errors[0].contains(word), "{arguments}: {word:?} is missing in {stderr}");
        }
        let is_quiet = !stderr.contains("secret") && !stderr.contains("panicked") && !stderr.contains(SECRET);
        assert!(is_quiet, "{stderr}");
    }
}
