//! Boards, engines and precisions side by side: the same models, a column a bench.

use mfactor::Architecture;
use mfactor::numbers::{counted, points};
use mfactor::statistics::quantile;
use serde::{Deserialize, Serialize};

use crate::bench::Setup;
use crate::compare::BenchComparison;
use crate::measured::latency_noise;
use crate::models::{Figures, MeasuredModel};
use crate::rank::Statistic;

/// Two or more benches side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SideBySide {
    /// A short name for each bench, in their order.
    pub columns: Vec<String>,
    /// The models, best M first.
    pub rows: Vec<Row>,
    /// Benches that differ in one thing.
    pub contrasts: Vec<Contrast>,
}

/// One model on all benches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its architecture.
    pub architecture: Architecture,
    /// Its trial.
    pub trial: u64,
    /// Its M; the best one where its precisions differ in accuracy.
    pub m_factor: f64,
    /// What each bench measured of it.
    pub figures: Vec<Option<Figures>>,
    /// Its rank by median latency among the models of each bench: 1 of the quickest.
    #[serde(default)]
    pub latency_ranks: Vec<Option<usize>>,
}

impl Row {
    /// What a bench measured, and the rank by latency there.
    pub fn on(&self, bench: usize) -> Option<(&Figures, usize)> {
        Some((self.figures.get(bench)?.as_ref()?, (*self.latency_ranks.get(bench)?)?))
    }
}

/// Two benches that differ in one thing, over the models that both measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// The short names of both.
    pub between: [String; 2],
    /// In what they differ.
    pub differ_in: Difference,
    /// Models that both measured.
    pub n: usize,
    /// Median over the models: latency (p50) on the second over that on the first.
    pub latency_ratio: f64,
    /// Whether most models differ in latency by more than its noise.
    #[serde(default)]
    pub latency_is_told: bool,
    /// Median over the models: size of the second's file over that of the first's.
    pub bytes_ratio: f64,
    /// Median over the models: test accuracy on the second minus that on the first.
    pub accuracy_difference: Option<f64>,
    /// Kendall's tau-b of both latencies: whether both put the models in one order.
    pub latency_agreement: Option<f64>,
}

/// In what two benches differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The board.
    Board,
    /// The engine.
    Engine,
    /// The number of threads.
    Threads,
    /// The type of the weights.
    Precision,
}

/// The benches side by side; `None` of fewer than two.
pub(crate) fn side_by_side(benches: &[BenchComparison]) -> Option<SideBySide> {
    if benches.len() < 2 {
        return None;
    }
    let columns: Vec<String> = benches.iter().map(|bench| bench.short.clone()).collect();
    Some(SideBySide { rows: rows(benches), contrasts: contrasts(benches), columns })
}

fn rows(benches: &[BenchComparison]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (column, bench) in benches.iter().enumerate() {
        for measured in &bench.models {
            let model = &measured.model;
            let own = rows
                .iter()
                .position(|row| row.trial == model.trial && row.architecture == model.architecture);
            let own = own.unwrap_or_else(|| {
                let architecture = model.architecture.clone();
                let (figures, latency_ranks) = (vec![None; benches.len()], vec![None; benches.len()]);
                rows.push(Row {
                    architecture,
                    trial: model.trial,
                    m_factor: model.m_factor,
                    figures,
                    latency_ranks,
                });
                rows.len() - 1
            });
            rows[own].m_factor = rows[own].m_factor.max(model.m_factor);
            rows[own].figures[column] = Some(measured.figures.clone());
            let latency = |model: &MeasuredModel| model.figures.latency_p50_ms;
            let quicker = bench.models.iter().filter(|other| latency(other) < latency(measured));
            rows[own].latency_ranks[column] = Some(1 + quicker.count());
        }
    }
    rows.sort_by(|a, b| b.m_factor.total_cmp(&a.m_factor).then(a.trial.cmp(&b.trial)));
    rows
}

/// Every two benches of one board that differ in one thing, and every other board against the first one with
/// the same engine, threads and precision.
fn contrasts(benches: &[BenchComparison]) -> Vec<Contrast> {
    let mut contrasts = Vec::new();
    for (position, second) in benches.iter().enumerate() {
        let mut boards = 0;
        for first in &benches[..position] {
            let Some(differ_in) = difference(&first.setup, &second.setup) else { continue };
            boards += usize::from(differ_in == Difference::Board);
            if differ_in == Difference::Board && boards > 1 {
                continue;
            }
            let turned = first.setup.precision > second.setup.precision
                || first.setup.threads > second.setup.threads
                || first.setup.engine < second.setup.engine;
            let (first, second) = if turned { (second, first) } else { (first, second) };
            contrasts.extend(contrast(first, second, differ_in));
        }
    }
    contrasts
}

/// In what two setups differ, if it is one thing.
fn difference(a: &Setup, b: &Setup) -> Option<Difference> {
    let engines = (&a.engine, &a.engine_version) != (&b.engine, &b.engine_version);
    let differences = [
        ((&a.place, &a.board) != (&b.place, &b.board), Difference::Board),
        (engines, Difference::Engine),
        (a.threads != b.threads, Difference::Threads),
        (a.precision != b.precision, Difference::Precision),
    ];
    let mut found = differences.into_iter().filter(|(differ, _)| *differ).map(|(_, difference)| difference);
    found.next().filter(|_| found.next().is_none())
}

fn contrast(first: &BenchComparison, second: &BenchComparison, differ_in: Difference) -> Option<Contrast> {
    let partner = |row: &MeasuredModel| {
        let same = |other: &&MeasuredModel| {
            (other.model.trial, &other.model.architecture) == (row.model.trial, &row.model.architecture)
        };
        second.models.iter().find(same).map(|other| (row.figures.clone(), other.figures.clone()))
    };
    let both: Vec<(Figures, Figures)> = first.models.iter().filter_map(partner).collect();
    let over = |value: &dyn Fn(&(Figures, Figures)) -> Option<f64>| {
        let mut values: Vec<f64> = both.iter().filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        quantile(&values, 0.5)
    };
    let latencies: (Vec<f64>, Vec<f64>) =
        both.iter().map(|(a, b)| (a.latency_p50_ms, b.latency_p50_ms)).unzip();
    let told =
        |(a, b): &&(Figures, Figures)| (a.latency_p50_ms - b.latency_p50_ms).abs() > latency_noise(a, b);
    Some(Contrast {
        between: [first.short.clone(), second.short.clone()],
        differ_in,
        n: both.len(),
        latency_ratio: over(&|(a, b)| Some(b.latency_p50_ms / a.latency_p50_ms))?,
        latency_is_told: 2 * both.iter().filter(told).count() > both.len(),
        bytes_ratio: over(&|(a, b)| Some(b.file_bytes as f64 / a.file_bytes as f64))?,
        accuracy_difference: over(&|(a, b)| Some(b.test_accuracy? - a.test_accuracy?)),
        latency_agreement: Statistic::KendallTauB.of(&latencies.0, &latencies.1),
    })
}

impl Contrast {
    /// All of it in a sentence.
    pub fn words(&self) -> String {
        let [first, second] = &self.between;
        let ratio = self.latency_ratio;
        let mut text = if self.latency_is_told {
            format!("{second} takes {ratio:.2} times the time of {first}")
        } else {
            format!("{second} takes the time of {first}, as far as noise tells")
        };
        if self.differ_in == Difference::Precision {
            text += &format!(", its files have {:.2} times the size", self.bytes_ratio);
            if let Some(difference) = self.accuracy_difference {
                text += &format!(", its test accuracy differs by {}", points(difference));
            }
        }
        if let Some(tau) = self.latency_agreement.filter(|_| self.differ_in == Difference::Board) {
            text += &format!("; the order of their latencies agrees with τ-b {tau:+.2}");
        }
        let models = if self.n == 1 {
            "1 model".to_owned()
        } else {
            format!("median of {}", counted(self.n, "model"))
        };
        text += &format!(" ({models})");
        if self.differ_in == Difference::Precision {
            text += match (self.bytes_ratio < 1.0, ratio < 1.0 && self.latency_is_told) {
                (true, true) => ": smaller and faster",
                (true, false) => ": smaller, not faster",
                (false, true) => ": faster, not smaller",
                (false, false) => ": neither smaller nor faster",
            };
        }
        text + "."
    }
}
