//! Convolutions of batches with channels apart and with kernels of 1 × 1, and their gradients, against their definition in f64.

use kernels::InstructionSet;
use kernels::training::{Depthwise, Element, Pointwise};
use proptest::prelude::*;

use crate::cases;
use crate::reference::{Numbers, halves, numbers};

/// A convolution of some images, which are `stride` times as high and wide as outputs.
#[derive(Debug, Clone, Copy)]
struct Batch {
    images: usize,
    height: usize,
    width: usize,
    input_channels: usize,
    output_channels: usize,
    kernel: usize,
    stride: usize,
    is_depthwise: bool,
}

/// What is random: images, weights, and the gradient of the outputs.
type Given = [Vec<f32>; 3];

impl Batch {
    /// Calls `visit` with the positions of an image's value, a weight and an output that belong together.
    fn visit(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let Self { images, height, width, input_channels, output_channels, kernel, stride, is_depthwise } =
            *self;
        for pixel in 0..images * height * width {
            let (image, row, column) = (pixel / (height * width), pixel / width % height, pixel % width);
            for tap in 0..kernel * kernel {
                let y = (row * stride + tap / kernel).wrapping_sub(kernel / 2);
                let x = (column * stride + tap % kernel).wrapping_sub(kernel / 2);
                if y >= height * stride || x >= width * stride {
                    continue;
                }
                let from = ((image * height * stride + y) * width * stride + x) * input_channels;
                for output in 0..output_channels {
                    let read = if is_depthwise { output..output + 1 } else { 0..input_channels };
                    let first = output * read.len();
                    for (place, input) in read.enumerate() {
                        let weight = (first + place) * kernel * kernel + tap;
                        visit(from + input, weight, pixel * output_channels + output);
                    }
                }
            }
        }
    }

    fn given(&self, numbers: &mut Numbers) -> Given {
        let pixels = self.images * self.height * self.width;
        let inputs = if self.is_depthwise { 1 } else { self.input_channels };
        let of_images = pixels * self.stride * self.stride * self.input_channels;
        let of_weights = self.output_channels * inputs * self.kernel * self.kernel;
        [of_images, of_weights, pixels * self.output_channels].map(|count| numbers.many(count, 1.0))
    }

    /// Outputs, and the gradients of images and weights, by their definition.
    fn exact(&self, [images, weights, slope]: &Given) -> [Vec<f64>; 3] {
        let mut exact = [slope, images, weights].map(|of| vec![0.0; of.len()]);
        self.visit(|image, weight, output| {
            exact[0][output] += f64::from(images[image]) * f64::from(weights[weight]);
            exact[1][image] += f64::from(slope[output]) * f64::from(weights[weight]);
            exact[2][weight] += f64::from(slope[output]) * f64::from(images[image]);
        });
        exact
    }

    /// What the kernels find, given images, weights and the gradient of the outputs: outputs, and the gradients of images and weights.
    fn found<E: Element + Clone>(
        &self,
        (images, weights, slope): (&[E], &[f32], &[E]),
        set: InstructionSet,
        threads: usize,
    ) -> (Vec<E>, Vec<E>, Vec<f32>) {
        let Self { images: count, height, width, input_channels, output_channels, kernel, stride, .. } =
            *self;
        let (mut outputs, mut of_images, mut of_weights) =
            (slope.to_vec(), images.to_vec(), vec![f32::NAN; weights.len()]);
        if self.is_depthwise {
            let own = Depthwise { images: count, height, width, channels: output_channels, kernel, stride };
            own.forward(set, images, weights, &mut outputs, threads);
            own.images_gradient(set, weights, slope, &mut of_images, threads);
            own.weights_gradient(set, images, slope, &mut of_weights, threads);
        } else {
            let own = Pointwise { images: count, height, width, input_channels, output_channels, stride };
            own.forward(set, images, weights, &mut outputs, threads);
            own.images_gradient(set, weights, slope, &mut of_images, threads);
            own.weights_gradient(set, images, slope, &mut of_weights, threads);
        }
        (outputs, of_images, of_weights)
    }

    fn check(&self, seed: u64) {
        let given @ [images, weights, slope] = &self.given(&mut Numbers::new(seed));
        let exact = self.exact(given);
        for set in InstructionSet::available() {
            for threads in [1, 2] {
                let (outputs, of_images, of_weights) = self.found((images, weights, slope), set, threads);
                let found = [outputs, of_images, of_weights];
                for (name, (found, exact)) in
                    ["outputs", "images' gradient", "weights' gradient"].iter().zip(found.iter().zip(&exact))
                {
                    let largest = exact.iter().fold(1e-3f64, |most, value| most.max(value.abs()));
                    for (place, (value, exact)) in found.iter().zip(exact).enumerate() {
                        let off = (f64::from(*value) - exact).abs();
                        assert!(
                            off <= 1e-5 * largest,
                            "{name} of {self:?}, {set}, {threads} threads, {place}: {value}, not {exact}"
                        );
                    }
                }
                self.check_halves(given, set, threads);
            }
        }
    }

    /// With images of bfloat16 all is computed as with the same images of f32, and only what is written is rounded.
    fn check_halves(&self, [images, weights, slope]: &Given, set: InstructionSet, threads: usize) {
        let [images, slope] = [images, slope].map(|values| halves(values));
        let found = self.found((&images, weights, &slope), set, threads);
        let [images, slope] = [images, slope].map(|halves| numbers(&halves));
        let exact = self.found((&images, weights, &slope), set, threads);
        let exact = (halves(&exact.0), halves(&exact.1), exact.2);
        assert!(found == exact, "{self:?}, {set}, {threads} threads, in bfloat16");
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn channels_apart_and_their_gradients(
        seed: u64,
        images in 1usize..4,
        size in prop::array::uniform2(1usize..12),
        vectors in 1usize..5,
        kernel in prop::sample::select(vec![3usize, 5, 7]),
        stride in 1usize..3,
    ) {
        let ([height, width], channels) = (size, 8 * vectors);
        let (input_channels, output_channels) = (channels, channels);
        Batch { images, height, width, input_channels, output_channels, kernel, stride, is_depthwise: true }
            .check(seed);
    }

    #[test]
    fn kernels_of_one_and_their_gradients(
        seed: u64,
        images in 1usize..4,
        size in prop::array::uniform2(1usize..12),
        vectors in prop::array::uniform2(1usize..9),
        stride in 1usize..3,
    ) {
        let ([height, width], [input_channels, output_channels]) = (size, vectors.map(|count| 8 * count));
        Batch { images, height, width, input_channels, output_channels, kernel: 1, stride, is_depthwise: false }
            .check(seed);
    }
}

#[test]
fn other_kernels_steps_and_channels_are_not_supported() {
    let apart = Depthwise { images: 1, height: 8, width: 8, channels: 24, kernel: 3, stride: 2 };
    assert!(apart.is_supported());
    assert!(!Depthwise { kernel: 4, ..apart }.is_supported());
    assert!(!Depthwise { stride: 3, ..apart }.is_supported());
    assert!(!Depthwise { channels: 12, ..apart }.is_supported());
    assert!(!Depthwise { channels: 0, ..apart }.is_supported());
    let of_one =
        Pointwise { images: 1, height: 8, width: 8, input_channels: 8, output_channels: 24, stride: 2 };
    assert!(of_one.is_supported());
    assert!(!Pointwise { stride: 3, ..of_one }.is_supported());
    assert!(!Pointwise { input_channels: 12, ..of_one }.is_supported());
    assert!(!Pointwise { output_channels: 0, ..of_one }.is_supported());
}
