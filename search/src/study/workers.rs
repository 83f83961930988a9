//! Evaluators at work, each in a thread of its own. The threads know nothing of the study: they take jobs, and
//! whatever they have to say waits for the study's answer, so that it is written down before the work goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;
use std::time::Duration;

use mfactor::protocol::Job;
use mfactor::{Error, Result};

use crate::evaluators::{Ended, Evaluator, Report, Verdict};

/// What a worker says.
pub(super) enum Message {
    /// Something on the way. The worker waits for the answer.
    Report { worker: usize, report: Report, answer: SyncSender<Result<Verdict>> },
    /// Its job has ended, and it is free.
    Ended { worker: usize, result: Result<Ended> },
}

/// The workers of a run, and the jobs they are at.
pub(super) struct Workers<'a, T> {
    jobs: Vec<Sender<Job>>,
    at: Vec<Option<T>>,
    messages: Receiver<Message>,
    /// One for each evaluator.
    halts: &'a [AtomicBool],
    /// Whether a worker's trial is no longer ours.
    lost: Vec<bool>,
}

impl<'a, T: Copy> Workers<'a, T> {
    /// Puts each evaluator into a thread of `scope`. Setting one of `halts` ends what that one is at. The threads end when
    /// the workers are dropped.
    pub fn start<'scope, E: Evaluator>(
        scope: &'scope Scope<'scope, 'a>,
        evaluators: &'a mut [E],
        halts: &'a [AtomicBool],
    ) -> Self {
        let (to_study, messages) = channel();
        let jobs = evaluators.iter_mut().zip(halts).enumerate().map(|(worker, (evaluator, halt))| {
            let (sender, jobs) = channel();
            let to_study = to_study.clone();
            scope.spawn(move || work(worker, evaluator, &jobs, &to_study, halt));
            sender
        });
        let jobs: Vec<Sender<Job>> = jobs.collect();
        Self { at: vec![None; jobs.len()], lost: vec![false; jobs.len()], jobs, messages, halts }
    }

    /// A worker that has nothing to do.
    pub fn idle(&self) -> Option<usize> {
        self.at.iter().position(Option::is_none)
    }

    /// What the workers are at.
    pub fn at(&self) -> impl Iterator<Item = T> {
        self.at.iter().flatten().copied()
    }

    /// Gives an idle worker something to do.
    pub fn assign(&mut self, worker: usize, task: T, job: Job) {
        self.at[worker] = Some(task);
        self.jobs[worker].send(job).expect("a worker listens as long as its sender lives");
    }

    /// What a worker is at.
    pub fn task(&self, worker: usize) -> T {
        self.at[worker].expect("only a worker that has something to do says something")
    }

    /// Notes that a worker is idle again, and returns what it was at.
    pub fn release(&mut self, worker: usize) -> T {
        let task = self.task(worker);
        self.at[worker] = None;
        task
    }

    /// Tells all evaluators to end.
    pub fn halt(&self) {
        self.halts.iter().for_each(|halt| halt.store(true, Ordering::Relaxed));
    }

    /// Ends what one worker is at, for its trial is no longer ours: whatever it says of it is of no account.
    pub fn lose(&mut self, worker: usize) {
        self.lost[worker] = true;
        self.halts[worker].store(true, Ordering::Relaxed);
    }

    /// Whether what a worker is at is no longer ours.
    pub fn is_lost(&self, worker: usize) -> bool {
        self.lost[worker]
    }

    /// Lets a worker begin anew that had lost its trial; whether it was so.
    pub fn recover(&mut self, worker: usize) -> bool {
        let was_lost = std::mem::take(&mut self.lost[worker]);
        if was_lost {
            self.halts[worker].store(false, Ordering::Relaxed);
        }
        was_lost
    }

    /// The workers that are at something, and what it is.
    pub fn busy(&self) -> impl Iterator<Item = (usize, T)> {
        self.at.iter().enumerate().filter_map(|(worker, at)| Some((worker, (*at)?)))
    }

    /// The next message, if one comes in time.
    pub fn next(&self, wait: Duration) -> Option<Message> {
        self.messages.recv_timeout(wait).ok()
    }
}

/// A thread's life: one job after another until there are no more.
fn work(
    worker: usize,
    evaluator: &mut impl Evaluator,
    jobs: &Receiver<Job>,
    to_study: &Sender<Message>,
    halt: &AtomicBool,
) {
    for job in jobs {
        let mut on_report = |report| {
            let (answer, verdict) = sync_channel(1);
            let gone = || Error::Interrupted("the study has ended".to_owned());
            to_study.send(Message::Report { worker, report, answer }).map_err(|_| gone())?;
            verdict.recv().map_err(|_| gone())?
        };
        // A panic is reported like any other end, or the study would wait for this worker for ever.
        let evaluate = AssertUnwindSafe(|| evaluator.evaluate(&job, &mut on_report, halt));
        let result =
            catch_unwind(evaluate).unwrap_or_else(|_| Err(Error::Defect("an evaluator panicked".to_owned())));
        if to_study.send(Message::Ended { worker, result }).is_err() {
            break;
        }
    }
}
