//! Live views on stderr: a line that moves on a terminal and is not there elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mfactor::Trial;
use search::{Place, StudyEvent};

use crate::output::{Output, duration};

/// One line that moves.
pub struct Line {
    bar: ProgressBar,
}

impl Line {
    /// A line that is silent where the user wants silence, or nobody looks.
    pub fn new(output: &Output) -> Self {
        let live = std::io::stderr().is_terminal() && !output.is_quiet();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        // Cut rather than wrapped: a wrapped line would scroll with every change.
        bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}").expect("a valid template"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// Shows what is being done.
    pub fn show(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Says something above the line.
    fn say(&self, output: &Output, text: &str) {
        self.bar.suspend(|| output.say(text));
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Draws the events of a study: the trial that runs on the moving line, a lasting line for each that ended.
pub struct SearchProgress<'a> {
    output: &'a Output,
    line: Line,
}

impl<'a> SearchProgress<'a> {
    /// A view of a search.
    pub fn new(output: &'a Output) -> Self {
        Self { output, line: Line::new(output) }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &StudyEvent) {
        match event {
            StudyEvent::Trainer(facts) => self.say(&format!(
                "Training on {} in {} with {} threads (libtorch {})",
                facts.device, facts.precision, facts.threads, facts.libtorch
            )),
            StudyEvent::Started { place } => {
                self.line.show(&format!("{}{}", now(place), if place.resumed { ", again" } else { "" }));
            }
            StudyEvent::Epoch { place, epoch } => self.line.show(&format!(
                "{}, epoch {}/{}, A {:.3}, {:.0} images/s, {} left",
                now(place),
                epoch.epoch,
                epoch.epochs,
                epoch.accuracy,
                epoch.images_per_second,
                duration(place.seconds_left.unwrap_or(epoch.seconds_left)),
            )),
            StudyEvent::Finished { place, trial } => self.say(&finished(place, trial)),
            StudyEvent::Pruned { place, trial } => self.say(&pruned(place, trial)),
            StudyEvent::Warning { place, text } => self.say(&format!("{}: {text}", now(place))),
            StudyEvent::Failed { place, trial } => {
                let reason = trial.failure.as_deref().unwrap_or("no reason was given");
                self.say(&format!("{} failed: {reason}", now(place)));
            }
            StudyEvent::Exhausted { strategy, trials } => {
                self.say(&format!("{strategy}: after {trials} trials the space has nothing new"));
            }
        }
    }

    /// Removes the moving line.
    pub fn finish(&self) {
        self.line.finish();
    }

    fn say(&self, text: &str) {
        self.line.say(self.output, text);
    }
}

fn now(place: &Place) -> String {
    format!("{:<9} {:>3}/{} {}", place.strategy, place.number + 1, place.total, place.architecture)
}

fn pruned(place: &Place, trial: &Trial) -> String {
    let accuracy = trial.epoch_accuracies.last().copied().unwrap_or_default();
    format!("{}  A {accuracy:.4}  pruned after epoch {}", now(place), trial.epoch_accuracies.len())
}

fn finished(place: &Place, trial: &Trial) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let reused = if trial.reused { "  reused" } else { "" };
    let left = place.seconds_left.map_or(String::new(), |seconds| format!("  {} left", duration(seconds)));
    format!(
        "{}  A {}  M {}  best {}{reused}{left}",
        now(place),
        number(trial.accuracy),
        number(trial.m_factor),
        number(place.best)
    )
}
