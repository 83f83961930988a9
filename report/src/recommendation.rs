//! Which model to ship, and by how much it wins.

use mfactor::Architecture;
use mfactor::numbers::{counted, milliseconds, percent, points};
use serde::{Deserialize, Serialize};

use crate::baselines::Baselines;
use crate::bench::Setup;
use crate::measured::{accuracy_margin, latency_noise};
use crate::models::{Figures, MeasuredModel, Model};

/// The model to ship on one bench, or of the whole study where nothing was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The bench; `None` if the study's trials were all there was to go by.
    pub bench: Option<String>,
    /// What the bench's name says, part by part.
    pub setup: Option<Setup>,
    /// The model; `None` if none keeps the limits.
    pub model: Option<Candidate>,
    /// Against the next best model.
    pub over_runner_up: Option<Margin>,
    /// Against the smallest architecture, if it is another one and was trained.
    pub over_smallest: Option<Margin>,
    /// M above the average of random trials.
    pub over_random: Option<f64>,
    /// Models with a larger M that break a limit.
    pub refused: Vec<Refused>,
    /// How the bench stands among those of the same board; `None` where it is the only one.
    pub on_this_board: Option<Standing>,
}

/// One of several setups of a board: which engine, precision and number of threads serve the model best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Setups of the board with a model to ship.
    pub setups: usize,
    /// The one whose model answers soonest (p90).
    pub soonest: Setup,
    /// Latency (p90) of that model, milliseconds.
    pub latency_p90_ms: f64,
    /// Setups whose latency noise does not tell from that one's, itself among them.
    #[serde(default)]
    pub not_told_apart: usize,
    /// Whether this setup is one of those.
    #[serde(default)]
    pub is_among_them: bool,
}

/// A model that could be shipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// What the search knew.
    #[serde(flatten)]
    pub model: Model,
    /// What was measured on the bench, if it was.
    pub measured: Option<Figures>,
}

/// By how much the recommended model wins over another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    /// The other.
    pub architecture: Architecture,
    /// Difference of M.
    pub m_factor: f64,
    /// Difference of test accuracies, where both were measured.
    pub test_accuracy: Option<f64>,
    /// Half of the 95 % interval of that difference.
    pub test_accuracy_margin: Option<f64>,
    /// Median latency divided by the other's, where both were measured.
    pub latency_ratio: Option<f64>,
    /// Whether the latencies differ by more than their noise.
    #[serde(default)]
    pub latency_is_told: bool,
}

/// A model that may not be shipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// Its architecture.
    pub architecture: Architecture,
    /// Its M.
    pub m_factor: f64,
    /// The limits it breaks, a phrase each.
    pub violations: Vec<String>,
}

/// The recommendation for one bench; `models` by falling M.
pub(crate) fn on_bench(
    label: &str,
    setup: &Setup,
    models: &[MeasuredModel],
    baselines: &Baselines,
) -> Recommendation {
    let candidate =
        |row: &MeasuredModel| Candidate { model: row.model.clone(), measured: Some(row.figures.clone()) };
    let all: Vec<Candidate> = models.iter().map(candidate).collect();
    Recommendation { setup: Some(setup.clone()), ..recommend(Some(label.to_owned()), &all, baselines) }
}

/// The recommendation from trials alone; `models` by falling M.
pub(crate) fn of_study(models: Vec<Model>, baselines: &Baselines) -> Recommendation {
    let candidate = |model| Candidate { model, measured: None };
    let all: Vec<Candidate> = models.into_iter().map(candidate).collect();
    recommend(None, &all, baselines)
}

fn recommend(bench: Option<String>, all: &[Candidate], baselines: &Baselines) -> Recommendation {
    let violations = |candidate: &Candidate| {
        candidate.measured.as_ref().map(|figures| figures.violations.clone()).unwrap_or_default()
    };
    let mut kept = all.iter().filter(|candidate| violations(candidate).is_empty());
    let model = kept.next();
    let runner_up =
        kept.find(|other| model.is_some_and(|m| m.model.architecture != other.model.architecture));
    let smallest = smallest(all, baselines);
    let refused = all
        .iter()
        .filter(|candidate| !violations(candidate).is_empty())
        .filter(|candidate| model.is_none_or(|model| candidate.model.m_factor > model.model.m_factor))
        .map(|candidate| Refused {
            architecture: candidate.model.architecture.clone(),
            m_factor: candidate.model.m_factor,
            violations: violations(candidate),
        })
        .collect();
    let random = baselines.random.as_ref();
    Recommendation {
        bench,
        setup: None,
        on_this_board: None,
        over_runner_up: model.zip(runner_up).map(|(model, other)| margin(model, other)),
        over_smallest: model
            .zip(smallest.as_ref())
            .filter(|(model, other)| model.model.architecture != other.model.architecture)
            .map(|(model, other)| margin(model, other)),
        over_random: model.zip(random).map(|(model, random)| model.model.m_factor - random.m_factor),
        model: model.cloned(),
        refused,
    }
}

/// Says of each recommendation how it stands among those of the same board.
pub(crate) fn compare_setups(recommendations: &mut [Recommendation]) {
    let measured = |recommendation: &Recommendation| {
        let figures = recommendation.model.as_ref()?.measured.clone()?;
        Some((recommendation.setup.clone()?, figures))
    };
    let all: Vec<(Setup, Figures)> = recommendations.iter().filter_map(measured).collect();
    for recommendation in recommendations {
        let Some(setup) = recommendation.setup.clone().filter(|_| recommendation.model.is_some()) else {
            continue;
        };
        let is_here =
            |(other, _): &&(Setup, Figures)| (&other.place, &other.board) == (&setup.place, &setup.board);
        let here: Vec<&(Setup, Figures)> = all.iter().filter(is_here).collect();
        let soonest = here.iter().min_by(|(_, a), (_, b)| a.latency_p90_ms.total_cmp(&b.latency_p90_ms));
        let Some((soonest, first)) = soonest.filter(|_| here.len() > 1) else { continue };
        let is_tied = |figures: &Figures| {
            figures.latency_p90_ms - first.latency_p90_ms <= latency_noise(figures, first)
        };
        let tied: Vec<&Setup> =
            here.iter().filter(|(_, figures)| is_tied(figures)).map(|(setup, _)| setup).collect();
        let standing = Standing {
            setups: here.len(),
            soonest: soonest.clone(),
            latency_p90_ms: first.latency_p90_ms,
            not_told_apart: tied.len(),
            is_among_them: tied.contains(&&setup),
        };
        recommendation.on_this_board = Some(standing);
    }
}

fn among_setups(own: Option<&Setup>, standing: &Standing) -> String {
    let soonest = &standing.soonest;
    let of = format!("Of the {} setups measured on this board", standing.setups);
    if standing.is_among_them && standing.not_told_apart > 1 {
        let tied = standing.not_told_apart;
        return format!("{of} {tied} answer soonest, this one among them: noise does not tell them apart.");
    }
    if own == Some(soonest) {
        return format!("{of} this one answers soonest.");
    }
    format!(
        "{of} another one answers sooner: {} {} with {} and {} weights, {} at the 90th percentile.",
        soonest.engine,
        soonest.engine_version,
        counted(soonest.threads, "thread"),
        soonest.precision,
        milliseconds(standing.latency_p90_ms)
    )
}

/// The smallest architecture as measured on the bench, else as trained.
fn smallest(all: &[Candidate], baselines: &Baselines) -> Option<Candidate> {
    let architecture = &baselines.smallest.architecture;
    let measured = all.iter().find(|candidate| candidate.model.architecture == *architecture);
    let trained = baselines.smallest.trained.as_ref();
    measured.cloned().or_else(|| trained.map(|model| Candidate { model: model.clone(), measured: None }))
}

fn margin(model: &Candidate, other: &Candidate) -> Margin {
    let figures = model.measured.as_ref().zip(other.measured.as_ref());
    Margin {
        architecture: other.model.architecture.clone(),
        m_factor: model.model.m_factor - other.model.m_factor,
        test_accuracy: figures.and_then(|(a, b)| Some(a.test_accuracy? - b.test_accuracy?)),
        test_accuracy_margin: figures.and_then(|(a, b)| accuracy_margin(a, b)),
        latency_ratio: figures.map(|(a, b)| a.latency_p50_ms / b.latency_p50_ms),
        latency_is_told: figures
            .is_some_and(|(a, b)| (a.latency_p50_ms - b.latency_p50_ms).abs() > latency_noise(a, b)),
    }
}

impl Recommendation {
    /// All of this in sentences.
    pub fn words(&self, baselines: &Baselines) -> Vec<String> {
        let Some(candidate) = &self.model else { return vec![self.nothing()] };
        let mut words = vec![ship(candidate)];
        words.extend(self.on_this_board.as_ref().map(|of| among_setups(self.setup.as_ref(), of)));
        words.extend(self.over_runner_up.as_ref().map(|margin| over("the runner-up", margin)));
        words.extend(against_smallest(candidate, self, baselines));
        words.push(against_random(self, baselines));
        if let Some(first) = self.refused.first() {
            words.push(format!(
                "{} with a larger M break a limit; the best of them is {}: {}.",
                counted(self.refused.len(), "model"),
                first.architecture,
                first.violations.join("; ")
            ));
        }
        words
    }

    /// Why there is no model to ship.
    fn nothing(&self) -> String {
        match self.refused.first() {
            None => "No model is complete yet: there is nothing to ship.".to_owned(),
            Some(first) => format!(
                "No measured model keeps the limits. The best by M, {}, does not: {}.",
                first.architecture,
                first.violations.join("; ")
            ),
        }
    }
}

fn ship(candidate: &Candidate) -> String {
    let model = &candidate.model;
    let kind = if model.accuracy.is_plain() { String::new() } else { format!("{} ", model.accuracy.label()) };
    let accuracy = format!("{} {kind}on validation", percent(model.validation_accuracy));
    let measured = match &candidate.measured {
        None => format!("{accuracy}; nothing was measured on a board yet"),
        Some(figures) => {
            let accuracy = match figures.test_accuracy {
                Some(test) => format!("{} on test records", percent(test)),
                None => accuracy,
            };
            format!("{accuracy}, {} median latency", milliseconds(figures.latency_p50_ms))
        }
    };
    format!(
        "Ship {} (trial {}, {}): M {:.4}, {measured}.",
        model.architecture, model.trial, model.strategy, model.m_factor
    )
}

fn over(whom: &str, margin: &Margin) -> String {
    let mut text = format!("Against {whom}, {}, it has {:+.4} in M", margin.architecture, margin.m_factor);
    if let Some((difference, interval)) = margin.test_accuracy.zip(margin.test_accuracy_margin) {
        let sure =
            if difference.abs() <= interval { "chance can give that" } else { "more than chance gives" };
        text += &format!(", {} of test accuracy (± {:.2}: {sure})", points(difference), 100.0 * interval);
    }
    text += &match margin.latency_ratio {
        Some(ratio) if margin.latency_is_told => format!(", {ratio:.2} times the latency"),
        Some(_) => ", a latency that noise does not tell from the other's".to_owned(),
        None => String::new(),
    };
    text + "."
}

fn against_smallest(
    candidate: &Candidate,
    recommendation: &Recommendation,
    baselines: &Baselines,
) -> Option<String> {
    let smallest = &baselines.smallest;
    if candidate.model.architecture == smallest.architecture {
        return Some(
            "It is the smallest architecture of the space: the search found nothing that M prefers to it."
                .to_owned(),
        );
    }
    if let Some(margin) = &recommendation.over_smallest {
        return Some(over("the smallest architecture", margin));
    }
    let ties = smallest.ties_at_accuracy?;
    Some(format!(
        "The smallest architecture, {} (S' = 1), was not trained; it would have the best M found with {} of {}.",
        smallest.architecture,
        percent(ties),
        candidate.model.accuracy.label()
    ))
}

fn against_random(recommendation: &Recommendation, baselines: &Baselines) -> String {
    match baselines.random.as_ref().zip(recommendation.over_random) {
        None => "The study has no random trials to stand beside it.".to_owned(),
        Some((random, difference)) => format!(
            "Against the average of {} it has {difference:+.4} in M ({:.4}).",
            counted(random.trials, "random trial"),
            random.m_factor
        ),
    }
}
