//! Which block a cost table tells least well: whether networks that have it are told otherwise than those without.

use std::collections::BTreeSet;

use mfactor::Architecture;
use mfactor::numbers::{counted, percent};
use serde::{Deserialize, Serialize};

/// Fewest networks with a block, and without it, of which something is said.
const FEWEST: usize = 3;
/// How many of its standard errors a difference has to be: so many that of a few blocks one rarely is by chance.
const TOLD_APART: f64 = 3.0;

/// A block, and how networks are told that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blame {
    /// The block, as in an architecture's name: `i5e6`.
    pub block: String,
    /// Networks that have it.
    pub networks: usize,
    /// Mean error of what was told of them, a share of what was measured: below 0 where too little was told.
    pub error: f64,
    /// The same of networks without it.
    pub others: f64,
}

impl Blame {
    /// In a sentence.
    pub fn words(&self) -> String {
        let way = |error: f64| if error < 0.0 { "too little" } else { "too much" };
        format!(
            "Block {} is to blame: {} with it were told {} {}, those without {} {}.",
            self.block,
            counted(self.networks, "model"),
            percent(self.error.abs()),
            way(self.error),
            percent(self.others.abs()),
            way(self.others),
        )
    }
}

/// The block whose presence goes with the largest difference in error, of networks and their errors (shares, with sign), by Welch's
/// standard error of the difference of means. `None` where no difference is beyond chance.
pub(crate) fn blame(networks: &[(Architecture, f64)]) -> Option<Blame> {
    let tokens = |network: &Architecture| network.blocks().map(ToString::to_string).collect::<BTreeSet<_>>();
    let all: BTreeSet<String> = networks.iter().flat_map(|(network, _)| tokens(network)).collect();
    let judged = all.into_iter().filter_map(|block| {
        let (with, without): (Vec<_>, Vec<_>) =
            networks.iter().partition(|(network, _)| tokens(network).contains(&block));
        let errors =
            |of: Vec<&(Architecture, f64)>| of.into_iter().map(|(_, error)| *error).collect::<Vec<_>>();
        let ([error, of_error], [others, of_others]) =
            (mean(&errors(with.clone()))?, mean(&errors(without))?);
        let distance = (error - others).abs() / (of_error + of_others).sqrt();
        Some((distance, Blame { block, networks: with.len(), error, others }))
    });
    let worst = judged.max_by(|(one, _), (other, _)| one.total_cmp(other));
    worst.filter(|(distance, _)| *distance > TOLD_APART).map(|(_, blame)| blame)
}

/// Mean, and the square of its standard error; `None` of too few.
fn mean(values: &[f64]) -> Option<[f64; 2]> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (values.len() >= FEWEST).then_some([mean, variance / count])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(error_of: impl Fn(&str, usize) -> f64) -> Vec<(Architecture, f64)> {
        let ids = [
            "s8-w8.b3-w16.i3e2",
            "s8-w8.b3-w16.i5e6",
            "s8-w8.i5e6-w16.b3",
            "s8-w8.b3-w16.b3",
            "s8-w8.i3e2-w16.b3",
            "s8-w8.i5e6-w16.i3e2",
            "s8-w8.i3e2-w16.i3e2",
            "s8-w8.b3-w16.b3mh",
        ];
        ids.iter().enumerate().map(|(place, id)| (id.parse().unwrap(), error_of(id, place))).collect()
    }

    #[test]
    fn a_block_that_is_told_too_little_is_named() {
        let noise = |place: usize| 0.002 * (place % 3) as f64;
        let blame =
            blame(&networks(|id, place| noise(place) - if id.contains("i5e6") { 0.2 } else { 0.0 })).unwrap();
        assert_eq!((blame.block.as_str(), blame.networks), ("i5e6", 3));
        assert!(blame.error < -0.19 && blame.others.abs() < 0.01, "{blame:?}");
        let words = blame.words();
        assert!(words.contains("i5e6") && words.contains("too little"), "{words}");
    }

    #[test]
    fn chance_is_not_blamed() {
        assert_eq!(blame(&networks(|_, place| 0.03 * ((place * 5) % 8) as f64)), None);
        assert_eq!(blame(&networks(|_, _| 0.1)[..4]), None);
        assert_eq!(blame(&[]), None);
    }
}
