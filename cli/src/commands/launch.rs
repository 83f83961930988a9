//! `mfactor launch`: have the scheduler that is there start workers.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::{Args, Subcommand};
use cluster::launch::{Kubernetes, Plan, STORE_VARIABLES, Slurm, Submission};
use cluster::{Patience, registry};
use mfactor::{Error, Result};
use serde_json::json;

use super::shared::DatabaseOptions;
use crate::output::Output;

/// Start workers by Slurm, Kubernetes, HyperQueue or ssh
#[derive(Args)]
pub struct Launch {
    #[command(subcommand)]
    by: By,
}

#[derive(Subcommand)]
enum By {
    /// A job array, by sbatch
    #[command(after_help = "\
Examples:
  mfactor launch slurm cifar10 --tasks 16 --partition gpu --gres gpu:1 --time 8:00:00
  mfactor launch slurm cifar10 --tasks 4 --print > workers.sbatch

The password is that of ~/.pgpass on the nodes; what logs in to a bucket may come by --prolog '. ~/.mfactor-store'.")]
    Slurm {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        tasks: Tasks,
        /// Partition
        #[arg(long, value_parser = word)]
        partition: Option<String>,
        /// Account that pays
        #[arg(long, value_parser = word)]
        account: Option<String>,
        /// Generic resources of each, as in gpu:1
        #[arg(long, value_parser = word)]
        gres: Option<String>,
        /// Longest time, as in 8:00:00
        #[arg(long, value_parser = word)]
        time: Option<String>,
        /// A line of shell before each worker, as in 'module load cuda'
        #[arg(long, value_name = "COMMAND")]
        prolog: Option<String>,
    },
    /// An Indexed Job, by kubectl
    #[command(after_help = "\
Examples:
  kubectl create secret generic mfactor-database --from-file=password
  mfactor launch kubernetes cifar10 --image registry/mfactor:1.0.0 --pods 16 --gpus 1 --claim shared
  mfactor launch kubernetes cifar10 --image registry/mfactor:1.0.0 --print")]
    Kubernetes {
        #[command(flatten)]
        what: What,
        /// Image whose entry point is mfactor
        #[arg(long)]
        image: String,
        /// Workers
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        pods: u32,
        /// Namespace [default: that of the context]
        #[arg(long)]
        namespace: Option<String>,
        /// Secret that has the database's password under the key `password`
        #[arg(long, default_value = "mfactor-database")]
        secret: String,
        /// Secret whose keys are the variables that log in to a bucket: AWS_ACCESS_KEY_ID and so on
        #[arg(long, default_value = "mfactor-store")]
        store_secret: String,
        /// Claim on the volume that is the store, mounted where --artifacts says
        #[arg(long)]
        claim: Option<String>,
        /// Cores of each
        #[arg(long, default_value = "4")]
        cpu: String,
        /// Memory of each
        #[arg(long, default_value = "8Gi")]
        memory: String,
        /// GPUs of each
        #[arg(long, default_value_t = 0)]
        gpus: u32,
    },
    /// A task array of HyperQueue, by hq
    #[command(after_help = "Example:\n  mfactor launch hq cifar10 --tasks 16 --cpus 4 --gpus 1")]
    Hq {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        tasks: Tasks,
        /// GPUs of each
        #[arg(long, default_value_t = 0)]
        gpus: u32,
    },
    /// A worker on each of these machines, by ssh and the user's systemd
    #[command(after_help = "\
Example:
  mfactor launch ssh cifar10 ws1 ws2 ws3 --trainers auto

To end one: ssh ws1 systemctl --user stop mfactor-cifar10")]
    Ssh {
        #[command(flatten)]
        what: What,
        /// Machines as ssh knows them
        #[arg(required = true, value_parser = word)]
        hosts: Vec<String>,
    },
}

/// How many workers a scheduler starts, and how large.
#[derive(Args)]
struct Tasks {
    /// Workers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    tasks: u32,
    /// Cores of each
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    cpus: u32,
}

#[derive(Args)]
struct What {
    #[command(flatten)]
    database: DatabaseOptions,
    /// The study
    study: String,
    /// Show what would be submitted, and do nothing
    #[arg(long)]
    print: bool,
    /// mfactor on those machines [default: this program's path; in an image it is the entry point]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Trials at once of each worker
    #[arg(long, value_name = "auto|N", default_value = "1", value_parser = trainers)]
    trainers: String,
    /// The study's data set on those machines
    #[arg(long, value_name = "NAME|DIR")]
    data: Option<String>,
}

/// What stands in a directive or a command as one word.
fn word(text: &str) -> Result<String, String> {
    let is_fitting = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:,@/=+[]*".contains(&byte);
    let fits = !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_fitting);
    fits.then(|| text.to_owned()).ok_or_else(|| "must be one word".to_owned())
}

fn trainers(text: &str) -> Result<String, String> {
    text.parse::<crate::workers::Workers>().map(|_| text.to_owned())
}

impl What {
    /// What every worker is told; a study that is not there is refused here and not on every machine.
    fn plan(&self, output: &Output) -> Result<Plan> {
        let mut link = self.database.open(Patience::none(), output)?;
        let study = registry::find(&mut link, &self.study)?;
        study.check_store(self.database.way.artifacts.is_some())?;
        let own = || std::env::current_exe().map_err(Error::io("find", std::path::Path::new("mfactor")));
        let mut arguments = vec!["--trainers".to_owned(), self.trainers.clone()];
        if let Some(data) = &self.data {
            arguments.extend(["--data".to_owned(), data.clone()]);
        }
        if self.database.way.insecure_database {
            arguments.push("--insecure-database".to_owned());
        }
        let is_bucket = self.database.way.artifacts.as_deref().is_some_and(|url| url.starts_with("s3://"));
        let set = STORE_VARIABLES.iter().filter(|_| is_bucket);
        let set = set.filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
        Ok(Plan {
            variables: set.collect(),
            study: study.name,
            database: self.database.database.clone(),
            artifacts: self.database.way.artifacts.clone(),
            program: self.program.clone().map_or_else(own, Ok)?,
            arguments,
        })
    }
}

impl Launch {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let (what, submissions) = self.by.submissions(output)?;
        if what.print {
            let texts: Vec<String> = submissions.iter().map(Submission::text).collect();
            return output.result(&json!({ "submissions": texts }), || texts.concat());
        }
        let answers: Vec<String> = submissions.iter().map(submit).collect::<Result<_>>()?;
        output.result(&json!({ "study": what.study, "answers": answers }), || answers.concat())
    }
}

impl By {
    fn submissions(self, output: &Output) -> Result<(What, Vec<Submission>)> {
        Ok(match self {
            Self::Slurm { what, tasks: Tasks { tasks, cpus }, partition, account, gres, time, prolog } => {
                let slurm = Slurm { tasks, cpus, partition, account, gres, time, prolog };
                let submission = what.plan(output)?.slurm(&slurm);
                (what, vec![submission])
            }
            Self::Kubernetes {
                what,
                image,
                pods,
                namespace,
                secret,
                store_secret,
                claim,
                cpu,
                memory,
                gpus,
            } => {
                let kubernetes =
                    Kubernetes { pods, image, namespace, secret, store_secret, claim, cpu, memory, gpus };
                let submission = what.plan(output)?.kubernetes(&kubernetes);
                (what, vec![submission])
            }
            Self::Hq { what, tasks: Tasks { tasks, cpus }, gpus } => {
                let submission = what.plan(output)?.hyperqueue(tasks, cpus, gpus);
                (what, vec![submission])
            }
            Self::Ssh { what, hosts } => {
                let plan = what.plan(output)?;
                let submissions = hosts.iter().map(|host| plan.ssh(host)).collect();
                (what, submissions)
            }
        })
    }
}

/// Hands a submission over; what the scheduler answers.
fn submit(submission: &Submission) -> Result<String> {
    let (program, arguments) = submission.command.split_first().expect("a submission has a command");
    let missing = |error: std::io::Error| {
        let mend = format!("mfactor launch with --print, and what it prints on a machine that has {program}");
        Error::missing(format!("{program} cannot be started ({error})"), mend)
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(missing)?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read it says why.
        let _ = input.write_all(submission.input.as_bytes());
    }
    let ended = child.wait_with_output().map_err(missing)?;
    if ended.status.success() {
        return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let last = said.trim().lines().last().unwrap_or("it says nothing").to_owned();
    Err(Error::Board { subject: submission.command.join(" ").chars().take(80).collect(), problem: last })
}
