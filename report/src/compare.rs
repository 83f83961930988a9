//! The comparison: everything that is known about a study, as one value of numbers. What it says in sentences are
//! functions of it: [`words`](crate::words).

use mfactor::front::Front;
use mfactor::objective::Term;
use mfactor::trial::{pareto_front, ranked};
use mfactor::{AccuracyKind, Error, Limits, Measurement, Objective, Result, SearchSpace, Trial};
use serde::{Deserialize, Serialize};

use crate::agreement::{self, Agreement, TopOverlap};
use crate::baselines::{Baselines, baselines};
use crate::bench::{Filed, Setup, short_names};
use crate::by_class::ByClass;
use crate::by_parameters::{ByParameters, by_parameters};
use crate::doubts::{self, Doubt};
use crate::front::{FrontSummary, front_summary};
use crate::inversions::{self, PairCount};
use crate::measured::Measured;
use crate::models::{self, Bench, LeftOut, MeasuredModel, Model};
use crate::pick::{self, CostFront};
use crate::prediction::{self, Told};
use crate::recommendation::{self, Recommendation};
use crate::seeds::{self, Repeat, Seeds};
use crate::side_by_side::{SideBySide, side_by_side};
use crate::strategies::{self, StrategySummary, Yardstick};

/// Version of the form of [`Comparison`].
pub const SCHEMA: u32 = 1;

/// Steps of the sweep over α: 0.1 to 10 in equal steps of its logarithm.
const SWEEP_STEPS: u32 = 20;

/// What is compared: plain data of one study.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Name of the study.
    pub study: &'a str,
    /// M: the study's, or at another α to look at it by.
    pub objective: &'a Objective,
    /// The front that the study sought; `None` where it sought the largest M.
    pub front: Option<&'a Front>,
    /// Images of the validation split, if they are known.
    pub validation_images: Option<u64>,
    /// The search space.
    pub space: &'a SearchSpace,
    /// Trials of all strategies; that of the smallest architecture has strategy
    /// [`BASELINE`](crate::strategies::BASELINE).
    pub trials: &'a [Trial],
    /// What boards measured, in any order.
    pub measurements: &'a [Filed],
    /// Records that could not be read, and why, a phrase each.
    pub unreadable: &'a [String],
    /// Studies that differ from this one in their seed only.
    pub repeats: &'a [Repeat],
    /// Seed of the study, and of the resampling.
    pub seed: u64,
}

/// Everything that is known about a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Version of this form.
    pub schema: u32,
    /// Version of the tool.
    pub tool_version: String,
    /// Name of the study.
    pub study: String,
    /// Name of the search space.
    pub space: String,
    /// α.
    pub alpha: f64,
    /// P_min.
    pub minimum_parameters: u64,
    /// Which accuracy the A of M is.
    #[serde(default, skip_serializing_if = "AccuracyKind::is_plain")]
    pub accuracy: AccuracyKind,
    /// The costs that S' is over, with their references.
    pub costs: Vec<Term>,
    /// Seed of the study, and of the resampling.
    pub seed: u64,
    /// Number of trials.
    pub trials: usize,
    /// Number of complete trials.
    pub complete: usize,
    /// Which model to ship: one a bench, or one alone where nothing was measured.
    pub recommendations: Vec<Recommendation>,
    /// The two baselines.
    pub baselines: Baselines,
    /// What was measured, bench by bench.
    pub benches: Vec<BenchComparison>,
    /// The benches side by side; `None` of fewer than two.
    pub side_by_side: Option<SideBySide>,
    /// The values of α that the sweep looks at.
    pub alphas: Vec<f64>,
    /// The best trial at each of them.
    pub best_by_alpha: Vec<Model>,
    /// The strategies, the best first.
    pub strategies: Vec<StrategySummary>,
    /// What luck is worth; `None` without a complete trial.
    pub yardstick: Option<Yardstick>,
    /// Studies of other seeds beside this one.
    #[serde(default)]
    pub repeats: usize,
    /// The strategies over several seeds; `None` where one study is all there is.
    pub seeds: Option<Seeds>,
    /// Ids of the trials that no other dominates in accuracy and parameters, by rising parameters.
    pub front: Vec<u64>,
    /// What a search by parameters would have chosen; `None` where M is over what is exact alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_parameters: Option<ByParameters>,
    /// The front that was sought; `None` where the largest M was.
    #[serde(default)]
    pub sought_front: Option<FrontSummary>,
    /// Accuracy against each cost that is known: what is picked for each budget.
    #[serde(default)]
    pub cost_fronts: Vec<CostFront>,
    /// The networks of [`winners`](crate::by_class::winners) class by class, as far as their trainings say; whoever has read
    /// that adds it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_class: Vec<ByClass>,
    /// Measurements that are shown and stay out of every statistic.
    pub left_out: Vec<LeftOut>,
    /// What is doubtful about what was read.
    #[serde(default)]
    pub doubts: Vec<Doubt>,
}

/// What was measured on one bench: one board, engine, number of threads and precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchComparison {
    /// Place, board, engine, threads and precision, for a heading.
    pub bench: String,
    /// A short name, for a column.
    pub short: String,
    /// What `bench` says, part by part.
    pub setup: Setup,
    /// What a model must keep to there in order to be shipped.
    pub limits: Limits,
    /// The models, best M first.
    pub models: Vec<MeasuredModel>,
    /// Agreement of every ranking with every quantity.
    pub agreement: Vec<Agreement>,
    /// Overlap of the best by M with the best measured.
    pub top: Vec<TopOverlap>,
    /// Kendall's tau-b of M with each quantity over the sweep of α.
    pub sweep: Vec<Sweep>,
    /// The pairs that M orders wrongly.
    pub pairs: Vec<PairCount>,
    /// What the study's cost tables had told of the models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
}

impl Comparison {
    /// What M was computed by.
    ///
    /// # Errors
    /// As [`Objective::new`], where the comparison was read from a file and is none that this program wrote.
    pub fn objective(&self) -> Result<Objective> {
        Ok(Objective::new(self.alpha, self.costs.clone())?.with_accuracy(self.accuracy))
    }
}

/// Kendall's tau-b of M with one quantity at every α of [`Comparison::alphas`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// What was measured.
    pub quantity: Measured,
    /// tau-b; `None` where it is not defined.
    pub kendall: Vec<Option<f64>>,
}

/// Compares. Fails if α, the limits, a trial or a measurement does not fit the space.
pub fn compare(input: &Input<'_>) -> Result<Comparison> {
    check(input)?;
    let objective = input.objective;
    let trials = at_alpha(input.trials, objective);
    let models: Vec<Model> =
        ranked(&trials).into_iter().filter_map(|trial| Model::of_trial(trial, objective)).collect();
    let baselines = baselines(&trials, input.space, objective);
    let (benches, left_out) = models::sort(input.measurements, objective);
    let alphas: Vec<f64> = (0..=SWEEP_STEPS)
        .map(|step| 10f64.powf(2.0 * f64::from(step) / f64::from(SWEEP_STEPS) - 1.0))
        .collect();
    let objectives: Vec<Objective> =
        alphas.iter().map(|alpha| objective.at_alpha(*alpha)).collect::<Result<_>>()?;
    let short = short_names(&benches.iter().map(|bench| &bench.setup).collect::<Vec<_>>());
    let benches: Vec<BenchComparison> = benches
        .iter()
        .zip(short)
        .map(|(bench, short)| compare_bench(bench, short, input, objective, &objectives))
        .collect();
    let papers = Objective::paper(objective.alpha(), input.space.minimum_parameters())?;
    let strategies = strategies::summarise(&trials, objective);
    let yardstick = yardstick(input, objective, &models, &strategies);
    Ok(Comparison {
        schema: SCHEMA,
        tool_version: mfactor::version(),
        study: input.study.to_owned(),
        space: input.space.name().to_owned(),
        alpha: objective.alpha(),
        minimum_parameters: input.space.minimum_parameters(),
        accuracy: objective.accuracy(),
        costs: objective.terms().to_vec(),
        seed: input.seed,
        trials: trials.len(),
        complete: models.len(),
        recommendations: recommendations(&benches, &models, &baselines),
        baselines,
        side_by_side: side_by_side(&benches),
        cost_fronts: pick::cost_fronts(&trials, &benches, input.validation_images),
        benches,
        alphas,
        best_by_alpha: objectives.iter().filter_map(|objective| best_at(&models, objective)).collect(),
        repeats: input.repeats.len(),
        strategies,
        seeds: over_seeds(input, objective),
        yardstick,
        front: pareto_front(&trials).into_iter().map(|trial| trial.id).collect(),
        by_parameters: by_parameters(&trials, &at_alpha(&trials, &papers), objective),
        sought_front: input.front.map(|front| front_summary(&trials, front)),
        by_class: Vec::new(),
        left_out,
        doubts: doubts::doubts(input),
    })
}

fn check(input: &Input<'_>) -> Result<()> {
    let fraction = |value: f64| (0.0..=1.0).contains(&value);
    for trial in input.trials {
        input.space.check(&trial.architecture)?;
        if let Some(accuracy) = trial.accuracy.filter(|accuracy| !fraction(*accuracy)) {
            let subject = format!("trial {}", trial.id);
            return Err(Error::input(subject, format!("accuracy is {accuracy}; it must be from 0 to 1")));
        }
    }
    for filed in input.measurements {
        filed.limits.check(&filed.place)?;
        check_measurement(&filed.measurement, input.space)?;
    }
    Ok(())
}

/// Refuses a measurement that has no place in a comparison of networks of this space.
///
/// # Errors
/// [`Error::Input`] naming the model.
pub fn check_measurement(measurement: &Measurement, space: &SearchSpace) -> Result<()> {
    let metadata = &measurement.model.metadata;
    space.check(&metadata.architecture)?;
    metadata.space.check(&metadata.architecture)?;
    let fraction = |value: f64| (0.0..=1.0).contains(&value);
    let latency = &measurement.latency;
    let times = [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.mad_ms];
    let sound = fraction(metadata.validation_accuracy)
        && measurement.accuracy.is_none_or(|measured| fraction(measured.accuracy) && measured.images > 0)
        && times.iter().all(|time| time.is_finite() && *time >= 0.0)
        && measurement.model.parameters > 0;
    if sound {
        return Ok(());
    }
    let problem = "has an accuracy outside 0 to 1, no parameters, or a time that is none";
    Err(Error::input(format!("measurement of {}", measurement.model.file), problem))
}

/// The trials with M at the α of the comparison.
fn at_alpha(trials: &[Trial], objective: &Objective) -> Vec<Trial> {
    let mut trials = trials.to_vec();
    trials.iter_mut().for_each(|trial| trial.score(objective));
    trials
}

fn compare_bench(
    bench: &Bench<'_>,
    short: String,
    input: &Input<'_>,
    objective: &Objective,
    objectives: &[Objective],
) -> BenchComparison {
    let row = |filed: &&Filed| MeasuredModel::new(filed, objective);
    let models: Vec<MeasuredModel> = bench.measurements.iter().map(row).collect();
    let measured = |quantity: &Measured| models.iter().any(|row| quantity.of(&row.figures).is_some());
    let sweep = |quantity| Sweep { quantity, kendall: agreement::sweep(&models, objectives, quantity) };
    BenchComparison {
        bench: bench.setup.label(),
        short,
        setup: bench.setup.clone(),
        limits: bench.measurements.first().map(|filed| filed.limits).unwrap_or_default(),
        agreement: agreement::all(&models, objective, input.seed),
        top: agreement::top(&models, objective),
        sweep: Measured::ALL.into_iter().filter(measured).map(sweep).collect(),
        pairs: inversions::all(&models, input.space),
        told: prediction::told(&models, &bench.setup, objective, input.space),
        models,
    }
}

fn recommendations(
    benches: &[BenchComparison],
    models: &[Model],
    baselines: &Baselines,
) -> Vec<Recommendation> {
    if benches.is_empty() {
        return vec![recommendation::of_study(models.to_vec(), baselines)];
    }
    let on_bench = |bench: &BenchComparison| {
        recommendation::on_bench(&bench.bench, &bench.setup, &bench.models, baselines)
    };
    let mut recommendations: Vec<Recommendation> = benches.iter().map(on_bench).collect();
    recommendation::compare_setups(&mut recommendations);
    recommendations
}

fn over_seeds(input: &Input<'_>, objective: &Objective) -> Option<Seeds> {
    let own = std::iter::once((input.seed, input.trials));
    let repeats = input.repeats.iter().map(|repeat| (repeat.seed, repeat.trials.as_slice()));
    seeds::seeds(&own.chain(repeats).collect::<Vec<_>>(), objective, input.seed)
}

/// The earlier trial where two are equal, as everywhere.
fn best_at(models: &[Model], objective: &Objective) -> Option<Model> {
    let scored = models.iter().map(|model| Model {
        m_factor: objective.m_factor(model.validation_accuracy, model.size_score),
        ..model.clone()
    });
    scored.max_by(|a, b| a.m_factor.total_cmp(&b.m_factor).then(b.trial.cmp(&a.trial)))
}

fn yardstick(
    input: &Input<'_>,
    objective: &Objective,
    models: &[Model],
    strategies: &[StrategySummary],
) -> Option<Yardstick> {
    let accuracies: Vec<f64> = models.iter().map(|model| model.validation_accuracy).collect();
    let draws = strategies.iter().map(|summary| summary.complete).max().filter(|draws| *draws > 0)?;
    let accuracy = strategies::mean(&accuracies)?;
    Some(strategies::yardstick(input.space, objective, draws, accuracy, input.seed))
}
