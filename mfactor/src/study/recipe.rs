//! What decides the result of one training, beside architecture, data and seed.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A training recipe: SGD with Nesterov momentum and a one-cycle learning rate inside the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Budget: passes over the training split.
    pub epochs: u32,
    /// Images a step.
    pub batch_size: usize,
    /// Peak of the one-cycle schedule.
    pub learning_rate: f64,
    /// Fraction of all steps in which the learning rate rises from 0 to its peak; it then falls to 0.
    pub warm_up: f64,
    /// Nesterov momentum.
    pub momentum: f64,
    /// Weight decay, on convolution and linear weights only.
    pub weight_decay: f64,
    /// Label smoothing: this much of the target is spread over all classes.
    pub label_smoothing: f64,
    /// Decay, a step, of the moving average of all values that is validated and kept: 0.99 is about the last hundred
    /// steps. 0 keeps the values of the last step.
    pub average_decay: f64,
    /// Largest shift of a training image in pixels, in either direction; borders are filled by reflection.
    pub translate: usize,
    /// Whether training images are mirrored left to right, at random.
    pub flip: bool,
}

/// Tuned on CIFAR-10's validation split for budgets of 1 to 3 epochs; docs/training.md has the figures.
impl Default for Recipe {
    fn default() -> Self {
        Self {
            epochs: 3,
            batch_size: 64,
            learning_rate: 0.2,
            warm_up: 0.25,
            momentum: 0.9,
            weight_decay: 5e-4,
            label_smoothing: 0.1,
            average_decay: 0.0,
            translate: 2,
            flip: true,
        }
    }
}

impl Recipe {
    /// Checks every value; the error names `subject` and the key.
    pub fn check(&self, subject: &str) -> Result<()> {
        let check = |key: &str, holds: bool, must: &str| {
            if holds { Ok(()) } else { Err(Error::input(format!("{subject}, recipe.{key}"), must)) }
        };
        check("epochs", (1..=10_000).contains(&self.epochs), "must be from 1 to 10000")?;
        check("batch_size", (2..=65_536).contains(&self.batch_size), "must be from 2 to 65536")?;
        check(
            "learning_rate",
            self.learning_rate > 0.0 && self.learning_rate.is_finite(),
            "must be above 0",
        )?;
        check("warm_up", (0.0..1.0).contains(&self.warm_up), "must be at least 0 and below 1")?;
        check("momentum", (0.0..1.0).contains(&self.momentum), "must be at least 0 and below 1")?;
        check("weight_decay", (0.0..1.0).contains(&self.weight_decay), "must be at least 0 and below 1")?;
        check(
            "label_smoothing",
            (0.0..1.0).contains(&self.label_smoothing),
            "must be at least 0 and below 1",
        )?;
        check("average_decay", (0.0..1.0).contains(&self.average_decay), "must be at least 0 and below 1")?;
        check("translate", self.translate <= 16, "must be at most 16")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_named() {
        let recipe = Recipe { momentum: f64::NAN, ..Recipe::default() };
        let text = recipe.check("study.toml").unwrap_err().to_string();
        assert!(text.contains("study.toml, recipe.momentum"), "{text}");
        Recipe::default().check("default").unwrap();
    }
}
