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
    rng: ChaCha8Rng,
}

impl Augmentation {
    /// Shows `records`, varied as `recipe` says.
    ///
    /// Mirroring alternates: a coin for each image decides the first epoch, and every later epoch shows the other
    /// side than the one before. Over few epochs that shows more different images than a coin in each epoch
    /// (Jordan 2024, arXiv:2404.00498).
    pub fn new(records: &[usize], recipe: &Recipe, mut rng: ChaCha8Rng) -> Self {
        let count = records.iter().max().map_or(0, |last| last + 1);
        let mirrored_first = (0..count).map(|_| rng.random()).collect();
        Self {
            order: records.to_vec(),
            mirrored_first,
            flip: recipe.flip,
            translate: recipe.translate as i64,
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
        Ok(Sequence {
            variations: Variations {
                down: shifts()?,
                right: shifts()?,
                mirrored: Tensor::f_from_slice(&mirrored)?.f_to_device(device)?,
            },
            records: Tensor::f_from_slice(&records)?.f_to_device(device)?,
        })
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
            },
        })
    }
}
