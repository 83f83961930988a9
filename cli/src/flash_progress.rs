//! The live view of a flash: a line a board.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mfactor::text::visible;
use targets::FlashEvent;

use crate::output::{Output, thousands};

/// One moving line a board on a terminal; elsewhere a lasting line for each step.
pub struct FlashProgress<'a> {
    output: &'a Output,
    lines: MultiProgress,
    bars: Vec<ProgressBar>,
    names: Vec<String>,
    is_live: bool,
}

impl<'a> FlashProgress<'a> {
    /// A view of boards of these names.
    pub fn new(output: &'a Output, names: &[&str]) -> Self {
        let is_live = std::io::stderr().is_terminal() && !output.is_quiet();
        let target = if is_live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let lines = MultiProgress::with_draw_target(target);
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let bars = names.iter().map(|name| {
            let bar = lines.add(ProgressBar::new(0));
            bar.set_prefix(format!("{name:<width$}"));
            bar.set_style(steps());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let bars = bars.collect();
        Self { output, lines, bars, names: names.iter().map(ToString::to_string).collect(), is_live }
    }

    /// Shows one event of the board at this place.
    pub fn show(&mut self, place: usize, event: &FlashEvent) {
        let bar = &self.bars[place];
        match event {
            FlashEvent::Sent { name, done, of } => {
                if bar.position() == 0 {
                    // The rate is of the upload, not of the time before it.
                    bar.reset();
                }
                bar.set_style(bytes());
                bar.set_length(*of);
                bar.set_position(*done);
                bar.set_message(visible(name).into_owned());
            }
            FlashEvent::Measuring { model, step } => self.step(place, format!("{model}: {step}"), false),
            FlashEvent::Measured(measurement) => {
                let text = format!("{}: p50 {:.3} ms", measurement.model.file, measurement.latency.p50_ms);
                self.step(place, text, true);
            }
            FlashEvent::Recovered(words) => {
                self.lines.suspend(|| self.output.say(format!("{}: {words}", self.names[place])));
            }
            FlashEvent::Planned { held, lacking } => {
                let (held, lacking) = (thousands(*held), thousands(*lacking));
                self.step(place, format!("{lacking} bytes to send, {held} are there"), true);
            }
            FlashEvent::Connecting => self.step(place, "connecting".to_owned(), false),
            FlashEvent::Probed(probe) => {
                let model = probe.model.clone().unwrap_or_else(|| probe.machine.clone());
                self.step(place, format!("connected to {model}"), true);
            }
            FlashEvent::Verifying => self.step(place, "verifying on the board".to_owned(), true),
            FlashEvent::Checking => self.step(place, "checking the models' answers".to_owned(), true),
            FlashEvent::Failed(error) => {
                let reason = error.lines().next().unwrap_or_default();
                self.step(place, format!("FAILED {reason}"), false);
            }
            FlashEvent::Activated => self.step(place, "active".to_owned(), true),
        }
    }

    /// A step: on the moving line; where there is none, said if it `lasts`.
    fn step(&self, place: usize, text: String, lasts: bool) {
        if !self.is_live {
            if lasts {
                self.output.say(format!("{}: {text}", self.names[place]));
            }
            return;
        }
        self.bars[place].set_style(steps());
        // Boards say parts of it.
        self.bars[place].set_message(visible(&text).into_owned());
    }

    /// Removes the moving lines.
    pub fn finish(&self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn steps() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix}  {wide_msg}").expect("a valid template")
}

fn bytes() -> ProgressStyle {
    let template =
        "{spinner} {prefix}  [{bar:20}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left  {wide_msg}";
    ProgressStyle::with_template(template).expect("a valid template").progress_chars("=> ")
}
