//! The passes of convolutions that keep channels apart over batches: outputs, and both gradients. They read and write images row by
//! row, for what bounds them is memory.
//!
//! Images have no borders. What lies beside them is not read: rows of the kernel that would meet it are left out, and columns are
//! zeros in the few groups of outputs that reach there.
#![expect(unsafe_op_in_unsafe_fn, reason = "pointers into slices whose sizes `Depthwise` has checked")]

use crate::vector::Vector;

/// Outputs of a row that are computed at once.
const OUTPUTS: usize = 4;

/// Columns that they read at the most: with a kernel of 7 in steps of 2.
const MOST_COLUMNS: usize = (OUTPUTS - 1) * 2 + 7;

/// Numbers of images and gradients that a core's second cache holds while a gradient of the weights reads them once for each row
/// of the kernel.
const BAND_VALUES: usize = 32 * 1024;

/// Rows and columns of an output, and channels of both sides, in whole vectors. Images are as many times as high and wide as steps
/// are long.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

/// Outputs of some images.
pub(crate) struct Forward<'a> {
    pub sizes: Sizes,
    pub images: &'a [f32],
    /// Row × column × channel.
    pub weights: &'a [f32],
    pub outputs: &'a mut [f32],
}

/// # Safety
/// The processor must have the instructions; slices are as long as their sizes say.
#[inline(always)]
pub(crate) unsafe fn forward<T: Vector, const KERNEL: usize, const STRIDE: usize>(task: &mut Forward<'_>) {
    let Sizes { width, channels, .. } = task.sizes;
    for row in 0..task.outputs.len() / (width * channels) {
        for channel in (0..channels).step_by(T::LANES) {
            if width < OUTPUTS {
                for column in 0..width {
                    outputs::<T, KERNEL, STRIDE, 1, true>(task, row, column, channel);
                }
                continue;
            }
            for column in (0..width).step_by(OUTPUTS) {
                // The last ones may be computed twice.
                let column = column.min(width - OUTPUTS);
                if is_inside::<KERNEL, STRIDE, OUTPUTS>(column, width) {
                    outputs::<T, KERNEL, STRIDE, OUTPUTS, false>(task, row, column, channel);
                } else {
                    outputs::<T, KERNEL, STRIDE, OUTPUTS, true>(task, row, column, channel);
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
    const KERNEL: usize,
    const STRIDE: usize,
    const M: usize,
    const IS_BORDER: bool,
>(
    task: &mut Forward<'_>,
    row: usize,
    column: usize,
    channel: usize,
) {
    let Sizes { height, width, channels } = task.sizes;
    let before = KERNEL / 2;
    let of_image = Row { columns: width * STRIDE, pixel: channels };
    // Of the kernel, the rows that meet the image.
    let (top, rows) = (row % height * STRIDE, height * STRIDE);
    let first = row / height * rows + top;
    let mut sums = [T::splat(0.0); M];
    for tap in before.saturating_sub(top)..KERNEL.min(rows + before - top) {
        let from = task.images.as_ptr().add((first + tap - before) * of_image.length() + channel);
        let mut values = [T::splat(0.0); MOST_COLUMNS];
        let start = (column * STRIDE).wrapping_sub(before);
        of_image.read::<T, IS_BORDER>(from, start, (M - 1) * STRIDE + KERNEL, &mut values);
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
        sums[m].store(to.add(m * channels));
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

    /// Reads `count` columns from `start` on, which may be less than 0; at the border, zeros for those that are not in the row.
    #[inline(always)]
    unsafe fn read<T: Vector, const IS_BORDER: bool>(
        self,
        from: *const f32,
        start: usize,
        count: usize,
        values: &mut [T; MOST_COLUMNS],
    ) {
        for x in 0..count {
            let column = start.wrapping_add(x);
            if !IS_BORDER || column < self.columns {
                values[x] = T::load(from.add(column * self.pixel));
            }
        }
    }
}

/// The gradient of images that were read in steps of 2, given the one of the outputs.
pub(crate) struct ImagesGradient<'a> {
    pub sizes: Sizes,
    pub outputs_gradient: &'a [f32],
    /// Row × column × channel.
    pub weights: &'a [f32],
    pub gradient: &'a mut [f32],
}

/// # Safety
/// As for [`forward`].
#[inline(always)]
pub(crate) unsafe fn images_gradient<T: Vector, const KERNEL: usize>(task: &mut ImagesGradient<'_>) {
    let Sizes { width, channels, .. } = task.sizes;
    for row in 0..task.gradient.len() / (2 * width * channels) {
        for channel in (0..channels).step_by(T::LANES) {
            if width < OUTPUTS {
                for column in 0..width {
                    pairs::<T, KERNEL, 1, true>(task, row, column, channel);
                }
                continue;
            }
            for column in (0..width).step_by(OUTPUTS) {
                let column = column.min(width - OUTPUTS);
                let [left, right] = reach::<KERNEL>();
                if column >= left && column + OUTPUTS + right <= width {
                    pairs::<T, KERNEL, OUTPUTS, false>(task, row, column, channel);
                } else {
                    pairs::<T, KERNEL, OUTPUTS, true>(task, row, column, channel);
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
unsafe fn pairs<T: Vector, const KERNEL: usize, const M: usize, const IS_BORDER: bool>(
    task: &mut ImagesGradient<'_>,
    row: usize,
    column: usize,
    channel: usize,
) {
    let Sizes { height, width, channels } = task.sizes;
    let before = KERNEL / 2;
    let of_gradient = Row { columns: width, pixel: channels };
    let [left, right] = reach::<KERNEL>();
    let (image, lowest) = (row / (2 * height), row % (2 * height) + before);
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
        of_gradient.read::<T, IS_BORDER>(from, column.wrapping_sub(left), M + left + right, &mut values);
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
            sums[parity][m].store(to.add((2 * m + parity) * channels));
        }
    }
}

/// The gradient of the weights, given the one of the outputs.
pub(crate) struct WeightsGradient<'a> {
    pub sizes: Sizes,
    pub images: &'a [f32],
    pub outputs_gradient: &'a [f32],
    /// Row × column × channel; zeros at first.
    pub gradient: Vec<f32>,
}

/// Sums up `M` outputs of a row side by side, lest each sum wait for the one before.
///
/// # Safety
/// As for [`forward`].
#[inline(always)]
pub(crate) unsafe fn weights_gradient<T: Vector, const KERNEL: usize, const STRIDE: usize, const M: usize>(
    task: &mut WeightsGradient<'_>,
) {
    let Sizes { height, width, channels } = task.sizes;
    let of_row = width * channels * (1 + STRIDE * STRIDE);
    let band = (BAND_VALUES / of_row).clamp(1, height);
    for image in 0..task.outputs_gradient.len() / (height * width * channels) {
        for first in (0..height).step_by(band) {
            let band = Band { image, first, end: height.min(first + band) };
            for channel in (0..channels).step_by(T::LANES) {
                for tap in 0..KERNEL {
                    taps::<T, KERNEL, STRIDE, M>(task, &band, channel, tap);
                }
            }
        }
    }
}

/// Rows of the outputs of an image.
struct Band {
    image: usize,
    first: usize,
    end: usize,
}

/// What a band adds to a row of the kernel.
#[inline(always)]
unsafe fn taps<T: Vector, const KERNEL: usize, const STRIDE: usize, const M: usize>(
    task: &mut WeightsGradient<'_>,
    band: &Band,
    channel: usize,
    tap: usize,
) {
    let Sizes { height, width, channels } = task.sizes;
    let [of_image, of_gradient] = [width * STRIDE, width].map(|columns| Row { columns, pixel: channels });
    let mut sums = [[T::splat(0.0); M]; KERNEL];
    for row in band.first..band.end {
        let met = (row * STRIDE + tap).wrapping_sub(KERNEL / 2);
        if met >= height * STRIDE {
            continue;
        }
        let image = (band.image * height * STRIDE + met) * of_image.length() + channel;
        let gradient = (band.image * height + row) * of_gradient.length() + channel;
        let from = [task.images.as_ptr().add(image), task.outputs_gradient.as_ptr().add(gradient)];
        for column in (0..width).step_by(M) {
            if column + M <= width && is_inside::<KERNEL, STRIDE, M>(column, width) {
                products::<T, KERNEL, STRIDE, M, false>([of_image, of_gradient], from, column, &mut sums);
            } else {
                products::<T, KERNEL, STRIDE, M, true>([of_image, of_gradient], from, column, &mut sums);
            }
        }
    }
    for x in 0..KERNEL {
        let to = task.gradient.as_mut_ptr().add((tap * KERNEL + x) * channels + channel);
        let mut total = T::load(to);
        for m in 0..M {
            total = total.add(sums[x][m]);
        }
        total.store(to);
    }
}

/// Adds the products of `M` gradients of a row with what the outputs read.
#[inline(always)]
unsafe fn products<
    T: Vector,
    const KERNEL: usize,
    const STRIDE: usize,
    const M: usize,
    const IS_BORDER: bool,
>(
    [of_image, of_gradient]: [Row; 2],
    [image, gradient]: [*const f32; 2],
    column: usize,
    sums: &mut [[T; M]; KERNEL],
) {
    let start = (column * STRIDE).wrapping_sub(KERNEL / 2);
    let [mut values, mut slopes] = [[T::splat(0.0); MOST_COLUMNS]; 2];
    of_image.read::<T, IS_BORDER>(image, start, (M - 1) * STRIDE + KERNEL, &mut values);
    of_gradient.read::<T, IS_BORDER>(gradient, column, M, &mut slopes);
    for x in 0..KERNEL {
        for m in 0..M {
            sums[x][m] = sums[x][m].fma(slopes[m], values[m * STRIDE + x]);
        }
    }
}
