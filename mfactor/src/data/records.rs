//! Records of images, in memory and as bytes of a file.

use std::path::Path;

use super::manifest::LARGEST_FILE;
use crate::error::{Error, Result};
use crate::files;
use crate::magic::{self, Kind};
use crate::resize::Resize;
use crate::space::ImageShape;

/// Records in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    image: ImageShape,
    labels: Vec<u8>,
    pixels: Vec<u8>,
}

/// Mean and standard deviation of each channel, of pixel values divided by 255.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub deviation: Vec<f32>,
}

impl Records {
    pub(super) fn empty(image: ImageShape) -> Self {
        Self { image, labels: vec![], pixels: vec![] }
    }

    /// Reads a file of records, of at most [`LARGEST_FILE`] bytes; how many there are follows from its size.
    pub fn read_file(path: &Path, image: ImageShape, classes: usize) -> Result<Self> {
        let mut records = Self::empty(image);
        records.append(&files::read_at_most(path, LARGEST_FILE)?, classes, path)?;
        Ok(records)
    }

    pub(super) fn append(&mut self, bytes: &[u8], classes: usize, path: &Path) -> Result<()> {
        check_records(bytes, self.image, classes, path)?;
        for record in bytes.chunks_exact(1 + self.image.bytes()) {
            self.labels.push(record[0]);
            self.pixels.extend_from_slice(&record[1..]);
        }
        Ok(())
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Shape of an image.
    pub fn image_shape(&self) -> ImageShape {
        self.image
    }

    /// Labels of all records.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Pixels of all records: records × channels × rows × columns.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Pixels of one record: channels × rows × columns.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn image(&self, record: usize) -> &[u8] {
        let bytes = self.image.bytes();
        &self.pixels[record * bytes..][..bytes]
    }

    /// The same records with images of this shape, each pixel the mean of the area that it covers.
    ///
    /// # Errors
    /// [`Error::Input`] for other channels, or more rows or columns than there are.
    pub fn resized(self, image: ImageShape) -> Result<Self> {
        if image == self.image {
            return Ok(self);
        }
        let resize = Resize::new(self.image, image)?;
        let mut pixels = Vec::with_capacity(self.len() * image.bytes());
        for record in 0..self.len() {
            pixels.extend(resize.apply(self.image(record)));
        }
        Ok(Self { image, pixels, labels: self.labels })
    }

    /// Mean and deviation of each channel over the records with the numbers `of`. A channel that never
    /// changes has deviation 1, so that dividing by it is harmless.
    pub fn normalization(&self, of: &[usize]) -> Normalization {
        let plane = self.image.height * self.image.width;
        let count = (of.len() * plane) as f64;
        let (mut mean, mut deviation) = (vec![], vec![]);
        for channel in 0..self.image.channels {
            let (mut sum, mut squares) = (0u64, 0u64);
            for record in of {
                for value in &self.image(*record)[channel * plane..][..plane] {
                    sum += u64::from(*value);
                    squares += u64::from(*value) * u64::from(*value);
                }
            }
            let average = sum as f64 / count;
            let variance = (squares as f64 / count - average * average).max(0.0);
            mean.push((average / 255.0) as f32);
            deviation.push(if variance > 0.0 { (variance.sqrt() / 255.0) as f32 } else { 1.0 });
        }
        Normalization { mean, deviation }
    }
}

/// What a file is that is not records. Pixels may begin like anything, so only what is told surely is said.
pub fn mistaken(bytes: &[u8]) -> Option<&'static str> {
    magic::recognise(bytes).filter(|kind| *kind != Kind::Zeros).map(Kind::words)
}

/// Refuses bytes that are not whole records, and labels of no class.
pub(super) fn check_records(bytes: &[u8], image: ImageShape, classes: usize, path: &Path) -> Result<()> {
    let size = 1 + image.bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
        if let Some(words) = mistaken(bytes) {
            return Err(Error::file(path, words));
        }
        let problem =
            format!("has {} bytes, which is not a whole number of {size}-byte records", bytes.len());
        return Err(Error::file(path, problem));
    }
    let labels = bytes.iter().step_by(size).enumerate();
    match labels.into_iter().find(|(_, label)| usize::from(**label) >= classes) {
        None => Ok(()),
        Some((number, label)) => {
            let problem = format!("record {number} has label {label}; there are {classes} classes");
            Err(Error::file(path, problem))
        }
    }
}
