//! A study in a few lines: the best of each strategy, and the two baselines that it has to be held against.

use mfactor::numbers::percent;
use mfactor::trial::best;
use mfactor::{Result, Trial, TrialState};
use report::front::{FrontSummary, front_summary};
use report::trust::Trust;
use search::strategies::StrategyKind;
use search::study::{BASELINE, GIVEN};
use search::{Baselines, StudyRecord};
use serde::Serialize;

use crate::output::{table, thousands, wrapped};
use crate::studies::trust;

/// The outcome of a study.
#[derive(Serialize)]
pub struct Summary {
    strategies: Vec<StrategySummary>,
    baselines: Baselines,
    /// Where a front was sought.
    #[serde(skip_serializing_if = "Option::is_none")]
    front: Option<FrontSummary>,
    /// How far the regression of `guided` can be trusted, where that strategy ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<Trust>,
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
    ///
    /// # Errors
    /// As [`search::StudyConfig::front`].
    pub fn of(record: &StudyRecord) -> Result<Self> {
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
        let front = config.front()?.map(|front| front_summary(&record.trials, &front));
        let is_guided = config.strategies.contains(&StrategyKind::Guided);
        let outlook = if is_guided { record.outlook(0)? } else { None };
        let trust = outlook.as_ref().and_then(trust);
        Ok(Self { strategies: strategies.collect(), baselines: record.baselines(), front, trust })
    }
}

impl StrategySummary {
    /// Number of its trials, and what of them came to nothing.
    fn counts(&self) -> String {
        let counts = [(self.failed, "failed"), (self.skipped, "skipped")];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let phrases: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
        let of_these = if phrases.is_empty() { String::new() } else { format!(" ({})", phrases.join(", ")) };
        format!("{}{of_these}", self.trials)
    }
}

fn count(trials: &[&Trial], state: TrialState) -> usize {
    trials.iter().filter(|trial| trial.state == state).count()
}

/// The summary as a table; where a front was sought, one of what each strategy has of it.
pub fn text(summary: &Summary, record: &StudyRecord) -> String {
    let text = match &summary.front {
        Some(front) => front_text(front, summary, record),
        None => best_text(summary, record),
    };
    let trust = summary.trust.map(|trust| format!("\n{}", wrapped("", &trust.words(), 0)));
    text + &trust.unwrap_or_default()
}

fn front_text(front: &FrontSummary, summary: &Summary, record: &StudyRecord) -> String {
    let rows = front.strategies.iter().map(|of| {
        let own = summary.strategies.iter().find(|strategy| strategy.strategy == of.strategy);
        let most = record.of(&of.strategy).iter().filter_map(|trial| trial.accuracy).reduce(f64::max);
        [
            of.strategy.clone(),
            own.map_or_else(String::new, StrategySummary::counts),
            percent(of.covered),
            of.on_front.to_string(),
            most.map_or("-".to_owned(), percent),
        ]
    });
    let headers = ["strategy", ">trials", ">covered", ">on the front", ">most accurate"];
    let words = front.words(record.config.objective.accuracy).map(|words| wrapped("", &words, 0)).join("\n");
    format!("{words}\n\n{}", table(&headers, rows))
}

fn best_text(summary: &Summary, record: &StudyRecord) -> String {
    let row = |name: &str, count: String, trial: Option<&Trial>| {
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
        [
            name.to_owned(),
            count,
            trial.map_or("-".to_owned(), |trial| trial.architecture.to_string()),
            number(trial.and_then(|trial| trial.m_factor)),
            trial.and_then(|trial| trial.accuracy).map_or("-".to_owned(), percent),
            trial.map_or("-".to_owned(), |trial| thousands(trial.cost.parameters)),
        ]
    };
    let mut rows: Vec<[String; 6]> = summary
        .strategies
        .iter()
        .map(|strategy| row(&strategy.strategy, strategy.counts(), strategy.best.as_ref()))
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
            percent(random.mean_accuracy),
            "-".to_owned(),
        ]);
    }
    let accuracy = format!(">{}", record.config.objective.accuracy.label());
    let headers = ["strategy", ">trials", "best architecture", ">M", &accuracy, ">parameters"];
    format!("{}\n\n{}", terms(record), table(&headers, rows))
}

/// What was sought. The paper's objective needs no words beside its α.
fn terms(record: &StudyRecord) -> String {
    let alpha = record.config.alpha;
    match record.config.objective() {
        Ok(objective) if !objective.is_papers(record.config.space.minimum_parameters()) => {
            format!("α = {alpha}, S' = {}", objective.words())
        }
        _ => format!("α = {alpha}"),
    }
}
