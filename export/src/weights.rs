//! The trainer's files: every tensor is there, has its type and shape, and holds nothing but numbers.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mfactor::magic::{self, Kind};
use mfactor::protocol::{
    CHECK_FILE, CHECK_LOGITS_TENSOR, CHECK_RECORDS_TENSOR, DEVIATION_TENSOR, MEAN_TENSOR, WEIGHTS_FILE,
};
use mfactor::text::list;
use mfactor::{Error, Layer, Result, files};
use safetensors::{Dtype, SafeTensors};

/// Trained tensors of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Vec<f32>>,
}

impl Weights {
    /// Reads the weights of `layers` from a trial's folder, and the normalisation of `channels` channels.
    ///
    /// # Errors
    /// [`Error::Input`] naming file, tensor and both shapes for what does not fit; a sentence of its own where the
    /// trial trained nothing.
    pub fn load(folder: &Path, layers: &[Layer], channels: usize) -> Result<Self> {
        let file = TensorFile::read(folder, WEIGHTS_FILE)?;
        let tensors = file.parse()?;
        let of_layers = layers.iter().flat_map(Layer::tensors).map(|spec| (spec.name, spec.shape));
        let of_pixels = [MEAN_TENSOR, DEVIATION_TENSOR].map(|name| (name.to_owned(), vec![channels]));
        let mut found = BTreeMap::new();
        for (name, shape) in of_layers.chain(of_pixels) {
            let values = file.floats(&tensors, &name, &shape)?;
            found.insert(name, values);
        }
        let weights = Self { tensors: found };
        if weights.get(DEVIATION_TENSOR)?.iter().any(|deviation| *deviation <= 0.0) {
            return Err(file.refuse(DEVIATION_TENSOR, "holds a deviation that is not above 0"));
        }
        Ok(weights)
    }

    /// Values of one tensor, in row-major order.
    ///
    /// # Errors
    /// [`Error::Defect`] for a name that is none of the layers'.
    pub fn get(&self, name: &str) -> Result<&[f32]> {
        let values = self.tensors.get(name).map(Vec::as_slice);
        values.ok_or_else(|| Error::Defect(format!("tensor {name} was not loaded")))
    }
}

/// What the trained network answered on a few records.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckRecords {
    /// The file, for errors.
    pub path: PathBuf,
    /// Record numbers in the training records.
    pub records: Vec<usize>,
    /// Logits, a list for each record.
    pub logits: Vec<Vec<f32>>,
}

impl CheckRecords {
    /// Reads a trial's check records for a network of `classes` classes.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub fn load(folder: &Path, classes: usize) -> Result<Self> {
        let file = TensorFile::read(folder, CHECK_FILE)?;
        let tensors = file.parse()?;
        let numbers = tensors
            .tensor(CHECK_RECORDS_TENSOR)
            .map_err(|_| file.refuse(CHECK_RECORDS_TENSOR, "is not there"))?;
        if numbers.dtype() != Dtype::I64 || numbers.shape().len() != 1 || numbers.shape()[0] == 0 {
            let (kind, shape) = (numbers.dtype(), list(numbers.shape()));
            let problem = format!("is {kind} {shape}; it must be I64 [n], n above 0");
            return Err(file.refuse(CHECK_RECORDS_TENSOR, &problem));
        }
        let records: Option<Vec<usize>> = numbers
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|bytes| usize::try_from(i64::from_le_bytes(*bytes)).ok())
            .collect();
        let records = records.ok_or_else(|| file.refuse(CHECK_RECORDS_TENSOR, "holds a number below 0"))?;
        let logits = file.floats(&tensors, CHECK_LOGITS_TENSOR, &[records.len(), classes])?;
        let logits = logits.chunks_exact(classes).map(<[f32]>::to_vec).collect();
        Ok(Self { path: file.path, records, logits })
    }
}

/// A safetensors file in memory.
struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl TensorFile {
    fn read(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        match files::read(&path) {
            Ok(bytes) => Ok(Self { path, bytes }),
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Err(Error::file(
                &path,
                "is not there: this trial trained no network (constant and table evaluators train none); \
                 search with `--evaluator train` to have weights to export",
            )),
            Err(error) => Err(error),
        }
    }

    fn parse(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|error| {
            let problem = match magic::mistaken(&self.bytes, Kind::Safetensors) {
                Some(words) => format!("is not a safetensors file: it {words}"),
                None => format!("is not a safetensors file, or was cut off: {error}; train this trial again"),
            };
            Error::file(&self.path, problem)
        })
    }

    fn refuse(&self, tensor: &str, problem: &str) -> Error {
        Error::input(format!("{}, tensor {tensor}", self.path.display()), problem)
    }

    fn floats(&self, tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = tensors.tensor(name).map_err(|_| self.refuse(name, "is not there"))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let (kind, has, wanted) = (tensor.dtype(), list(tensor.shape()), list(shape));
            let problem = format!("is {kind} {has}; it must be F32 {wanted}");
            return Err(self.refuse(name, &problem));
        }
        let values: Vec<f32> =
            tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(position) => {
                Err(self
                    .refuse(name, &format!("value {position} is {}, not a finite number", values[position])))
            }
            None => Ok(values),
        }
    }
}
