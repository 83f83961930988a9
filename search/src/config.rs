//! The configuration of a study, `study.toml`: every choice that decides its result, with the seed and digests of what is
//! read. What ran it (version, device, libtorch) is in the journal.

mod differences;
mod evaluator;
mod objective;
mod sources;

use std::path::Path;

use mfactor::objective::check_alpha;
use mfactor::{Architecture, Error, Recipe, Result, SearchSpace, files, name};
use serde::{Deserialize, Serialize};

use crate::evaluators::Constant;
use crate::pruning::Pruning;
use crate::strategies::StrategyKind;

pub use evaluator::EvaluatorConfig;
pub use objective::ObjectiveConfig;
pub use sources::{DataSource, FileSource};

/// Version of the file's form.
pub const SCHEMA: u32 = 1;

/// The configuration of a study. A file may leave out everything but `schema` and `name`; the file in a study's
/// folder is complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyConfig {
    /// Version of this form, [`SCHEMA`].
    pub schema: u32,
    /// Version of the tool that made the study, as [`mfactor::version`] gives it.
    #[serde(default = "mfactor::version")]
    pub tool: String,
    /// A [`name`]. Optuna's studies are called `<name>-<strategy>`.
    pub name: String,
    /// Architectures that are trained before all strategies, as the trials of [`GIVEN`](crate::study::GIVEN).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<Architecture>,
    /// Strategies, which run one after another; may be none where there are `architectures`.
    #[serde(default = "default_strategies")]
    pub strategies: Vec<StrategyKind>,
    /// Trials of each strategy.
    #[serde(default = "default_trials")]
    pub trials: u64,
    /// The seed that all randomness derives from. At most `i64::MAX`, for TOML knows no larger number.
    #[serde(default)]
    pub seed: u64,
    /// Weight of the M-factor: above 1 favours small architectures, below 1 accurate ones.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// What is sought beside accuracy; the paper's if absent, parameters against those of the smallest architecture.
    #[serde(default, skip_serializing_if = "ObjectiveConfig::is_paper")]
    pub objective: ObjectiveConfig,
    /// Whether the smallest architecture is measured too, before all strategies.
    #[serde(default = "default_baseline")]
    pub baseline: bool,
    /// Trials of one strategy that run at once. It decides the result, for a strategy proposes a trial without
    /// knowing how the others end that run beside it.
    #[serde(default = "default_workers")]
    pub workers: u64,
    /// How trials without promise are stopped early; none is if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<Pruning>,
    /// Seconds after which a trial fails; unlimited if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_timeout_seconds: Option<u64>,
    /// Where accuracies come from.
    #[serde(default)]
    pub evaluator: EvaluatorConfig,
    /// What is trained on; may be absent where nothing is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataSource>,
    /// Ratings of untrained networks, from which `guided` learns too; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naswot: Option<FileSource>,
    /// How architectures are trained.
    #[serde(default)]
    pub recipe: Recipe,
    /// The search space.
    #[serde(default = "SearchSpace::paper")]
    pub space: SearchSpace,
}

fn default_strategies() -> Vec<StrategyKind> {
    StrategyKind::PAPER.to_vec()
}

fn default_trials() -> u64 {
    50
}

fn default_workers() -> u64 {
    1
}

fn default_alpha() -> f64 {
    1.0
}

fn default_baseline() -> bool {
    true
}

impl StudyConfig {
    /// The default configuration: the paper's strategies, 50 trials each, trained in the paper's space. It still lacks
    /// data.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            schema: SCHEMA,
            tool: mfactor::version(),
            name: name.into(),
            architectures: Vec::new(),
            strategies: default_strategies(),
            trials: default_trials(),
            seed: 0,
            alpha: default_alpha(),
            objective: ObjectiveConfig::default(),
            baseline: default_baseline(),
            workers: default_workers(),
            prune: None,
            trial_timeout_seconds: None,
            evaluator: EvaluatorConfig::default(),
            data: None,
            naswot: None,
            recipe: Recipe::default(),
            space: SearchSpace::paper(),
        }
    }

    /// Reads a study file and checks it; errors name the file and the key.
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&files::read_text(path)?, &path.display().to_string())
    }

    /// Reads and checks the text of a study file; errors name `subject` and the key.
    pub fn parse(text: &str, subject: &str) -> Result<Self> {
        let header = Header::read(text, subject)?;
        let mut config: Self = toml::from_str(text).map_err(|error| Error::toml(subject, text, &error))?;
        config.settle_alpha(header.alpha).map_err(within(subject, "objective"))?;
        config.objective.read_tables(&config.space, false).map_err(within(subject, "objective"))?;
        config.check(subject)?;
        Ok(config)
    }

    /// The text of the file, complete.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Error::Defect(format!("a study cannot be written as TOML: {error}")))
    }

    /// Writes the file in the study's folder.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        files::write(path, self.to_toml()?.as_bytes())
    }

    /// Checks every value; the error names `subject` and the key. That a training study has data is checked
    /// when it is made.
    pub fn check(&self, subject: &str) -> Result<()> {
        let check = |key: &str, holds: bool, must: &str| {
            if holds { Ok(()) } else { Err(Error::input(format!("{subject}, {key}"), must)) }
        };
        check("schema", self.schema == SCHEMA, &format!("is {}; this version reads {SCHEMA}", self.schema))?;
        check("name", name::is_name(&self.name), name::RULE)?;
        let is_work = !self.strategies.is_empty() || !self.architectures.is_empty();
        check("strategies", is_work, "must name a strategy, for no architectures are given")?;
        check("strategies", is_unique(&self.strategies), "must not name a strategy twice")?;
        for architecture in &self.architectures {
            let problem = |error: Error| Error::input(format!("{subject}, architectures"), error);
            self.space.check(architecture).map_err(problem)?;
        }
        check("architectures", is_unique(&self.architectures), "must not name an architecture twice")?;
        check("trials", (1..=1_000_000).contains(&self.trials), "must be from 1 to 1000000")?;
        check("seed", i64::try_from(self.seed).is_ok(), "must be below 2^63")?;
        check("alpha", check_alpha(self.alpha).is_ok(), "must be a finite number above 0")?;
        self.sought().map_err(within(subject, "objective"))?;
        check("workers", (1..=1024).contains(&self.workers), "must be from 1 to 1024")?;
        self.prune.as_ref().map_or(Ok(()), |prune| prune.check(subject))?;
        let timeout = self.trial_timeout_seconds.unwrap_or(1);
        check(
            "trial_timeout_seconds",
            (1..=1_000_000_000).contains(&timeout),
            "must be from 1 to 1000000000",
        )?;
        if let EvaluatorConfig::Constant { accuracy } = self.evaluator {
            check("evaluator.accuracy", Constant::new(accuracy).is_ok(), "must be from 0 to 1")?;
        }
        self.recipe.check(subject)
    }
}

fn is_unique<T: PartialEq>(list: &[T]) -> bool {
    list.iter().enumerate().all(|(position, item)| !list[..position].contains(item))
}

/// An error of a part of a configuration, with the place where it stands.
fn within(subject: impl std::fmt::Display, key: &str) -> impl Fn(Error) -> Error {
    move |error| Error::input(format!("{subject}, {key}"), error)
}

/// What is looked at before the rest of a file.
#[derive(Deserialize)]
struct Header {
    /// Whether it is there: a default would hide that.
    alpha: Option<f64>,
}

impl Header {
    /// The schema is judged before all else: a file of another version has other keys.
    fn read(text: &str, subject: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let refused = |error: toml::de::Error| Error::toml(subject, text, &error);
        let Version { schema } = toml::from_str(text).map_err(refused)?;
        if schema != SCHEMA {
            let problem = format!("is {schema}; this version reads {SCHEMA}");
            return Err(Error::input(format!("{subject}, schema"), problem));
        }
        toml::from_str(text).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<StudyConfig> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.toml");
        std::fs::write(&path, text).unwrap();
        StudyConfig::load(&path)
    }

    #[test]
    fn a_short_file_has_the_defaults_and_a_saved_one_reads_back() {
        let config = load("schema = 1\nname = \"short\"\n").unwrap();
        assert_eq!(config, StudyConfig::new("short"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.toml");
        for evaluator in [
            EvaluatorConfig::Constant { accuracy: 0.1 + 0.2 },
            EvaluatorConfig::Table { file: "t.csv".into(), sha256: "0".to_owned() },
        ] {
            let config = StudyConfig {
                evaluator,
                trial_timeout_seconds: Some(60),
                alpha: 1.0 / 3.0,
                ..config.clone()
            };
            config.save(&path).unwrap();
            assert_eq!(StudyConfig::load(&path).unwrap(), config);
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_file_and_key() {
        for (line, key) in [
            ("trails = 5", "trails"),
            ("trials = 0", "trials"),
            ("trials = \"many\"", "trials"),
            ("seed = -1", "seed"),
            ("alpha = 0", "alpha"),
            ("alpha = nan", "alpha"),
            ("strategies = [\"annealing\"]", "random, evolution, tpe, rl"),
            ("strategies = [\"tpe\", \"tpe\"]", "strategies"),
            ("strategies = []", "strategies"),
            ("architectures = [\"333-333-332\"]", "architectures"),
            ("architectures = [\"333-333-333\", \"333-333-333\"]", "twice"),
            ("trial_timeout_seconds = 0", "trial_timeout_seconds"),
            ("evaluator = { kind = \"constant\", accuracy = 2.0 }", "evaluator.accuracy"),
            ("evaluator = { kind = \"constant\", acuracy = 0.5 }", "acuracy"),
            ("evaluator = { kind = \"guess\" }", "guess"),
            ("recipe = { momentum = 2.0 }", "recipe.momentum"),
            ("recipe = { epoch = 2 }", "epoch"),
        ] {
            let error = load(&format!("schema = 1\nname = \"s\"\n{line}\n")).unwrap_err();
            assert_eq!(error.exit_code(), mfactor::exit::INPUT, "{error}");
            let text = error.to_string();
            assert!(text.contains("study.toml") && text.contains(key), "{line}: {text}");
        }
        let text = load("schema = 2\nname = \"s\"\nnew = true\n").unwrap_err().to_string();
        assert!(text.contains("schema") && text.contains("is 2"), "{text}");
        assert!(load("name = \"s\"\n").unwrap_err().to_string().contains("schema"));
        assert!(load("schema = 1\n").unwrap_err().to_string().contains("name"));
    }
}
