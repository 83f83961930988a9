//! `mfactor trials`: what a study tried, best first.

use std::path::PathBuf;

use clap::Args;
use mfactor::trial::{pareto_front, ranked};
use mfactor::{Objective, Trial, TrialState};
use search::Study;

use crate::output::{Output, table, thousands};

/// List the trials of a study, best first; it may still be running
#[derive(Args)]
#[command(
    after_help = "Examples:\n  mfactor trials runs/first --top 10\n  mfactor trials runs/first --pareto"
)]
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
}

impl Trials {
    pub fn run(self, output: &Output) -> anyhow::Result<()> {
        let record = Study::read(&self.dir)?;
        let alpha = self.alpha.unwrap_or(record.config.alpha);
        let objective = Objective::new(alpha, record.config.space.minimum_parameters())?;
        let mut trials = record.trials;
        for trial in &mut trials {
            trial.m_factor = trial.accuracy.map(|a| objective.m_factor(a, trial.cost.parameters));
        }
        trials.retain(|trial| self.strategy.as_ref().is_none_or(|name| *name == trial.strategy));
        let mut shown = if self.pareto { pareto_front(&trials) } else { ranked(&trials) };
        shown.truncate(self.top.unwrap_or(usize::MAX));
        output.result(&shown, || text(&shown, &trials, alpha))
    }
}

fn text(shown: &[&Trial], trials: &[Trial], alpha: f64) -> String {
    let headers = [">id", "strategy", "architecture", ">M", ">accuracy", ">parameters", ">MACs", ">seconds"];
    let optional =
        |value: Option<f64>, digits| value.map_or(String::new(), |value| format!("{value:.digits$}"));
    let rows = shown.iter().map(|trial| {
        [
            trial.id.to_string(),
            trial.strategy.clone(),
            trial.architecture.to_string(),
            optional(trial.m_factor, 4),
            optional(trial.accuracy, 4),
            thousands(trial.cost.parameters),
            thousands(trial.cost.macs),
            optional(trial.seconds, 1),
        ]
    });
    let count = |state| trials.iter().filter(|trial| trial.state == state).count();
    format!(
        "{}\nα = {alpha}; {} complete, {} failed, {} running\n",
        table(&headers, rows),
        count(TrialState::Complete),
        count(TrialState::Failed),
        count(TrialState::Running),
    )
}
