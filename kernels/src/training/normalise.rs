//! The passes of batch norms over images. Sums over a channel run in float32 for a few pixels, whose values are near each other, and
//! beyond in float64.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into slices whose sizes `BatchNorm` has checked")]

use crate::memory::LINE;
use crate::vector::{Rounded, Vector};

/// Pixels at once: as many as the processor's nearest cache holds of three tensors with 64 channels.
const PIXELS: usize = 32;

/// Two sums over all pixels, for each channel.
pub(crate) type Sums = [Vec<f64>; 2];

/// What is added to both sums for some channels of a pixel.
trait Addend<T: Vector> {
    /// Adds what is at `at`, of the channels from `channel` on.
    unsafe fn add<const N: usize>(&self, channel: usize, at: usize, sums: &mut [[T; N]; 2]);
}

/// Adds up for all values, two vectors of channels at once where channels are that many.
#[inline(always)]
unsafe fn sum_up<T: Vector>(count: usize, addend: &impl Addend<T>, sums: &mut Sums) {
    if sums[0].len().is_multiple_of(2 * T::LANES) {
        sum_up_vectors::<T, 2>(count, addend, sums);
    } else {
        sum_up_vectors::<T, 1>(count, addend, sums);
    }
}

/// Takes one strip of channels of a few pixels after another, so that its sums stay in registers.
#[inline(always)]
unsafe fn sum_up_vectors<T: Vector, const N: usize>(count: usize, addend: &impl Addend<T>, sums: &mut Sums) {
    let channels = sums[0].len();
    for first in (0..count).step_by(PIXELS * channels) {
        let end = count.min(first + PIXELS * channels);
        for channel in (0..channels).step_by(N * T::LANES) {
            let mut of_few = [[T::splat(0.0); N]; 2];
            let mut at = first + channel;
            while at < end {
                addend.add(channel, at, &mut of_few);
                at += channels;
            }
            for which in 0..2 {
                for n in 0..N {
                    let mut values = [0.0f32; LINE];
                    of_few[which][n].store(values.as_mut_ptr());
                    for lane in 0..T::LANES {
                        sums[which][channel + n * T::LANES + lane] += f64::from(values[lane]);
                    }
                }
            }
        }
    }
}

/// For each channel the sums of its values and of their squares.
pub(crate) struct Moments<'a, E> {
    pub images: &'a [E],
    /// As many as channels; zeros at first.
    pub sums: Sums,
}

/// # Safety
/// The processor must have the instructions; images are whole pixels, channels whole vectors.
#[inline(always)]
pub(crate) unsafe fn moments<T: Vector, E: Rounded>(task: &mut Moments<'_, E>) {
    let addend = OfMoments(task.images.as_ptr());
    sum_up::<T>(task.images.len(), &addend, &mut task.sums);
}

struct OfMoments<E>(*const E);

impl<T: Vector, E: Rounded> Addend<T> for OfMoments<E> {
    #[inline(always)]
    unsafe fn add<const N: usize>(&self, _channel: usize, at: usize, sums: &mut [[T; N]; 2]) {
        for n in 0..N {
            let image: T = E::load(self.0.add(at + n * T::LANES));
            sums[0][n] = sums[0][n].add(image);
            sums[1][n] = sums[1][n].fma(image, image);
        }
    }
}

/// image · factor + offset + addend, at least `least`.
pub(crate) struct Normalise<'a, E> {
    pub images: &'a [E],
    /// As long as the images.
    pub addend: Option<&'a [E]>,
    /// Factors and offsets, one a channel.
    pub coefficients: [&'a [f32]; 2],
    pub least: f32,
    /// As long as the images.
    pub outputs: &'a mut [E],
}

/// # Safety
/// As for [`moments`]; slices are as long as they say.
#[inline(always)]
pub(crate) unsafe fn normalise<T: Vector, E: Rounded>(task: &mut Normalise<'_, E>) {
    let [factors, offsets] = task.coefficients.map(<[f32]>::as_ptr);
    let channels = task.coefficients[0].len();
    let (images, outputs) = (task.images.as_ptr(), task.outputs.as_mut_ptr());
    let least = T::splat(task.least);
    for pixel in (0..task.images.len()).step_by(channels) {
        for channel in (0..channels).step_by(T::LANES) {
            let at = pixel + channel;
            let mut offset = T::load(offsets.add(channel));
            if let Some(addend) = task.addend {
                offset = offset.add(E::load(addend.as_ptr().add(at)));
            }
            let value = offset.fma(E::load(images.add(at)), T::load(factors.add(channel)));
            E::store(value.at_least(least), outputs.add(at));
        }
    }
}

/// For each channel the sums of the gradients and of their products with the images' distances from the mean. Gradients are
/// rectified, and then also written to `kept`.
pub(crate) struct GradientSums<'a, E> {
    pub images: &'a [E],
    /// One a channel.
    pub mean: &'a [f32],
    /// The outputs, if they were rectified: as long as the images, and so are the next two.
    pub rectified: Option<&'a [E]>,
    pub gradient: &'a [E],
    pub kept: Option<&'a mut [E]>,
    /// As many as channels; zeros at first.
    pub sums: Sums,
}

/// # Safety
/// As for [`normalise`].
#[inline(always)]
pub(crate) unsafe fn gradient_sums<T: Vector, E: Rounded>(task: &mut GradientSums<'_, E>) {
    let addend = OfGradients {
        images: task.images.as_ptr(),
        mean: task.mean.as_ptr(),
        rectified: task.rectified.map_or(std::ptr::null(), <[E]>::as_ptr),
        gradient: task.gradient.as_ptr(),
        kept: task.kept.as_deref_mut().map_or(std::ptr::null_mut(), <[E]>::as_mut_ptr),
    };
    sum_up::<T>(task.images.len(), &addend, &mut task.sums);
}

struct OfGradients<E> {
    images: *const E,
    mean: *const f32,
    /// Or null, as `kept`.
    rectified: *const E,
    gradient: *const E,
    kept: *mut E,
}

impl<T: Vector, E: Rounded> Addend<T> for OfGradients<E> {
    #[inline(always)]
    unsafe fn add<const N: usize>(&self, channel: usize, at: usize, sums: &mut [[T; N]; 2]) {
        for n in 0..N {
            let place = at + n * T::LANES;
            let gradient: T = rectified(self.gradient, self.rectified, place);
            let image: T = E::load(self.images.add(place));
            let distance = image.sub(T::load(self.mean.add(channel + n * T::LANES)));
            sums[0][n] = sums[0][n].add(gradient);
            sums[1][n] = sums[1][n].fma(distance, gradient);
            if !self.kept.is_null() {
                E::store(gradient, self.kept.add(place));
            }
        }
    }
}

/// gradient · a + image · b + c, with the gradient rectified.
pub(crate) struct NormaliseGradient<'a, E> {
    pub images: &'a [E],
    /// The outputs, if they were rectified: as long as the images, and so are the gradient and the result.
    pub rectified: Option<&'a [E]>,
    pub gradient: &'a [E],
    /// Of the gradient, of the image, and what is added; one a channel.
    pub coefficients: [&'a [f32]; 3],
    pub images_gradient: &'a mut [E],
}

/// # Safety
/// As for [`normalise`].
#[inline(always)]
pub(crate) unsafe fn gradient<T: Vector, E: Rounded>(task: &mut NormaliseGradient<'_, E>) {
    let [of_gradient, of_image, constants] = task.coefficients.map(<[f32]>::as_ptr);
    let channels = task.coefficients[0].len();
    let outputs = task.rectified.map_or(std::ptr::null(), <[E]>::as_ptr);
    let (images, result) = (task.images.as_ptr(), task.images_gradient.as_mut_ptr());
    for pixel in (0..task.images.len()).step_by(channels) {
        for channel in (0..channels).step_by(T::LANES) {
            let at = pixel + channel;
            let gradient: T = rectified(task.gradient.as_ptr(), outputs, at);
            let constant = T::load(constants.add(channel));
            let answer = constant.fma(E::load(images.add(at)), T::load(of_image.add(channel)));
            E::store(answer.fma(gradient, T::load(of_gradient.add(channel))), result.add(at));
        }
    }
}

/// What is left of a gradient where outputs were rectified.
#[inline(always)]
unsafe fn rectified<T: Vector, E: Rounded>(gradient: *const E, outputs: *const E, at: usize) -> T {
    let gradient: T = E::load(gradient.add(at));
    if outputs.is_null() { gradient } else { gradient.where_positive(E::load(outputs.add(at))) }
}
