//! The passes of convolutions that keep channels apart over batches: outputs, and both gradients. They read and write images in the
//! order in which these lie, some columns of a row with all their channels at a time, for what bounds them is memory.
//!
//! Images have no borders. What lies beside them is not read: rows of the kernel that would meet it are left out, and columns are
//! zeros in the few groups of outputs that reach there.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into slices whose sizes `Depthwise` has checked")]

use std::ops::Range;

use crate::vector::{Rounded, Vector};

/// Outputs of a row that are computed at once.
const OUTPUTS: usize = 4;

/// Columns that they read at the most: with a kernel of 7 in steps of 2.
const MOST_COLUMNS: usize = (OUTPUTS - 1) * 2 + 7;

/// Rows and columns of an output, and channels of both sides, in whole vectors. Images are as many times as high and wide as steps
/// are long.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Sizes {
    /// For a row of outputs, counted through all images: rows of the kernel that meet the image, and the images' row that the middle
    /// one meets.
    #[inline(always)]
    fn meets<const KERNEL: usize, const STRIDE: usize>(self, row: usize) -> (Range<usize>, usize) {
        let before = KERNEL / 2;
        let (top, rows) = (row % self.height * STRIDE, self.height * STRIDE);
        let taps = before.saturating_sub(top)..KERNEL.min(rows + before - top);
        (taps, row / self.height * rows + top)
    }
}

/// Outputs of some images.
pub(crate) struct Forward<'a, E> {
    pub sizes: Sizes,
    pub images: &'a [E],
    /// Row × column × channel.
    pub weights: &'a [f32],
    pub outputs: &'a mut [E],
}

/// # Safety
/// The processor must have the instructions; slices are as long as their sizes say.
#[inline(always)]
pub(crate) unsafe fn forward<T: Vector, E: Rounded, const KERNEL: usize, const STRIDE: usize>(
    task: &mut Forward<'_, E>,
) {
    let Sizes { width, channels, .. } = task.sizes;
    for row in 0..task.outputs.len() / (width * channels) {
        if width < OUTPUTS {
            for column in 0..width {
                for channel in (0..channels).step_by(T::LANES) {
                    outputs::<T, E, KERNEL, STRIDE, 1, true>(task, row, column, channel);
                }
            }
            continue;
        }
        for column in (0..width).step_by(OUTPUTS) {
            // The last ones may be computed twice.
            let column = column.min(width - OUTPUTS);
            if is_inside::<KERNEL, STRIDE, OUTPUTS>(column, width) {
                for channel in (0..channels).step_by(T::LANES) {
                    outputs::<T, E, KERNEL, STRIDE, OUTPUTS, false>(task, row, column, channel);
                }
            } else {
                for channel in (0..channels).step_by(T::LANES) {
                    outputs::<T, E, KERNEL, STRIDE, OUTPUTS, true>(task, row, column, channel);
                }
            }
        }
    }
}

/// Whether all that `M` outputs from a column on read lies in the image's row.
#[inline(always)]
fn is_inside<const KERNEL: usize, const STRIDE: usize, const M: usize>(column: usize, width: usize) -> bool {
    let before = KERNEL / 2;
    column * STRIDE >= before && (column + M - 1) * STRIDE + KERNEL - before <= width * STRIDE
}

/// `M` outputs of a vector of channels; `row` counts those of all images.
#[inline(always)]
unsafe fn outputs<
    T: Vector,
    E: Rounded,
    const KERNEL: usize,
    const STRIDE: usize,
    const M: usize,
    const IS_BORDER: bool,
>(
    task: &mut Forward<'_, E>,
    row: usize,
    column: usize,
    channel: usize,
) {
    let Sizes { width, channels, .. } = task.sizes;
    let before = KERNEL / 2;
    let of_image = Row { columns: width * STRIDE, pixel: channels };
    let (taps, middle) = task.sizes.meets::<KERNEL, STRIDE>(row);
    let of_output = Row { columns: width, pixel: channels };
    let [images, outputs] = [task.images.as_ptr(), task.outputs.as_ptr()];
    for ahead in 1..=STRIDE {
        of_image.fetch::<T, E>(images, middle + before + ahead, column * STRIDE, M * STRIDE, channel);
    }
    of_output.fetch::<T, E>(outputs, row + 1, column, M, channel);
    let mut sums = [T::splat(0.0); M];
    for tap in taps {
        let from = task.images.as_ptr().add((middle + tap - before) * of_image.length() + channel);
        let mut values = [T::splat(0.0); MOST_COLUMNS];
        let start = (column * STRIDE).wrapping_sub(before);
        of_image.read::<T, E, IS_BORDER>(from, start, (M - 1) * STRIDE + KERNEL, &mut values);
        let weights = task.weights.as_ptr().add(tap * KERNEL * channels + channel);
        for x in 0..KERNEL {
            let weight = T::load(weights.add(x * channels));
            for m in 0..M {
                sums[m] = sums[m].fma(values[m * STRIDE + x], weight);
            }
        }
    }
    let to = task.outputs.as_mut_ptr().add((row * width + column) * channels + channel);
    for m in 0..M {
        E::store(sums[m], to.add(m * channels));
    }
}

/// A row of pixels.
#[derive(Clone, Copy)]
struct Row {
    columns: usize,
    /// Numbers from a pixel to the next.
    pixel: usize,
}

impl Row {
    fn length(self) -> usize {
        self.columns * self.pixel
    }

    /// Says that so many columns of a row, counted from the first of all images, come soon. Rows are read in pieces of a few columns,
    /// which processors do not foresee: passes take a tenth to a third less time so. The row may be behind the last one.
    #[inline(always)]
    unsafe fn fetch<T: Vector, E>(
        self,
        images: *const E,
        row: usize,
        column: usize,
        count: usize,
        channel: usize,
    ) {
        let from = images.wrapping_add(row * self.length() + column * self.pixel + channel);
        for x in 0..count {
            T::fetch(from.wrapping_add(x * self.pixel).cast());
        }
    }

    /// Reads `count` columns from `start` on, which may be less than 0; at the border, zeros for those that are not in the row.
    #[inline(always)]
    unsafe fn read<T: Vector, E: Rounded, const IS_BORDER: bool>(
        self,
        from: *const E,
        start: usize,
        count: usize,
        values: &mut [T; MOST_COLUMNS],
    ) {
        for x in 0..count {
            let column = start.wrapping_add(x);
            if !IS_BORDER || column < self.columns {
                values[x] = E::load(from.add(column * self.pixel));
            }
        }
    }
}

/// The gradient of images that were read in steps of 2, given the one of the outputs.
pub(crate) struct ImagesGradient<'a, E> {
    pub sizes: Sizes,
    pub outputs_gradient: &'a [E],
    /// Row × column × channel.
    pub weights: &'a [f32],
    pub gradient: &'a mut [E],
}

/// # Safety
/// As for [`forward`].
#[inline(always)]
pub(crate) unsafe fn images_gradient<T: Vector, E: Rounded, const KERNEL: usize>(
    task: &mut ImagesGradient<'_, E>,
) {
    let Sizes { width, channels, .. } = task.sizes;
    let [left, right] = reach::<KERNEL>();
    for row in 0..task.gradient.len() / (2 * width * channels) {
        if width < OUTPUTS {
            for column in 0..width {
                for channel in (0..channels).step_by(T::LANES) {
                    pairs::<T, E, KERNEL, 1, true>(task, row, column, channel);
                }
            }
            continue;
        }
        for column in (0..width).step_by(OUTPUTS) {
            let column = column.min(width - OUTPUTS);
            if column >= left && column + OUTPUTS + right <= width {
                for channel in (0..channels).step_by(T::LANES) {
                    pairs::<T, E, KERNEL, OUTPUTS, false>(task, row, column, channel);
                }
            } else {
                for channel in (0..channels).step_by(T::LANES) {
                    pairs::<T, E, KERNEL, OUTPUTS, true>(task, row, column, channel);
                }
            }
        }
    }
}

/// Outputs to the left and right of a pair of columns' own that read one of the two.
#[inline(always)]
fn reach<const KERNEL: usize>() -> [usize; 2] {
    [KERNEL / 2 / 2, (KERNEL / 2).div_ceil(2)]
}

/// The `M` pairs of columns that `M` outputs begin at; `row` counts the images' rows. Each column of the kernel joins outputs to even
/// columns alone, or to odd ones.
#[inline(always)]
unsafe fn pairs<T: Vector, E: Rounded, const KERNEL: usize, const M: usize, const IS_BORDER: bool>(
    task: &mut ImagesGradient<'_, E>,
    row: usize,
    column: usize,
    channel: usize,
) {
    let Sizes { height, width, channels } = task.sizes;
    let before = KERNEL / 2;
    let of_gradient = Row { columns: width, pixel: channels };
    let [left, right] = reach::<KERNEL>();
    let (image, lowest) = (row / (2 * height), row % (2 * height) + before);
    let of_image = Row { columns: 2 * width, pixel: channels };
    of_gradient.fetch::<T, E>(task.outputs_gradient.as_ptr(), (row + before) / 2 + 1, column, M, channel);
    of_image.fetch::<T, E>(task.gradient.as_ptr(), row + 1, 2 * column, 2 * M, channel);
    let mut sums = [[T::splat(0.0); M]; 2];
    for tap in (lowest % 2..KERNEL).step_by(2) {
        // The output whose row of the kernel meets this row of the image.
        let output = lowest.wrapping_sub(tap) as isize >> 1;
        if output < 0 || output as usize >= height {
            continue;
        }
        let first = image * height + output as usize;
        let from = task.outputs_gradient.as_ptr().add(first * of_gradient.length() + channel);
        let mut values = [T::splat(0.0); MOST_COLUMNS];
        of_gradient.read::<T, E, IS_BORDER>(from, column.wrapping_sub(left), M + left + right, &mut values);
        let weights = task.weights.as_ptr().add(tap * KERNEL * channels + channel);
        for x in 0..KERNEL {
            let weight = T::load(weights.add(x * channels));
            let parity = (before + x) % 2;
            let place = (parity + before + 2 * left - x) / 2;
            for m in 0..M {
                sums[parity][m] = sums[parity][m].fma(values[m + place], weight);
            }
        }
    }
    let to = task.gradient.as_mut_ptr().add((row * width + column) * 2 * channels + channel);
    for m in 0..M {
        for parity in 0..2 {
            E::store(sums[parity][m], to.add((2 * m + parity) * channels));
        }
    }
}

/// The gradient of the weights, given the one of the outputs.
pub(crate) struct WeightsGradient<'a, E> {
    pub sizes: Sizes,
    pub images: &'a [E],
    pub outputs_gradient: &'a [E],
    /// Row × column × channel; zeros at first.
    pub gradient: Vec<f32>,
    /// As long.
    pub of_image: Vec<f32>,
}

/// # Safety
/// As for [`forward`].
#[inline(always)]
pub(crate) unsafe fn weights_gradient<T: Vector, E: Rounded, const KERNEL: usize, const STRIDE: usize>(
    task: &mut WeightsGradient<'_, E>,
) {
    let Sizes { height, width, channels } = task.sizes;
    for image in 0..task.outputs_gradient.len() / (height * width * channels) {
        // Sums of an image each, lest small products meet the sums of all.
        task.of_image.fill(0.0);
        for row in image * height..(image + 1) * height {
            for column in (0..width).step_by(OUTPUTS) {
                if column + OUTPUTS <= width && is_inside::<KERNEL, STRIDE, OUTPUTS>(column, width) {
                    for channel in (0..channels).step_by(T::LANES) {
                        products::<T, E, KERNEL, STRIDE, false>(task, row, column, channel);
                    }
                } else {
                    for channel in (0..channels).step_by(T::LANES) {
                        products::<T, E, KERNEL, STRIDE, true>(task, row, column, channel);
                    }
                }
            }
        }
        for (total, of_image) in task.gradient.iter_mut().zip(&task.of_image) {
            *total += of_image;
        }
    }
}

/// Adds what [`OUTPUTS`] outputs of a row and a vector of channels have to do with the weights; `row` counts those of all images.
#[inline(always)]
unsafe fn products<T: Vector, E: Rounded, const KERNEL: usize, const STRIDE: usize, const IS_BORDER: bool>(
    task: &mut WeightsGradient<'_, E>,
    row: usize,
    column: usize,
    channel: usize,
) {
    let Sizes { width, channels, .. } = task.sizes;
    let before = KERNEL / 2;
    let [of_image, of_gradient] = [width * STRIDE, width].map(|columns| Row { columns, pixel: channels });
    let (taps, middle) = task.sizes.meets::<KERNEL, STRIDE>(row);
    let mut slopes = [T::splat(0.0); MOST_COLUMNS];
    let from = task.outputs_gradient.as_ptr().add(row * of_gradient.length() + channel);
    of_gradient.read::<T, E, IS_BORDER>(from, column, OUTPUTS, &mut slopes);
    let [images, gradient] = [task.images, task.outputs_gradient].map(|of| of.as_ptr());
    for ahead in 1..=STRIDE {
        of_image.fetch::<T, E>(images, middle + before + ahead, column * STRIDE, OUTPUTS * STRIDE, channel);
    }
    of_gradient.fetch::<T, E>(gradient, row + 1, column, OUTPUTS, channel);
    for tap in taps {
        let from = task.images.as_ptr().add((middle + tap - before) * of_image.length() + channel);
        let mut values = [T::splat(0.0); MOST_COLUMNS];
        let start = (column * STRIDE).wrapping_sub(before);
        of_image.read::<T, E, IS_BORDER>(from, start, (OUTPUTS - 1) * STRIDE + KERNEL, &mut values);
        let to = task.of_image.as_mut_ptr().add(tap * KERNEL * channels + channel);
        for x in 0..KERNEL {
            let to = to.add(x * channels);
            let mut sum = T::load(to);
            for m in 0..OUTPUTS {
                sum = sum.fma(slopes[m], values[m * STRIDE + x]);
            }
            sum.store(to);
        }
    }
}
