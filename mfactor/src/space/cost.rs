//! What an architecture costs: parameters, multiply-accumulates, bytes of weights and of activations. Exact, by counting its
//! layers; and beside them what a table tells that it will cost on a board.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::layers::Layer;
use crate::quantity::{Quantity, Values};
use crate::space::SearchSpace;

/// Cost of one architecture, known before any training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// P: trainable parameters, before any folding. Running statistics do not count.
    pub parameters: u64,
    /// Multiply-accumulates of convolutions and linear layers for one image.
    pub macs: u64,
    /// Bytes of the weights in an exported f32 model, where batch norm is folded into a bias for each
    /// output channel. The file itself is a few kilobytes larger.
    pub model_bytes: u64,
    /// Most bytes of f32 activations that are alive at once when layers are computed in the order of the list and batch
    /// norm, activations and sums overwrite what they read. What an engine needs beside, for packing or unfolding, is
    /// not in it.
    pub peak_activations: u64,
    /// What it will cost on a board, as a [`crate::cost_model::CostModel`] tells.
    #[serde(default, skip_serializing_if = "BoardCosts::is_nothing")]
    pub predicted: BoardCosts,
    /// What a board said that it costs, which counts in place of what was told.
    #[serde(default, skip_serializing_if = "BoardCosts::is_nothing")]
    pub measured: BoardCosts,
}

/// What a network costs on a board; `None` where nothing tells.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardCosts {
    /// Median latency, milliseconds; where it was measured, the upper end of its interval, so that what keeps to a budget does
    /// so for sure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p50: Option<f64>,
    /// 90th percentile of latency, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p90: Option<f64>,
    /// Peak resident memory, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<f64>,
    /// Energy of one inference, millijoules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<f64>,
}

impl BoardCosts {
    /// Whether nothing is told.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The same, with one more quantity; one that is exact, or accuracy, is nothing to be told.
    #[must_use]
    pub fn with(mut self, quantity: Quantity, value: f64) -> Self {
        match quantity {
            Quantity::LatencyP50 => self.latency_p50 = Some(value),
            Quantity::LatencyP90 => self.latency_p90 = Some(value),
            Quantity::PeakMemory => self.peak_memory = Some(value),
            Quantity::Energy => self.energy = Some(value),
            Quantity::Accuracy
            | Quantity::Parameters
            | Quantity::Macs
            | Quantity::ModelBytes
            | Quantity::PeakActivations => {}
        }
        self
    }

    /// One of them.
    pub fn get(&self, quantity: Quantity) -> Option<f64> {
        self.values().find_map(|(of, value)| (of == quantity).then_some(value))
    }

    /// Whether each is a finite number above 0, as whatever a board takes is.
    pub fn are_sound(&self) -> bool {
        self.values().all(|(_, value)| value.is_finite() && value > 0.0)
    }

    fn values(&self) -> impl Iterator<Item = (Quantity, f64)> + use<> {
        let values = [
            (Quantity::LatencyP50, self.latency_p50),
            (Quantity::LatencyP90, self.latency_p90),
            (Quantity::PeakMemory, self.peak_memory),
            (Quantity::Energy, self.energy),
        ];
        values.into_iter().filter_map(|(quantity, value)| Some((quantity, value?)))
    }
}

impl Cost {
    /// All of it, quantity by quantity; what was measured in place of what was told.
    pub fn values(&self) -> Values {
        let values = [
            (Quantity::Parameters, self.parameters),
            (Quantity::Macs, self.macs),
            (Quantity::ModelBytes, self.model_bytes),
            (Quantity::PeakActivations, self.peak_activations),
        ];
        let counts = values.into_iter().map(|(quantity, count)| (quantity, count as f64));
        counts.chain(self.predicted.values()).chain(self.measured.values()).collect()
    }
}

impl SearchSpace {
    /// Cost of an architecture of this space.
    ///
    /// # Panics
    /// If the architecture does not belong to this space.
    pub fn cost(&self, architecture: &Architecture) -> Cost {
        cost(&self.lower(architecture))
    }
}

/// Cost of a list of layers.
pub fn cost(layers: &[Layer]) -> Cost {
    let count = |count: Count| count.of(layers);
    Cost {
        parameters: count(Count::Parameters),
        macs: count(Count::Macs),
        model_bytes: count(Count::ModelBytes),
        peak_activations: count(Count::PeakActivations),
        predicted: BoardCosts::default(),
        measured: BoardCosts::default(),
    }
}

/// Trainable parameters of one layer.
pub fn parameters(layer: &Layer) -> u64 {
    layer.operation.parameters()
}

/// What can be counted of a network before it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// [`Cost::parameters`].
    Parameters,
    /// [`Cost::macs`].
    Macs,
    /// [`Cost::model_bytes`].
    ModelBytes,
    /// [`Cost::peak_activations`].
    PeakActivations,
}

impl Count {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Parameters, Self::Macs, Self::ModelBytes, Self::PeakActivations];

    /// The count of a list of layers.
    pub fn of(self, layers: &[Layer]) -> u64 {
        let sum = |values: fn(&Layer) -> u64| layers.iter().map(values).sum();
        match self {
            Self::Parameters => sum(parameters),
            Self::Macs => sum(Layer::macs),
            Self::ModelBytes => 4 * sum(|layer| layer.operation.folded_values()),
            Self::PeakActivations => peak_activations(layers),
        }
    }

    /// What it is called in tables, with its unit.
    pub fn title(self) -> &'static str {
        match self {
            Self::Parameters => "parameters",
            Self::Macs => "MACs",
            Self::ModelBytes => "bytes",
            Self::PeakActivations => "peak bytes",
        }
    }
}

fn peak_activations(layers: &[Layer]) -> u64 {
    let bytes = |position: usize| 4 * layers[position].output.bytes() as u64;
    let mut last_readers = vec![0; layers.len()];
    for (position, layer) in layers.iter().enumerate() {
        layer.inputs.iter().for_each(|input| last_readers[*input] = position);
    }
    let (mut alive, mut peak) = (0, 0);
    for (position, layer) in layers.iter().enumerate() {
        let is_done = |input: &&usize| last_readers[**input] == position;
        let mut done: Vec<&usize> = layer.inputs.iter().filter(is_done).collect();
        let overwritten = layer.operation.works_in_place() && done.first() == layer.inputs.first().as_ref();
        if overwritten {
            // Its memory goes on as that of the output.
            done.remove(0);
        } else {
            alive += bytes(position);
        }
        peak = peak.max(alive);
        alive -= done.into_iter().map(|input| bytes(*input)).sum::<u64>();
    }
    peak
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn figures_of_the_paper_space() {
        let space = SearchSpace::paper();
        let smallest = space.cost(&space.smallest());
        assert_eq!(smallest.parameters, 272_474);
        assert_eq!(smallest.macs, 40_813_184);
        assert_eq!(space.cost(&space.largest()).parameters, 815_194);
        assert_eq!(space.minimum_parameters(), 272_474);
        let folded = 272_474 - smallest.model_bytes / 4;
        assert_eq!(folded, (7 * 16 + 6 * 32 + 6 * 64 + 32 + 64) as u64, "one value a batch-normed channel");
    }

    #[test]
    fn distinct_parameter_counts_and_those_of_table_1() {
        let space = SearchSpace::paper();
        let mut counts = BTreeMap::new();
        for architecture in space.architectures() {
            *counts.entry(space.cost(&architecture).parameters).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 260);
        let of_table =
            [284_762, 301_146, 401_498, 350_298].map(|parameters| counts.get(&parameters).copied());
        assert_eq!(of_table, [Some(4), Some(14), Some(92), Some(46)]);
        assert_eq!(counts.keys().next(), Some(&272_474));
    }

    #[test]
    fn an_upgrade_costs_the_same_macs_in_every_stage_but_not_parameters() {
        let space = SearchSpace::paper();
        let base = space.cost(&space.smallest());
        let upgrade = |id: &str| {
            let cost = space.cost(&id.parse().unwrap());
            (cost.parameters - base.parameters, cost.macs - base.macs)
        };
        let (stage1, stage2, stage3) =
            (upgrade("373-333-333"), upgrade("333-373-333"), upgrade("333-333-373"));
        assert_eq!([stage1.1 / stage1.0, stage2.1 / stage2.0, stage3.1 / stage3.0], [1024, 256, 64]);
        assert_eq!([stage1.1, stage2.1], [stage2.1, stage3.1]);
    }
}
