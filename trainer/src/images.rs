//! A data set in the memory of the device, and batches of it.

use std::path::Path;

use mfactor::SearchSpace;
use mfactor::dataset::{DataSet, Normalization, Split};
use mfactor::space::ImageShape;
use tch::{Device, Kind, TchError, Tensor};

use crate::augmentation::Variations;
use crate::failure::Failure;

/// The training records of a data set as one tensor, with the split into training and validation. Test records
/// are never read here.
pub struct Images {
    /// u8 \[records · rows · columns, channels\]: channels last, a row of the tensor is a pixel.
    pixels: Tensor,
    /// i64 \[records\].
    labels: Tensor,
    shape: ImageShape,
    /// Names of the classes, in the order of the labels.
    pub class_names: Vec<String>,
    /// f32 \[channels\], of pixel values from 0 to 255.
    mean: Tensor,
    deviation: Tensor,
    /// Mean and deviation over the training split, of pixel values divided by 255.
    pub normalization: Normalization,
    /// Which records train and which validate.
    pub split: Split,
}

impl Images {
    /// Reads the data set in `folder`, which must fit `space`, and makes its images as small as a network sees them.
    pub fn load(
        folder: &Path,
        space: &SearchSpace,
        seen: ImageShape,
        device: Device,
    ) -> Result<Self, Failure> {
        let set = DataSet::open(folder)?;
        set.check_fits(space)?;
        let records = set.train()?.resized(seen)?;
        let split = set.split();
        let normalization = records.normalization(&split.train);
        let shape = records.image_shape();
        let [channels, rows, columns] = sides(shape);
        let count = records.len() as i64;
        let planes = Tensor::f_from_slice(records.pixels())?.f_view([count, channels, rows * columns])?;
        let labels: Vec<i64> = records.labels().iter().map(|label| i64::from(*label)).collect();
        let scaled = |values: &[f32]| Tensor::f_from_slice(values)?.f_mul_scalar(255.0)?.f_to_device(device);
        Ok(Self {
            pixels: planes.f_transpose(1, 2)?.f_reshape([-1, channels])?.f_to_device(device)?,
            labels: Tensor::f_from_slice(&labels)?.f_to_device(device)?,
            shape,
            class_names: set.manifest().classes.clone(),
            mean: scaled(&normalization.mean)?,
            deviation: scaled(&normalization.deviation)?,
            normalization,
            split,
        })
    }

    /// Whether networks of `space` that see such images can be trained on these.
    pub fn fits(&self, space: &SearchSpace, seen: ImageShape) -> bool {
        self.shape == seen && self.class_names.len() == space.classes()
    }

    /// Record numbers as a tensor on the device that holds the images.
    pub fn records(&self, numbers: &[usize]) -> Result<Tensor, TchError> {
        let numbers: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
        Tensor::f_from_slice(&numbers)?.f_to_device(self.pixels.device())
    }

    /// Labels of `records`, i64 \[n\].
    pub fn labels(&self, records: &Tensor) -> Result<Tensor, TchError> {
        self.labels.f_index_select(0, records)
    }

    /// Normalised images of `records` as they are, f32 \[n, channels, rows, columns\] in channels-last memory.
    pub fn plain(&self, records: &Tensor) -> Result<Tensor, TchError> {
        let [_, rows, columns] = sides(self.shape);
        let device = self.pixels.device();
        let line = |length: i64| Tensor::f_arange(length, (Kind::Int64, device));
        self.gather(records, &line(rows)?.f_unsqueeze(0)?, &line(columns)?.f_unsqueeze(0)?)
    }

    /// Normalised images of `records`, each shifted and mirrored as `variations` says; what a shift uncovers is
    /// filled by reflection. Shape and memory as in [`Images::plain`].
    pub fn varied(&self, records: &Tensor, variations: &Variations) -> Result<Tensor, TchError> {
        let [_, rows, columns] = sides(self.shape);
        let device = self.pixels.device();
        let line = |length: i64| Tensor::f_arange(length, (Kind::Int64, device));
        let from_rows = line(rows)?.f_add(&variations.down.f_unsqueeze(1)?)?;
        let straight = line(columns)?;
        let mirrored = straight.f_flip([0i64].as_slice())?;
        let looked_at =
            straight.f_where_self(&variations.mirrored.f_unsqueeze(1)?.f_logical_not()?, &mirrored)?;
        let from_columns = looked_at.f_add(&variations.right.f_unsqueeze(1)?)?;
        let mut images =
            self.gather(records, &reflect(&from_rows, rows)?, &reflect(&from_columns, columns)?)?;
        if let Some(factors) = &variations.brightness {
            images = self.brightened(&images, factors)?;
        }
        if let Some(hidden) = &variations.hidden {
            let inside = |first: &Tensor, length| {
                let from = line(length)?.f_sub(&first.f_unsqueeze(1)?)?;
                from.f_ge(0)?.f_logical_and(&from.f_lt(hidden.side)?)
            };
            let rows = inside(&hidden.top, rows)?.f_unsqueeze(1)?.f_unsqueeze(3)?;
            let columns = inside(&hidden.left, columns)?.f_unsqueeze(1)?.f_unsqueeze(2)?;
            // 0 is the mean of the data set.
            images = images.f_masked_fill(&rows.f_logical_and(&columns)?, 0.0)?;
        }
        Ok(images)
    }

    /// Normalised images whose pixel values are multiplied by `factors`, f32 \[n\]: (f·x - m)/d = f·(x - m)/d + (f - 1)·m/d.
    fn brightened(&self, images: &Tensor, factors: &Tensor) -> Result<Tensor, TchError> {
        let factors = factors.f_view([-1, 1, 1, 1])?;
        let shift = self.mean.f_div(&self.deviation)?.f_view([1, -1, 1, 1])?;
        images.f_mul(&factors)?.f_add(&factors.f_sub_scalar(1.0)?.f_mul(&shift)?)
    }

    /// Rows and columns of an image.
    pub fn image_sides(&self) -> [i64; 2] {
        let [_, rows, columns] = sides(self.shape);
        [rows, columns]
    }

    /// Weight of each class for a loss in which all classes count alike, f32 \[classes\]: N / (classes · images of it) over
    /// the training split. A class without an image has weight 0.
    pub fn balanced_weights(&self) -> Result<Tensor, TchError> {
        let labels = self.labels.f_index_select(0, &self.records(&self.split.train)?)?;
        let counts =
            labels.f_bincount(None::<&Tensor>, self.class_names.len() as i64)?.f_to_kind(Kind::Float)?;
        let share = self.split.train.len() as f64 / self.class_names.len() as f64;
        let weights = counts.f_clamp_min(1.0)?.f_reciprocal()?.f_mul_scalar(share)?;
        weights.f_mul(&counts.f_gt(0.0)?.f_to_kind(Kind::Float)?)
    }

    /// For each of n records the pixels at the given rows, i64 \[n or 1, rows\], and columns, i64 \[n or 1, columns\].
    fn gather(&self, records: &Tensor, rows: &Tensor, columns: &Tensor) -> Result<Tensor, TchError> {
        let [channels, height, width] = sides(self.shape);
        let first_rows = records.f_mul_scalar(height)?.f_unsqueeze(1)?;
        let lines = rows.f_add(&first_rows)?.f_mul_scalar(width)?.f_unsqueeze(2)?;
        let positions = lines.f_add(&columns.f_unsqueeze(1)?)?.f_reshape([-1])?;
        let pixels = self.pixels.f_index_select(0, &positions)?.f_to_kind(Kind::Float)?;
        let normalised = pixels.f_sub(&self.mean)?.f_div_(&self.deviation)?;
        normalised.f_view([-1, height, width, channels])?.f_permute([0, 3, 1, 2])
    }
}

/// Channels, rows and columns as libtorch counts.
fn sides(shape: ImageShape) -> [i64; 3] {
    [shape.channels as i64, shape.height as i64, shape.width as i64]
}

/// Positions outside `0..length` come back in, mirrored at the first and the last position, which are not
/// repeated. They must be less than `length` away.
fn reflect(positions: &Tensor, length: i64) -> Result<Tensor, TchError> {
    let from_last = positions.f_abs()?.f_neg()?.f_add_scalar(length - 1)?;
    from_last.f_abs()?.f_neg()?.f_add_scalar(length - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augmentation::Hidden;
    use crate::toy;

    fn images() -> Images {
        let folder = tempfile::tempdir().unwrap();
        toy::write_data(folder.path());
        Images::load(folder.path(), &toy::space(), toy::space().image(), Device::Cpu).unwrap()
    }

    fn varied(images: &Images, down: i64, right: i64, mirrored: bool) -> Tensor {
        let variations = Variations {
            down: Tensor::from_slice(&[0, down]),
            right: Tensor::from_slice(&[0, right]),
            mirrored: Tensor::from_slice(&[false, mirrored]),
            brightness: None,
            hidden: None,
        };
        images.varied(&images.records(&[4, 9]).unwrap(), &variations).unwrap()
    }

    #[test]
    fn plain_images_are_the_records_normalised() {
        let folder = tempfile::tempdir().unwrap();
        toy::write_data(folder.path());
        let images = Images::load(folder.path(), &toy::space(), toy::space().image(), Device::Cpu).unwrap();
        let records = DataSet::open(folder.path()).unwrap().train().unwrap();
        let batch = images.plain(&images.records(&[4, 9]).unwrap()).unwrap();
        assert_eq!((batch.size(), batch.stride()), (vec![2, 3, 12, 12], vec![432, 1, 36, 3]));
        let Normalization { mean, deviation } = records.normalization(&images.split.train);
        let pixel = f32::from(records.image(9)[144 + 5 * 12 + 7]) / 255.0;
        let expected = f64::from((pixel - mean[1]) / deviation[1]);
        assert!((batch.double_value(&[1, 1, 5, 7]) - expected).abs() < 1e-5);
        let labels = images.labels(&images.records(&[4, 9]).unwrap()).unwrap();
        assert_eq!(Vec::<i64>::try_from(labels).unwrap(), [0, 1]);
    }

    #[test]
    fn variations_move_one_image_and_leave_the_other() {
        let images = images();
        let plain = images.plain(&images.records(&[4, 9]).unwrap()).unwrap();
        assert_eq!(varied(&images, 0, 0, false), plain);
        let moved = varied(&images, 2, -1, true);
        assert_eq!(moved.get(0), plain.get(0));
        let at = |tensor: &Tensor, row, column| tensor.double_value(&[1, 2, row, column]);
        // Row 3 shows row 5; column 4 is column 7 mirrored, which shows column 6.
        assert_eq!(at(&moved, 3, 4), at(&plain, 5, 6));
        // Row 11 would show row 13, which is row 9 by reflection at row 11.
        assert_eq!(at(&moved, 11, 4), at(&plain, 9, 6));
        // Column 11 is column 0 mirrored, which would show column -1: column 1 by reflection at column 0.
        assert_eq!(at(&moved, 3, 11), at(&plain, 5, 1));
    }

    #[test]
    fn brightness_and_hidden_squares_change_what_they_say() {
        let images = images();
        let numbers = images.records(&[4, 9]).unwrap();
        let plain = images.plain(&numbers).unwrap();
        let variations = Variations {
            down: Tensor::from_slice(&[0i64, 0]),
            right: Tensor::from_slice(&[0i64, 0]),
            mirrored: Tensor::from_slice(&[false, false]),
            brightness: Some(Tensor::from_slice(&[1.0f32, 0.5])),
            hidden: Some(Hidden {
                side: 3,
                top: Tensor::from_slice(&[20i64, -1]),
                left: Tensor::from_slice(&[0i64, 4]),
            }),
        };
        let varied = images.varied(&numbers, &variations).unwrap();
        assert!(varied.get(0).allclose(&plain.get(0), 1e-5, 1e-5, false), "factor 1, and a square outside");
        let at = |tensor: &Tensor, row, column| tensor.double_value(&[1, 2, row, column]);
        for (row, column) in [(0, 4), (1, 6)] {
            assert_eq!(at(&varied, row, column), 0.0);
        }
        let Normalization { mean, deviation } = &images.normalization;
        let (mean, deviation) = (f64::from(mean[2]), f64::from(deviation[2]));
        for (row, column) in [(2, 4), (0, 3), (0, 7), (11, 11)] {
            let value = at(&plain, row, column) * deviation + mean;
            assert!((at(&varied, row, column) - (0.5 * value - mean) / deviation).abs() < 1e-4);
        }
    }

    #[test]
    fn balanced_weights_make_classes_alike() {
        let images = images();
        let weights: Vec<f32> = Vec::try_from(images.balanced_weights().unwrap()).unwrap();
        let labels =
            Vec::<i64>::try_from(images.labels(&images.records(&images.split.train).unwrap()).unwrap());
        let mut sums = [0.0; 4];
        labels.unwrap().iter().for_each(|label| sums[*label as usize] += weights[*label as usize]);
        let each = images.split.train.len() as f32 / 4.0;
        assert!(sums.iter().all(|sum| (sum - each).abs() < 1e-2), "{sums:?}");
    }

    #[test]
    fn a_data_set_of_another_shape_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        toy::write_data(folder.path());
        let Err(failure) =
            Images::load(folder.path(), &SearchSpace::paper(), SearchSpace::paper().image(), Device::Cpu)
        else {
            panic!("12×12 images are none of the paper's");
        };
        assert!(failure.to_string().contains("3×12×12"), "{failure}");
    }
}
