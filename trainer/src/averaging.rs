//! The weights of the last steps, averaged: less noise than the weights of any one step.

use tch::{TchError, Tensor};

use crate::parameters::Parameters;

/// An exponential moving average of all values of a network, the statistics of its batch norms among them
/// (Polyak and Juditsky 1992; as Tan and Le 2019, arXiv:1905.11946, use it).
pub struct Average {
    weights: Tensor,
    offsets: Tensor,
    statistics: Tensor,
    decay: f64,
    steps: u32,
}

impl Average {
    /// Begins with `parameters`; after n steps the last 1 / (1 − `decay`) count most.
    pub fn new(parameters: &Parameters, decay: f64) -> Result<Self, TchError> {
        let copy = |tensor: &Tensor| -> Result<Tensor, TchError> { Ok(tensor.f_detach()?.copy()) };
        Ok(Self {
            weights: copy(&parameters.weights)?,
            offsets: copy(&parameters.offsets)?,
            statistics: copy(&parameters.statistics)?,
            decay,
            steps: 0,
        })
    }

    /// Takes in the values after a step. The first steps are averaged evenly, so that the initial values do not linger.
    pub fn follow(&mut self, parameters: &Parameters) -> Result<(), TchError> {
        let _guard = tch::no_grad_guard();
        self.steps += 1;
        let share = (1.0 - self.decay).max(1.0 / f64::from(self.steps));
        let _ = self.weights.f_lerp_(&parameters.weights, share)?;
        let _ = self.offsets.f_lerp_(&parameters.offsets, share)?;
        let _ = self.statistics.f_lerp_(&parameters.statistics, share)?;
        Ok(())
    }

    /// Exchanges the averages and the values of `parameters`: to look at a network with its averages, and again to
    /// train on.
    pub fn exchange(&mut self, parameters: &mut Parameters) {
        std::mem::swap(&mut self.weights, &mut parameters.weights);
        std::mem::swap(&mut self.offsets, &mut parameters.offsets);
        std::mem::swap(&mut self.statistics, &mut parameters.statistics);
    }
}

#[cfg(test)]
mod tests {
    use mfactor::SearchSpace;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use tch::Device;

    use super::*;

    #[test]
    fn averages_by_hand_and_both_ways() {
        let layers = SearchSpace::paper().lower(&"333-333-333".parse().unwrap());
        let mut parameters =
            Parameters::new(&layers, &mut ChaCha8Rng::seed_from_u64(1), Device::Cpu).unwrap();
        let mut average = Average::new(&parameters, 0.75).unwrap();
        let first = |parameters: &Parameters| parameters.weights.double_value(&[0]);
        // Shares of 1, 1/2, 1/3 and then 1/4.
        for value in [4.0, 8.0, 12.0, 16.0, 20.0] {
            let _ = parameters.weights.detach().fill_(value);
            average.follow(&parameters).unwrap();
        }
        average.exchange(&mut parameters);
        assert!((first(&parameters) - 12.5).abs() < 1e-6, "{}", first(&parameters));
        average.exchange(&mut parameters);
        assert_eq!(first(&parameters), 20.0);
    }
}
