//! The order of the training images and how each is varied, from a seeded generator of our own.

use mfactor::Recipe;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Device, TchError, Tensor};

/// How each of n images is varied.
pub struct Variations {
    /// Rows by which the image is looked at further down, i64 \[n\].
    pub down: Tensor,
    /// Columns by which it is looked at further right, i64 \[n\].
    pub right: Tensor,
    /// Whether it is mirrored left to right, bool \[n\].
    pub mirrored: Tensor,
    /// By how much its values are multiplied, f32 \[n\]; `None` by nothing.
    pub brightness: Option<Tensor>,
    /// What is hidden; `None` nothing.
    pub hidden: Option<Hidden>,
}

/// A square that is hidden in each of n images.
pub struct Hidden {
    /// Its side in pixels.
    pub side: i64,
    /// Its first row, i64 \[n\]; it may begin outside.
    pub top: Tensor,
    /// Its first column, likewise.
    pub left: Tensor,
}

/// A run of images in the order in which they are seen.
pub struct Sequence {
    /// Record numbers, i64 \[n\].
    pub records: Tensor,
    /// How they are varied.
    pub variations: Variations,
}

/// Draws the sequence of each epoch.
pub struct Augmentation {
    order: Vec<usize>,
    /// For each record whether the first epoch shows it mirrored.
    mirrored_first: Vec<bool>,
    flip: bool,
    translate: i64,
    brightness: f64,
    cutout: i64,
    /// Rows and columns of an image.
    sides: [i64; 2],
    rng: ChaCha8Rng,
}

impl Augmentation {
    /// Shows `records`, images of `sides` (rows and columns), varied as `recipe` says.
    ///
    /// Mirroring alternates: a coin for each image decides the first epoch, and every later epoch shows the other
    /// side than the one before. Over few epochs that shows more different images than a coin in each epoch
    /// (Jordan 2024, arXiv:2404.00498).
    pub fn new(records: &[usize], recipe: &Recipe, sides: [i64; 2], mut rng: ChaCha8Rng) -> Self {
        let count = records.iter().max().map_or(0, |last| last + 1);
        let mirrored_first = (0..count).map(|_| rng.random()).collect();
        Self {
            order: records.to_vec(),
            mirrored_first,
            flip: recipe.flip,
            translate: recipe.translate as i64,
            brightness: recipe.brightness,
            cutout: recipe.cutout as i64,
            sides,
            rng,
        }
    }

    /// All images in a new order for `epoch`, counted from 0.
    pub fn epoch(&mut self, epoch: u32, device: Device) -> Result<Sequence, TchError> {
        self.order.shuffle(&mut self.rng);
        let odd = epoch % 2 == 1;
        let mirrored: Vec<bool> =
            self.order.iter().map(|record| self.flip && self.mirrored_first[*record] != odd).collect();
        let records: Vec<i64> = self.order.iter().map(|record| *record as i64).collect();
        let mut shifts = || {
            let shifts: Vec<i64> =
                self.order.iter().map(|_| self.rng.random_range(-self.translate..=self.translate)).collect();
            Tensor::f_from_slice(&shifts)?.f_to_device(device)
        };
        let (down, right) = (shifts()?, shifts()?);
        Ok(Sequence {
            variations: Variations {
                down,
                right,
                mirrored: Tensor::f_from_slice(&mirrored)?.f_to_device(device)?,
                brightness: self.draw_brightness(device)?,
                hidden: self.draw_hidden(device)?,
            },
            records: Tensor::f_from_slice(&records)?.f_to_device(device)?,
        })
    }

    /// Nothing is drawn where nothing is wanted: the other draws stay what they were.
    fn draw_brightness(&mut self, device: Device) -> Result<Option<Tensor>, TchError> {
        if self.brightness == 0.0 {
            return Ok(None);
        }
        let range = 1.0 - self.brightness..=1.0 + self.brightness;
        let factors: Vec<f32> =
            self.order.iter().map(|_| self.rng.random_range(range.clone()) as f32).collect();
        Tensor::f_from_slice(&factors)?.f_to_device(device).map(Some)
    }

    /// The middle of each square is any pixel of the image.
    fn draw_hidden(&mut self, device: Device) -> Result<Option<Hidden>, TchError> {
        if self.cutout == 0 {
            return Ok(None);
        }
        let mut begins = |length: i64| {
            let begins = self.order.iter().map(|_| self.rng.random_range(0..length) - self.cutout / 2);
            Tensor::f_from_slice(&begins.collect::<Vec<i64>>())?.f_to_device(device)
        };
        let [rows, columns] = self.sides;
        Ok(Some(Hidden { side: self.cutout, top: begins(rows)?, left: begins(columns)? }))
    }
}

impl Sequence {
    /// The `length` images from position `start` on; shares memory with the whole.
    pub fn slice(&self, start: i64, length: i64) -> Result<Self, TchError> {
        let slice = |tensor: &Tensor| tensor.f_narrow(0, start, length);
        Ok(Self {
            records: slice(&self.records)?,
            variations: Variations {
                down: slice(&self.variations.down)?,
                right: slice(&self.variations.right)?,
                mirrored: slice(&self.variations.mirrored)?,
                brightness: self.variations.brightness.as_ref().map(slice).transpose()?,
                hidden: match &self.variations.hidden {
                    Some(hidden) => {
                        let (top, left) = (slice(&hidden.top)?, slice(&hidden.left)?);
                        Some(Hidden { side: hidden.side, top, left })
                    }
                    None => None,
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn augmentation(flip: bool, translate: usize) -> Augmentation {
        let records: Vec<usize> = (0..1_000).map(|number| 2 * number).collect();
        let recipe = Recipe { flip, translate, ..Recipe::default() };
        Augmentation::new(&records, &recipe, [12, 12], ChaCha8Rng::seed_from_u64(4))
    }

    fn list(tensor: &Tensor) -> Vec<i64> {
        Vec::try_from(tensor.to_kind(tch::Kind::Int64)).unwrap()
    }

    #[test]
    fn every_record_comes_once_an_epoch_in_ever_new_order() {
        let mut augmentation = augmentation(true, 2);
        let [first, second] =
            [0, 1].map(|epoch| list(&augmentation.epoch(epoch, Device::Cpu).unwrap().records));
        assert_ne!(first, second);
        for records in [first, second] {
            assert_eq!(records.iter().copied().collect::<BTreeSet<_>>(), (0..1_000).map(|n| 2 * n).collect());
        }
    }

    #[test]
    fn mirroring_alternates_for_each_image() {
        let mut augmentation = augmentation(true, 0);
        let mut mirrored = |epoch| {
            let sequence = augmentation.epoch(epoch, Device::Cpu).unwrap();
            let mut pairs: Vec<_> =
                list(&sequence.records).into_iter().zip(list(&sequence.variations.mirrored)).collect();
            pairs.sort_unstable();
            pairs.into_iter().map(|(_, mirrored)| mirrored).collect::<Vec<_>>()
        };
        let [first, second, third] = [0, 1, 2].map(&mut mirrored);
        assert!((400..600).contains(&first.iter().sum::<i64>()));
        assert!(first.iter().zip(&second).all(|(one, other)| one != other));
        assert_eq!(first, third);
        let sequence = super::tests::augmentation(false, 0).epoch(0, Device::Cpu).unwrap();
        assert_eq!(list(&sequence.variations.mirrored).iter().sum::<i64>(), 0);
    }

    #[test]
    fn shifts_cover_the_whole_range_and_no_more() {
        let sequence = augmentation(true, 2).epoch(0, Device::Cpu).unwrap();
        for shifts in [&sequence.variations.down, &sequence.variations.right] {
            assert_eq!(list(shifts).into_iter().collect::<BTreeSet<_>>(), (-2..=2).collect());
        }
        let slice = sequence.slice(10, 5).unwrap();
        assert_eq!(list(&slice.records), list(&sequence.records)[10..15]);
        assert_eq!(list(&slice.variations.down), list(&sequence.variations.down)[10..15]);
    }
}
