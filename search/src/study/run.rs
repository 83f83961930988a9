//! The loop: ask a strategy, evaluate, tell, and write each down as it happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mfactor::protocol::{Epoch, Evaluation, Event, Job, TrainerFacts};
use mfactor::{Error, Result, TrialState};
use serde_json::json;

use super::place::Clock;
use super::{Study, optuna_name, trial_folder};
use crate::evaluators::{Evaluator, Failure};
use crate::events::StudyEvent;
use crate::journal::Attributes;
use crate::tell::is_accuracy;

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
}

impl Study {
    /// Runs the study to its end, or until `stop` is set. A trial that was cut off is evaluated first, as it
    /// would have been. An error ends the run and loses nothing: the study can be resumed.
    pub fn run(
        &mut self,
        evaluator: &mut dyn Evaluator,
        observer: &mut dyn FnMut(&StudyEvent),
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        for track in 0..self.tracks.len() {
            loop {
                if stop.load(Ordering::Relaxed) {
                    return Ok(Outcome::Stopped);
                }
                let Some(next) = self.ask(track)? else { break };
                match self.evaluate(next, evaluator, observer, stop) {
                    Err(Error::Interrupted(_)) if stop.load(Ordering::Relaxed) => {
                        return Ok(Outcome::Stopped);
                    }
                    ended => ended?,
                }
            }
            let track = &self.tracks[track];
            let trials = track.trials().len() as u64;
            if trials < self.asked_of(track) {
                observer(&StudyEvent::Exhausted { strategy: track.name().to_owned(), trials });
            }
        }
        Ok(Outcome::Finished)
    }

    /// The next trial of a track: the one that was cut off, or else a new one, which is written before it is
    /// evaluated. `None` if the track is done.
    fn ask(&mut self, index: usize) -> Result<Option<Next>> {
        let track = &self.tracks[index];
        if let Some(number) = track.running() {
            return Ok(Some(Next { track: index, number, resumed: true }));
        }
        if track.trials().len() as u64 >= self.asked_of(track) {
            return Ok(None);
        }
        let id = self.journal.next_trial();
        let Some(trial) = self.tracks[index].ask(id, &self.terms) else { return Ok(None) };
        self.journal.create(self.optuna_studies[index], &trial, &self.terms.space)?;
        let number = trial.number as usize;
        self.tracks[index].add(trial);
        Ok(Some(Next { track: index, number, resumed: false }))
    }

    /// Evaluates a trial and writes how it ended.
    fn evaluate(
        &mut self,
        next: Next,
        evaluator: &mut dyn Evaluator,
        observer: &mut dyn FnMut(&StudyEvent),
        stop: &AtomicBool,
    ) -> Result<()> {
        let job = self.job(next);
        let began = Instant::now();
        self.tracks[next.track].begin(next.number);
        observer(&StudyEvent::Started { place: self.place(next, None) });
        let mut on_event = |event| match event {
            Event::Ready(facts) => self.note_trainer(facts, observer),
            Event::Epoch(epoch) => {
                self.note_epoch(next, &epoch)?;
                let clock = Clock { elapsed: began.elapsed().as_secs_f64(), left: epoch.seconds_left };
                observer(&StudyEvent::Epoch { place: self.place(next, Some(clock)), epoch });
                Ok(())
            }
            // How the job ended is the evaluator's answer.
            Event::Done { .. } | Event::Failed { .. } => Ok(()),
        };
        let answer = match evaluator.evaluate(&job, &mut on_event, stop) {
            Ok(evaluation) => Ok(evaluation),
            Err(Failure::Trial(reason)) => Err(reason),
            Err(Failure::Study(error)) => return Err(error),
        };
        self.tell(next, answer, observer)
    }

    fn job(&self, next: Next) -> Job {
        let trial = &self.tracks[next.track].trials()[next.number];
        Job {
            trial: trial.id,
            architecture: trial.architecture.clone(),
            space: self.config.space.clone(),
            recipe: self.config.recipe.clone(),
            seed: trial.seed,
            data: self.config.data.as_ref().map(|data| data.folder.clone()).unwrap_or_default(),
            output: trial_folder(&self.folder, trial.id),
        }
    }

    fn note_trainer(&mut self, facts: TrainerFacts, observer: &mut dyn FnMut(&StudyEvent)) -> Result<()> {
        for track in &self.tracks {
            let attribute = Attributes::from_iter([("trainer".to_owned(), json!(facts))]);
            self.journal.study(&optuna_name(&self.config, track.name()), attribute)?;
        }
        observer(&StudyEvent::Trainer(facts));
        Ok(())
    }

    fn note_epoch(&mut self, next: Next, epoch: &Epoch) -> Result<()> {
        if is_accuracy(epoch.accuracy) {
            let id = self.tracks[next.track].trials()[next.number].id;
            self.journal.report(id, epoch.epoch, epoch.accuracy)?;
            self.tracks[next.track].report(next.number, epoch.accuracy);
        }
        Ok(())
    }

    /// Judges the evaluator's answer, writes how the trial ended and passes it on.
    fn tell(
        &mut self,
        next: Next,
        answer: Result<Evaluation, String>,
        observer: &mut dyn FnMut(&StudyEvent),
    ) -> Result<()> {
        let trial = self.tracks[next.track].tell(next.number, answer, &self.terms);
        self.journal.finish(&trial)?;
        self.tracks[next.track].end(trial.clone());
        let place = self.place(next, None);
        observer(&match trial.state {
            TrialState::Complete => StudyEvent::Finished { place, trial },
            _ => StudyEvent::Failed { place, trial },
        });
        Ok(())
    }
}
