//! Training in a process of its own: what happens to one training, a crash in C++ or the end of memory, costs
//! one trial and not the study.

mod child;
mod ending;
mod silence;
mod talk;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mfactor::protocol::{Decision, FailureKind, Job, TrainerFacts};
use mfactor::{Error, Result, files};

use self::child::{Output, Trainer};
use self::ending::Ending;
use self::silence::Silence;
use self::talk::{Answer, Talk};
use super::{Ended, Evaluator, Report, Verdict, trained};

/// How long a trainer may take to come up. Loading libtorch with CUDA from a cold disk takes a while.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// How often a trainer is started that somebody kills before it is up, and the pause in between.
const START_ATTEMPTS: u32 = 3;
const START_PAUSE: Duration = Duration::from_secs(1);
/// How often the stop flag and the clock are looked at while the trainer is silent.
const POLL: Duration = Duration::from_millis(50);

/// How to start a trainer.
#[derive(Debug, Clone, Default)]
pub struct TrainerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, such as `--device cpu`.
    pub arguments: Vec<OsString>,
    /// Variables to set beside the inherited ones, such as `LD_LIBRARY_PATH`.
    pub environment: Vec<(OsString, OsString)>,
    /// What starts the program on another machine, such as `srun -N1 -n1`; none if it runs here. Such a command makes exit
    /// codes of signals.
    pub launcher: Vec<OsString>,
}

/// Trains by `mfactor-trainer`, which is started with the first job, kept for the next, and started afresh after
/// it crashed or was killed. A job whose trainer was killed from outside begins again, once; one that is killed before it is up
/// is started three times at the most. The trainer runs in a process group of its own: a Ctrl-C in the terminal reaches the
/// study, which ends it, and not the trainer itself. Nor does a trainer outlive its study: on Linux the system ends it
/// with the thread that evaluated the first job, so that thread should be the one that runs the study.
pub struct TrainerProcess {
    command: TrainerCommand,
    timeout: Option<Duration>,
    idle: Option<Ready>,
}

/// A trainer that is up.
struct Ready {
    trainer: Trainer,
    facts: TrainerFacts,
    silence: Silence,
    /// The last job that it ended.
    ended: Option<u64>,
}

/// Why an attempt at a job came to no end.
enum Unfinished {
    /// The job failed.
    Failed(FailureKind, String),
    /// The trainer is lost, for a reason that need not be the job.
    Lost(String),
    /// No job can succeed.
    Hopeless(Error),
}

impl From<Error> for Unfinished {
    fn from(error: Error) -> Self {
        Self::Hopeless(error)
    }
}

impl From<Ending> for Unfinished {
    fn from(ending: Ending) -> Self {
        let is_innocent = ending.came_from_outside();
        let reason = ending.to_string();
        if is_innocent { Self::Lost(reason) } else { Self::Failed(FailureKind::Trainer, reason) }
    }
}

/// The end of a job by what its trainer did.
fn broken(reason: String) -> Unfinished {
    Unfinished::Failed(FailureKind::Trainer, reason)
}

impl TrainerProcess {
    /// An evaluator that kills a trial which takes longer than `timeout`.
    pub fn new(command: TrainerCommand, timeout: Option<Duration>) -> Self {
        Self { command, timeout, idle: None }
    }

    /// The trainer that is up, or else one that is started and waited for. One that does not come up ends the study.
    fn ready(
        &mut self,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ready> {
        if let Some(mut ready) = self.idle.take()
            && ready.trainer.is_alive()
        {
            return Ok(ready);
        }
        for _ in 1..START_ATTEMPTS {
            match self.come_up(on_report, stop)? {
                Ok(ready) => return Ok(ready),
                Err(ending) => {
                    let text = format!("{ending}, before it was ready; it is started again");
                    on_report(Report::Warning(text))?;
                }
            }
            pause(START_PAUSE, stop)?;
        }
        self.come_up(on_report, stop)?.map_err(|ending| ending.never_ready(START_ATTEMPTS))
    }

    /// Starts a trainer and waits until it is up. The inner error is that somebody else ended it before.
    fn come_up(
        &self,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Result<Ready, Ending>> {
        let mut trainer = Trainer::start(&self.command)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            check_stop(stop)?;
            if Instant::now() >= deadline {
                let seconds = START_TIMEOUT.as_secs();
                return Err(trainer.kill().not_ready(&format!("it was not ready within {seconds} seconds")));
            }
            let line = match trainer.next(POLL) {
                Output::Line(line) => line,
                Output::Silence => continue,
                Output::Endless => return Err(trainer.kill().not_ready("it prints without end")),
                Output::End => {
                    let ending = trainer.end();
                    return if ending.came_from_outside() {
                        Ok(Err(ending))
                    } else {
                        Err(ending.not_ready(""))
                    };
                }
            };
            match talk::introduction(&line) {
                Ok(None) => trainer.note(&line),
                Ok(Some(facts)) => {
                    let facts = self.with_build(facts);
                    on_report(Report::Trainer(facts.clone()))?;
                    return Ok(Ok(Ready { trainer, facts, silence: Silence::default(), ended: None }));
                }
                Err(problem) => return Err(trainer.kill().not_ready(&problem)),
            }
        }
    }

    /// A trainer that does not say which build it is is known by the program that was started.
    fn with_build(&self, facts: TrainerFacts) -> TrainerFacts {
        if !facts.build.is_empty() {
            return facts;
        }
        let program = files::open(&self.command.program).ok().and_then(|file| files::sha256_of(file).ok());
        TrainerFacts { build: program.unwrap_or_default(), ..facts }
    }

    /// Has one trainer do the job.
    fn attempt(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended, Unfinished> {
        trained::clear(&job.output)?;
        // Whoever returns early from here drops the trainer, and that kills it: its state is unknown.
        let mut ready = self.ready(on_report, stop)?;
        let began = Instant::now();
        ready.trainer.forget();
        ready.trainer.send(&self.sent(job)?)?;
        let mut talk = Talk::new(job, ready.ended);
        loop {
            let line = self.listen(&mut ready, began, on_report, stop)?;
            match talk.hear(&line).map_err(broken)? {
                Answer::Epoch(epoch) => {
                    ready.silence.end();
                    let is_awaited = job.decisions.contains(&epoch.epoch);
                    let goes_on = on_report(Report::Epoch(epoch))? == Verdict::GoOn;
                    if is_awaited {
                        talk.is_pruned = !goes_on;
                        ready.trainer.send(&Decision { trial: job.trial, go_on: goes_on })?;
                    }
                }
                Answer::Ended(ended) => {
                    ready.silence.end();
                    ready.ended = Some(job.trial);
                    self.idle = Some(ready);
                    return Ok(whole(ended, job));
                }
                Answer::Stale => {
                    let earlier = ready.ended.map_or(String::new(), |trial| format!(" {trial}"));
                    return Err(Unfinished::Lost(format!(
                        "the trainer spoke of trial{earlier} after its end"
                    )));
                }
                Answer::Stray => ready.trainer.note(&line),
            }
        }
    }

    /// The job as the trainer is told it: one on another machine begins in another folder.
    fn sent(&self, job: &Job) -> Result<Job> {
        let mut job = job.clone();
        if !self.command.launcher.is_empty() {
            for path in [&mut job.data, &mut job.output] {
                *path = std::path::absolute(&*path).map_err(Error::io("find", path))?;
            }
        }
        Ok(job)
    }

    /// The next line of a trainer that works, or why there will be none. `began` is when its job did.
    fn listen(
        &self,
        ready: &mut Ready,
        began: Instant,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<String, Unfinished> {
        loop {
            check_stop(stop)?;
            self.check_time(began)?;
            let looked = Instant::now();
            let output = ready.trainer.next(POLL);
            match ready.silence.lasts(looked.elapsed()) {
                silence::Verdict::Wait => {}
                silence::Verdict::Say(text) => drop(on_report(Report::Warning(text))?),
                silence::Verdict::End(reason) => return Err(broken(reason)),
            }
            match output {
                Output::Line(line) => return Ok(line),
                Output::Endless => {
                    return Err(broken("the trainer prints without end".to_owned()));
                }
                Output::End => return Err(ready.trainer.end().into()),
                Output::Silence if ready.trainer.is_deaf() => return Err(ready.trainer.end().into()),
                Output::Silence => {}
            }
        }
    }

    /// Fails a trial that began too long ago.
    fn check_time(&self, began: Instant) -> Result<(), Unfinished> {
        match self.timeout {
            Some(timeout) if began.elapsed() >= timeout => {
                let seconds = timeout.as_secs_f64();
                let reason = format!("ran past the trial timeout of {seconds} seconds");
                Err(Unfinished::Failed(FailureKind::Timeout, reason))
            }
            _ => Ok(()),
        }
    }
}

impl Evaluator for TrainerProcess {
    fn trainer(
        &mut self,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Option<TrainerFacts>> {
        let ready = self.ready(on_report, stop)?;
        Ok(Some(self.idle.insert(ready).facts.clone()))
    }

    fn evaluate(
        &mut self,
        job: &Job,
        on_report: &mut dyn FnMut(Report) -> Result<Verdict>,
        stop: &AtomicBool,
    ) -> Result<Ended> {
        files::make_folder(&job.output)?;
        let reason = match self.attempt(job, on_report, stop) {
            Err(Unfinished::Lost(reason)) => reason,
            attempt => return settled(attempt),
        };
        on_report(Report::Again(format!("{reason}; the trial begins again")))?;
        settled(self.attempt(job, on_report, stop))
    }
}

/// What an attempt came to where there is no other.
fn settled(attempt: Result<Ended, Unfinished>) -> Result<Ended> {
    attempt.or_else(|unfinished| match unfinished {
        Unfinished::Failed(kind, reason) => Ok(Ended::failed(kind, reason)),
        Unfinished::Lost(reason) => Ok(Ended::failed(FailureKind::Trainer, reason)),
        Unfinished::Hopeless(error) => Err(error),
    })
}

/// The end of a job, if it left its files. Where training diverged there may be none.
fn whole(ended: Ended, job: &Job) -> Ended {
    match &ended {
        Ended::Complete(evaluation) if !evaluation.accuracy.is_nan() => match trained::check(job, evaluation)
        {
            Ok(()) => ended,
            Err(problem) => Ended::failed(
                FailureKind::Trainer,
                format!("the trainer said that it was done, and its files are not whole: {problem}"),
            ),
        },
        _ => ended,
    }
}

/// Waits, but not when it is to stop.
fn pause(time: Duration, stop: &AtomicBool) -> Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        check_stop(stop)?;
        std::thread::sleep(POLL);
    }
    Ok(())
}

pub(super) fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted("stopped in the middle of a trial".to_owned()));
    }
    Ok(())
}
