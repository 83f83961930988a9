//! Live views on stderr: a line that moves on a terminal and is not there elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mfactor::numbers::duration;
use mfactor::protocol::{Epoch, TrainerFacts};
use mfactor::text::visible;
use mfactor::{Objective, SearchSpace, Trial};
use search::{Place, StudyConfig, StudyEvent};

use crate::goal::{self, Goal, number};
use crate::output::Output;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(200);

/// stderr, if somebody looks at it and wants to see more than results.
fn target(output: &Output) -> ProgressDrawTarget {
    let live = std::io::stderr().is_terminal() && !output.is_quiet();
    if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

/// The look of a line. `wide_msg` cuts the message rather than wrapping it: a wrapped line would scroll with every
/// change.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template").progress_chars("━╸─")
}

/// One line that moves.
pub struct Line {
    bar: ProgressBar,
}

impl Line {
    /// A line that is silent where the user wants silence, or nobody looks.
    pub fn new(output: &Output) -> Self {
        let bar = ProgressBar::with_draw_target(None, target(output));
        bar.set_style(style("{spinner} {wide_msg}"));
        bar.enable_steady_tick(TICK);
        Self { bar }
    }

    /// Shows what is being done.
    pub fn show(&self, text: &str) {
        self.bar.set_message(visible(text).into_owned());
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Draws the events of a study: a line that moves for the study and for each trial that runs, and a lasting line
/// for each that ended.
pub struct SearchProgress<'a> {
    output: &'a Output,
    space: SearchSpace,
    objective: Objective,
    goal: Box<dyn Goal>,
    lines: MultiProgress,
    study: ProgressBar,
    /// Of all strategies, what [`Place::best`] is of one.
    best: Option<f64>,
    running: BTreeMap<u64, ProgressBar>,
    workers: u64,
    /// What was said of trainers already: those of all workers say the same, and again after each restart.
    trainer: Option<TrainerFacts>,
}

impl<'a> SearchProgress<'a> {
    /// A view of a search of this configuration.
    pub fn new(output: &'a Output, config: &StudyConfig) -> mfactor::Result<Self> {
        let lines = MultiProgress::with_draw_target(target(output));
        let study = lines.add(ProgressBar::new(0));
        study.set_style(style("{bar:16} {pos} of {len} trials{wide_msg}"));
        Ok(Self {
            output,
            space: config.space.clone(),
            objective: config.objective()?,
            goal: goal::of(config)?,
            lines,
            study,
            best: None,
            running: BTreeMap::new(),
            workers: config.workers,
            trainer: None,
        })
    }

    /// Shows one event.
    pub fn show(&mut self, event: &StudyEvent) {
        match event {
            StudyEvent::Trainer(facts) => self.trainer(facts),
            StudyEvent::Started { place } => self.running(place, if place.resumed { ", again" } else { "" }),
            StudyEvent::Epoch { place, epoch } => self.running(place, &self.of_epoch(place, epoch)),
            StudyEvent::Finished { place, trial } => {
                self.best = self.best.into_iter().chain(place.best).reduce(f64::max);
                self.ended(place, &self.finished(place, trial));
            }
            StudyEvent::Pruned { place, trial } => self.ended(place, &pruned(place, trial)),
            StudyEvent::Skipped { place, trial } => {
                let reason = trial.failure.as_deref().unwrap_or("it costs too much");
                self.ended(place, &format!("{} skipped: it {reason}", now(place)));
            }
            StudyEvent::Warning { place, text } => self.say(&format!("{}: {text}", now(place))),
            StudyEvent::Failed { place, trial } => {
                let reason = trial.failure.as_deref().unwrap_or("no reason was given");
                self.ended(place, &format!("{} failed: {reason}", now(place)));
            }
            StudyEvent::Exhausted { strategy, trials, skipped: 0 } => {
                self.say(&format!("{strategy}: after {trials} trials the space has nothing new"));
            }
            StudyEvent::Exhausted { strategy, trials, skipped } => {
                let text = format!(
                    "{strategy}: of {trials} proposals {skipped} were skipped, and nothing new that could win was found"
                );
                self.say(&text);
            }
        }
    }

    fn trainer(&mut self, facts: &TrainerFacts) {
        if self.trainer.as_ref() == Some(facts) {
            return;
        }
        let workers =
            if self.workers == 1 { String::new() } else { format!("{} workers, each ", self.workers) };
        let threads = if facts.threads == 1 { "1 thread" } else { &format!("{} threads", facts.threads) };
        let TrainerFacts { device, precision, libtorch, .. } = facts;
        self.say(&format!(
            "Training on {device} in {precision}, {workers}with {threads} (libtorch {libtorch})"
        ));
        self.trainer = Some(facts.clone());
    }

    /// Removes the moving lines.
    pub fn finish(&self) {
        self.running.values().for_each(ProgressBar::finish_and_clear);
        self.study.finish_and_clear();
    }

    /// Shows what a trial is at.
    fn running(&mut self, place: &Place, text: &str) {
        let new = || {
            let line = self.lines.insert_before(&self.study, ProgressBar::no_length());
            line.set_style(style("{spinner} {wide_msg}"));
            line.enable_steady_tick(TICK);
            line
        };
        let line = self.running.entry(place.id).or_insert_with(new);
        line.set_message(visible(&format!("{}{text}", now(place))).into_owned());
        self.total(place);
    }

    fn ended(&mut self, place: &Place, text: &str) {
        if let Some(line) = self.running.remove(&place.id) {
            line.finish_and_clear();
            self.lines.remove(&line);
        }
        self.total(place);
        self.say(text);
    }

    /// How far the study is.
    fn total(&self, place: &Place) {
        self.study.set_length(place.planned);
        self.study.set_position(place.finished);
        let best =
            self.best.or(place.best).map_or(String::new(), |best| format!(", {}", self.goal.best(best)));
        let left = place.seconds_left.map_or(String::new(), |left| format!(", {} left", duration(left)));
        self.study.set_message(format!("{best}{left}"));
    }

    /// What is reached so far, beside the best of the strategy, and the speed.
    fn of_epoch(&self, place: &Place, epoch: &Epoch) -> String {
        let size_score =
            self.objective.exact_size_score(&self.objective.cost(&self.space, &place.architecture));
        let reached = self.goal.so_far(epoch.accuracy, size_score, place.best);
        let (epochs, speed) = (epoch.epochs, epoch.images_per_second);
        format!("  epoch {}/{epochs}  {reached}  {speed:.0} images/s", epoch.epoch)
    }

    fn finished(&self, place: &Place, trial: &Trial) -> String {
        let reused = if trial.reused { "  reused" } else { "" };
        // Where nothing moves, in a log say, this is the only place to say it.
        let left = place.seconds_left.filter(|_| self.study.is_hidden());
        let left = left.map_or(String::new(), |seconds| format!("  {} left", duration(seconds)));
        let reached = self.goal.reached(trial, place.best);
        format!("{}  A {}  {reached}{reused}{left}", now(place), number(trial.accuracy))
    }

    /// Says something above the moving lines.
    fn say(&self, text: &str) {
        self.lines.suspend(|| self.output.say(text));
    }
}

fn now(place: &Place) -> String {
    format!("{:<9} {:>3}/{} {}", place.strategy, place.number + 1, place.total, place.architecture)
}

fn pruned(place: &Place, trial: &Trial) -> String {
    let accuracy = trial.epoch_accuracies.last().copied().unwrap_or_default();
    format!("{}  A {accuracy:.4}  pruned after epoch {}", now(place), trial.epoch_accuracies.len())
}
