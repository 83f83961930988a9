//! Gradients of a network whose layers are partly not libtorch's.
//!
//! libtorch keeps account of what it computes itself and finds the gradients of that. At each layer of
//! [`crate::kernels`] this account is cut: its inputs, and whatever else a later layer reads, begin anew as tensors without a
//! past. What lies between two cuts is a segment. Backwards, the gradients with respect to what left a segment are
//! known when its turn comes, and libtorch carries them to what came into it. A network without such layers is one segment.

use tch::{Kind, TchError, Tensor};

use crate::kernels::tensors::{self as kernels, Normalised, NormalisedGradients};
use crate::kernels::{BatchNorm, Convolution};
use crate::network::{EPSILON, STATISTICS_MOMENTUM};
use crate::normalisation::Normalisation;
use crate::parameters::flat;

/// What was computed in a forward pass, for the way back.
pub struct Tape {
    /// The tensors of each layer, which gradients are wanted for.
    parameters: Vec<Vec<Tensor>>,
    steps: Vec<Step>,
    /// The segment since the last cut.
    open: Segment,
    /// For each layer whether its output, once computed, has begun anew.
    is_cut: Vec<bool>,
}

enum Step {
    Segment(Segment),
    Convolution { layer: usize, input: usize, convolution: Convolution, images: Tensor },
    Normalisation(Box<NormalisationStep>),
}

/// A batch norm, and what is needed for its way back.
struct NormalisationStep {
    normalisation: Normalisation,
    batch_norm: BatchNorm,
    images: Tensor,
    outputs: Tensor,
}

/// What came into a segment and what left it.
#[derive(Default)]
struct Segment {
    inputs: Vec<(Source, Tensor)>,
    /// Layers and their outputs.
    outputs: Vec<(usize, Tensor)>,
}

/// Where a tensor that came into a segment is from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Output(usize),
    Parameter { layer: usize, index: usize },
}

/// Gradients that are known so far.
struct Gradients {
    outputs: Vec<Option<Tensor>>,
    parameters: Vec<Vec<Option<Tensor>>>,
}

impl Tape {
    /// A tape for layers with these tensors, of which those that require a gradient get one.
    pub fn new(parameters: Vec<Vec<Tensor>>) -> Self {
        let layers = parameters.len();
        Self { parameters, steps: vec![], open: Segment::default(), is_cut: vec![false; layers] }
    }

    /// The tensors of a layer.
    pub fn parameters(&self, layer: usize) -> &[Tensor] {
        &self.parameters[layer]
    }

    /// Whether the output of a layer has begun anew; it must not be overwritten.
    pub fn is_cut(&self, layer: usize) -> bool {
        self.is_cut[layer]
    }

    /// Takes note that libtorch computes `layer` from the outputs of `inputs`.
    pub fn computes(&mut self, layer: usize, inputs: &[usize], outputs: &[Option<Tensor>]) {
        let mut add = |source: Source, tensor: &Tensor| {
            if tensor.requires_grad() && self.open.inputs.iter().all(|(known, _)| *known != source) {
                self.open.inputs.push((source, tensor.shallow_clone()));
            }
        };
        for input in inputs.iter().filter(|input| self.is_cut[**input]) {
            if let Some(tensor) = &outputs[*input] {
                add(Source::Output(*input), tensor);
            }
        }
        for (index, tensor) in self.parameters[layer].iter().enumerate() {
            add(Source::Parameter { layer, index }, tensor);
        }
    }

    /// Computes a convolution that libtorch does not know of. `outputs` are those of earlier layers that are still
    /// to be read; they begin anew.
    pub fn convolve(
        &mut self,
        layer: usize,
        input: usize,
        convolution: Convolution,
        outputs: &mut [Option<Tensor>],
    ) -> Result<Tensor, TchError> {
        self.cut(outputs)?;
        let images = kept(outputs, input).shallow_clone();
        let result = kernels::convolve(&convolution, &images, &self.parameters[layer][0])?;
        self.steps.push(Step::Convolution { layer, input, convolution, images });
        self.is_cut[layer] = true;
        result.f_set_requires_grad(true)
    }

    /// Computes a batch norm that libtorch does not know of, and updates its running statistics. `outputs` are as in [`Tape::convolve`].
    pub fn normalise(
        &mut self,
        normalisation: Normalisation,
        outputs: &mut [Option<Tensor>],
    ) -> Result<Tensor, TchError> {
        self.cut(outputs)?;
        let images = kept(outputs, normalisation.input).shallow_clone();
        let [scale, shift, mean, variance] = &self.parameters[normalisation.batch_norm][..] else {
            unreachable!("a batch norm has four tensors");
        };
        let addend = normalisation.addend().map(|addend| kept(outputs, addend));
        let is_rectified = normalisation.is_rectified;
        let Normalised { outputs, batch_norm } =
            kernels::normalise(&images, addend, [scale, shift], EPSILON, is_rectified)?;
        kernels::follow(mean, &batch_norm.mean, STATISTICS_MOMENTUM);
        kernels::follow(variance, &batch_norm.unbiased_variance(), STATISTICS_MOMENTUM);
        self.is_cut[normalisation.last] = true;
        let result = outputs.f_detach()?.f_set_requires_grad(true)?;
        let step = NormalisationStep { normalisation, batch_norm, images, outputs };
        self.steps.push(Step::Normalisation(Box::new(step)));
        Ok(result)
    }

    /// Ends the open segment: what was computed in it and is still to be read begins anew.
    fn cut(&mut self, outputs: &mut [Option<Tensor>]) -> Result<(), TchError> {
        let mut segment = std::mem::take(&mut self.open);
        for (position, output) in outputs.iter_mut().enumerate() {
            let Some(tensor) = output.take_if(|tensor| tensor.requires_grad() && !self.is_cut[position])
            else {
                continue;
            };
            *output = Some(tensor.f_detach()?.f_set_requires_grad(true)?);
            segment.outputs.push((position, tensor));
            self.is_cut[position] = true;
        }
        if !segment.outputs.is_empty() {
            self.steps.push(Step::Segment(segment));
        }
        Ok(())
    }

    /// The gradients of `loss` with respect to the tensors of each layer; none for those that require none.
    pub fn backward(self, loss: &Tensor) -> Result<Vec<Vec<Option<Tensor>>>, TchError> {
        let mut gradients = Gradients {
            outputs: self.is_cut.iter().map(|_| None).collect(),
            parameters: self
                .parameters
                .iter()
                .map(|tensors| tensors.iter().map(|_| None).collect())
                .collect(),
        };
        gradients.carry(&[loss.shallow_clone()], &self.open.inputs)?;
        for step in self.steps.into_iter().rev() {
            match step {
                Step::Segment(segment) => {
                    let known = segment.outputs.iter().filter_map(|(layer, output)| {
                        Some(slope(output, &gradients.outputs[*layer].take()?))
                    });
                    let slopes: Vec<Tensor> = known.collect::<Result<_, _>>()?;
                    gradients.carry(&slopes, &segment.inputs)?;
                }
                Step::Convolution { layer, input, convolution, images } => {
                    let of_output = gradients.take(layer);
                    if images.requires_grad() {
                        let weights = &self.parameters[layer][0];
                        let of_images = kernels::images_gradient(&convolution, weights, &of_output)?;
                        gradients.add(Source::Output(input), of_images)?;
                    }
                    let of_weights = kernels::weights_gradient(&convolution, &images, &of_output)?;
                    gradients.add(Source::Parameter { layer, index: 0 }, of_weights)?;
                }
                Step::Normalisation(step) => gradients.of_normalisation(&step)?,
            }
        }
        Ok(gradients.parameters)
    }
}

impl Gradients {
    /// Carries the gradients of some numbers to what they were computed from.
    fn carry(&mut self, numbers: &[Tensor], inputs: &[(Source, Tensor)]) -> Result<(), TchError> {
        if numbers.is_empty() || inputs.is_empty() {
            return Ok(());
        }
        let tensors: Vec<&Tensor> = inputs.iter().map(|(_, tensor)| tensor).collect();
        let gradients = Tensor::f_run_backward(numbers, &tensors, false, false)?;
        for ((source, _), gradient) in inputs.iter().zip(gradients) {
            self.add(*source, gradient)?;
        }
        Ok(())
    }

    /// Carries the gradient of a batch norm's output to what the batch norm reads.
    fn of_normalisation(&mut self, step: &NormalisationStep) -> Result<(), TchError> {
        let NormalisationStep { normalisation, batch_norm, images, outputs } = step;
        let of_output = self.take(normalisation.last);
        let addend = normalisation.addend();
        let NormalisedGradients { images, addend: of_addend, affine } =
            kernels::normalised_gradients(batch_norm, images, outputs, &of_output, addend.is_some())?;
        self.add(Source::Output(normalisation.input), images)?;
        for (addend, gradient) in addend.into_iter().zip(of_addend) {
            self.add(Source::Output(addend), gradient)?;
        }
        for (index, gradient) in affine.into_iter().enumerate() {
            self.add(Source::Parameter { layer: normalisation.batch_norm, index }, gradient)?;
        }
        Ok(())
    }

    /// The gradient with respect to a layer's output, which all its readers have added to.
    fn take(&mut self, layer: usize) -> Tensor {
        self.outputs[layer].take().expect("every layer's output has a part in the loss")
    }

    fn add(&mut self, source: Source, gradient: Tensor) -> Result<(), TchError> {
        let known = match source {
            Source::Output(layer) => &mut self.outputs[layer],
            Source::Parameter { layer, index } => &mut self.parameters[layer][index],
        };
        *known = Some(match known.take() {
            Some(known) => known.f_add(&gradient)?,
            None => gradient,
        });
        Ok(())
    }
}

/// The output of a layer that is still to be read.
pub fn kept(outputs: &[Option<Tensor>], layer: usize) -> &Tensor {
    outputs[layer].as_ref().expect("a layer's output is kept until its last reader")
}

/// A number whose gradient with respect to `output` is `gradient`: libtorch begins with numbers only. Its products of two vectors are
/// slow in bfloat16.
fn slope(output: &Tensor, gradient: &Tensor) -> Result<Tensor, TchError> {
    match output.kind() {
        Kind::BFloat16 => flat(output)?.f_mul(&flat(gradient)?)?.f_sum(Kind::Float),
        _ => flat(output)?.f_dot(&flat(gradient)?),
    }
}
