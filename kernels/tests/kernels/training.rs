//! Convolutions of batches, their gradients, and batch norms, against their definitions in f64.

use kernels::InstructionSet;
use kernels::training::{BatchNorm, Bfloat16, Filter};

use crate::reference::{Numbers, halves, numbers};

/// Calls `visit` with the positions of an image's value, a weight and an output that belong together.
fn visit(filter: &Filter, mut visit: impl FnMut(usize, usize, usize)) {
    let Filter { images, height, width, input_channels, output_channels, kernel, stride } = *filter;
    for pixel in 0..images * height * width {
        let (image, row, column) = (pixel / (height * width), pixel / width % height, pixel % width);
        for tap in 0..kernel * kernel {
            let y = (row * stride + tap / kernel).wrapping_sub(kernel / 2);
            let x = (column * stride + tap % kernel).wrapping_sub(kernel / 2);
            if y >= stride * height || x >= stride * width {
                continue;
            }
            let first = ((image * stride * height + y) * stride * width + x) * input_channels;
            for pair in 0..input_channels * output_channels {
                let (output, input) = (pair / input_channels, pair % input_channels);
                let weight = (output * kernel * kernel + tap) * input_channels + input;
                visit(first + input, weight, pixel * output_channels + output);
            }
        }
    }
}

/// The root of the mean square of the differences, relative to that of the values.
fn error(values: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(values.len(), expected.len());
    let differences = values.iter().zip(expected).map(|(value, exact)| (f64::from(*value) - exact).powi(2));
    (differences.sum::<f64>() / expected.iter().map(|exact| exact * exact).sum::<f64>()).sqrt()
}

fn check_filter(filter: &Filter) {
    let Filter { images, height, width, input_channels, output_channels, kernel, stride } = *filter;
    let mut numbers = Numbers::new(kernel as u64);
    let (pixels, pairs) = (images * height * width, input_channels * output_channels);
    let values = numbers.many(pixels * stride * stride * input_channels, 1.0);
    let weights = numbers.many(kernel * kernel * pairs, 1.0);
    let slope = numbers.many(pixels * output_channels, 1.0);
    let mut exact = [vec![0.0f64; slope.len()], vec![0.0; values.len()], vec![0.0; weights.len()]];
    visit(filter, |value, weight, output| {
        exact[0][output] += f64::from(values[value]) * f64::from(weights[weight]);
        exact[1][value] += f64::from(slope[output]) * f64::from(weights[weight]);
        exact[2][weight] += f64::from(slope[output]) * f64::from(values[value]);
    });
    for set in InstructionSet::available() {
        for threads in [1, 2, 3] {
            let mut found = exact.each_ref().map(|values| vec![f32::NAN; values.len()]);
            filter.forward(set, &values, &weights, &mut found[0], threads);
            filter.images_gradient(set, &weights, &slope, &mut found[1], threads);
            filter.weights_gradient(set, &values, &slope, &mut found[2], threads);
            for (place, (found, exact)) in found.iter().zip(&exact).enumerate() {
                let off = error(found, exact);
                assert!(off < 3e-5, "{filter:?}, {set}, {threads} threads, tensor {place}: {off}");
            }
        }
        check_halves(filter, set, [&values, &weights, &slope]);
    }
}

/// With images of bfloat16 all is computed as with the same images of f32, and only what is written is rounded.
fn check_halves(filter: &Filter, set: InstructionSet, [values, weights, slope]: [&[f32]; 3]) {
    let (values, slope) = (halves(values), halves(slope));
    let mut found = vec![Bfloat16::nearest(f32::NAN); slope.len()];
    filter.forward(set, &values, weights, &mut found, 2);
    let mut exact = vec![f32::NAN; slope.len()];
    filter.forward(set, &numbers(&values), weights, &mut exact, 2);
    assert!(found == halves(&exact), "{filter:?}, {set}: outputs of bfloat16");
    let mut found = vec![Bfloat16::nearest(f32::NAN); values.len()];
    filter.images_gradient(set, weights, &slope, &mut found, 2);
    let mut exact = vec![f32::NAN; values.len()];
    filter.images_gradient(set, weights, &numbers(&slope), &mut exact, 2);
    assert!(found == halves(&exact), "{filter:?}, {set}: gradient of images of bfloat16");
    let [mut found, mut exact] = [vec![f32::NAN; weights.len()], vec![f32::NAN; weights.len()]];
    filter.weights_gradient(set, &values, &slope, &mut found, 2);
    filter.weights_gradient(set, &numbers(&values), &numbers(&slope), &mut exact, 2);
    assert!(found == exact, "{filter:?}, {set}: gradient of weights with bfloat16");
}

#[test]
fn filters_and_their_gradients() {
    let mut sizes =
        vec![(3, 1, 9, 5, 16, 32), (3, 1, 1, 3, 48, 16), (7, 1, 10, 6, 16, 64), (5, 2, 4, 4, 16, 32)];
    if !cfg!(miri) {
        sizes.extend([
            (3, 1, 8, 8, 64, 64),
            (3, 1, 4, 16, 32, 16),
            (5, 1, 8, 12, 16, 16),
            (5, 1, 7, 9, 48, 48),
            (3, 1, 6, 8, 24, 16),
            (3, 1, 6, 8, 8, 24),
            (7, 1, 8, 8, 32, 32),
            (5, 2, 3, 7, 24, 8),
            (7, 2, 5, 3, 32, 16),
            (7, 2, 1, 8, 16, 16),
        ]);
    }
    for (kernel, stride, height, width, input_channels, output_channels) in sizes {
        check_filter(&Filter { images: 3, height, width, input_channels, output_channels, kernel, stride });
    }
}

#[test]
fn filters_of_other_kernels_and_channels_are_not_supported() {
    let (input_channels, output_channels) = (16, 16);
    let filter =
        Filter { images: 1, height: 8, width: 8, input_channels, output_channels, kernel: 3, stride: 1 };
    assert!(filter.is_supported());
    assert!(!Filter { kernel: 1, ..filter }.is_supported());
    assert!(!Filter { stride: 2, ..filter }.is_supported());
    assert!(Filter { stride: 2, kernel: 5, ..filter }.is_supported());
    assert!(!Filter { input_channels: 3, ..filter }.is_supported());
    assert!(Filter { output_channels: 24, ..filter }.is_supported());
    assert!(!Filter { output_channels: 12, ..filter }.is_supported());
    assert!(!Filter { output_channels: 0, ..filter }.is_supported());
}

/// What a batch norm of some images gives: outputs, and gradients of images, addends, scales and shifts.
type Normalised = [Vec<f64>; 5];

struct Case {
    channels: usize,
    images: Vec<f32>,
    addend: Vec<f32>,
    slope: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Case {
    fn new(channels: usize, pixels: usize) -> Self {
        let mut numbers = Numbers::new(channels as u64);
        let mut many = |count| numbers.many(count, 1.0);
        // Means that are large beside the deviations are the hard case.
        let images = many(pixels * channels).into_iter().map(|value| 0.5 * value + 5.0).collect();
        let [addend, slope] = [many(pixels * channels), many(pixels * channels)];
        let [scale, shift] = [many(channels), many(channels)];
        Self { channels, images, addend, slope, scale, shift }
    }

    /// By definition; with a rectification where `is_rectified`, and without the addend where that is not wanted.
    fn exact(&self, has_addend: bool, is_rectified: bool) -> Normalised {
        let pixels = self.images.len() / self.channels;
        let mut exact = [&self.images, &self.images, &self.images, &self.scale, &self.scale]
            .map(|of| vec![0.0; of.len()]);
        for channel in 0..self.channels {
            let at = |pixel: usize| pixel * self.channels + channel;
            let of = |values: &[f32], pixel: usize| f64::from(values[at(pixel)]);
            let mean = (0..pixels).map(|pixel| of(&self.images, pixel)).sum::<f64>() / pixels as f64;
            let variance = (0..pixels).map(|pixel| (of(&self.images, pixel) - mean).powi(2)).sum::<f64>()
                / pixels as f64;
            let inverse = 1.0 / (variance + 1e-5).sqrt();
            let (scale, shift) = (f64::from(self.scale[channel]), f64::from(self.shift[channel]));
            for pixel in 0..pixels {
                let normal = (of(&self.images, pixel) - mean) * inverse;
                let addend = if has_addend { of(&self.addend, pixel) } else { 0.0 };
                let output = normal * scale + shift + addend;
                let is_cut = is_rectified && output <= 0.0;
                exact[0][at(pixel)] = if is_cut { 0.0 } else { output };
                exact[2][at(pixel)] = if is_cut { 0.0 } else { of(&self.slope, pixel) };
                exact[3][channel] += exact[2][at(pixel)] * normal;
                exact[4][channel] += exact[2][at(pixel)];
            }
            for pixel in 0..pixels {
                let normal = (of(&self.images, pixel) - mean) * inverse;
                let answer = (exact[4][channel] + normal * exact[3][channel]) / pixels as f64;
                exact[1][at(pixel)] = scale * inverse * (exact[2][at(pixel)] - answer);
            }
        }
        exact
    }

    fn check(&self, set: InstructionSet, has_addend: bool, is_rectified: bool, threads: usize) {
        let exact = self.exact(has_addend, is_rectified);
        let norm = BatchNorm::new(set, &self.images, &self.scale, &self.shift, 1e-5, is_rectified, threads);
        self.check_halves(set, has_addend, is_rectified, threads);
        let nothing = || vec![f32::NAN; self.images.len()];
        let (mut outputs, mut of_images, mut of_addend) = (nothing(), nothing(), nothing());
        norm.forward(&self.images, has_addend.then_some(&self.addend), &mut outputs);
        let kept = has_addend.then_some(&mut of_addend[..]);
        let affine = norm.backward(&self.images, &outputs, &self.slope, kept, &mut of_images);
        for (place, found) in
            [&outputs, &of_images, &of_addend, &affine.scale, &affine.shift].into_iter().enumerate()
        {
            let off = if place == 2 && !has_addend { 0.0 } else { error(found, &exact[place]) };
            assert!(
                off < 1e-4,
                "{} channels, {set}, {threads} threads, tensor {place}: {off}",
                self.channels
            );
        }
    }
}

impl Case {
    /// With images of bfloat16 all is computed as with the same images of f32, and only what is written is rounded; of the addend's
    /// gradient the images' is then computed as it was written.
    fn check_halves(&self, set: InstructionSet, has_addend: bool, is_rectified: bool, threads: usize) {
        let [images, addend, slope] = [&self.images, &self.addend, &self.slope].map(|values| halves(values));
        let norm = BatchNorm::new(set, &images, &self.scale, &self.shift, 1e-5, is_rectified, threads);
        let [mut outputs, mut of_images, mut of_addend] = [images.clone(), images.clone(), images.clone()];
        norm.forward(&images, has_addend.then_some(&addend), &mut outputs);
        let affine =
            norm.backward(&images, &outputs, &slope, has_addend.then_some(&mut of_addend), &mut of_images);

        let [images, addend, slope] = [images, addend, slope].map(|values| numbers(&values));
        let exact = BatchNorm::new(set, &images, &self.scale, &self.shift, 1e-5, is_rectified, threads);
        let [mut found, mut of_images_found, mut of_addend_found] =
            [images.clone(), images.clone(), images.clone()];
        exact.forward(&images, has_addend.then_some(&addend), &mut found);
        assert!(halves(&found) == outputs, "{} channels, {set}: outputs of bfloat16", self.channels);
        let kept = has_addend.then_some(&mut of_addend_found[..]);
        let exact = exact.backward(&images, &numbers(&outputs), &slope, kept, &mut of_images_found);
        assert!(
            halves(&of_images_found) == of_images,
            "{} channels, {set}: gradient of bfloat16",
            self.channels
        );
        assert!(
            !has_addend || halves(&of_addend_found) == of_addend,
            "{} channels, {set}: the addend's gradient",
            self.channels
        );
        assert_eq!(
            (affine.scale, affine.shift),
            (exact.scale, exact.shift),
            "{} channels, {set}",
            self.channels
        );
    }
}

#[test]
fn batch_norms_and_their_gradients() {
    for (channels, has_addend, is_rectified) in [
        (8, true, true),
        (16, false, true),
        (24, false, true),
        (32, true, true),
        (48, true, false),
        (64, false, false),
    ] {
        let case = Case::new(channels, if cfg!(miri) { 40 } else { 105 });
        for set in InstructionSet::available() {
            for threads in [1, 2] {
                case.check(set, has_addend, is_rectified, threads);
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let (images, ones, zeros) = (vec![f32::NAN; 64], vec![1.0; 16], vec![0.0; 16]);
    for set in InstructionSet::available() {
        let mut outputs = vec![0.0; 64];
        BatchNorm::new(set, &images, &ones, &zeros, 1e-5, true, 1).forward(&images, None, &mut outputs);
        assert!(outputs.iter().all(|output| output.is_nan()), "{set}");
        let halves = [Bfloat16::nearest(f32::NAN); 64];
        let mut outputs = [Bfloat16::default(); 64];
        BatchNorm::new(set, &halves, &ones, &zeros, 1e-5, true, 1).forward(&halves, None, &mut outputs);
        assert!(outputs.iter().all(|output| output.number().is_nan()), "{set}");
    }
}
