//! `mfactor trials`: what a study tried, best first.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mfactor::numbers::percent;
use mfactor::trial::{pareto_front, ranked};
use mfactor::{AccuracyKind, Error, Trial, TrialState};

use crate::output::{Output, table, thousands, wrapped};
use crate::studies;
use crate::trial_table;

/// List the trials of a study, best first; it may still be running
#[derive(Args)]
#[command(after_help = "\
Examples:
  mfactor trials runs/first --top 10
  mfactor trials runs/first --pareto
  mfactor trials runs/first --all --format csv > trials.csv

Where the journal is damaged the trials that are whole are shown all the same, and the exit code is 3.")]
pub struct Trials {
    /// Folder of the study
    dir: PathBuf,
    /// Only trials that no other beats in accuracy and parameters at once
    #[arg(long)]
    pareto: bool,
    /// Only the best K
    #[arg(long, value_name = "K")]
    top: Option<usize>,
    /// Only trials of this strategy
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    /// Rank by the M-factor with this weight instead of the study's
    #[arg(long, allow_negative_numbers = true)]
    alpha: Option<f64>,
    /// Those too that are not complete: they stand at the end
    #[arg(long, conflicts_with_all = ["pareto", "top"])]
    all: bool,
    /// How to write them; csv and jsonl have every column
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// The formats.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people
    Text,
    /// Comma-separated values, RFC 4180
    Csv,
    /// A JSON object a line
    Jsonl,
    /// The table for people in Markdown
    Markdown,
}

impl Trials {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let record = studies::read(&self.dir, output)?;
        let alpha = self.alpha.unwrap_or(record.config.alpha);
        let objective = record.config.objective()?.at_alpha(alpha)?;
        let accuracy = objective.accuracy();
        let (mut trials, damage) = (record.trials, record.damage);
        trials.iter_mut().for_each(|trial| trial.score(&objective));
        trials.retain(|trial| self.strategy.as_ref().is_none_or(|name| *name == trial.proposer.name()));
        let shown = self.shown(&trials);
        let written = match self.format {
            _ if output.is_json() && self.format != Format::Text => {
                return Err(Error::Usage("--json and --format exclude each other".to_owned()).into());
            }
            Format::Text => output.result(&shown, || {
                text(&shown, &trials, alpha, accuracy) + &self.best_by_class(&shown, output)
            }),
            Format::Markdown => {
                output.result(&shown, || trial_table::markdown(headers(accuracy), rows(&shown)))
            }
            Format::Csv => output.bytes(&trial_table::csv(&shown)?),
            Format::Jsonl => output.bytes(&trial_table::json_lines(&shown)?),
        };
        written?;
        whole(&damage)
    }

    fn shown<'a>(&self, trials: &'a [Trial]) -> Vec<&'a Trial> {
        let mut shown = if self.pareto { pareto_front(trials) } else { ranked(trials) };
        shown.truncate(self.top.unwrap_or(usize::MAX));
        if self.all {
            shown.extend(trials.iter().filter(|trial| trial.m_factor.is_none()));
        }
        shown
    }

    /// The first of those that are shown class by class, if its training said that.
    fn best_by_class(&self, shown: &[&Trial], output: &Output) -> String {
        let of = shown
            .first()
            .and_then(|trial| studies::by_class(&self.dir, trial.architecture.clone(), trial.id, output));
        of.map_or_else(String::new, |of| wrapped("", &of.words(), 0))
    }
}

/// What is shown of a damaged journal is not all: whoever goes on with it should know.
fn whole(damage: &[String]) -> anyhow::Result<()> {
    let Some(first) = damage.first() else { return Ok(()) };
    let more = if damage.len() == 1 { String::new() } else { format!(" (and {} more)", damage.len() - 1) };
    let problem =
        format!("{first}{more}; the other trials are shown. To mend it, restore the journal from a copy");
    Err(Error::input("the journal is damaged", problem).into())
}

fn headers(accuracy: AccuracyKind) -> [&'static str; 8] {
    let accuracy = if accuracy.is_plain() { ">accuracy" } else { ">balanced accuracy" };
    [">id", "strategy", "architecture", ">M", accuracy, ">parameters", ">MMACs", ">seconds"]
}

fn rows(shown: &[&Trial]) -> Vec<[String; 8]> {
    let optional =
        |value: Option<f64>, digits| value.map_or(String::new(), |value| format!("{value:.digits$}"));
    let row = |trial: &&Trial| {
        [
            trial.id.to_string(),
            trial.proposer.to_string(),
            trial.architecture.to_string(),
            optional(trial.m_factor, 4),
            trial.accuracy.map_or_else(|| trial.state.name().to_owned(), percent),
            thousands(trial.cost.parameters),
            format!("{:.1}", trial.cost.macs as f64 / 1e6),
            optional(trial.seconds, 1),
        ]
    };
    shown.iter().map(row).collect()
}

fn text(shown: &[&Trial], trials: &[Trial], alpha: f64, accuracy: AccuracyKind) -> String {
    let count = |state| trials.iter().filter(|trial| trial.state == state).count();
    format!(
        "{}\nα = {alpha}; {} complete, {} pruned, {} failed, {}{} running; MMACs: millions of MACs\n",
        table(&headers(accuracy), rows(shown)),
        count(TrialState::Complete),
        count(TrialState::Pruned),
        count(TrialState::Failed),
        Some(count(TrialState::Skipped))
            .filter(|n| *n > 0)
            .map_or(String::new(), |n| format!("{n} skipped, ")),
        count(TrialState::Running),
    )
}
