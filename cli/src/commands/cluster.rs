//! `mfactor cluster`: the studies of a database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use cluster::doctor::{self, Health};
use cluster::registry;
use cluster::status::Status;
use cluster::{Patience, Store, inputs, pull, schema};
use mfactor::Error;
use mfactor::numbers::duration;
use serde_json::json;

use super::shared::{DatabaseOptions, PlaceOptions, Pushed, default_folder};
use crate::output::{Output, table, thousands};

/// Studies in a database, at which any number of machines work
#[derive(Args)]
pub struct Cluster {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make the tables: Optuna's if there are none, and those of mfactor
    #[command(after_help = "\
Examples:
  mfactor cluster init --database postgresql://mfactor@db.example.org/optuna
  mfactor cluster init --worker mfactor_worker     and let that role work, but neither make nor remove studies")]
    Init {
        #[command(flatten)]
        database: DatabaseOptions,
        /// Give this role, which must be there, the rights that a worker needs
        #[arg(long, value_name = "ROLE")]
        worker: Option<String>,
    },
    /// Say whether this machine can work with the database and the store
    #[command(after_help = "Example:\n  mfactor cluster doctor --artifacts file:///shared/mfactor")]
    Doctor(DatabaseOptions),
    /// Say how a study stands, or which studies there are
    #[command(after_help = "Examples:\n  mfactor cluster status\n  mfactor cluster status cifar10 --watch")]
    Status {
        #[command(flatten)]
        database: DatabaseOptions,
        /// The study
        study: Option<String>,
        /// Again every five seconds, until it is done
        #[arg(long, requires = "study")]
        watch: bool,
    },
    /// Have all workers hand back what they are at, and leave
    #[command(after_help = "Example:\n  mfactor cluster stop cifar10")]
    Stop(Named),
    /// Let a study go on that was stopped, or that shall have more trials
    #[command(after_help = "\
Example:
  mfactor cluster extend cifar10 --trials 100

Workers that are at it take note within a third of a lease; those that have left have to be started again.")]
    Extend {
        #[command(flatten)]
        named: Named,
        /// Trials of each strategy, of which there can only be more
        #[arg(long, value_name = "N")]
        trials: Option<u64>,
    },
    /// Put what a study reads into the store, from where machines that lack it fetch it: data set, table, ratings
    #[command(after_help = "\
Examples:
  mfactor cluster push cifar10
  mfactor cluster push leaves --data data/leaves --artifacts s3://lab/mfactor

Files are named by their SHA-256: what is there already is not sent again, and workers check what they fetch.")]
    Push {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        places: PlaceOptions,
    },
    /// Bring a study here as a folder, also again and again while it runs
    #[command(after_help = "\
Examples:
  mfactor cluster pull cifar10                   into runs/cifar10; then trials, export, measure and compare work on it
  mfactor cluster pull cifar10 elsewhere --data /shared/cifar10")]
    Pull {
        #[command(flatten)]
        named: Named,
        /// The folder [default: runs/STUDY]
        dir: Option<PathBuf>,
        #[command(flatten)]
        places: PlaceOptions,
    },
    /// Remove from the store what no study of the database names
    #[command(after_help = "Example:\n  mfactor cluster gc --artifacts file:///shared/mfactor --dry-run")]
    Gc {
        #[command(flatten)]
        database: DatabaseOptions,
        /// Only what is older than this: a worker may be about to name what is new
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        older: u32,
        /// Say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove a study from the database; what it left in the store goes with `gc`
    #[command(after_help = "Example:\n  mfactor cluster remove cifar10")]
    Remove(Named),
}

#[derive(Args)]
struct Named {
    #[command(flatten)]
    database: DatabaseOptions,
    /// The study
    study: String,
}

impl Cluster {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        match self.action {
            Action::Init { database, worker } => init(&database, worker.as_deref(), output),
            Action::Doctor(database) => look(&database, output),
            Action::Status { database, study, watch } => status(&database, study.as_deref(), watch, output),
            Action::Stop(named) => {
                registry::stop(&mut named.database.once(output)?, &named.study)?;
                let name = &named.study;
                said(
                    output,
                    name,
                    format!("study {name} stops; to let it go on: mfactor cluster extend {name}"),
                )
            }
            Action::Extend { named, trials } => {
                let study = registry::extend(&mut named.database.once(output)?, &named.study, trials)?;
                let (name, trials) = (&study.name, study.config.trials);
                said(output, name, format!("study {name} goes on, with {trials} trials of each strategy"))
            }
            Action::Push { named, places } => send(&named, &places, output),
            Action::Pull { named, dir, places } => {
                let dir = dir.unwrap_or_else(|| default_folder(&named.study));
                bring(&named, &dir, &places, output)
            }
            Action::Gc { database, older, dry_run } => collect(&database, older, dry_run, output),
            Action::Remove(named) => {
                registry::remove(&mut named.database.once(output)?, &named.study)?;
                said(output, &named.study, format!("study {} is removed", named.study))
            }
        }
    }
}

fn said(output: &Output, study: &str, text: String) -> anyhow::Result<()> {
    output.result(&json!({ "study": study }), || text + "\n")
}

fn init(database: &DatabaseOptions, worker: Option<&str>, output: &Output) -> anyhow::Result<()> {
    let mut link = database.connect(Patience::none(), output)?;
    let made = schema::make(&mut link)?;
    if let Some(role) = worker {
        schema::grant(&mut link, role)?;
    }
    let result = json!({
        "database": made.database.to_string(), "made_optuna": made.optuna, "made_mfactor": made.ours, "worker": worker,
    });
    output.result(&result, || {
        let what = match (made.optuna, made.ours) {
            (true, _) => "Optuna's tables and mfactor's were made",
            (false, true) => "mfactor's tables were made beside Optuna's",
            (false, false) => "the tables are there",
        };
        let role = worker.map_or(String::new(), |role| format!("; {role:?} may work"));
        format!("{}: {what}{role}\n", link.address())
    })
}

fn look(database: &DatabaseOptions, output: &Output) -> anyhow::Result<()> {
    let mut link = database.connect(Patience::none(), output)?;
    let health = doctor::look(&mut link)?;
    let store = database.way.artifacts.as_deref().map(Store::open).transpose()?;
    let store_works = store.map(|store| store.try_out()).transpose()?;
    let result = json!({ "database": health, "store": store_works.is_some() });
    output.result(&result, || health_text(&health, database.way.artifacts.as_deref()))?;
    if health.lacks.is_empty() {
        return Ok(());
    }
    let problem = format!("{:?} may not work: it lacks {}", link.address().user(), health.lacks.join(", "));
    Err(Error::input(link.address(), problem).into())
}

fn health_text(health: &Health, store: Option<&str>) -> String {
    let rights = match (health.lacks.is_empty(), health.is_owner) {
        (false, _) => "not those of a worker",
        (true, false) => "those of a worker",
        (true, true) => "all",
    };
    let rows = [
        ("server", format!("PostgreSQL {}", health.server)),
        ("encryption", health.encryption.clone().unwrap_or_else(|| "none".to_owned())),
        ("round trip", format!("{:.1} ms", health.round_trip_ms)),
        (
            "connections",
            format!(
                "{} of {}; a worker has two, and a third where it trains",
                health.connections, health.most_connections
            ),
        ),
        ("rights", rights.to_owned()),
        ("time zone", format!("{}; times are kept in UTC", health.time_zone)),
        ("store", store.map_or("none was named".to_owned(), |url| format!("{url}: written and read"))),
    ];
    table(&["part", "found"], rows.map(|(part, found)| [part.to_owned(), found]))
}

fn status(
    database: &DatabaseOptions,
    study: Option<&str>,
    watch: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let mut link = database.once(output)?;
    let Some(name) = study else {
        let names = registry::names(&mut link)?;
        return output.result(&names, || names.iter().map(|name| format!("{name}\n")).collect());
    };
    loop {
        let study = registry::find(&mut link, name)?;
        let status = Status::of(&mut link, &study)?;
        output.result(&status, || status_text(&status))?;
        if !watch || status.state == "done" {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(5));
    }
}

fn status_text(status: &Status) -> String {
    let number = |count: i64| count.to_string();
    let tracks = status.tracks.iter().map(|track| {
        let best = track.best.map_or("-".to_owned(), |best| format!("{best:.4}"));
        let counts = [track.running, track.complete, track.pruned, track.failed].map(number);
        let [running, complete, pruned, failed] = counts;
        [track.strategy.clone(), track.asked.to_string(), running, complete, pruned, failed, best]
    });
    let headers = ["strategy", ">trials", ">running", ">complete", ">pruned", ">failed", ">best M"];
    let workers = status.workers.iter().map(|worker| {
        let left = if worker.seconds_left < 0.0 { "lost".to_owned() } else { duration(worker.seconds_left) };
        [worker.name.clone(), worker.trials.to_string(), left]
    });
    let lost = match status.given_up {
        0 => String::new(),
        given_up => format!(", {given_up} trials given up"),
    };
    format!(
        "Study {} is {}: {} trials ended within the last hour, {} workers lost{lost}, {} trials wait for a worker\n\n{}\n{}",
        status.study,
        status.state,
        status.per_hour,
        status.deaths,
        status.waiting,
        table(&headers, tracks),
        table(&["worker", ">trials", ">lease"], workers),
    )
}

fn send(named: &Named, places: &PlaceOptions, output: &Output) -> anyhow::Result<()> {
    let mut link = named.database.once(output)?;
    let study = registry::find(&mut link, &named.study)?;
    let Some(store) = named.database.store(&mut link)? else {
        return Err(Error::Usage("push needs --artifacts URL or MFACTOR_ARTIFACTS".to_owned()).into());
    };
    let config = places.lay_over(&study, None)?;
    config.check_inputs()?;
    let pushed = inputs::push(&mut link, &study, &config, &store)?;
    let result = json!({ "study": study.name, "files": pushed.files, "bytes": pushed.bytes });
    output.result(&result, || {
        format!(
            "{}: {} files of {} bytes are in the {store}\n",
            study.name,
            pushed.files,
            thousands(pushed.bytes)
        )
    })
}

fn bring(named: &Named, dir: &Path, places: &PlaceOptions, output: &Output) -> anyhow::Result<()> {
    let mut link = named.database.once(output)?;
    let study = registry::find(&mut link, &named.study)?;
    let store = named.database.store(&mut link)?;
    let pushed = Pushed::of(&mut link, &study, store.as_ref())?;
    let config = places.lay_over(&study, pushed.as_ref())?;
    let pulled = pull::pull(&mut link, &study, config, store.as_ref(), dir)?;
    let result = json!({ "study": dir, "ended": pulled.ended, "running": pulled.running });
    output.result(&result, || {
        format!("{}: {} trials more have ended, {} run\n", dir.display(), pulled.ended, pulled.running)
    })
}

fn collect(database: &DatabaseOptions, hours: u32, dry_run: bool, output: &Output) -> anyhow::Result<()> {
    let mut link = database.once(output)?;
    let id = schema::check(&mut link)?;
    let Some(store) = database.store(&mut link)? else {
        return Err(Error::Usage("gc needs --artifacts URL or MFACTOR_ARTIFACTS".to_owned()).into());
    };
    let orphans = pull::orphans(&mut link, &store, id, Duration::from_secs(3600 * u64::from(hours)))?;
    let bytes: u64 = orphans.iter().map(|kept| kept.bytes).sum();
    for kept in orphans.iter().filter(|_| !dry_run) {
        store.remove(kept)?;
    }
    let result = json!({ "files": orphans.len(), "bytes": bytes, "removed": !dry_run });
    output.result(&result, || {
        let done = if dry_run { "would be removed" } else { "were removed" };
        format!("{} files of {} bytes {done}\n", orphans.len(), thousands(bytes))
    })
}
