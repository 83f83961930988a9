//! What the commands have in common that work with studies in a database: options, and how a study is registered.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use cluster::inputs::{self, Inputs};
use cluster::registry::{self, LEASE, MOST_ATTEMPTS, Registered, Terms};
use cluster::{Address, Link, Patience, Store, schema};
use mfactor::{Error, Result};
use search::StudyConfig;
use search::config::EvaluatorConfig;

use super::worker::{Work, own_name, work};
use crate::output::Output;
use crate::signals;
use crate::trainers::TrainerOptions;

/// Variable that names the database.
const DATABASE: &str = "MFACTOR_DATABASE";

/// Which database, and which store.
#[derive(Args, Clone)]
pub struct DatabaseOptions {
    /// The database, as in postgresql://USER@HOST/DATABASE; the password is in ~/.pgpass or PGPASSWORD
    #[arg(long, value_name = "URL", env = DATABASE, hide_env_values = true)]
    pub database: String,
    #[command(flatten)]
    pub way: WayOptions,
}

/// How to get there, and where files are.
#[derive(Args, Clone)]
pub struct WayOptions {
    /// Let passwords and results go to another machine as plain text, where the network is trusted
    #[arg(long)]
    pub insecure_database: bool,
    /// Where weights are kept, in a folder that all machines share or a bucket: file:///FOLDER or s3://BUCKET/PREFIX
    ///
    /// For a bucket the environment has the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) and names the server
    /// (AWS_ENDPOINT_URL, AWS_REGION), as for other tools of S3.
    #[arg(long, value_name = "URL", env = "MFACTOR_ARTIFACTS")]
    pub artifacts: Option<String>,
}

impl DatabaseOptions {
    /// Connects, and holds the tables against what this version expects.
    pub fn open(&self, patience: Patience, output: &Output) -> Result<Link> {
        let mut link = self.connect(patience, output)?;
        schema::check(&mut link)?;
        Ok(link)
    }

    /// Connects.
    pub fn connect(&self, patience: Patience, output: &Output) -> Result<Link> {
        let address = Address::parse(&self.database, self.way.insecure_database)?;
        if address.is_plain() && self.way.insecure_database {
            output.say("warning: passwords and results go to the database as plain text");
        }
        Link::open(&address, patience)
    }

    /// Connects for one thing that is done at once.
    pub fn once(&self, output: &Output) -> Result<Link> {
        self.open(Patience::none(), output)
    }

    /// The store that was named, if one was; it must be that of the database.
    pub fn store(&self, link: &mut Link) -> Result<Option<Store>> {
        let Some(url) = &self.way.artifacts else { return Ok(None) };
        let store = Store::open(url)?;
        store.check(schema::check(link)?)?;
        Ok(Some(store))
    }
}

/// Patience that says what it waits for, and ends with a signal.
pub fn patience(limit: Option<f64>) -> (Patience, Arc<AtomicBool>) {
    let stop = signals::stop_flag();
    let say = Arc::new(|text: &str| mfactor::console::talk(&format!("waiting: {text}")));
    let patience = Patience { limit: limit.map(Duration::from_secs_f64), stop: Arc::clone(&stop), say };
    (patience, stop)
}

/// A number of seconds that makes sense.
pub fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=1e9).contains(seconds));
    seconds.ok_or_else(|| "must be seconds, from 0 to 1000000000".to_owned())
}

/// `mfactor search` where the trials are kept in a database.
#[derive(Args)]
pub struct SharedOptions {
    /// Keep the trials in a database, where any number of `mfactor worker NAME` work at them (see docs/cluster.md)
    #[arg(long, value_name = "URL", conflicts_with_all = ["out", "resume", "confirm"])]
    database: Option<String>,
    /// Register the study in --database, or the one that MFACTOR_DATABASE names, and leave; workers do the rest
    #[arg(long, conflicts_with_all = ["out", "resume", "confirm"])]
    detach: bool,
    /// Name of the study in a database [default: that in --study, else study]
    #[arg(long, value_name = "NAME", conflicts_with = "out")]
    name: Option<String>,
    /// Seconds for which a worker has a trial without a word; then another one takes it over
    #[arg(long, value_name = "SECONDS", value_parser = lease, default_value_t = LEASE.as_secs_f64())]
    lease: f64,
    /// A trial at which so many workers were lost fails
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), default_value_t = MOST_ATTEMPTS)]
    most_attempts: u32,
    #[command(flatten)]
    way: WayOptions,
}

fn lease(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.5..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "must be seconds, from 0.5 to 86400".to_owned())
}

impl SharedOptions {
    /// Whether the study is one for a database.
    pub fn is_asked_for(&self) -> bool {
        self.database.is_some() || self.detach
    }

    /// The name that was given.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Registers a study, and works at it unless others shall.
    pub fn run(&self, config: StudyConfig, trainers: &TrainerOptions, output: &Output) -> anyhow::Result<()> {
        let options = DatabaseOptions { database: self.url()?, way: self.way.clone() };
        let mut link = options.once(output)?;
        self.register(&mut link, &config)?;
        let study = registry::find(&mut link, &config.name)?;
        let name = &study.name;
        if self.detach {
            output.say(format!("Study {name} is in the {}", link.address()));
            let next = format!("mfactor worker {name}");
            let result = serde_json::json!({ "study": name, "next": next });
            return output.result(&result, || format!("on any number of machines, run: {next}\n"));
        }
        drop(link);
        let (patience, stop) = patience(None);
        let mut link = options.open(patience, output)?;
        let store = options.store(&mut link)?;
        let trainers = trainers.commands(&config, config.workers)?;
        let (cache, name, mixed_hardware) = (None, own_name(), false);
        work(Work { link, study, config, store, trainers, stop, cache, name, mixed_hardware }, output)
    }

    fn url(&self) -> Result<String> {
        let named = self.database.clone().or_else(|| std::env::var(DATABASE).ok());
        named.ok_or_else(|| Error::Usage(format!("--detach needs --database URL or {DATABASE}")))
    }

    fn register(&self, link: &mut Link, config: &StudyConfig) -> Result<()> {
        let keeps_files = matches!(config.evaluator, EvaluatorConfig::Train);
        let store = self.way.artifacts.as_deref().map(Store::open).transpose()?;
        match &store {
            None if keeps_files => {
                let problem = "is needed for what trainings leave: file:///FOLDER, which all machines share, or s3://BUCKET/PREFIX";
                return Err(Error::input("--artifacts", problem));
            }
            Some(store) => store.mark(schema::check(link)?)?,
            None => {}
        }
        let terms = Terms {
            lease: Duration::from_secs_f64(self.lease),
            most_attempts: self.most_attempts,
            keeps_files,
        };
        registry::register(link, config, terms)
    }
}

/// Where on this machine lies what a study reads: no path of a database is followed.
#[derive(Args)]
pub struct PlaceOptions {
    /// The study's data set here: a name or a folder [default: the name that the study has for it]
    #[arg(long, value_name = "NAME|DIR")]
    data: Option<String>,
    /// The study's table here, where accuracies are looked up
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// The study's ratings of untrained networks here
    #[arg(long, value_name = "FILE")]
    naswot: Option<PathBuf>,
}

impl PlaceOptions {
    /// The study's configuration with the places that are here. What no option names is fetched, where it was `pushed`, into
    /// this machine's cache.
    pub fn lay_over(&self, study: &Registered, pushed: Option<&Pushed>) -> Result<StudyConfig> {
        let mut config = study.config.clone();
        if let Some(source) = &mut config.data {
            let folder = match (&self.data, pushed) {
                (None, Some(pushed)) => pushed.data(&source.fingerprint)?,
                _ => None,
            };
            let named = || datasets::resolve(self.data.as_ref().unwrap_or(&source.name));
            let folder = folder.map_or_else(named, Ok)?;
            source.folder = std::fs::canonicalize(&folder).map_err(Error::io("find", &folder))?;
        }
        if let EvaluatorConfig::Table { file, sha256 } = &mut config.evaluator {
            let fetched = || pushed.map_or(Ok(None), |pushed| pushed.file(sha256, Inputs::fetch_table));
            *file = here(study, "--table", self.table.as_deref(), fetched)?;
        }
        if let Some(ratings) = &mut config.naswot {
            let sha256 = &ratings.sha256;
            let fetched = || pushed.map_or(Ok(None), |pushed| pushed.file(sha256, Inputs::fetch_ratings));
            ratings.file = here(study, "--naswot", self.naswot.as_deref(), fetched)?;
        }
        Ok(config)
    }
}

/// What `mfactor cluster push` has put into the store.
pub struct Pushed {
    inputs: Inputs,
    store: Store,
}

/// Name of the folder in this machine's cache into which it is fetched.
const PUSHED: &str = "pushed";

impl Pushed {
    /// What was pushed of a study, where there is a store.
    pub fn of(link: &mut Link, study: &Registered, store: Option<&Store>) -> Result<Option<Self>> {
        let found = |store: &Store| Ok(Self { inputs: inputs::find(link, study)?, store: store.clone() });
        store.map(found).transpose()
    }

    fn data(&self, fingerprint: &str) -> Result<Option<PathBuf>> {
        let folder = datasets::folder_of(PUSHED)?.join(fingerprint);
        Ok(self.inputs.fetch_data(&self.store, &folder)?.then_some(folder))
    }

    fn file(
        &self,
        sha256: &str,
        fetch: fn(&Inputs, &Store, &Path) -> Result<bool>,
    ) -> Result<Option<PathBuf>> {
        let path = datasets::folder_of(PUSHED)?.join(sha256);
        Ok(fetch(&self.inputs, &self.store, &path)?.then_some(path))
    }
}

/// A file of a study: as it was named, or else as it was fetched.
fn here(
    study: &Registered,
    option: &str,
    named: Option<&Path>,
    fetched: impl Fn() -> Result<Option<PathBuf>>,
) -> Result<PathBuf> {
    if let Some(path) = named {
        return std::path::absolute(path).map_err(Error::io("find", path));
    }
    fetched()?.ok_or_else(|| {
        let name = &study.name;
        let problem = format!(
            "reads a file that is not here: name it by {option} FILE, or put it into the store, where it is, by: \
             mfactor cluster push {name} {option} FILE"
        );
        Error::input(format!("study {name:?}"), problem)
    })
}

/// Folder of a study that is brought here.
pub fn default_folder(name: &str) -> PathBuf {
    Path::new("runs").join(name)
}
