//! Stochastic gradient descent with Nesterov momentum and a one-cycle learning rate, over flat tensors.

use mfactor::Recipe;
use tch::{TchError, Tensor};

/// The learning rate of each step: up from 0 to its peak in the first `warm_up` of all steps, then down to 0,
/// both in straight lines, so that the whole cycle lies inside the budget (Smith and Topin 2017, arXiv:1708.07120).
#[derive(Debug, Clone, Copy)]
pub struct OneCycle {
    peak: f64,
    rising: f64,
    steps: f64,
}

impl OneCycle {
    /// The cycle of `recipe` over `steps` steps.
    pub fn new(recipe: &Recipe, steps: usize) -> Self {
        let steps = steps as f64;
        Self { peak: recipe.learning_rate, rising: recipe.warm_up * steps, steps }
    }

    /// Learning rate of a step, from 0: that of the step's middle, so that none is wasted on a rate of 0.
    pub fn learning_rate(&self, step: usize) -> f64 {
        let middle = step as f64 + 0.5;
        let fraction = if middle < self.rising {
            middle / self.rising
        } else {
            (self.steps - middle) / (self.steps - self.rising)
        };
        self.peak * fraction.max(0.0)
    }
}

/// Values that are trained with one weight decay.
pub struct Sgd {
    values: Tensor,
    velocity: Tensor,
    momentum: f64,
    weight_decay: f64,
}

impl Sgd {
    /// Trains `values`, in place.
    pub fn new(values: &Tensor, momentum: f64, weight_decay: f64) -> Result<Self, TchError> {
        let values = values.f_detach()?;
        Ok(Self { velocity: values.f_zeros_like()?, values, momentum, weight_decay })
    }

    /// One step along `gradient`, as PyTorch computes it:
    /// g ← gradient + decay · values, v ← momentum · v + g, values ← values − rate · (g + momentum · v).
    pub fn step(&mut self, gradient: &Tensor, learning_rate: f64) -> Result<(), TchError> {
        let _guard = tch::no_grad_guard();
        let gradient = gradient.f_add(&self.values.f_mul_scalar(self.weight_decay)?)?;
        let _ = self.velocity.f_mul_scalar_(self.momentum)?.f_add_(&gradient)?;
        let direction = gradient.f_add(&self.velocity.f_mul_scalar(self.momentum)?)?;
        let _ = self.values.f_sub_(&direction.f_mul_scalar(learning_rate)?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cycle_rises_to_its_peak_and_falls_to_nothing() {
        let recipe = Recipe { learning_rate: 0.4, warm_up: 0.25, ..Recipe::default() };
        let cycle = OneCycle::new(&recipe, 100);
        let rates: Vec<f64> = (0..100).map(|step| cycle.learning_rate(step)).collect();
        assert!(rates[..25].is_sorted() && rates[25..].iter().rev().is_sorted());
        assert!((rates[24] - 0.4 * 24.5 / 25.0).abs() < 1e-12 && rates[99] < 0.003 && rates[0] > 0.0);
        let flat_out = OneCycle::new(&Recipe { warm_up: 0.0, ..recipe }, 10);
        assert!((flat_out.learning_rate(0) - 0.4 * 0.95).abs() < 1e-12);
    }

    /// Two steps with momentum 0.5 and decay 0.1, by hand.
    #[test]
    fn nesterov_by_hand() {
        let values = Tensor::from_slice(&[1.0f64]);
        let mut sgd = Sgd::new(&values, 0.5, 0.1).unwrap();
        let gradient = Tensor::from_slice(&[2.0f64]);
        // g = 2.1, v = 2.1, step 0.1 · (2.1 + 1.05).
        sgd.step(&gradient, 0.1).unwrap();
        let first = 1.0 - 0.315;
        assert!((values.double_value(&[0]) - first).abs() < 1e-12);
        let g = 2.0 + 0.1 * first;
        let v = 0.5 * 2.1 + g;
        sgd.step(&gradient, 0.1).unwrap();
        assert!((values.double_value(&[0]) - (first - 0.1 * (g + 0.5 * v))).abs() < 1e-12);
    }
}
