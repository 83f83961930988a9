//! Against the definition of a convolution, in float64.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Filtered;

/// Calls `visit` with the positions of an image's value, a weight and an output that belong together.
fn visit(convolution: &Filtered, mut visit: impl FnMut(usize, usize, usize)) {
    let Filtered { images, height, width, input_channels, output_channels, kernel, stride } = *convolution;
    for image in 0..images {
        for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
            for (down, right) in (0..kernel).flat_map(|down| (0..kernel).map(move |right| (down, right))) {
                let along = |output: usize, tap: usize| (output * stride + tap).wrapping_sub(kernel / 2);
                let (y, x) = (along(row, down), along(column, right));
                if y >= stride * height || x >= stride * width {
                    continue;
                }
                for output in 0..output_channels {
                    for input in 0..input_channels {
                        visit(
                            ((image * stride * height + y) * stride * width + x) * input_channels + input,
                            ((output * kernel + down) * kernel + right) * input_channels + input,
                            ((image * height + row) * width + column) * output_channels + output,
                        );
                    }
                }
            }
        }
    }
}

fn assert_near(values: &[f32], expected: &[f64], what: &str) {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let error =
        square(&mut values.iter().zip(expected).map(|(value, expected)| f64::from(*value) - expected));
    let relative = (error / square(&mut expected.iter().copied())).sqrt();
    assert!(relative < 1e-4, "{what}: {relative}");
}

#[test]
fn outputs_and_gradients_are_those_of_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (kernel, stride, height, width, input_channels, output_channels) in [
        (3, 1, 8, 8, 16, 32),
        (3, 1, 7, 5, 32, 16),
        (5, 1, 8, 12, 16, 16),
        (5, 1, 1, 3, 16, 16),
        (7, 1, 8, 8, 48, 16),
        (7, 1, 10, 6, 16, 32),
        (5, 2, 4, 4, 16, 32),
        (7, 2, 5, 3, 32, 16),
        (7, 2, 1, 8, 16, 16),
    ] {
        for threads in [1, 2] {
            let convolution =
                Filtered { images: 3, height, width, input_channels, output_channels, kernel, stride };
            let what = format!("{convolution:?}, {threads} threads");
            let mut random =
                |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
            let pixels = 3 * height * width;
            let images = random(pixels * stride * stride * input_channels);
            let weights = random(kernel * kernel * input_channels * output_channels);
            let slope = random(pixels * output_channels);
            let mut expected = [vec![0.0; slope.len()], vec![0.0; images.len()], vec![0.0; weights.len()]];
            visit(&convolution, |image, weight, output| {
                expected[0][output] += f64::from(images[image]) * f64::from(weights[weight]);
                expected[1][image] += f64::from(slope[output]) * f64::from(weights[weight]);
                expected[2][weight] += f64::from(slope[output]) * f64::from(images[image]);
            });
            let mut result = expected.each_ref().map(|values| vec![f32::NAN; values.len()]);
            convolution.forward(&images, &weights, &mut result[0], threads);
            convolution.images_gradient(&weights, &slope, &mut result[1], threads);
            convolution.weights_gradient(&images, &slope, &mut result[2], threads);
            for (name, (result, expected)) in
                ["outputs", "images' gradient", "weights' gradient"].iter().zip(result.iter().zip(&expected))
            {
                assert_near(result, expected, &format!("{name} of {what}"));
            }
        }
    }
}

#[test]
fn other_kernels_and_channels_are_not_supported() {
    let channels = 16;
    let convolution = Filtered {
        images: 1,
        height: 8,
        width: 8,
        input_channels: channels,
        output_channels: channels,
        kernel: 3,
        stride: 1,
    };
    assert!(convolution.is_supported());
    assert!(!Filtered { kernel: 1, ..convolution }.is_supported());
    assert!(!Filtered { stride: 2, ..convolution }.is_supported());
    assert!(!Filtered { input_channels: 3, ..convolution }.is_supported());
    assert!(!Filtered { output_channels: 20, ..convolution }.is_supported());
}
