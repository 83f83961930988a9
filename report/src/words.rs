//! What a comparison says in sentences: functions of its numbers, and of nothing else.

use serde_json::{Value, json};

use crate::compare::Comparison;
use crate::{headline, notes, strategies};

impl Comparison {
    /// What to ship, and whether M told the truth, in two or three sentences.
    pub fn headline(&self) -> Vec<String> {
        headline::headline(self)
    }

    /// What the strategies' summaries may be read as.
    pub fn strategy_words(&self) -> Vec<String> {
        strategies::words(self)
    }

    /// What a reader has to know about these data, the gravest first.
    pub fn notes(&self) -> Vec<String> {
        notes::notes(self)
    }

    /// The comparison as JSON, with its sentences beside the numbers that they are about. [`Comparison`] reads it back, and
    /// passes over the sentences.
    pub fn with_words(&self) -> Value {
        let mut told = json!(self);
        told["headline"] = json!(self.headline());
        told["strategy_words"] = json!(self.strategy_words());
        told["notes"] = json!(self.notes());
        for (at, recommendation) in self.recommendations.iter().enumerate() {
            told["recommendations"][at]["words"] = json!(recommendation.words(&self.baselines));
        }
        for (at, bench) in self.benches.iter().enumerate() {
            for (of, pairs) in bench.pairs.iter().enumerate() {
                for (place, pair) in pairs.worst.iter().enumerate() {
                    told["benches"][at]["pairs"][of]["worst"][place]["why"] = json!(pair.why(self.accuracy));
                }
            }
        }
        for (at, contrast) in self.side_by_side.iter().flat_map(|all| &all.contrasts).enumerate() {
            told["side_by_side"]["contrasts"][at]["words"] = json!(contrast.words());
        }
        if let Some(seeds) = &self.seeds {
            told["seeds"]["words"] = json!(seeds.words());
        }
        told
    }
}
