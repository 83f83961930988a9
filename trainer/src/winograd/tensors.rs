//! Convolutions of this project's own, between libtorch's tensors. They are quicker than libtorch's where training is
//! in float32 on a CPU.

use mfactor::Layer;
use mfactor::layers::Operation;
use tch::{Device, Kind, TchError, Tensor};

use super::Convolution;

/// The layer as a convolution that can be computed here, for images of this shape, if it is one.
pub fn convolution(layer: &Layer, images: &Tensor) -> Option<Convolution> {
    let Operation::Convolution { input_channels, output_channels, kernel, stride, padding } = layer.operation
    else {
        return None;
    };
    let is_float32_on_cpu = images.device() == Device::Cpu && images.kind() == Kind::Float;
    let convolution = Convolution {
        images: usize::try_from(images.size()[0]).ok()?,
        height: layer.output.height,
        width: layer.output.width,
        input_channels,
        output_channels,
        kernel,
    };
    (is_float32_on_cpu && stride == 1 && padding == kernel / 2 && convolution.is_supported())
        .then_some(convolution)
}

/// The outputs, \[n, channels, rows, columns\] in channels-last memory as `images` and `weights` are.
pub fn forward(convolution: &Convolution, images: &Tensor, weights: &Tensor) -> Result<Tensor, TchError> {
    let mut outputs = new(convolution, convolution.output_channels)?;
    let (images, weights) = (channels_last(images)?, channels_last(weights)?);
    convolution.forward(values(&images), values(&weights), values_mut(&mut outputs), threads());
    outputs.f_permute([0, 3, 1, 2])
}

/// The gradient with respect to the images, shaped as they are.
pub fn images_gradient(
    convolution: &Convolution,
    weights: &Tensor,
    gradient: &Tensor,
) -> Result<Tensor, TchError> {
    let mut result = new(convolution, convolution.input_channels)?;
    let (weights, gradient) = (channels_last(weights)?, channels_last(gradient)?);
    convolution.images_gradient(values(&weights), values(&gradient), values_mut(&mut result), threads());
    result.f_permute([0, 3, 1, 2])
}

/// The gradient with respect to the weights, shaped as they are.
pub fn weights_gradient(
    convolution: &Convolution,
    images: &Tensor,
    gradient: &Tensor,
) -> Result<Tensor, TchError> {
    let Convolution { input_channels, output_channels, kernel, .. } = *convolution;
    let shape = [output_channels, kernel, kernel, input_channels].map(|size| size as i64);
    let mut result = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
    let (images, gradient) = (channels_last(images)?, channels_last(gradient)?);
    convolution.weights_gradient(values(&images), values(&gradient), values_mut(&mut result), threads());
    result.f_permute([0, 3, 1, 2])
}

fn new(convolution: &Convolution, channels: usize) -> Result<Tensor, TchError> {
    let Convolution { images, height, width, .. } = *convolution;
    Tensor::f_empty([images, height, width, channels].map(|size| size as i64), (Kind::Float, Device::Cpu))
}

/// The tensor with its channels as last dimension, contiguous; a copy only where its memory is otherwise.
fn channels_last(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_detach()?.f_permute([0, 2, 3, 1])?.f_contiguous()
}

fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1)
}

fn values(tensor: &Tensor) -> &[f32] {
    assert!(tensor.kind() == Kind::Float && tensor.device() == Device::Cpu && tensor.is_contiguous());
    #[expect(unsafe_code, reason = "libtorch gives a pointer to a tensor's memory and nothing safer")]
    // SAFETY: a contiguous f32 tensor on the CPU has `numel` values from there on, and lives as long as the reference.
    // Nothing else in this single-threaded program changes it meanwhile.
    unsafe {
        std::slice::from_raw_parts(tensor.data_ptr().cast::<f32>().cast_const(), tensor.numel())
    }
}

fn values_mut(tensor: &mut Tensor) -> &mut [f32] {
    assert!(tensor.kind() == Kind::Float && tensor.device() == Device::Cpu && tensor.is_contiguous());
    #[expect(unsafe_code, reason = "libtorch gives a pointer to a tensor's memory and nothing safer")]
    // SAFETY: as in `values`; the tensors that come here were just made, so that none shares their memory.
    unsafe {
        std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel())
    }
}

#[cfg(test)]
mod tests {
    use mfactor::SearchSpace;

    use super::*;

    #[test]
    fn outputs_and_gradients_are_those_of_libtorch() {
        tch::manual_seed(1);
        let layers = SearchSpace::paper().lower(&"357-357-357".parse().unwrap());
        let mut compared = 0;
        for layer in &layers {
            let Operation::Convolution { input_channels, output_channels, kernel, .. } = layer.operation
            else {
                continue;
            };
            let random = |shape: [usize; 4]| {
                let shape = shape.map(|size| size as i64);
                let tensor = Tensor::randn(shape, (Kind::Float, Device::Cpu));
                tensor.permute([0, 3, 1, 2]).set_requires_grad(true)
            };
            let images = random([2, layer.output.height, layer.output.width, input_channels]);
            let Some(convolution) = convolution(layer, &images) else { continue };
            let weights = random([output_channels, kernel, kernel, input_channels]);
            let slope = random([2, layer.output.height, layer.output.width, output_channels]).detach();
            let padding = kernel as i64 / 2;
            let expected = images.conv2d(&weights, None::<Tensor>, 1, padding, 1, 1);
            let gradients = Tensor::run_backward(
                &[(&expected * &slope).sum(Kind::Float)],
                &[&images, &weights],
                false,
                false,
            );
            for (result, expected) in [
                (forward(&convolution, &images, &weights), &expected),
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
        assert_eq!(compared, 16, "all but the stem, the two with stride 2 and the two shortcuts");
    }

    #[test]
    fn what_libtorch_does_better_is_left_to_it() {
        let layers = SearchSpace::paper().lower(&"333-333-333".parse().unwrap());
        let layer = layers.iter().find(|layer| layer.name == "stage1.block1.conv1").unwrap();
        let images = Tensor::zeros([2, 16, 32, 32], (Kind::Float, Device::Cpu));
        assert!(convolution(layer, &images).is_some());
        assert_eq!(convolution(layer, &images.to_kind(Kind::BFloat16)), None);
        let strided = layers.iter().find(|layer| layer.name == "stage2.block1.conv1").unwrap();
        assert_eq!(convolution(strided, &images), None);
    }
}
