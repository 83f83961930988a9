//! What an architecture costs: parameters, multiply-accumulates, bytes. Exact, by counting its layers.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::layers::{Layer, Operation};
use crate::space::SearchSpace;

/// Cost of one architecture, known before any training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// P: trainable parameters, before any folding. Running statistics do not count.
    pub parameters: u64,
    /// Multiply-accumulates of convolutions and linear layers for one image.
    pub macs: u64,
    /// Bytes of the weights in an exported f32 model, where batch norm is folded into a bias for each
    /// output channel. The file itself is a few kilobytes larger.
    pub model_bytes: u64,
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
    let count = |values: fn(&Layer) -> u64| layers.iter().map(values).sum::<u64>();
    Cost { parameters: count(parameters), macs: count(Layer::macs), model_bytes: 4 * count(folded_values) }
}

/// Trainable parameters of one layer.
pub fn parameters(layer: &Layer) -> u64 {
    layer.tensors().iter().filter(|tensor| tensor.trainable).map(|tensor| tensor.len() as u64).sum()
}

/// Values that remain of one layer after batch norm was folded away.
fn folded_values(layer: &Layer) -> u64 {
    match layer.operation {
        Operation::BatchNorm { channels } => channels as u64,
        _ => parameters(layer),
    }
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
