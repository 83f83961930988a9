//! The loop: ask a strategy, evaluate, tell, and write each down as it happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mfactor::protocol::{Epoch, Job, TrainerFacts};
use mfactor::{Error, Result, TrialState};

use super::place::Clock;
use super::workers::{Message, Workers};
use super::{CONFIG_FILE, Study, began, trial_folder};
use crate::evaluators::{Ended, Evaluator, Report, Verdict};
use crate::events::StudyEvent;
use crate::storage::Hold;
use crate::tell::is_accuracy;
use crate::track::Track;

/// How often the stop flag is looked at while all workers are silent.
const POLL: Duration = Duration::from_millis(50);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every strategy has made its trials, or exhausted the space.
    Finished,
    /// The stop flag was set. What is known is written, and the study can be resumed.
    Stopped,
}

/// One trial to evaluate: a track and a trial number in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub track: usize,
    pub number: usize,
    pub resumed: bool,
    pub began: Instant,
}

/// What a run holds beside the study.
struct Run<'a> {
    workers: Workers<'a, Next>,
    observer: &'a mut dyn FnMut(&StudyEvent),
    /// Tracks that were said to have exhausted the space.
    exhausted: Vec<bool>,
    /// How the run ends, once that is known; then nothing new is begun.
    ending: Option<Result<Outcome>>,
}

impl Study {
    /// Runs the study to its end, or until `stop` is set. Each evaluator works in a thread of its own; the result
    /// depends on the configuration's number of workers and not on how many evaluators there are. Trials that
    /// were cut off are evaluated first, as they would have been. An error ends the run and loses nothing: the
    /// study can be resumed.
    pub fn run<E: Evaluator>(
        &mut self,
        evaluators: &mut [E],
        observer: &mut dyn FnMut(&StudyEvent),
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        let halts: Vec<AtomicBool> = evaluators.iter().map(|_| AtomicBool::new(false)).collect();
        std::thread::scope(|scope| {
            let workers = Workers::start(scope, evaluators, &halts);
            let mut run = Run { workers, observer, exhausted: vec![false; self.tracks.len()], ending: None };
            loop {
                if stop.load(Ordering::Relaxed) {
                    run.end(Ok(Outcome::Stopped));
                }
                if let Err(error) = self.heed(&mut run).and_then(|()| self.begin(&mut run)) {
                    run.end(Err(error));
                }
                if run.workers.at().next().is_none() && self.is_over(&run) {
                    break;
                }
                if let Some(message) = run.workers.next(POLL)
                    && let Err(error) = self.hear(message, &mut run)
                {
                    run.end(Err(error));
                }
            }
            let released = self.storage.release();
            run.ending.unwrap_or(Ok(Outcome::Finished)).and_then(|outcome| released.map(|()| outcome))
        })
    }

    /// Whether nothing is left to do, now or when others have ended what they are at.
    fn is_over(&self, run: &Run) -> bool {
        let is_done = |track: &Track| track.is_ended() && (self.has_all(track) || track.is_exhausted());
        run.ending.is_some() || !self.storage.is_shared() || self.tracks.iter().all(is_done)
    }

    /// Whether a track has as many trials as were asked for.
    fn has_all(&self, track: &Track) -> bool {
        track.trials().len() as u64 - track.skipped() >= self.asked_of(track)
    }

    /// Gives up what this process has lost, and leaves a study that somebody stopped.
    fn heed(&mut self, run: &mut Run) -> Result<()> {
        let beat = self.storage.beat()?;
        if beat.stops {
            run.end(Ok(Outcome::Stopped));
        }
        self.config.trials = beat.trials.unwrap_or(0).max(self.config.trials);
        let id = |next: &Next| self.tracks[next.track].trials()[next.number].id;
        let lost = run.workers.busy().filter(|(_, next)| beat.lost.contains(&id(next)));
        for worker in lost.map(|(worker, _)| worker).collect::<Vec<_>>() {
            run.workers.lose(worker);
        }
        Ok(())
    }

    /// Takes in what others have changed.
    fn learn(&mut self, run: &Run) -> Result<()> {
        for (track, news) in self.storage.trials()?.into_iter().enumerate() {
            self.tracks[track].learn(news, &run.running(track));
        }
        Ok(())
    }

    /// Gives every idle worker a trial, as long as there are trials that can begin.
    fn begin(&mut self, run: &mut Run) -> Result<()> {
        while run.ending.is_none()
            && let Some(worker) = run.workers.idle()
        {
            let Some(next) = self.next(run)? else { break };
            self.tracks[next.track].begin(next.number);
            self.clear(next)?;
            run.workers.assign(worker, next, self.job(next));
            (run.observer)(&StudyEvent::Started { place: self.place(next, None) });
        }
        Ok(())
    }

    /// The next trial that can begin, of the first track that has one.
    fn next(&mut self, run: &mut Run) -> Result<Option<Next>> {
        self.learn(run)?;
        for track in 0..self.tracks.len() {
            if let Some(next) = self.ask(track, run)? {
                return Ok(Some(next));
            }
            let trials = self.tracks[track].trials().len() as u64;
            let skipped = self.tracks[track].skipped();
            let is_exhausted = self.tracks[track].is_exhausted() && self.tracks[track].is_ended();
            if is_exhausted && !run.exhausted[track] {
                run.exhausted[track] = true;
                let strategy = self.tracks[track].proposer().to_string();
                (run.observer)(&StudyEvent::Exhausted { strategy, trials, skipped });
            }
            // What strategies skip may not depend on which of them is the quicker one.
            if self.terms.skips && self.is_lead(track) && !self.tracks[track].is_ended() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// The next trial of a track: one that was cut off, or else a new one, which is written before it is
    /// evaluated. `None` if the track is done, or has to wait for one of the trials that are running.
    fn ask(&mut self, index: usize, run: &Run) -> Result<Option<Next>> {
        let next = |number, resumed| Next { track: index, number, resumed, began: Instant::now() };
        loop {
            let (number, resumed) = if let Some(number) = self.claim(index, run)? {
                (number, true)
            } else if let Some(number) = self.retries[index].pop_front() {
                self.retry(index, number)?;
                (number, true)
            } else if let Some(number) = self.propose(index, run)? {
                (number, false)
            } else {
                return Ok(None);
            };
            if !self.skip(index, number)? {
                return Ok(Some(next(number, resumed)));
            }
        }
    }

    /// A trial of a track that was begun, and that nobody is at.
    fn claim(&mut self, index: usize, run: &Run) -> Result<Option<usize>> {
        let cut_off = self.tracks[index].cut_off(&run.running(index));
        let cut_off = cut_off.map(|number| &self.tracks[index].trials()[number]);
        let Some(trial) = self.storage.claim(index, cut_off)? else { return Ok(None) };
        let number = trial.number as usize;
        // Whoever was at it may have begun it after the last look, and others before it.
        self.learn(run)?;
        self.tracks[index].replace(trial);
        Ok(Some(number))
    }

    /// A new trial of a track, written down; `None` as in [`Study::ask`].
    fn propose(&mut self, index: usize, run: &Run) -> Result<Option<usize>> {
        let (asked, running) = (self.asked_of(&self.tracks[index]), run.running(index));
        let track = &mut self.tracks[index];
        if !track.may_propose(asked, &self.terms) {
            return Ok(None);
        }
        let mut propose = |news| {
            track.learn(news, &running);
            if track.may_propose(asked, &self.terms) { track.ask(&self.terms) } else { None }
        };
        let Some(trial) = self.storage.enqueue(index, None, &mut propose)? else { return Ok(None) };
        let number = trial.number as usize;
        self.tracks[index].add(trial);
        Ok(Some(number))
    }

    /// Ends a trial at once that is not worth its evaluation; whether it is so. What was asked for by name is evaluated.
    fn skip(&mut self, index: usize, number: usize) -> Result<bool> {
        if self.is_lead(index) {
            return Ok(false);
        }
        let leaders = self.tracks.iter().enumerate().filter(|(track, _)| self.is_lead(*track));
        let lead = leaders.filter_map(|(_, track)| track.best()).reduce(f64::max);
        let track = &self.tracks[index];
        let Some(reason) = track.reason_to_skip(&track.trials()[number], lead, &self.terms) else {
            return Ok(false);
        };
        let trial = track.skip(number, reason);
        // Where it was lost somebody else skips it, for the same reason.
        self.storage.finish(&trial)?;
        self.tracks[index].replace(trial);
        Ok(true)
    }

    /// Whether a track is none of a strategy, and comes before all of them.
    fn is_lead(&self, track: usize) -> bool {
        !self.tracks[track].proposer().is_strategy()
    }

    /// Begins a failed trial again. Optuna's trials end once: it gets an id of its own.
    fn retry(&mut self, index: usize, number: usize) -> Result<()> {
        let again = self.tracks[index].again(number, &self.terms);
        let trial = self.storage.enqueue(index, Some(again.id), &mut |_| Some(again.clone()))?;
        trial.into_iter().for_each(|trial| self.tracks[index].replace(trial));
        Ok(())
    }

    /// Removes what an evaluation left that did not come to its end.
    fn clear(&self, next: Next) -> Result<()> {
        let folder = trial_folder(&self.folder, self.tracks[next.track].trials()[next.number].id);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &folder)(error))
            }
            _ => Ok(()),
        }
    }

    fn job(&self, next: Next) -> Job {
        let trial = &self.tracks[next.track].trials()[next.number];
        let rungs = self.terms.pruning.as_ref().map(|pruning| pruning.rungs(self.config.recipe.epochs));
        Job {
            trial: trial.id,
            architecture: trial.architecture.clone(),
            space: self.config.space.clone(),
            recipe: self.config.recipe.clone(),
            seed: trial.seed,
            data: self.config.data.as_ref().map(|data| data.folder.clone()).unwrap_or_default(),
            output: trial_folder(&self.folder, trial.id),
            accuracy: self.config.objective.accuracy,
            decisions: rungs.unwrap_or_default(),
        }
    }

    /// Takes in what a worker says. An error ends the run.
    fn hear(&mut self, message: Message, run: &mut Run) -> Result<()> {
        match message {
            Message::Report { worker, report, answer } => {
                let next = run.workers.task(worker);
                let over = || Error::Interrupted("the study is ending".to_owned());
                let is_over = run.ending.is_some() || run.workers.is_lost(worker);
                let noted = if is_over { Ok(None) } else { self.note(next, report, run.observer) };
                if !is_over && matches!(noted, Ok(None)) {
                    run.workers.lose(worker);
                }
                // A worker needs to know that it is over and not why, and one that is gone needs no answer.
                let verdict = noted.as_ref().ok().copied().flatten();
                let _ = answer.send(verdict.ok_or_else(over));
                noted.map(drop)
            }
            Message::Ended { worker, result } => {
                let next = run.workers.release(worker);
                match result {
                    _ if run.workers.recover(worker) => self.clear(next),
                    result => self.tell(next, result?, run.observer),
                }
            }
        }
    }

    /// Writes a report down and passes it on. `None` if the trial is lost.
    fn note(
        &mut self,
        next: Next,
        report: Report,
        observer: &mut dyn FnMut(&StudyEvent),
    ) -> Result<Option<Verdict>> {
        match report {
            Report::Trainer(facts) => self.note_trainer(facts, observer)?,
            Report::Measured(costs) => {
                let track = &mut self.tracks[next.track];
                track.measure(next.number, costs, &self.terms);
                if track.breach(next.number, &self.terms).is_some() {
                    return Ok(Some(Verdict::Prune));
                }
            }
            Report::Reused => self.tracks[next.track].reuse(next.number),
            Report::Again(text) => {
                self.tracks[next.track].begin(next.number);
                observer(&StudyEvent::Warning { place: self.place(next, None), text });
            }
            Report::Warning(text) => {
                observer(&StudyEvent::Warning { place: self.place(next, None), text });
            }
            Report::Epoch(epoch) => {
                if self.note_epoch(next, &epoch)? == Hold::Lost {
                    return Ok(None);
                }
                let clock = Clock { elapsed: next.began.elapsed().as_secs_f64(), left: epoch.seconds_left };
                let number = epoch.epoch;
                observer(&StudyEvent::Epoch { place: self.place(next, Some(clock)), epoch });
                if !self.tracks[next.track].goes_on(next.number, number, &self.terms) {
                    return Ok(Some(Verdict::Prune));
                }
            }
        }
        Ok(Some(Verdict::GoOn))
    }

    /// Notes who trains. Another kind of hardware gives other accuracies for the same trial: a study has one.
    fn note_trainer(&mut self, facts: TrainerFacts, observer: &mut dyn FnMut(&StudyEvent)) -> Result<()> {
        let (is_shared, path) = (self.storage.is_shared(), self.folder.join(CONFIG_FILE));
        let (hardware, is_mixed) = (&mut self.hardware, self.allows_mixed_hardware);
        self.storage.study(&mut |known| {
            let mut kinds = known.as_ref().map_or_else(|| hardware.clone(), began::hardware);
            if let Err(difference) = began::join(&mut kinds, facts.hardware(), is_mixed) {
                return Err(match is_shared {
                    true => began::unlike_worker(&difference),
                    false => Error::file(&path, began::unlike_trainer(&difference)),
                });
            }
            *hardware = kinds;
            Ok(began::of_trainers(&facts, hardware))
        })?;
        observer(&StudyEvent::Trainer(facts));
        Ok(())
    }

    fn note_epoch(&mut self, next: Next, epoch: &Epoch) -> Result<Hold> {
        if !is_accuracy(epoch.accuracy) {
            return Ok(Hold::Held);
        }
        let id = self.tracks[next.track].trials()[next.number].id;
        let hold = self.storage.report(id, epoch.epoch, epoch.accuracy)?;
        self.tracks[next.track].report(next.number, epoch.accuracy);
        Ok(hold)
    }

    /// Judges how an evaluation ended, writes how the trial ended and passes it on.
    fn tell(&mut self, next: Next, ended: Ended, observer: &mut dyn FnMut(&StudyEvent)) -> Result<()> {
        let trial = self.tracks[next.track].tell(next.number, ended, &self.terms);
        if self.storage.finish(&trial)? == Hold::Lost {
            return self.clear(next);
        }
        if trial.state != TrialState::Complete {
            self.clear(next)?;
        }
        self.tracks[next.track].replace(trial.clone());
        let place = self.place(next, None);
        observer(&match trial.state {
            TrialState::Complete => StudyEvent::Finished { place, trial },
            TrialState::Pruned => StudyEvent::Pruned { place, trial },
            TrialState::Skipped => StudyEvent::Skipped { place, trial },
            _ => StudyEvent::Failed { place, trial },
        });
        Ok(())
    }
}

impl Run<'_> {
    /// Numbers of the trials of a track that workers here are at.
    fn running(&self, track: usize) -> Vec<usize> {
        self.workers.at().filter(|next| next.track == track).map(|next| next.number).collect()
    }

    /// Ends the run this way, unless its end is known already.
    fn end(&mut self, ending: Result<Outcome>) {
        if self.ending.is_none() {
            self.ending = Some(ending);
            self.workers.halt();
        }
    }
}
