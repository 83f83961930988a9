//! The layers of this project's own between libtorch's tensors, which are shaped \[n, channels, rows, columns\] and lie in
//! channels-last memory.

use kernels::training::{AffineGradient, Bfloat16, Element};
use mfactor::Layer;
use mfactor::layers::Operation;
use tch::{Device, Kind, TchError, Tensor};

use super::{BatchNorm, Convolution, vectors};
use crate::device::processor_multiplies_matrices;

/// Whether a network's layers are computed here where they can be, given the kind of number and the device of the training: on a CPU. Not
/// in bfloat16 where the processor multiplies matrices of that, which libtorch's convolutions use and these do not, unless channels
/// are kept apart, for which libtorch has no matrices either and takes many times as long.
pub fn are_for(layers: &[Layer], kind: Kind, device: Device) -> bool {
    let is_quicker = match kind {
        Kind::Float => true,
        Kind::BFloat16 => {
            let is_apart = |layer: &Layer| matches!(layer.operation, Operation::Convolution { groups, .. } if groups > 1);
            !processor_multiplies_matrices() || layers.iter().any(is_apart)
        }
        _ => false,
    };
    is_quicker && device == Device::Cpu
}

/// The layer as a convolution that is computed here, for such images, if it is one. Where the processor multiplies matrices of bfloat16,
/// only those with channels apart are.
pub fn convolution(layer: &Layer, images: &Tensor) -> Option<Convolution> {
    let shape = images.size();
    let [count, channels, rows, columns] = shape[..] else { return None };
    let outputs = [layer.output.height, layer.output.width];
    let convolution = Convolution::of(&layer.operation, usize::try_from(count).ok()?, outputs)?;
    let has_matrices = images.kind() == Kind::BFloat16 && processor_multiplies_matrices();
    if has_matrices && !matches!(convolution, Convolution::Depthwise(_)) {
        return None;
    }
    // Images are whole steps high and wide.
    let read = convolution.images_shape().map(|size| size as i64);
    (read == [count, rows, columns, channels]).then_some(convolution)
}

/// The outputs of a convolution, of the images' kind.
pub fn convolve(convolution: &Convolution, images: &Tensor, weights: &Tensor) -> Result<Tensor, TchError> {
    let of = if images.kind() == Kind::BFloat16 { convolve_of::<Bfloat16> } else { convolve_of::<f32> };
    of(convolution, images, weights)
}

fn convolve_of<E: Numbers>(
    convolution: &Convolution,
    images: &Tensor,
    weights: &Tensor,
) -> Result<Tensor, TchError> {
    let mut outputs = new(convolution.outputs_shape(), E::KIND)?;
    let (images, weights) = (channels_last(images)?, numbers(weights)?);
    convolution.forward(values::<E>(&images), values(&weights), values_mut(&mut outputs), threads());
    outputs.f_permute([0, 3, 1, 2])
}

/// The gradient with respect to the images, shaped as they are.
pub fn images_gradient(
    convolution: &Convolution,
    weights: &Tensor,
    gradient: &Tensor,
) -> Result<Tensor, TchError> {
    let is_half = gradient.kind() == Kind::BFloat16;
    let of = if is_half { images_gradient_of::<Bfloat16> } else { images_gradient_of::<f32> };
    of(convolution, weights, gradient)
}

fn images_gradient_of<E: Numbers>(
    convolution: &Convolution,
    weights: &Tensor,
    gradient: &Tensor,
) -> Result<Tensor, TchError> {
    let mut result = new(convolution.images_shape(), E::KIND)?;
    let (weights, gradient) = (numbers(weights)?, channels_last(gradient)?);
    convolution.images_gradient(values(&weights), values::<E>(&gradient), values_mut(&mut result), threads());
    result.f_permute([0, 3, 1, 2])
}

/// The gradient with respect to the weights, f32, shaped as they are.
pub fn weights_gradient(
    convolution: &Convolution,
    images: &Tensor,
    gradient: &Tensor,
) -> Result<Tensor, TchError> {
    let is_half = gradient.kind() == Kind::BFloat16;
    let of = if is_half { weights_gradient_of::<Bfloat16> } else { weights_gradient_of::<f32> };
    of(convolution, images, gradient)
}

fn weights_gradient_of<E: Numbers>(
    convolution: &Convolution,
    images: &Tensor,
    gradient: &Tensor,
) -> Result<Tensor, TchError> {
    let mut result = new(convolution.weights_shape(), Kind::Float)?;
    let (images, gradient) = (channels_last(images)?, channels_last(gradient)?);
    let (images, gradient) = (values::<E>(&images), values(&gradient));
    convolution.weights_gradient(images, gradient, values_mut(&mut result), threads());
    result.f_permute([0, 3, 1, 2])
}

/// What came of a batch norm.
pub struct Normalised {
    /// The outputs.
    pub outputs: Tensor,
    /// For the way back.
    pub batch_norm: BatchNorm,
}

/// The batch norm of `images`, with `addend` added, and rectified if asked for. Scale and shift are f32; all else is of the images' kind.
pub fn normalise(
    images: &Tensor,
    addend: Option<&Tensor>,
    affine: [&Tensor; 2],
    epsilon: f64,
    is_rectified: bool,
) -> Result<Normalised, TchError> {
    let of = if images.kind() == Kind::BFloat16 { normalise_of::<Bfloat16> } else { normalise_of::<f32> };
    of(images, addend, affine, epsilon, is_rectified)
}

fn normalise_of<E: Numbers>(
    images: &Tensor,
    addend: Option<&Tensor>,
    [scale, shift]: [&Tensor; 2],
    epsilon: f64,
    is_rectified: bool,
) -> Result<Normalised, TchError> {
    let (images, scale, shift) = (channels_last(images)?, scale.f_detach()?, shift.f_detach()?);
    let addend = addend.map(channels_last).transpose()?;
    let batch_norm = BatchNorm::new(
        vectors(),
        values::<E>(&images),
        values(&scale),
        values(&shift),
        epsilon,
        is_rectified,
        threads(),
    );
    let mut outputs = images.f_empty_like()?;
    batch_norm.forward(values::<E>(&images), addend.as_ref().map(values), values_mut(&mut outputs));
    Ok(Normalised { outputs: outputs.f_permute([0, 3, 1, 2])?, batch_norm })
}

/// Gradients with respect to what a batch norm reads.
pub struct NormalisedGradients {
    /// With respect to the images.
    pub images: Tensor,
    /// With respect to the addend, where that is asked for.
    pub addend: Option<Tensor>,
    /// With respect to the scales and the shifts.
    pub affine: [Tensor; 2],
}

/// The gradients of a batch norm, given the one with respect to its outputs.
pub fn normalised_gradients(
    batch_norm: &BatchNorm,
    images: &Tensor,
    outputs: &Tensor,
    gradient: &Tensor,
    has_addend: bool,
) -> Result<NormalisedGradients, TchError> {
    let of = if images.kind() == Kind::BFloat16 { gradients_of::<Bfloat16> } else { gradients_of::<f32> };
    of(batch_norm, images, outputs, gradient, has_addend)
}

fn gradients_of<E: Numbers>(
    batch_norm: &BatchNorm,
    images: &Tensor,
    outputs: &Tensor,
    gradient: &Tensor,
    has_addend: bool,
) -> Result<NormalisedGradients, TchError> {
    let [images, outputs, gradient] = [images, outputs, gradient].map(channels_last);
    let (images, outputs, gradient) = (images?, outputs?, gradient?);
    let mut of_addend = if has_addend { Some(images.f_empty_like()?) } else { None };
    let mut of_images = images.f_empty_like()?;
    let AffineGradient { scale, shift } = batch_norm.backward(
        values::<E>(&images),
        values(&outputs),
        values(&gradient),
        of_addend.as_mut().map(values_mut),
        values_mut(&mut of_images),
    );
    Ok(NormalisedGradients {
        images: of_images.f_permute([0, 3, 1, 2])?,
        addend: of_addend.map(|gradient| gradient.f_permute([0, 3, 1, 2])).transpose()?,
        affine: [Tensor::f_from_slice(&scale)?, Tensor::f_from_slice(&shift)?],
    })
}

/// Moves running statistics by `momentum` towards those of a batch. Not by libtorch, which would take it for a change of all
/// tensors in the same memory, and refuse to go back through its own batch norms.
pub fn follow(running: &Tensor, of_batch: &[f32], momentum: f64) {
    let mut running = running.shallow_clone();
    for (running, of_batch) in values_mut::<f32>(&mut running).iter_mut().zip(of_batch) {
        *running += momentum as f32 * (of_batch - *running);
    }
}

fn new(shape: [usize; 4], kind: Kind) -> Result<Tensor, TchError> {
    Tensor::f_empty(shape.map(|size| size as i64), (kind, Device::Cpu))
}

/// As [`channels_last`], in f32.
fn numbers(tensor: &Tensor) -> Result<Tensor, TchError> {
    channels_last(&tensor.f_detach()?.f_to_kind(Kind::Float)?)
}

/// The tensor with its channels as last dimension, contiguous; a copy only where its memory is otherwise.
fn channels_last(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_detach()?.f_permute([0, 2, 3, 1])?.f_contiguous()
}

fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1)
}

/// An element and libtorch's name for it.
trait Numbers: Element {
    const KIND: Kind;
}

impl Numbers for f32 {
    const KIND: Kind = Kind::Float;
}

impl Numbers for Bfloat16 {
    const KIND: Kind = Kind::BFloat16;
}

fn assert_is_of<E: Numbers>(tensor: &Tensor) {
    assert!(tensor.kind() == E::KIND && tensor.device() == Device::Cpu && tensor.is_contiguous());
}

fn values<E: Numbers>(tensor: &Tensor) -> &[E] {
    assert_is_of::<E>(tensor);
    #[expect(unsafe_code, reason = "libtorch gives a pointer to a tensor's memory and nothing safer")]
    // SAFETY: a contiguous tensor of such elements on the CPU has `numel` values from there on, and lives as long as the reference.
    // Nothing else in this single-threaded program changes it meanwhile.
    unsafe {
        std::slice::from_raw_parts(tensor.data_ptr().cast::<E>().cast_const(), tensor.numel())
    }
}

fn values_mut<E: Numbers>(tensor: &mut Tensor) -> &mut [E] {
    assert_is_of::<E>(tensor);
    #[expect(unsafe_code, reason = "libtorch gives a pointer to a tensor's memory and nothing safer")]
    // SAFETY: as in `values`; the tensors that come here were just made, or are running statistics: no other slice of
    // their memory is held meanwhile.
    unsafe {
        std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<E>(), tensor.numel())
    }
}

#[cfg(test)]
mod tests {
    use mfactor::SearchSpace;
    use mfactor::layers::Operation;

    use super::*;

    #[test]
    fn outputs_and_gradients_are_those_of_libtorch() {
        let paper = SearchSpace::paper().lower(&"357-557-757".parse().unwrap());
        // All but the stem.
        assert_eq!(compared(&paper), 20);
        let text = std::fs::read_to_string("../spaces/edge32.toml").unwrap();
        let space = SearchSpace::parse(&text, "edge32").unwrap();
        let id = "s8-w24.i3e4.b3-w16.i5e2.b5-w48.i3e6.i5e2".parse().unwrap();
        // The four with channels apart and the four of the basic blocks; not the stem, and those of 1 × 1 in steps of 1.
        assert_eq!(compared(&space.lower(&id)), 8);
    }

    /// How many convolutions of these layers are computed here; each is compared with libtorch.
    fn compared(layers: &[Layer]) -> usize {
        tch::manual_seed(1);
        let mut compared = 0;
        for layer in layers {
            let Operation::Convolution { input_channels, output_channels, kernel, stride, groups, .. } =
                layer.operation
            else {
                continue;
            };
            let random = |shape: [usize; 4]| {
                let shape = shape.map(|size| size as i64);
                let tensor = Tensor::randn(shape, (Kind::Float, Device::Cpu));
                tensor.permute([0, 3, 1, 2]).set_requires_grad(true)
            };
            let [height, width] = [layer.output.height, layer.output.width].map(|size| size * stride);
            let images = random([2, height, width, input_channels]);
            let Some(convolution) = convolution(layer, &images) else { continue };
            let weights = random([output_channels, kernel, kernel, input_channels / groups]);
            let slope = random([2, layer.output.height, layer.output.width, output_channels]).detach();
            compare_halves(&convolution, [&images, &weights, &slope], &layer.name);
            let padding = kernel as i64 / 2;
            let expected = images.conv2d(&weights, None::<Tensor>, stride as i64, padding, 1, groups as i64);
            let gradients = Tensor::run_backward(
                &[(&expected * &slope).sum(Kind::Float)],
                &[&images, &weights],
                false,
                false,
            );
            for (result, expected) in [
                (convolve(&convolution, &images, &weights), &expected),
                (images_gradient(&convolution, &weights, &slope), &gradients[0]),
                (weights_gradient(&convolution, &images, &slope), &gradients[1]),
            ] {
                let result = result.unwrap();
                assert_eq!(result.size(), expected.size());
                let error = f64::try_from((result - expected).norm() / expected.norm()).unwrap();
                assert!(error < 1e-4, "{}: {error}", layer.name);
            }
            compared += 1;
        }
        compared
    }

    /// In bfloat16 everything is what it is in float32 of the same numbers, but for the rounding of what is written.
    fn compare_halves(convolution: &Convolution, tensors: [&Tensor; 3], name: &str) {
        let [images, weights, slope] = tensors.map(|tensor| tensor.detach().to_kind(Kind::BFloat16));
        let all = |kind: Kind| {
            let [images, slope] = [&images, &slope].map(|tensor| tensor.to_kind(kind));
            [
                convolve(convolution, &images, &weights).unwrap(),
                images_gradient(convolution, &weights, &slope).unwrap(),
                weights_gradient(convolution, &images, &slope).unwrap(),
            ]
        };
        for (half, whole) in all(Kind::BFloat16).iter().zip(all(Kind::Float)) {
            let error = f64::try_from((half.to_kind(Kind::Float) - &whole).norm() / whole.norm()).unwrap();
            assert!(error < 3e-3, "{name}: {error}");
        }
    }

    #[test]
    fn batch_norms_in_bfloat16_are_those_in_float32_but_for_rounding() {
        tch::manual_seed(1);
        let random = |shift: f64| {
            let tensor = Tensor::randn([3, 5, 7, 48], (Kind::Float, Device::Cpu)) + shift;
            tensor.permute([0, 3, 1, 2]).to_kind(Kind::BFloat16)
        };
        let (images, addend, slope) = (random(2.0), random(0.0), random(0.1));
        let of_channels = || Tensor::randn([48], (Kind::Float, Device::Cpu));
        let affine = [of_channels(), of_channels()];
        let all = |kind: Kind| {
            let [images, addend, slope] = [&images, &addend, &slope].map(|tensor| tensor.to_kind(kind));
            let Normalised { outputs, batch_norm } =
                normalise(&images, Some(&addend), affine.each_ref(), 1e-5, true).unwrap();
            let found = normalised_gradients(&batch_norm, &images, &outputs, &slope, true).unwrap();
            let [of_scale, of_shift] = found.affine;
            [outputs, found.images, found.addend.unwrap(), of_scale, of_shift]
        };
        for (place, (half, whole)) in all(Kind::BFloat16).iter().zip(all(Kind::Float)).enumerate() {
            let error = f64::try_from((half.to_kind(Kind::Float) - &whole).norm() / whole.norm()).unwrap();
            assert!(error < 5e-3, "tensor {place}: {error}");
        }
    }

    #[test]
    fn batch_norms_and_their_gradients_are_those_of_libtorch() {
        tch::manual_seed(1);
        for (channels, has_addend, is_rectified) in
            [(16, false, false), (32, false, true), (64, true, true), (48, true, false)]
        {
            let random = |scale: f64, shift: f64| {
                let tensor = Tensor::randn([3, 5, 7, channels], (Kind::Float, Device::Cpu)) * scale + shift;
                tensor.permute([0, 3, 1, 2]).set_requires_grad(true)
            };
            // Means that are large beside the deviations are the hard case.
            let (images, addend, slope) = (random(0.5, 5.0), random(1.0, 0.0), random(1.0, 0.1).detach());
            let of_channels =
                || Tensor::randn([channels], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let [scale, shift] = [of_channels(), of_channels()];
            let none = None::<Tensor>;
            let mut expected = images.batch_norm(
                Some(&scale),
                Some(&shift),
                none.as_ref(),
                none.as_ref(),
                true,
                0.1,
                1e-5,
                true,
            );
            let mut sources = vec![&images, &scale, &shift];
            if has_addend {
                expected = &expected + &addend;
                sources.push(&addend);
            }
            if is_rectified {
                expected = expected.relu();
            }
            let gradients =
                Tensor::run_backward(&[(&expected * &slope).sum(Kind::Float)], &sources, false, false);
            let addend = has_addend.then_some(&addend);
            for threads in [1, 2] {
                tch::set_num_threads(threads);
                let Normalised { outputs, batch_norm } =
                    normalise(&images, addend, [&scale, &shift], 1e-5, is_rectified).unwrap();
                let found = normalised_gradients(&batch_norm, &images, &outputs, &slope, has_addend).unwrap();
                let [of_scale, of_shift] = found.affine;
                let found = [outputs, found.images, of_scale, of_shift].into_iter().chain(found.addend);
                let expected = [&expected].into_iter().chain(&gradients);
                for (place, (found, expected)) in found.zip(expected).enumerate() {
                    assert_eq!(found.size(), expected.size());
                    let error = f64::try_from((found - expected).norm() / expected.norm()).unwrap();
                    assert!(error < 1e-5, "{channels} channels, {threads} threads, tensor {place}: {error}");
                }
            }
            tch::set_num_threads(1);
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let images = Tensor::full([2, 16, 4, 4], f64::NAN, (Kind::Float, Device::Cpu));
        let [scale, shift] =
            [Tensor::ones([16], (Kind::Float, Device::Cpu)), Tensor::zeros([16], (Kind::Float, Device::Cpu))];
        let normalised = normalise(&images, None, [&scale, &shift], 1e-5, true).unwrap();
        assert_eq!(i64::try_from(normalised.outputs.isnan().all()).unwrap(), 1);
    }

    #[test]
    fn what_libtorch_does_better_is_left_to_it() {
        let layers = SearchSpace::paper().lower(&"333-333-333".parse().unwrap());
        let layer = layers.iter().find(|layer| layer.name == "stage1.block1.conv1").unwrap();
        let images = Tensor::zeros([2, 16, 32, 32], (Kind::Float, Device::Cpu));
        assert!(convolution(layer, &images).is_some());
        let strided = layers.iter().find(|layer| layer.name == "stage2.block1.conv1").unwrap();
        assert_eq!(convolution(strided, &images), None);
    }
}
