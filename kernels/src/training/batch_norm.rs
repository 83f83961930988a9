//! Batch norms (Ioffe and Szegedy 2015, arXiv:1502.03167), together with the addition and the rectification that follow them.
//! In a small network such layers take as long as its convolutions, and they spend it on bringing values from memory and back. So
//! whatever needs the same values is done while they are there.

use std::ops::Range;

use super::element::Element;
use super::normalise::{GradientSums, Moments, Normalise, NormaliseGradient, Sums};
use super::routines::{self, Routines};
use super::{CHANNELS, for_channels, share, side_by_side};
use crate::InstructionSet;

/// The batch norm of some images, of f32 or of [`Bfloat16`](super::Bfloat16): max(0, (image − mean) / √(variance + ε) · scale + shift + addend), where addend and
/// rectification may be absent. Mean and variance are those of a channel in these images, and sums are of f32
/// and f64 either way.
pub struct BatchNorm {
    routines: &'static Routines,
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
    /// Whether images with so many channels are supported.
    pub fn is_supported(channels: usize) -> bool {
        channels > 0 && channels.is_multiple_of(CHANNELS)
    }

    /// Looks at images for their means and variances. There are as many channels as `scale` and `shift` have values.
    ///
    /// # Panics
    /// If so many channels are not supported, `images` is no whole number of pixels, or the processor has not the instructions.
    pub fn new<E: Element>(
        set: InstructionSet,
        images: &[E],
        scale: &[f32],
        shift: &[f32],
        epsilon: f64,
        is_rectified: bool,
        threads: usize,
    ) -> Self {
        let channels = scale.len();
        assert!(Self::is_supported(channels) && shift.len() == channels, "{channels} channels");
        assert!(images.len().is_multiple_of(channels) && !images.is_empty(), "{} values", images.len());
        let routines = routines::of(for_channels(set, &[channels]));
        let routines = routines.expect("an instruction set that is available has kernels");
        let pixels = images.len() / channels;
        let parts = shares(pixels, channels, threads).map(|range| &images[range]);
        let [sums, squares] = total(side_by_side(parts, |images| {
            let mut task = Moments { images, sums: zeros(channels) };
            // SAFETY: the processor has the instructions, by `for_channels`; all else is asserted.
            unsafe { (E::passes(routines).moments)(&mut task) };
            task.sums
        }));
        let moments = sums.iter().zip(squares).map(|(sum, square)| {
            let mean = sum / pixels as f64;
            (mean, (square / pixels as f64 - mean * mean).max(0.0))
        });
        let (mean, variance): (Vec<f64>, Vec<f64>) = moments.unzip();
        let inverse_deviation = variance.iter().map(|variance| (1.0 / (variance + epsilon).sqrt()) as f32);
        Self {
            routines,
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
    pub fn forward<E: Element>(&self, images: &[E], addend: Option<&[E]>, outputs: &mut [E]) {
        self.assert_sizes(&[images, outputs, addend.unwrap_or(images)]);
        let factors = self.scale.iter().zip(&self.inverse_deviation);
        let factors: Vec<f32> = factors.map(|(scale, inverse)| scale * inverse).collect();
        let offsets = self.shift.iter().zip(self.mean.iter().zip(&factors));
        let offsets: Vec<f32> = offsets.map(|(shift, (mean, factor))| shift - mean * factor).collect();
        let coefficients = [&factors[..], &offsets];
        let least = if self.is_rectified { 0.0 } else { f32::NEG_INFINITY };
        let mut outputs = Parts(outputs);
        let work = self.shares().map(|range| {
            let outputs = outputs.next(range.len());
            let (images, addend) = (&images[range.clone()], addend.map(|addend| &addend[range]));
            Normalise { images, addend, coefficients, least, outputs }
        });
        // SAFETY: there are routines only for a processor that has the instructions; sizes are asserted.
        side_by_side(work, |mut task| unsafe { (E::passes(self.routines).normalise)(&mut task) });
    }

    /// Writes the gradient with respect to the images, given `gradient`, the one with respect to the `outputs`; and to
    /// `addend_gradient`, where that is wanted, the one with respect to the addend.
    ///
    /// # Panics
    /// If the slices have not the size of `images`.
    pub fn backward<E: Element>(
        &self,
        images: &[E],
        outputs: &[E],
        gradient: &[E],
        mut addend_gradient: Option<&mut [E]>,
        images_gradient: &mut [E],
    ) -> AffineGradient {
        self.assert_sizes(&[images, outputs, gradient, images_gradient]);
        self.assert_sizes(&[addend_gradient.as_deref().unwrap_or(images)]);
        let rectified = self.is_rectified.then_some(outputs);
        let mut kept = addend_gradient.as_deref_mut().map(Parts);
        let work = self.shares().map(|range| {
            let kept = kept.as_mut().map(|kept| kept.next(range.len()));
            let (images, gradient) = (&images[range.clone()], &gradient[range.clone()]);
            let rectified = rectified.map(|outputs| &outputs[range]);
            let sums = zeros(self.mean.len());
            GradientSums { images, mean: &self.mean, rectified, gradient, kept, sums }
        });
        let [sums, products] = total(side_by_side(work, |mut task| {
            // SAFETY: as in `forward`.
            unsafe { (E::passes(self.routines).gradient_sums)(&mut task) };
            task.sums
        }));
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
            NormaliseGradient { images, rectified, gradient, coefficients, images_gradient: result }
        });
        // SAFETY: as in `forward`.
        side_by_side(work, |mut task| unsafe { (E::passes(self.routines).gradient)(&mut task) });
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

    fn assert_sizes<E>(&self, tensors: &[&[E]]) {
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
struct Parts<'a, E>(&'a mut [E]);

impl<'a, E> Parts<'a, E> {
    fn next(&mut self, size: usize) -> &'a mut [E] {
        self.0.split_off_mut(..size).expect("shares are no larger than the whole")
    }
}

fn zeros(channels: usize) -> Sums {
    [vec![0.0; channels], vec![0.0; channels]]
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
