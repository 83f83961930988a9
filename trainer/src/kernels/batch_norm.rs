//! Batch norms (Ioffe and Szegedy 2015, arXiv:1502.03167), together with the addition and the rectification that follow them.
//! In a small network such layers take as long as its convolutions, and they spend it on bringing values from memory and back. So
//! whatever needs the same values is done while they are there.

use std::ops::Range;

use pulp::{Simd, WithSimd, bytemuck};

use super::{CHANNELS, share, side_by_side};

/// Pixels at once: as many as the processor's nearest cache holds of three tensors with 64 channels.
const PIXELS: usize = 32;

/// Two sums over all pixels, for each channel.
type Sums = [Vec<f64>; 2];

/// The batch norm of some images: max(0, (image − mean) / √(variance + ε) · scale + shift + addend), where addend and
/// rectification may be absent. Mean and variance are those of a channel in these images.
#[derive(Debug)]
pub struct BatchNorm {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Variance of each channel: the mean square of the distances from the mean.
    variance: Vec<f32>,
    inverse_deviation: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    is_rectified: bool,
    pixels: usize,
    threads: usize,
}

/// Gradients with respect to what a batch norm scales with and shifts by.
#[derive(Debug)]
pub struct AffineGradient {
    /// With respect to the scale of each channel.
    pub scale: Vec<f32>,
    /// With respect to the shift of each channel.
    pub shift: Vec<f32>,
}

impl BatchNorm {
    /// Whether images with so many channels are supported, and the processor has vectors.
    pub fn is_supported(channels: usize) -> bool {
        channels > 0 && channels.is_multiple_of(CHANNELS) && super::has_vectors()
    }

    /// Looks at images for their means and variances. There are as many channels as `scale` and `shift` have values.
    ///
    /// # Panics
    /// If so many channels are not supported, or `images` is no whole number of pixels.
    pub fn new(
        images: &[f32],
        scale: &[f32],
        shift: &[f32],
        epsilon: f64,
        is_rectified: bool,
        threads: usize,
    ) -> Self {
        let channels = scale.len();
        assert!(Self::is_supported(channels) && shift.len() == channels, "{channels} channels");
        assert!(images.len().is_multiple_of(channels) && !images.is_empty(), "{} values", images.len());
        let pixels = images.len() / channels;
        let parts = shares(pixels, channels, threads).map(|range| &images[range]);
        let [sums, squares] = total(side_by_side(parts.map(|images| Moments { images, channels })));
        let moments = sums.iter().zip(squares).map(|(sum, square)| {
            let mean = sum / pixels as f64;
            (mean, (square / pixels as f64 - mean * mean).max(0.0))
        });
        let (mean, variance): (Vec<f64>, Vec<f64>) = moments.unzip();
        let inverse_deviation = variance.iter().map(|variance| (1.0 / (variance + epsilon).sqrt()) as f32);
        Self {
            inverse_deviation: inverse_deviation.collect(),
            mean: rounded(&mean),
            variance: rounded(&variance),
            scale: scale.to_vec(),
            shift: shift.to_vec(),
            is_rectified,
            pixels,
            threads,
        }
    }

    /// The variances that are expected of more such images: those of a sample, which is a little larger.
    pub fn unbiased_variance(&self) -> Vec<f32> {
        let pixels = self.pixels as f32;
        self.variance.iter().map(|variance| variance * pixels / (pixels - 1.0).max(1.0)).collect()
    }

    /// Writes the outputs for the images that it was made of.
    ///
    /// # Panics
    /// If `addend` or `outputs` have not the size of `images`.
    pub fn forward(&self, images: &[f32], addend: Option<&[f32]>, outputs: &mut [f32]) {
        self.assert_sizes(&[images, outputs, addend.unwrap_or(images)]);
        let factors = self.scale.iter().zip(&self.inverse_deviation);
        let factors: Vec<f32> = factors.map(|(scale, inverse)| scale * inverse).collect();
        let offsets = self.shift.iter().zip(self.mean.iter().zip(&factors));
        let offsets: Vec<f32> = offsets.map(|(shift, (mean, factor))| shift - mean * factor).collect();
        let coefficients = [&factors[..], &offsets];
        let is_rectified = self.is_rectified;
        let mut outputs = Parts(outputs);
        let work = self.shares().map(|range| {
            let outputs = outputs.next(range.len());
            let (images, addend) = (&images[range.clone()], addend.map(|addend| &addend[range]));
            Forward { images, addend, coefficients, is_rectified, outputs }
        });
        side_by_side(work);
    }

    /// Writes the gradient with respect to the images, given `gradient`, the one with respect to the `outputs`; and to
    /// `addend_gradient`, where that is wanted, the one with respect to the addend.
    ///
    /// # Panics
    /// If the slices have not the size of `images`.
    pub fn backward(
        &self,
        images: &[f32],
        outputs: &[f32],
        gradient: &[f32],
        mut addend_gradient: Option<&mut [f32]>,
        images_gradient: &mut [f32],
    ) -> AffineGradient {
        self.assert_sizes(&[images, outputs, gradient, images_gradient]);
        self.assert_sizes(&[addend_gradient.as_deref().unwrap_or(images)]);
        let rectified = self.is_rectified.then_some(outputs);
        let mut kept = addend_gradient.as_deref_mut().map(Parts);
        let work = self.shares().map(|range| {
            let kept = kept.as_mut().map(|kept| kept.next(range.len()));
            let (images, gradient) = (&images[range.clone()], &gradient[range.clone()]);
            let rectified = rectified.map(|outputs| &outputs[range]);
            GradientSums { images, mean: &self.mean, rectified, gradient, kept }
        });
        let [sums, products] = total(side_by_side(work));
        let coefficients = self.of_gradient(&sums, &products);
        let coefficients = coefficients.each_ref().map(|values| &values[..]);
        // What was kept is rectified already.
        let (gradient, rectified) = match addend_gradient {
            Some(kept) => (&*kept, None),
            None => (gradient, rectified),
        };
        let mut images_gradient = Parts(images_gradient);
        let work = self.shares().map(|range| {
            let result = images_gradient.next(range.len());
            let (images, gradient) = (&images[range.clone()], &gradient[range.clone()]);
            let rectified = rectified.map(|outputs| &outputs[range]);
            Backward { images, rectified, gradient, coefficients, images_gradient: result }
        });
        side_by_side(work);
        let scale = products.iter().zip(&self.inverse_deviation);
        let scale = scale.map(|(product, inverse)| (product * f64::from(*inverse)) as f32).collect();
        AffineGradient { scale, shift: rounded(&sums) }
    }

    /// For each channel what the gradient with respect to an image is: a multiple of the gradient with respect to its output, a
    /// multiple of the image, and a constant. The last two are the answers of the mean and the variance.
    fn of_gradient(&self, sums: &[f64], products: &[f64]) -> [Vec<f32>; 3] {
        let pixels = self.pixels as f64;
        let mut coefficients = [vec![], vec![], vec![]];
        for (channel, (sum, product)) in sums.iter().zip(products).enumerate() {
            let inverse = f64::from(self.inverse_deviation[channel]);
            let of_output = f64::from(self.scale[channel]) * inverse;
            let of_image = -of_output * inverse * inverse * product / pixels;
            let constant = -of_output * sum / pixels - of_image * f64::from(self.mean[channel]);
            for (values, value) in coefficients.iter_mut().zip([of_output, of_image, constant]) {
                values.push(value as f32);
            }
        }
        coefficients
    }

    fn shares(&self) -> impl Iterator<Item = Range<usize>> {
        shares(self.pixels, self.scale.len(), self.threads)
    }

    fn assert_sizes(&self, tensors: &[&[f32]]) {
        let size = self.pixels * self.scale.len();
        assert!(tensors.iter().all(|values| values.len() == size), "a batch norm has tensors of one size");
    }
}

/// The values that each thread works on: whole pixels.
fn shares(pixels: usize, channels: usize, threads: usize) -> impl Iterator<Item = Range<usize>> {
    let share = share(pixels, threads);
    let range = move |first: usize| first * channels..(first + share).min(pixels) * channels;
    (0..pixels).step_by(share).map(range)
}

/// A slice that is given out piece by piece.
struct Parts<'a>(&'a mut [f32]);

impl<'a> Parts<'a> {
    fn next(&mut self, size: usize) -> &'a mut [f32] {
        self.0.split_off_mut(..size).expect("shares are no larger than the whole")
    }
}

fn rounded(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

/// The sums of all parts.
fn total(parts: Vec<Sums>) -> Sums {
    let add = |mut total: Sums, part: Sums| {
        for (total, value) in total.iter_mut().flatten().zip(part.iter().flatten()) {
            *total += value;
        }
        total
    };
    parts.into_iter().reduce(add).expect("there are pixels, so there is a part")
}

/// Some channels of a pixel: two vectors. [`CHANNELS`] are one or more of these.
type Strip<S> = [<S as Simd>::f32s; 2];

/// Values as strips.
#[inline(always)]
fn strips<S: Simd>(values: &[f32]) -> &[Strip<S>] {
    S::as_simd_f32s(values).0.as_chunks().0
}

#[inline(always)]
fn strips_mut<S: Simd>(values: &mut [f32]) -> &mut [Strip<S>] {
    S::as_mut_simd_f32s(values).0.as_chunks_mut().0
}

/// Calls `add` for all strips of images with so many `channels`, and returns the two sums that it adds to: in float32 for a few pixels,
/// whose values are near each other, and beyond in float64. Takes one strip of those few pixels after another, so that its sums
/// stay in registers.
#[inline(always)]
fn sum_up<S: Simd>(
    simd: S,
    images: &[Strip<S>],
    channels: usize,
    mut add: impl FnMut(usize, usize, &mut [Strip<S>; 2]),
) -> Sums {
    let width = 2 * S::F32_LANES;
    let of_pixel = channels / width;
    let mut sums = [vec![0.0; channels], vec![0.0; channels]];
    for first in (0..images.len()).step_by(PIXELS * of_pixel) {
        let end = (first + PIXELS * of_pixel).min(images.len());
        for strip in 0..of_pixel {
            let mut of_few = [[simd.splat_f32s(0.0); 2]; 2];
            let mut at = first + strip;
            while at < end {
                add(strip, at, &mut of_few);
                at += of_pixel;
            }
            for (sums, of_few) in sums.iter_mut().zip(&of_few) {
                let values: &[f32] = bytemuck::cast_slice(of_few);
                for (sum, value) in sums[strip * width..].iter_mut().zip(values) {
                    *sum += f64::from(*value);
                }
            }
        }
    }
    sums
}

/// For each channel the sums of its values and of their squares.
struct Moments<'a> {
    images: &'a [f32],
    channels: usize,
}

impl WithSimd for Moments<'_> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums {
        let images = strips::<S>(self.images);
        sum_up(simd, images, self.channels, |_, at, [sums, squares]| {
            let image = images[at];
            for vector in 0..2 {
                sums[vector] = simd.add_f32s(sums[vector], image[vector]);
                squares[vector] = simd.mul_add_f32s(image[vector], image[vector], squares[vector]);
            }
        })
    }
}

/// image · factor + offset + addend, rectified.
struct Forward<'a> {
    images: &'a [f32],
    addend: Option<&'a [f32]>,
    /// Factors and offsets.
    coefficients: [&'a [f32]; 2],
    is_rectified: bool,
    outputs: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (images, outputs) = (strips::<S>(self.images), strips_mut::<S>(self.outputs));
        let addend = self.addend.map(strips::<S>);
        let [factors, offsets] = self.coefficients.map(strips::<S>);
        let lowest = simd.splat_f32s(if self.is_rectified { 0.0 } else { f32::NEG_INFINITY });
        for (pixel, outputs) in outputs.chunks_exact_mut(factors.len()).enumerate() {
            for (strip, output) in outputs.iter_mut().enumerate() {
                let at = pixel * factors.len() + strip;
                let (image, factor, mut offset) = (images[at], factors[strip], offsets[strip]);
                if let Some(addend) = addend {
                    let addend = addend[at];
                    offset = [simd.add_f32s(offset[0], addend[0]), simd.add_f32s(offset[1], addend[1])];
                }
                for vector in 0..2 {
                    let value = simd.mul_add_f32s(image[vector], factor[vector], offset[vector]);
                    // Not `max`, which may make a number of what is none.
                    let is_lower = simd.less_than_f32s(value, lowest);
                    output[vector] = simd.select_f32s(is_lower, lowest, value);
                }
            }
        }
    }
}

/// For each channel the sums of the gradients and of their products with the images' distances from the mean. Gradients are
/// rectified, and then also written to `kept`.
struct GradientSums<'a> {
    images: &'a [f32],
    mean: &'a [f32],
    rectified: Option<&'a [f32]>,
    gradient: &'a [f32],
    kept: Option<&'a mut [f32]>,
}

impl WithSimd for GradientSums<'_> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums {
        let [images, gradient, means] = [self.images, self.gradient, self.mean].map(strips::<S>);
        let rectified = self.rectified.map(strips::<S>);
        let mut kept = self.kept.map(strips_mut::<S>);
        sum_up(simd, images, self.mean.len(), |strip, at, [sums, products]| {
            let (image, mean) = (images[at], means[strip]);
            let gradient = of_rectified(simd, gradient[at], rectified.map(|outputs| outputs[at]));
            for vector in 0..2 {
                let distance = simd.sub_f32s(image[vector], mean[vector]);
                sums[vector] = simd.add_f32s(sums[vector], gradient[vector]);
                products[vector] = simd.mul_add_f32s(distance, gradient[vector], products[vector]);
            }
            if let Some(kept) = &mut kept {
                kept[at] = gradient;
            }
        })
    }
}

/// gradient · a + image · b + c, with the gradient rectified.
struct Backward<'a> {
    images: &'a [f32],
    rectified: Option<&'a [f32]>,
    gradient: &'a [f32],
    /// Of the gradient, of the image, and what is added.
    coefficients: [&'a [f32]; 3],
    images_gradient: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [images, gradient] = [self.images, self.gradient].map(strips::<S>);
        let rectified = self.rectified.map(strips::<S>);
        let [of_gradient, of_image, constants] = self.coefficients.map(strips::<S>);
        let results = strips_mut::<S>(self.images_gradient);
        for (pixel, results) in results.chunks_exact_mut(of_gradient.len()).enumerate() {
            for (strip, result) in results.iter_mut().enumerate() {
                let at = pixel * of_gradient.len() + strip;
                let gradient = of_rectified(simd, gradient[at], rectified.map(|outputs| outputs[at]));
                let (image, of_image, constant) = (images[at], of_image[strip], constants[strip]);
                for vector in 0..2 {
                    let answer = simd.mul_add_f32s(image[vector], of_image[vector], constant[vector]);
                    result[vector] = simd.mul_add_f32s(gradient[vector], of_gradient[strip][vector], answer);
                }
            }
        }
    }
}

/// What is left of a gradient where outputs were rectified.
#[inline(always)]
fn of_rectified<S: Simd>(simd: S, gradient: Strip<S>, outputs: Option<Strip<S>>) -> Strip<S> {
    let Some(outputs) = outputs else { return gradient };
    let zero = simd.splat_f32s(0.0);
    let mut rectified = gradient;
    for vector in 0..2 {
        let is_cut = simd.less_than_or_equal_f32s(outputs[vector], zero);
        rectified[vector] = simd.select_f32s(is_cut, zero, gradient[vector]);
    }
    rectified
}
