//! The pairs of models that M orders wrongly, worst first, and why.

use mfactor::cost::parameters;
use mfactor::layers::Operation;
use mfactor::numbers;
use mfactor::{AccuracyKind, Architecture, Layer, SearchSpace};
use serde::{Deserialize, Serialize};

use crate::measured::{Measured, noise};
use crate::models::MeasuredModel;

/// Most pairs that are listed of one quantity.
const LISTED: usize = 10;

/// How M orders the pairs of models in one measured quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairCount {
    /// What was measured.
    pub quantity: Measured,
    /// Pairs that differ in M and in what was measured.
    pub pairs: usize,
    /// Pairs that M orders wrongly.
    pub inverted: usize,
    /// Those whose measured values differ by no more than chance may give.
    pub within_noise: usize,
    /// The worst pairs, those beyond noise only.
    pub worst: Vec<Inversion>,
}

/// A pair that M orders wrongly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inversion {
    /// The architecture that M puts higher.
    pub preferred: Architecture,
    /// The one that measured better.
    pub better: Architecture,
    /// Their M.
    pub m_factors: [f64; 2],
    /// What was measured of both.
    pub values: [f64; 2],
    /// By how much the preferred one is worse: a difference of accuracies, or a fraction of the better value.
    pub loss: f64,
    /// Why M puts it higher.
    pub cause: Cause,
    /// Preferred minus better, stage by stage.
    pub stages: Vec<StageDifference>,
    /// Parameters of both.
    #[serde(default)]
    pub parameters: [u64; 2],
    /// Multiply-accumulates of both.
    #[serde(default)]
    pub macs: [u64; 2],
    /// Validation accuracies of both.
    #[serde(default)]
    pub validation_accuracies: [f64; 2],
}

/// Why M puts the worse model of a pair higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It has fewer parameters and does more multiply-accumulates; M sees parameters only.
    MacsAgainstParameters,
    /// It has more parameters, and M prefers it for its validation accuracy.
    AccuracyOutweighs,
    /// It is less accurate on validation too, and M prefers it for its size.
    SizeOutweighs,
    /// Validation and test accuracy order the two differently.
    ValidationAgainstTest,
    /// Neither parameters nor multiply-accumulates speak for the better one.
    NotExplained,
}

/// What one stage costs in the preferred model more than in the better one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StageDifference {
    /// Stage, from 1.
    pub stage: usize,
    /// Multiply-accumulates of one weight of its convolutions: how often an image uses it.
    pub macs_per_parameter: f64,
    /// Difference in convolution parameters.
    pub parameters: i64,
    /// Difference in multiply-accumulates.
    pub macs: i64,
}

/// Counts and lists the pairs of every measured quantity; `models` are on one bench.
pub(crate) fn all(models: &[MeasuredModel], space: &SearchSpace) -> Vec<PairCount> {
    let measured = |quantity: &Measured| models.iter().any(|row| quantity.of(&row.figures).is_some());
    Measured::ALL.into_iter().filter(measured).map(|quantity| count(quantity, models, space)).collect()
}

fn count(quantity: Measured, models: &[MeasuredModel], space: &SearchSpace) -> PairCount {
    let mut found = PairCount { quantity, pairs: 0, inverted: 0, within_noise: 0, worst: Vec::new() };
    let mut inverted: Vec<(f64, &MeasuredModel, &MeasuredModel)> = Vec::new();
    for (position, first) in models.iter().enumerate() {
        for second in &models[..position] {
            let (high, low) =
                if first.model.m_factor > second.model.m_factor { (first, second) } else { (second, first) };
            let values = (quantity.goodness(&high.figures), quantity.goodness(&low.figures));
            let (Some(of_high), Some(of_low)) = values else { continue };
            if high.model.m_factor == low.model.m_factor || of_high == of_low {
                continue;
            }
            found.pairs += 1;
            if of_high > of_low {
                continue;
            }
            found.inverted += 1;
            if of_low - of_high <= noise(quantity, high, low) {
                found.within_noise += 1;
            } else {
                inverted.push((loss(quantity, of_high, of_low), high, low));
            }
        }
    }
    inverted.sort_by(|a, b| b.0.total_cmp(&a.0));
    inverted.truncate(LISTED);
    let describe = |(loss, high, low)| describe(quantity, loss, high, low, space);
    found.worst = inverted.into_iter().map(describe).collect();
    found
}

fn loss(quantity: Measured, of_high: f64, of_low: f64) -> f64 {
    let difference = of_low - of_high;
    if quantity == Measured::TestAccuracy { difference } else { difference / of_low.abs() }
}

fn describe(
    quantity: Measured,
    loss: f64,
    preferred: &MeasuredModel,
    better: &MeasuredModel,
    space: &SearchSpace,
) -> Inversion {
    let both = [preferred, better];
    let stages = stage_differences(space, both.map(|row| &row.model.architecture));
    let cause = cause(quantity, preferred, better);
    Inversion {
        preferred: preferred.model.architecture.clone(),
        better: better.model.architecture.clone(),
        m_factors: both.map(|row| row.model.m_factor),
        values: both.map(|row| quantity.of(&row.figures).expect("both have the measurement")),
        loss,
        cause,
        stages,
        parameters: both.map(|row| row.model.parameters),
        macs: both.map(|row| row.model.macs),
        validation_accuracies: both.map(|row| row.model.validation_accuracy),
    }
}

fn cause(quantity: Measured, preferred: &MeasuredModel, better: &MeasuredModel) -> Cause {
    let (p, b) = (&preferred.model, &better.model);
    if quantity == Measured::TestAccuracy {
        return if p.validation_accuracy < b.validation_accuracy {
            Cause::SizeOutweighs
        } else {
            Cause::ValidationAgainstTest
        };
    }
    if p.parameters > b.parameters {
        Cause::AccuracyOutweighs
    } else if p.macs > b.macs {
        Cause::MacsAgainstParameters
    } else {
        Cause::NotExplained
    }
}

impl Inversion {
    /// The cause in words, where `kind` is the A of M.
    pub fn why(&self, kind: AccuracyKind) -> String {
        let [preferred, better] = self.parameters;
        let parameters = numbers::thousands(preferred.abs_diff(better));
        let [of_preferred, of_better] = self.validation_accuracies;
        let accuracy = numbers::points_apart(of_preferred - of_better);
        let more_macs = self.macs[0].saturating_sub(self.macs[1]);
        let kind = kind.label();
        match self.cause {
            Cause::MacsAgainstParameters => {
                let saved = match preferred == better {
                    true => "as many parameters".to_owned(),
                    false => format!("{parameters} fewer parameters"),
                };
                let macs = numbers::millions(more_macs);
                format!("{saved} but {macs} more MACs{}", where_it_stands(&self.stages))
            }
            Cause::AccuracyOutweighs => {
                let unseen = match more_macs {
                    0 => String::new(),
                    macs => format!("; M does not see {} more MACs", numbers::millions(macs)),
                };
                format!("{accuracy} of validation {kind} outweigh {parameters} more parameters{unseen}")
            }
            Cause::SizeOutweighs => {
                format!("{parameters} fewer parameters outweigh {accuracy} of validation {kind}")
            }
            Cause::ValidationAgainstTest => {
                format!("validation put it {accuracy} ahead; the test records do not")
            }
            Cause::NotExplained => {
                "no more parameters and no more MACs: not explained by counting".to_owned()
            }
        }
    }
}

/// Names the stage where most of the additional work is done, and the one where most parameters are saved.
fn where_it_stands(stages: &[StageDifference]) -> String {
    let more = stages.iter().max_by_key(|stage| stage.macs).filter(|stage| stage.macs > 0);
    let saved = stages.iter().min_by_key(|stage| stage.parameters).filter(|stage| stage.parameters < 0);
    let name = |stage: &StageDifference| {
        format!("stage {} ({:.0} MACs a parameter)", stage.stage, stage.macs_per_parameter)
    };
    match (more, saved) {
        (Some(more), Some(saved)) => {
            format!(": larger kernels in {}, smaller in {}", name(more), name(saved))
        }
        (Some(more), None) => format!(": larger kernels in {}", name(more)),
        _ => String::new(),
    }
}

/// What the convolutions of one stage cost.
struct StageCost {
    parameters: u64,
    macs: u64,
}

fn stage_costs(space: &SearchSpace, architecture: &Architecture) -> Vec<StageCost> {
    let layers = space.lower(architecture);
    let of_stage = |number: usize| {
        let prefix = format!("stage{number}.");
        let convolutions: Vec<&Layer> = layers
            .iter()
            .filter(|layer| layer.name.starts_with(&prefix))
            .filter(|layer| matches!(layer.operation, Operation::Convolution { .. }))
            .collect();
        StageCost {
            parameters: convolutions.iter().map(|layer| parameters(layer)).sum(),
            macs: convolutions.iter().map(|layer| layer.macs()).sum(),
        }
    };
    (1..=space.stages().len()).map(of_stage).collect()
}

fn stage_differences(space: &SearchSpace, both: [&Architecture; 2]) -> Vec<StageDifference> {
    let [preferred, better] = both.map(|architecture| stage_costs(space, architecture));
    let mut differences = Vec::new();
    for (stage, (p, b)) in (1..).zip(preferred.iter().zip(&better)) {
        differences.push(StageDifference {
            stage,
            macs_per_parameter: p.macs as f64 / p.parameters as f64,
            parameters: p.parameters as i64 - b.parameters as i64,
            macs: p.macs as i64 - b.macs as i64,
        });
    }
    differences
}
