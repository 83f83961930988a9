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
    /// Whether training images are mirrored left to right, at random. Not for digits and letters.
    pub flip: bool,
    /// Largest change of a training image's brightness, as a share of it: 0.2 is from 0.8 to 1.2 times. 0 changes nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub brightness: f64,
    /// Side of a square in pixels that is hidden in each training image, at a random place (DeVries and Taylor 2017,
    /// arXiv:1708.04552). 0 hides nothing.
    #[serde(skip_serializing_if = "is_none")]
    pub cutout: usize,
    /// How much each class counts in the loss.
    #[serde(skip_serializing_if = "ClassWeights::is_none")]
    pub class_weights: ClassWeights,
}

/// How much each class counts in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// As much as it has images.
    #[default]
    None,
    /// As much as any other: an image counts N / (classes · images of its class).
    Balanced,
}

impl ClassWeights {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

// What is at its default is not written, so that studies and trainings of versions without it stay the same.
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_none(value: &usize) -> bool {
    *value == 0
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
            brightness: 0.0,
            cutout: 0,
            class_weights: ClassWeights::None,
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
        check("translate", self.translate <= 16, "must be at most 16")?;
        check("brightness", (0.0..1.0).contains(&self.brightness), "must be at least 0 and below 1")?;
        check("cutout", self.cutout <= 256, "must be at most 256")
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

    #[test]
    fn what_later_versions_added_is_written_only_where_it_is_used() {
        let written = serde_json::to_value(Recipe::default()).unwrap();
        assert!(written.get("class_weights").is_none() && written.get("cutout").is_none(), "{written}");
        let recipe = Recipe { class_weights: ClassWeights::Balanced, cutout: 4, ..Recipe::default() };
        let written = serde_json::to_value(&recipe).unwrap();
        assert_eq!(written["class_weights"], "balanced");
        assert_eq!(serde_json::from_value::<Recipe>(written).unwrap(), recipe);
    }
}
