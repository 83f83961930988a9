//! Where the workers of a search run: each trainer on a GPU, or on cores of its own.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use mfactor::protocol::CORES_VARIABLE;
use mfactor::{Error, Result, process, text};
use search::evaluators::TrainerCommand;

/// More workers than this are never chosen by themselves: a strategy that proposes so many trials without knowing how
/// they end learns little in a study of fifty.
const MOST_BY_ITSELF: usize = 4;

/// How long a trainer may take to count GPUs, and how much it may say: loading libtorch from a cold disk takes a while.
const LONGEST_START: Duration = Duration::from_secs(180);
const MOST_SAID: usize = 1 << 20;
/// More than any machine has.
const MOST_GPUS: usize = 1024;

/// How many trials run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for each GPU; without a GPU one for each core, four at the most.
    Auto,
    /// So many.
    Count(u64),
}

impl FromStr for Workers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = || text.parse().ok().filter(|count| (1..=1024).contains(count)).map(Self::Count);
        match text {
            "auto" => Ok(Self::Auto),
            _ => count().ok_or_else(|| "must be auto, or from 1 to 1024".to_owned()),
        }
    }
}

/// What trainers can run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// GPUs that libtorch sees.
    pub gpus: usize,
    /// Numbers of the cores that this process may use.
    pub cores: Vec<usize>,
}

impl Machine {
    /// Asks the trainer for its GPUs and the system for the cores.
    pub fn ask(trainer: &Path) -> Result<Self> {
        let gpus = count_gpus(Command::new(trainer).arg("--count-gpus"))
            .map_err(|problem| Error::missing(format!("{} {problem}", trainer.display()), "scripts/setup"))?;
        Ok(Self { gpus, cores: cores() })
    }

    /// Its cores alone.
    pub fn without_gpus() -> Self {
        Self { gpus: 0, cores: cores() }
    }

    /// The number of workers that this machine can feed.
    pub fn workers(&self) -> u64 {
        let workers = if self.gpus > 0 { self.gpus } else { self.cores.len().clamp(1, MOST_BY_ITSELF) };
        workers as u64
    }

    /// The command of each of `workers` trainers: GPUs in turn, or else cores in groups of one size. More workers
    /// than cores share them all.
    pub fn place(&self, command: &TrainerCommand, workers: u64) -> Vec<TrainerCommand> {
        let place = |worker: usize| {
            let mut command = command.clone();
            if self.gpus > 0 {
                let gpu = worker % self.gpus;
                command.environment.push(("CUDA_VISIBLE_DEVICES".into(), gpu.to_string().into()));
            } else if let Some(cores) = self.cores.chunks_exact(self.group(workers)).nth(worker) {
                let list: Vec<String> = cores.iter().map(ToString::to_string).collect();
                command.environment.push((CORES_VARIABLE.into(), list.join(",").into()));
            }
            if self.gpus == 0 {
                let threads = self.group(workers).to_string();
                command.arguments.extend(["--threads".into(), threads.into()]);
            }
            command
        };
        (0..workers as usize).map(place).collect()
    }

    /// Cores of each worker.
    fn group(&self, workers: u64) -> usize {
        (self.cores.len() / workers as usize).max(1)
    }
}

/// The number that a program prints. The error goes after the program's name.
fn count_gpus(command: &mut Command) -> Result<usize, String> {
    let answer = process::run(command, LONGEST_START, MOST_SAID).map_err(|trouble| trouble.to_string())?;
    let said = |bytes: &[u8]| text::quoted(String::from_utf8_lossy(bytes).trim(), 300);
    if !answer.status.success() {
        return Err(format!("does not start: {}", said(&answer.stderr)));
    }
    let count = said(&answer.stdout);
    let gpus = count.parse().ok().filter(|gpus| *gpus <= MOST_GPUS);
    gpus.ok_or_else(|| format!("does not say how many GPUs there are, but \"{count}\""))
}

/// The cores that the system lets this process use.
fn cores() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let allowed = list.and_then(|list| parse_cores(list.trim())).unwrap_or_default();
    // A container may have a share of the cores and not say which.
    let share = std::thread::available_parallelism().map_or(1, usize::from);
    if allowed.is_empty() { (0..share).collect() } else { allowed.into_iter().take(share).collect() }
}

/// Numbers from a list such as `0-3,8`.
fn parse_cores(list: &str) -> Option<Vec<usize>> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    };
    let ranges: Option<Vec<_>> = list.split(',').map(range).collect();
    Some(ranges?.into_iter().flatten().collect())
}

/// The trainers of all workers, each started by its launcher. The other machine looks for the program at the same path.
pub fn launched(
    command: &TrainerCommand,
    launch: &str,
    workers: u64,
) -> mfactor::Result<Vec<TrainerCommand>> {
    if launch.split_whitespace().next().is_none() {
        return Err(Error::input("--launch", "is empty; it names a command, such as 'srun -N1 -n1'"));
    }
    let program = std::path::absolute(&command.program).map_err(Error::io("find", &command.program))?;
    let of_worker = |worker: u64| TrainerCommand {
        launcher: launch
            .replace("{worker}", &worker.to_string())
            .split_whitespace()
            .map(OsString::from)
            .collect(),
        program: program.clone(),
        ..command.clone()
    };
    Ok((1..=workers).map(of_worker).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(gpus: usize, cores: usize, workers: u64) -> Vec<String> {
        let machine = Machine { gpus, cores: (0..cores).collect() };
        let text = |command: TrainerCommand| {
            let pairs = command.environment.iter();
            let pairs = pairs.map(|(name, value)| format!("{}={}", name.display(), value.display()));
            let arguments = command.arguments.iter().map(|argument| argument.display().to_string());
            pairs.chain(arguments).collect::<Vec<_>>().join(" ").replace("MFACTOR_TRAINER_", "")
        };
        machine.place(&TrainerCommand::default(), workers).into_iter().map(text).collect()
    }

    #[test]
    fn workers_share_what_there_is() {
        assert_eq!(placed(0, 2, 2), ["CORES=0 --threads 1", "CORES=1 --threads 1"]);
        assert_eq!(placed(0, 5, 2), ["CORES=0,1 --threads 2", "CORES=2,3 --threads 2"]);
        assert_eq!(placed(0, 1, 2), ["CORES=0 --threads 1", "--threads 1"]);
        let gpus = ["CUDA_VISIBLE_DEVICES=0", "CUDA_VISIBLE_DEVICES=1", "CUDA_VISIBLE_DEVICES=0"];
        assert_eq!(placed(2, 4, 3), gpus);
    }

    #[test]
    fn a_trainer_counts_gpus_or_is_not_usable() {
        let answer = |script: &str| count_gpus(Command::new("sh").arg("-c").arg(script));
        assert_eq!(answer("echo 2"), Ok(2));
        for (script, problem) in [
            ("echo 99999999", "but \"99999999\""),
            ("printf '\\033[2J'", "\\u{1b}[2J"),
            ("echo 'no libtorch' >&2; exit 4", "does not start: no libtorch"),
            ("yes", "said more than"),
        ] {
            let found = answer(script).unwrap_err();
            assert!(found.contains(problem), "{script}: {found}");
        }
        let error = Machine::ask(Path::new("/no/trainer")).unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::MISSING);
        assert!(error.to_string().contains("/no/trainer is not there"), "{error}");
    }

    #[test]
    fn as_many_as_the_machine_can_feed() {
        let workers = |gpus, cores: usize| Machine { gpus, cores: (0..cores).collect() }.workers();
        assert_eq!((workers(0, 1), workers(0, 2), workers(0, 64), workers(3, 64)), (1, 2, 4, 3));
    }

    #[test]
    fn numbers_of_workers_and_lists_of_cores() {
        assert_eq!("auto".parse(), Ok(Workers::Auto));
        assert_eq!("3".parse(), Ok(Workers::Count(3)));
        for wrong in ["0", "-1", "many", "1025", ""] {
            assert!(wrong.parse::<Workers>().is_err(), "{wrong}");
        }
        assert_eq!(parse_cores("0-2,5").unwrap(), [0, 1, 2, 5]);
        assert_eq!(parse_cores("x"), None);
        assert!(!cores().is_empty());
    }

    #[test]
    fn each_worker_has_a_launcher_with_its_number() {
        let command = TrainerCommand { program: "/opt/mfactor-trainer".into(), ..TrainerCommand::default() };
        let trainers = launched(&command, " ssh  ws{worker} nice", 2).unwrap();
        let launchers: Vec<_> = trainers.iter().map(|trainer| trainer.launcher.join(" ".as_ref())).collect();
        assert_eq!(launchers, ["ssh ws1 nice", "ssh ws2 nice"]);
        assert!(trainers.iter().all(|trainer| trainer.program == command.program));
        let error = launched(&command, "  ", 2).unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
    }
}
