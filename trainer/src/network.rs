//! A list of layers as a network in libtorch. Knows layers, not blocks: whatever [`mfactor::SearchSpace::lower`]
//! gives can be trained.

use mfactor::Layer;
use mfactor::layers::Operation;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, TchError, Tensor};

use crate::parameters::Parameters;

/// What is added to a variance before its root is taken.
const EPSILON: f64 = 1e-5;
/// Share of a batch's statistics in the running ones.
const STATISTICS_MOMENTUM: f64 = 0.1;

/// A network with its values.
pub struct Network {
    layers: Vec<Layer>,
    /// For each layer the position of the last layer that reads it.
    last_reader: Vec<usize>,
    /// Its values.
    pub parameters: Parameters,
}

/// How [`Network::forward`] computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With batch statistics, which also update the running ones; convolutions in this type.
    Train(Kind),
    /// With running statistics, in f32 throughout.
    Evaluate,
}

impl Network {
    /// A network with values drawn from `rng`.
    pub fn new(layers: Vec<Layer>, rng: &mut ChaCha8Rng, device: Device) -> Result<Self, TchError> {
        let mut last_reader: Vec<usize> = (0..layers.len()).collect();
        for (position, layer) in layers.iter().enumerate() {
            for input in &layer.inputs {
                last_reader[*input] = position;
            }
        }
        let parameters = Parameters::new(&layers, rng, device)?;
        Ok(Self { layers, last_reader, parameters })
    }

    /// Logits, f32 \[n, classes\], of normalised images, f32 \[n, channels, rows, columns\] in channels-last memory.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        let kind = match mode {
            Mode::Train(kind) => kind,
            Mode::Evaluate => Kind::Float,
        };
        let views = self.parameters.views(kind)?;
        let mut outputs: Vec<Option<Tensor>> = Vec::with_capacity(self.layers.len());
        outputs.push(Some(images.f_to_kind(kind)?));
        for (position, (layer, tensors)) in self.layers.iter().zip(&views).enumerate().skip(1) {
            // What no later layer reads is taken out, so that its memory can be overwritten or given back.
            let mut inputs = layer.inputs.iter().map(|input| {
                let output = &mut outputs[*input];
                let last = self.last_reader[*input] == position;
                let tensor = if last { output.take() } else { output.as_ref().map(Tensor::shallow_clone) };
                tensor.expect("a layer reads earlier layers, and they are kept until their last reader")
            });
            let first = inputs.next().expect("every layer but the image reads another");
            let second = inputs.next();
            let overwrite = self.may_overwrite(layer.inputs[0], position);
            outputs.push(Some(apply(layer, tensors, first, second, mode, overwrite)?));
        }
        let logits = outputs.pop().flatten().expect("the last layer's output is read by no other");
        logits.f_to_kind(Kind::Float)
    }

    /// Whether the layer at `reader` may overwrite the output of the one at `input`: no other layer reads it
    /// afterwards, and its own gradient does not need it.
    fn may_overwrite(&self, input: usize, reader: usize) -> bool {
        let operation = self.layers[input].operation;
        self.last_reader[input] == reader && matches!(operation, Operation::BatchNorm { .. } | Operation::Add)
    }
}

/// One layer's output; rectification and addition may write it over `first`.
fn apply(
    layer: &Layer,
    tensors: &[Tensor],
    mut first: Tensor,
    second: Option<Tensor>,
    mode: Mode,
    overwrite: bool,
) -> Result<Tensor, TchError> {
    match (layer.operation, tensors) {
        (Operation::Convolution { stride, padding, .. }, [weight]) => {
            let (stride, padding) = (stride as i64, padding as i64);
            first.f_conv2d(weight, None::<Tensor>, [stride, stride], [padding, padding], [1, 1], 1)
        }
        (Operation::BatchNorm { .. }, [weight, bias, mean, variance]) => first.f_batch_norm(
            Some(weight),
            Some(bias),
            Some(mean),
            Some(variance),
            mode != Mode::Evaluate,
            STATISTICS_MOMENTUM,
            EPSILON,
            true,
        ),
        (Operation::Relu, []) => {
            if overwrite {
                first.f_relu_()
            } else {
                first.f_relu()
            }
        }
        (Operation::Add, []) => {
            let second = second.expect("an addition reads two layers");
            if overwrite { first.f_add_(&second) } else { first.f_add(&second) }
        }
        (Operation::GlobalAveragePool, []) => first.f_mean_dim([2i64, 3].as_slice(), false, None::<Kind>),
        (Operation::Linear { .. }, [weight, bias]) => {
            first.f_linear(weight, Some(bias.f_to_kind(weight.kind())?))
        }
        (operation, _) => {
            unreachable!("layer {} is {operation:?} with {} tensors", layer.name, tensors.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use mfactor::SearchSpace;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn network(id: &str) -> Network {
        let layers = SearchSpace::paper().lower(&id.parse().unwrap());
        Network::new(layers, &mut ChaCha8Rng::seed_from_u64(1), Device::Cpu).unwrap()
    }

    fn images() -> Tensor {
        tch::manual_seed(1);
        Tensor::randn([4, 3, 32, 32], (Kind::Float, Device::Cpu))
    }

    #[test]
    fn logits_have_a_row_for_each_image() {
        let logits = network("357-333-377").forward(&images(), Mode::Evaluate).unwrap();
        assert_eq!((logits.size(), logits.kind()), (vec![4, 10], Kind::Float));
        assert_eq!(i64::try_from(logits.isfinite().all()).unwrap(), 1);
    }

    #[test]
    fn only_training_reads_the_batch_and_updates_statistics() {
        let network = network("333-333-333");
        let images = images();
        let before = network.parameters.statistics.copy();
        let together = network.forward(&images, Mode::Evaluate).unwrap();
        let alone = network.forward(&images.narrow(0, 0, 1), Mode::Evaluate).unwrap();
        assert!(together.narrow(0, 0, 1).allclose(&alone, 1e-4, 1e-4, false));
        assert_eq!(network.parameters.statistics, before);
        let _ = network.forward(&images, Mode::Train(Kind::Float)).unwrap();
        assert_ne!(network.parameters.statistics, before);
    }

    #[test]
    fn bfloat16_answers_nearly_as_float32() {
        let network = network("353-333-733");
        let exact = network.forward(&images(), Mode::Train(Kind::Float)).unwrap();
        let rough = network.forward(&images(), Mode::Train(Kind::BFloat16)).unwrap();
        let difference = f64::try_from((&exact - &rough).abs().max()).unwrap();
        assert!(difference > 0.0, "bfloat16 was not used");
        assert!(difference < 0.1 * f64::try_from(exact.abs().max()).unwrap(), "{difference}");
    }

    /// The gradient of a sum of logits, against the slope along a random direction.
    #[test]
    fn gradients_are_the_slope_of_the_function() {
        let network = network("373-335-533");
        let (images, targets) = (images(), Tensor::from_slice(&[1i64, 7, 3, 3]));
        let loss = || {
            let logits = network.forward(&images, Mode::Train(Kind::Float)).unwrap();
            logits.cross_entropy_for_logits(&targets)
        };
        let weights = &network.parameters.weights;
        let gradient = &Tensor::run_backward(&[loss()], &[weights], false, false)[0];
        let expected = f64::try_from(gradient.norm()).unwrap();
        let step = 1e-3;
        let direction = gradient / expected;
        let at = |distance: f64| {
            let _guard = tch::no_grad_guard();
            let _ = weights.shallow_clone().g_add_(&(&direction * distance));
            f64::try_from(loss()).unwrap()
        };
        let slope = (at(step) - at(-2.0 * step)) / (2.0 * step);
        assert!((slope / expected - 1.0).abs() < 0.05, "{slope} {expected}");
    }
}
