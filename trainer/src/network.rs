//! A list of layers as a network in libtorch. Knows layers, not blocks: whatever [`mfactor::SearchSpace::lower`]
//! gives can be trained.

use mfactor::Layer;
use mfactor::layers::Operation;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, TchError, Tensor};

use crate::device::processor_has_bfloat16;
use crate::kernels::{Convolution, tensors};
use crate::normalisation::Normalisation;
use crate::parameters::Parameters;
use crate::tape::{Tape, kept};

/// What is added to a variance before its root is taken.
pub const EPSILON: f64 = 1e-5;
/// Share of a batch's statistics in the running ones.
pub const STATISTICS_MOMENTUM: f64 = 0.1;

/// A network with its values.
pub struct Network {
    layers: Vec<Layer>,
    /// For each layer the position of the last layer that reads it.
    last_reader: Vec<usize>,
    normalisations: Vec<Normalisation>,
    /// Its values.
    pub parameters: Parameters,
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
        let normalisations = Normalisation::all(&layers);
        Ok(Self { layers, last_reader, normalisations, parameters })
    }

    /// Logits, f32 \[n, classes\], of normalised images, f32 \[n, channels, rows, columns\] in channels-last memory. With running
    /// statistics, in f32 throughout.
    pub fn evaluate(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let _guard = tch::no_grad_guard();
        let views = self.parameters.views()?;
        let mut outputs = vec![Some(images.shallow_clone())];
        for (position, (layer, tensors)) in self.layers.iter().zip(&views).enumerate().skip(1) {
            let overwrite = self.may_overwrite(layer.inputs[0], position);
            let inputs = self.read(position, &mut outputs);
            outputs.push(Some(apply(layer, tensors, inputs, Statistics::Running, overwrite)?));
        }
        Ok(last(outputs))
    }

    /// For each two of n images the number of rectifiers that let both through or neither, f64 \[n, n\], of normalised images as in
    /// [`Network::evaluate`]. Batch norms take the batch's statistics, which also update the running ones.
    pub fn alike(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let _guard = tch::no_grad_guard();
        let views = self.parameters.views()?;
        let count = images.size()[0];
        let mut alike = Tensor::f_zeros([count, count], (Kind::Double, images.device()))?;
        let mut outputs = vec![Some(images.shallow_clone())];
        for (position, (layer, tensors)) in self.layers.iter().zip(&views).enumerate().skip(1) {
            let inputs = self.read(position, &mut outputs);
            if matches!(layer.operation, Operation::Relu | Operation::Relu6 | Operation::HardSwish) {
                // 1 where it is let through and -1 where not: of two images the products sum to the equal less the unequal.
                let signs =
                    inputs[0].f_gt(0.0)?.f_to_kind(Kind::Float)?.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?;
                let signs = signs.f_reshape([count, -1])?;
                let rectifiers = signs.size()[1] as f64;
                let products = signs.f_matmul(&signs.f_tr()?)?.f_to_kind(Kind::Double)?;
                alike = alike.f_add(&products.f_add_scalar(rectifiers)?.f_div_scalar(2.0)?)?;
            }
            outputs.push(Some(apply(layer, tensors, inputs, Statistics::OfBatch, false)?));
        }
        Ok(alike)
    }

    /// As [`Network::evaluate`], but with the batch's statistics, which also update the running ones, with
    /// convolutions in `kind`, and with a tape for the gradients.
    pub fn train(&self, images: &Tensor, kind: Kind) -> Result<(Tensor, Tape), TchError> {
        let mut tape = Tape::new(self.parameters.leaves(kind)?);
        let mut outputs = vec![Some(images.f_to_kind(kind)?)];
        let has_own = tensors::are_for(&self.layers, kind, images.device());
        for (position, layer) in self.layers.iter().enumerate().skip(1) {
            let input = layer.inputs[0];
            let own = if has_own { self.own(position, &outputs) } else { None };
            let output = match own {
                Some(Own::Later) => None,
                Some(Own::Convolution(convolution)) => {
                    let output = tape.convolve(position, input, convolution, &mut outputs)?;
                    self.release(position, &mut outputs);
                    Some(output)
                }
                Some(Own::Normalisation(own)) => {
                    let output = tape.normalise(own, &mut outputs)?;
                    own.layers().for_each(|layer| self.release(layer, &mut outputs));
                    Some(output)
                }
                None => {
                    tape.computes(position, &layer.inputs, &outputs);
                    let overwrite = self.may_overwrite(input, position) && !tape.is_cut(input);
                    let inputs = self.read(position, &mut outputs);
                    let parameters = tape.parameters(position);
                    Some(apply(layer, parameters, inputs, Statistics::OfBatch, overwrite)?)
                }
            };
            outputs.push(output);
        }
        Ok((last(outputs).f_to_kind(Kind::Float)?, tape))
    }

    /// How a layer is computed if not by libtorch.
    fn own(&self, position: usize, outputs: &[Option<Tensor>]) -> Option<Own> {
        let normalisation =
            self.normalisations.iter().find(|own| own.layers().any(|layer| layer == position));
        if let Some(own) = normalisation {
            return Some(if own.last == position { Own::Normalisation(*own) } else { Own::Later });
        }
        let layer = &self.layers[position];
        let images = kept(outputs, layer.inputs[0]);
        tensors::convolution(layer, images).map(Own::Convolution)
    }

    /// The outputs that a layer reads. What no later layer reads is taken out, so that its memory can be overwritten or
    /// given back.
    fn read(&self, position: usize, outputs: &mut [Option<Tensor>]) -> Vec<Tensor> {
        let inputs = self.layers[position].inputs.iter();
        let read = inputs.map(|input| kept(outputs, *input).shallow_clone()).collect();
        self.release(position, outputs);
        read
    }

    /// Takes out what no layer after the one at `position` reads.
    fn release(&self, position: usize, outputs: &mut [Option<Tensor>]) {
        for input in self.layers[position].inputs.iter().filter(|input| self.last_reader[**input] == position)
        {
            outputs[*input] = None;
        }
    }

    /// Whether the layer at `reader` may overwrite the output of the one at `input`: no other layer reads it
    /// afterwards, and its own gradient does not need it.
    fn may_overwrite(&self, input: usize, reader: usize) -> bool {
        let operation = self.layers[input].operation;
        self.last_reader[input] == reader && matches!(operation, Operation::BatchNorm { .. } | Operation::Add)
    }
}

/// How a layer is computed that libtorch does not compute.
enum Own {
    Convolution(Convolution),
    Normalisation(Normalisation),
    /// Together with a later layer.
    Later,
}

fn last(mut outputs: Vec<Option<Tensor>>) -> Tensor {
    outputs.pop().flatten().expect("the last layer's output is read by no other")
}

/// What a batch norm normalises with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Statistics {
    Running,
    /// And the running ones are updated.
    OfBatch,
}

/// One layer's output; rectification and addition may write it over their first input.
fn apply(
    layer: &Layer,
    tensors: &[Tensor],
    inputs: Vec<Tensor>,
    statistics: Statistics,
    overwrite: bool,
) -> Result<Tensor, TchError> {
    let mut inputs = inputs.into_iter();
    let mut first = inputs.next().expect("every layer but the image reads another");
    match (layer.operation, tensors) {
        (Operation::Convolution { stride, padding, groups, .. }, [weight]) => {
            let (stride, padding) = (stride as i64, padding as i64);
            as_processors_can(&first, weight, |images, weight| {
                let (stride, padding) = ([stride, stride], [padding, padding]);
                images.f_conv2d(weight, None::<Tensor>, stride, padding, [1, 1], groups as i64)
            })
        }
        (Operation::BatchNorm { .. }, [weight, bias, mean, variance]) => first.f_batch_norm(
            Some(weight),
            Some(bias),
            Some(mean),
            Some(variance),
            statistics == Statistics::OfBatch,
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
        (Operation::Relu6, []) => first.f_relu6(),
        (Operation::HardSwish, []) => first.f_hardswish(),
        (Operation::HardSigmoid, []) => first.f_hardsigmoid(),
        (Operation::Scale, []) => {
            let factors = inputs.next().expect("a scaling reads two layers");
            first.f_mul(&factors.f_unsqueeze(2)?.f_unsqueeze(3)?)
        }
        (Operation::Add, []) => {
            let second = inputs.next().expect("an addition reads two layers");
            if overwrite { first.f_add_(&second) } else { first.f_add(&second) }
        }
        (Operation::GlobalAveragePool, []) => first.f_mean_dim([2i64, 3].as_slice(), false, None::<Kind>),
        (Operation::Linear { .. }, [weight, bias]) => as_processors_can(&first, weight, |images, weight| {
            images.f_linear(weight, Some(bias.f_to_kind(weight.kind())?))
        }),
        (operation, _) => {
            unreachable!("layer {} is {operation:?} with {} tensors", layer.name, tensors.len())
        }
    }
}

/// What libtorch computes of images and weights. Where these are of bfloat16 and the processor has no instructions for that, it does so in
/// float32, and rounds what comes of it: oneDNN would convert at every step.
fn as_processors_can(
    images: &Tensor,
    weights: &Tensor,
    compute: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor, TchError>,
) -> Result<Tensor, TchError> {
    let lacks_kind =
        images.kind() == Kind::BFloat16 && images.device() == Device::Cpu && !processor_has_bfloat16();
    if lacks_kind { in_float32(images, weights, compute) } else { compute(images, weights) }
}

fn in_float32(
    images: &Tensor,
    weights: &Tensor,
    compute: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor, TchError>,
) -> Result<Tensor, TchError> {
    let outputs = compute(&images.f_to_kind(Kind::Float)?, &weights.f_to_kind(Kind::Float)?)?;
    outputs.f_to_kind(images.kind())
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
        let logits = network("357-333-377").evaluate(&images()).unwrap();
        assert_eq!((logits.size(), logits.kind()), (vec![4, 10], Kind::Float));
        assert_eq!(i64::try_from(logits.isfinite().all()).unwrap(), 1);
    }

    #[test]
    fn only_training_reads_the_batch_and_updates_statistics() {
        let network = network("333-333-333");
        let images = images();
        let before = network.parameters.statistics.copy();
        let together = network.evaluate(&images).unwrap();
        let alone = network.evaluate(&images.narrow(0, 0, 1)).unwrap();
        assert!(together.narrow(0, 0, 1).allclose(&alone, 1e-4, 1e-4, false));
        assert_eq!(network.parameters.statistics, before);
        let _ = network.train(&images, Kind::Float).unwrap();
        assert_ne!(network.parameters.statistics, before);
    }

    #[test]
    fn bfloat16_answers_nearly_as_float32() {
        let text = std::fs::read_to_string("../spaces/edge32.toml").unwrap();
        let space = SearchSpace::parse(&text, "edge32").unwrap();
        let inverted = space.lower(&"s16-w16.i3e2.b5-w32.i5e4.i3e2-w64.b3.i5e2".parse().unwrap());
        let inverted = Network::new(inverted, &mut ChaCha8Rng::seed_from_u64(1), Device::Cpu).unwrap();
        for network in [network("353-333-733"), inverted] {
            let exact = network.train(&images(), Kind::Float).unwrap().0;
            let rough = network.train(&images(), Kind::BFloat16).unwrap().0;
            let difference = f64::try_from((&exact - &rough).abs().max()).unwrap();
            assert!(difference > 0.0, "bfloat16 was not used");
            assert!(difference < 0.1 * f64::try_from(exact.abs().max()).unwrap(), "{difference}");
        }
    }

    #[test]
    fn what_a_processor_lacks_is_computed_in_float32_and_rounded_forth_and_back() {
        tch::manual_seed(1);
        let [images, weights, slope] = [[5, 24], [10, 24], [5, 10]].map(|shape| {
            Tensor::randn(shape, (Kind::Float, Device::Cpu)).to_kind(Kind::BFloat16).set_requires_grad(true)
        });
        let product = |images: &Tensor, weights: &Tensor| images.f_linear(weights, None::<Tensor>);
        let outputs = in_float32(&images, &weights, product).unwrap();
        let found =
            Tensor::run_backward(&[(&outputs * &slope).sum(Kind::Float)], &[&images, &weights], false, false);
        let [images, weights, slope] =
            [images, weights, slope].map(|tensor| tensor.detach().to_kind(Kind::Float));
        let exact = [images.matmul(&weights.tr()), slope.matmul(&weights), slope.tr().matmul(&images)];
        for (found, exact) in [&outputs, &found[0], &found[1]].into_iter().zip(exact) {
            assert_eq!(found.kind(), Kind::BFloat16);
            assert!(found.equal(&exact.to_kind(Kind::BFloat16)));
        }
    }

    /// The gradient of a loss, against the slope along it.
    #[test]
    fn gradients_are_the_slope_of_the_function() {
        slope_is_gradient(&network("373-335-533"));
    }

    fn slope_is_gradient(network: &Network) {
        let (images, targets) = (images(), Tensor::from_slice(&[1i64, 7, 3, 3]));
        let loss = || {
            let (logits, tape) = network.train(&images, Kind::Float).unwrap();
            (logits.cross_entropy_for_logits(&targets), tape)
        };
        let (value, tape) = loss();
        let gradient = network.parameters.gradients(tape.backward(&value).unwrap()).unwrap();
        let Parameters { weights, offsets, .. } = &network.parameters;
        for (values, gradient) in [(weights, gradient.weights), (offsets, gradient.offsets)] {
            let expected = f64::try_from(gradient.norm()).unwrap();
            let direction = gradient / expected;
            let step = 1e-3;
            let at = |distance: f64| {
                let _ = values.shallow_clone().g_add_(&(&direction * distance));
                f64::try_from(loss().0).unwrap()
            };
            let slope = (at(step) - at(-2.0 * step)) / (2.0 * step);
            assert!((slope / expected - 1.0).abs() < 0.05, "{slope} {expected}");
            at(step);
        }
    }

    #[test]
    fn every_kind_of_block_and_activation_has_the_slope_of_its_function() {
        let text = r#"
            schema = 2
            name = "kinds"
            classes = 10
            image = { channels = 3, height = 32, width = 32 }
            stem = { kernel = 3, width = 16, stride = 2 }
            head = { width = [0, 32] }
            [[stage]]
            depth = [2, 3]
            width = 16
            stride = 2
            block = [
              { kind = "basic", kernel = 3 },
              { kind = "bottleneck", kernel = 3, expand = 0.5 },
              { kind = "inverted", kernel = 5, expand = 2, squeeze = [0, 4], activation = "hard-swish" },
              { kind = "fused", kernel = 3, expand = 2, activation = "relu6" },
              { kind = "identity" },
            ]
        "#;
        let space = SearchSpace::parse(text, "kinds").unwrap();
        for id in ["s16-w16.i5e2sh.i5e2h.b3-h32", "s16-w16.f3e26.n3mh.d-h0", "s16-w16.d.i5e2sh-h0"] {
            let layers = space.lower(&id.parse().unwrap());
            let network = Network::new(layers, &mut ChaCha8Rng::seed_from_u64(1), Device::Cpu).unwrap();
            slope_is_gradient(&network);
        }
    }

    /// In float64 no layer is this project's own: there libtorch finds all gradients in one go.
    #[test]
    fn gradients_are_those_that_libtorch_finds() {
        let targets = Tensor::from_slice(&[1i64, 7, 3, 3]);
        let gradients = |kind: Kind| {
            let mut network = network("357-373-535");
            let Parameters { weights, offsets, statistics, .. } = &mut network.parameters;
            for values in [weights, offsets, statistics] {
                *values = values.to_kind(kind);
            }
            let (logits, tape) = network.train(&images(), kind).unwrap();
            assert_eq!((1..network.layers.len()).any(|layer| tape.is_cut(layer)), kind == Kind::Float);
            let gradients = tape.backward(&logits.cross_entropy_for_logits(&targets)).unwrap();
            (gradients, network.parameters.statistics)
        };
        let specs: Vec<_> = network("357-373-535").layers.iter().flat_map(Layer::tensors).collect();
        let ((own, statistics), (expected, of_libtorch)) = (gradients(Kind::Float), gradients(Kind::Double));
        assert!(statistics.to_kind(Kind::Double).allclose(&of_libtorch, 1e-4, 1e-5, false));
        for (spec, (own, expected)) in specs.iter().zip(own.iter().flatten().zip(expected.iter().flatten())) {
            assert_eq!(
                (own.is_some(), expected.is_some()),
                (spec.trainable, spec.trainable),
                "{}",
                spec.name
            );
            let Some((own, expected)) = own.as_ref().zip(expected.as_ref()) else { continue };
            let error = f64::try_from((own - expected).norm() / expected.norm()).unwrap();
            // A dozen of half a million values are on the other side of 0 for rounding, and so are or are not rectified.
            assert!(error < 0.05, "{}: {error}", spec.name);
        }
    }
}
