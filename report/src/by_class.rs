//! How a network does class by class: recalls, and what it takes for what.

use mfactor::numbers::percent;
use mfactor::{Architecture, Confusion};
use serde::{Deserialize, Serialize};

use crate::compare::Comparison;

/// Most networks that are shown class by class.
const MOST: usize = 3;
/// Most classes of which all pairs are shown; of more, this many of the worst classes and pairs.
pub const MATRIX: usize = 20;
/// Classes and pairs in a sentence.
const IN_WORDS: usize = 3;

/// One network, class by class, on the validation split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByClass {
    /// The network.
    pub architecture: Architecture,
    /// Id of its trial.
    pub trial: u64,
    /// Images of the validation split.
    pub images: u64,
    /// The share of them that is classified rightly.
    pub accuracy: f64,
    /// Mean of the recalls of the classes that have images.
    pub balanced_accuracy: f64,
    /// Classes, in the order of the labels; of more than [`MATRIX`] those with the lowest recall, the lowest first.
    pub classes: Vec<Class>,
    /// How many classes there are.
    pub class_count: usize,
    /// What is taken for what most, by its share of the class's images; at most [`MATRIX`] pairs.
    pub mistaken: Vec<Pair>,
    /// Counts by true (rows) and predicted class; none of more than [`MATRIX`] classes.
    pub counts: Vec<Vec<u64>>,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its images in the validation split.
    pub images: u64,
    /// The share of them that is classified rightly; `None` without images.
    pub recall: Option<f64>,
}

/// A class that is taken for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The true class.
    pub class: String,
    /// What it is taken for.
    pub taken_for: String,
    /// How many images.
    pub count: u64,
    /// The share of the class's images.
    pub share: f64,
}

impl ByClass {
    /// What a trial's confusion says.
    pub fn new(architecture: Architecture, trial: u64, confusion: &Confusion) -> Self {
        let (names, is_small) = (confusion.classes(), confusion.classes().len() <= MATRIX);
        let class = |class: usize| Class {
            name: names[class].clone(),
            images: confusion.images_of(class),
            recall: confusion.recall(class),
        };
        let shown: Vec<usize> = match is_small {
            true => (0..names.len()).collect(),
            false => confusion.by_recall().into_iter().map(|(class, _)| class).take(MATRIX).collect(),
        };
        let pairs = confusion.mistaken().into_iter().take(MATRIX).map(|pair| Pair {
            class: names[pair.class].clone(),
            taken_for: names[pair.taken_for].clone(),
            count: pair.count,
            share: confusion.share(&pair),
        });
        Self {
            architecture,
            trial,
            images: confusion.images(),
            accuracy: confusion.accuracy(),
            balanced_accuracy: confusion.balanced_accuracy(),
            classes: shown.into_iter().map(class).collect(),
            class_count: names.len(),
            mistaken: pairs.collect(),
            counts: if is_small { confusion.counts().to_vec() } else { vec![] },
        }
    }

    /// Accuracy and balanced accuracy, the lowest recalls and the worst pairs, in a few sentences.
    pub fn words(&self) -> String {
        let mut lowest: Vec<(&str, f64)> =
            self.classes.iter().filter_map(|class| Some((&*class.name, class.recall?))).collect();
        lowest.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let lowest: Vec<String> = lowest
            .iter()
            .take(IN_WORDS)
            .map(|(name, recall)| format!("{name} {}", percent(*recall)))
            .collect();
        let pair =
            |pair: &Pair| format!("{} taken for {} ({})", pair.class, pair.taken_for, percent(pair.share));
        let pairs: Vec<String> = self.mistaken.iter().take(IN_WORDS).map(pair).collect();
        let pairs = match pairs.as_slice() {
            [] => String::new(),
            pairs => format!(" Most often: {}.", pairs.join(", ")),
        };
        format!(
            "Trial {} ({}) on {} validation images: accuracy {}, balanced accuracy {}. Lowest recall: {}.{pairs}",
            self.trial,
            self.architecture,
            self.images,
            percent(self.accuracy),
            percent(self.balanced_accuracy),
            lowest.join(", ")
        )
    }
}

/// The trials that are worth a look class by class: those that are recommended, and the best by M.
pub fn winners(comparison: &Comparison) -> Vec<(Architecture, u64)> {
    let recommended = comparison.recommendations.iter().filter_map(|of| of.model.as_ref());
    let best = comparison.strategies.iter().filter_map(|of| of.best.as_ref());
    let best = best.max_by(|a, b| a.m_factor.total_cmp(&b.m_factor).then(b.trial.cmp(&a.trial)));
    let mut winners = vec![];
    for model in recommended.map(|of| &of.model).chain(best) {
        let winner = (model.architecture.clone(), model.trial);
        if winners.len() < MOST && !winners.contains(&winner) {
            winners.push(winner);
        }
    }
    winners
}
