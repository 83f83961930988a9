//! A study in a few lines: the best of each strategy, and the two baselines that it has to be held against.

use mfactor::trial::best;
use mfactor::{Trial, TrialState};
use search::study::{BASELINE, GIVEN};
use search::{Baselines, StudyRecord};
use serde::Serialize;

use crate::output::{table, thousands};

/// The outcome of a study.
#[derive(Serialize)]
pub struct Summary {
    strategies: Vec<StrategySummary>,
    baselines: Baselines,
}

/// The outcome of one strategy.
#[derive(Serialize)]
struct StrategySummary {
    strategy: String,
    trials: usize,
    failed: usize,
    skipped: usize,
    best: Option<Trial>,
}

impl Summary {
    /// Summarises a study.
    pub fn of(record: &StudyRecord) -> Self {
        let config = &record.config;
        let given = (!config.architectures.is_empty()).then_some(GIVEN);
        let names = given.into_iter().chain(config.strategies.iter().map(|kind| kind.name()));
        let strategies = names.map(|name| {
            let trials = record.of(name);
            StrategySummary {
                strategy: name.to_owned(),
                trials: trials.iter().filter(|trial| trial.is_finished()).count(),
                failed: count(&trials, TrialState::Failed),
                skipped: count(&trials, TrialState::Skipped),
                best: best(trials).cloned(),
            }
        });
        Self { strategies: strategies.collect(), baselines: record.baselines() }
    }
}

fn count(trials: &[&Trial], state: TrialState) -> usize {
    trials.iter().filter(|trial| trial.state == state).count()
}

/// The summary as a table.
pub fn text(summary: &Summary, record: &StudyRecord) -> String {
    let row = |name: &str, count: String, trial: Option<&Trial>| {
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
        [
            name.to_owned(),
            count,
            trial.map_or("-".to_owned(), |trial| trial.architecture.to_string()),
            number(trial.and_then(|trial| trial.m_factor)),
            number(trial.and_then(|trial| trial.accuracy)),
            trial.map_or("-".to_owned(), |trial| thousands(trial.cost.parameters)),
        ]
    };
    let mut rows: Vec<[String; 6]> = summary
        .strategies
        .iter()
        .map(|strategy| {
            let counts = [(strategy.failed, "failed"), (strategy.skipped, "skipped")];
            let counts = counts.into_iter().filter(|(count, _)| *count > 0);
            let phrases: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
            let of_these =
                if phrases.is_empty() { String::new() } else { format!(" ({})", phrases.join(", ")) };
            row(&strategy.strategy, format!("{}{of_these}", strategy.trials), strategy.best.as_ref())
        })
        .collect();
    if let Some(smallest) = &summary.baselines.smallest {
        rows.push(row(&format!("{BASELINE}: smallest"), "1".to_owned(), Some(smallest)));
    }
    if let Some(random) = &summary.baselines.random {
        rows.push([
            format!("{BASELINE}: average of random"),
            random.trials.to_string(),
            "-".to_owned(),
            format!("{:.4}", random.mean_m_factor),
            format!("{:.4}", random.mean_accuracy),
            "-".to_owned(),
        ]);
    }
    let headers = ["strategy", ">trials", "best architecture", ">M", ">accuracy", ">parameters"];
    format!("{}\n\n{}", terms(record), table(&headers, rows))
}

/// What was sought. The paper's objective needs no words beside its α.
fn terms(record: &StudyRecord) -> String {
    let alpha = record.config.alpha;
    match record.config.objective() {
        Ok(objective) if !record.config.objective.cost.is_empty() => {
            format!("α = {alpha}, S' = {}", objective.words())
        }
        _ => format!("α = {alpha}"),
    }
}
