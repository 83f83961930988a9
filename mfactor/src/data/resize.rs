//! Images made smaller by area: each pixel of the result is the mean of what it covers, parts of pixels by their share.
//! The trainer and the boards use this one function, so a network sees the same image everywhere.

use crate::error::{Error, Result};
use crate::space::ImageShape;

/// From one shape to a smaller one.
pub struct Resize {
    from: ImageShape,
    to: ImageShape,
    rows: Vec<Vec<(usize, u64)>>,
    columns: Vec<Vec<(usize, u64)>>,
}

impl Resize {
    /// # Errors
    /// [`Error::Input`] for other channels, or more rows or columns than there are.
    pub fn new(from: ImageShape, to: ImageShape) -> Result<Self> {
        let shown = |shape: ImageShape| format!("{}×{}×{}", shape.channels, shape.height, shape.width);
        let is_smaller = (1..=from.height).contains(&to.height) && (1..=from.width).contains(&to.width);
        if from.channels != to.channels || !is_smaller {
            let problem = format!("cannot be made {} by averaging", shown(to));
            return Err(Error::input(format!("images of {}", shown(from)), problem));
        }
        let (rows, columns) = (overlaps(from.height, to.height), overlaps(from.width, to.width));
        Ok(Self { from, to, rows, columns })
    }

    /// An image, channels × rows × columns; rounded to the nearest byte, exactly in integers.
    ///
    /// # Panics
    /// If the image is not of the shape that this was made for.
    pub fn apply(&self, image: &[u8]) -> Vec<u8> {
        assert_eq!(image.len(), self.from.bytes(), "an image of another shape");
        let area = (self.from.height * self.from.width) as u64;
        let mut result = Vec::with_capacity(self.to.bytes());
        for plane in image.chunks_exact(self.from.height * self.from.width) {
            for rows in &self.rows {
                for columns in &self.columns {
                    let of_row = |(row, height): &(usize, u64)| -> u64 {
                        let line = &plane[row * self.from.width..];
                        height
                            * columns
                                .iter()
                                .map(|(column, width)| width * u64::from(line[*column]))
                                .sum::<u64>()
                    };
                    let sum: u64 = rows.iter().map(of_row).sum();
                    result.push(((2 * sum + area) / (2 * area)) as u8);
                }
            }
        }
        result
    }
}

/// For each of `to` equal parts of a side of `from` pixels, the pixels that it covers and how much of them, in `to`-ths;
/// the shares of a part sum to `from`.
fn overlaps(from: usize, to: usize) -> Vec<Vec<(usize, u64)>> {
    let part = |number: usize| {
        let (begin, end) = (number * from, (number + 1) * from);
        let covered = begin / to..end.div_ceil(to);
        covered.map(|pixel| (pixel, (end.min((pixel + 1) * to) - begin.max(pixel * to)) as u64)).collect()
    };
    (0..to).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(channels: usize, height: usize, width: usize) -> ImageShape {
        ImageShape { channels, height, width }
    }

    #[test]
    fn a_half_is_the_mean_of_four_pixels_channel_by_channel() {
        let resize = Resize::new(shape(2, 2, 4), shape(2, 1, 2)).unwrap();
        let image = [0, 10, 100, 100, 20, 31, 100, 103, 255, 255, 0, 0, 255, 255, 0, 1];
        // 61 / 4 = 15.25, 403 / 4 = 100.75.
        assert_eq!(resize.apply(&image), [15, 101, 255, 0]);
    }

    #[test]
    fn pixels_that_are_cut_count_by_their_share() {
        let resize = Resize::new(shape(1, 1, 3), shape(1, 1, 2)).unwrap();
        // (30 + 60 / 2) / 1.5 and (60 / 2 + 90) / 1.5.
        assert_eq!(resize.apply(&[30, 60, 90]), [40, 80]);
        for (from, to) in [(96, 64), (128, 80), (32, 32), (7, 1)] {
            for part in overlaps(from, to) {
                assert_eq!(part.iter().map(|(_, share)| share).sum::<u64>(), from as u64);
            }
        }
    }

    #[test]
    fn one_colour_stays_and_nothing_is_made_larger() {
        let resize = Resize::new(shape(3, 96, 96), shape(3, 64, 64)).unwrap();
        assert!(resize.apply(&[200; 3 * 96 * 96]).iter().all(|pixel| *pixel == 200));
        for to in [shape(3, 97, 96), shape(1, 64, 64), shape(3, 0, 64)] {
            let error = Resize::new(shape(3, 96, 96), to).err().unwrap();
            assert_eq!(error.exit_code(), crate::exit::INPUT);
        }
    }
}
