//! The files a job leaves behind: trained tensors, and what the network answers on a few records.

use std::path::Path;

use mfactor::Error;
use mfactor::files;
use mfactor::protocol::{
    CHECK_FILE, CHECK_LOGITS_TENSOR, CHECK_RECORDS_TENSOR, DEVIATION_TENSOR, MEAN_TENSOR, WEIGHTS_FILE,
};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tch::Tensor;

use crate::evaluation;
use crate::failure::Failure;
use crate::images::Images;
use crate::network::Network;

/// A tensor as it is stored.
struct Stored {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn floats(name: &str, shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: name.to_owned(), dtype: Dtype::F32, shape, bytes }
    }
}

/// Writes [`WEIGHTS_FILE`] and [`CHECK_FILE`] into `folder`, each whole or not at all.
pub fn write(folder: &Path, network: &Network, images: &Images) -> Result<(), Failure> {
    let mut tensors = vec![];
    for (spec, tensor) in network.parameters.named()? {
        tensors.push(Stored::floats(&spec.name, spec.shape, &values(&tensor)?));
    }
    let normalization = &images.normalization;
    for (name, values) in [(MEAN_TENSOR, &normalization.mean), (DEVIATION_TENSOR, &normalization.deviation)] {
        tensors.push(Stored::floats(name, vec![values.len()], values));
    }
    write_file(&folder.join(WEIGHTS_FILE), &tensors)?;
    let (records, logits) = evaluation::check_logits(network, images)?;
    let shape: Vec<usize> = logits.size().iter().map(|size| *size as usize).collect();
    let records = Stored {
        name: CHECK_RECORDS_TENSOR.to_owned(),
        dtype: Dtype::I64,
        shape: vec![records.len()],
        bytes: records.iter().flat_map(|record| (*record as i64).to_le_bytes()).collect(),
    };
    let logits = Stored::floats(CHECK_LOGITS_TENSOR, shape, &values(&logits)?);
    write_file(&folder.join(CHECK_FILE), &[records, logits])
}

fn values(tensor: &Tensor) -> Result<Vec<f32>, Failure> {
    Ok(Vec::try_from(tensor.f_reshape([-1])?)?)
}

fn write_file(path: &Path, tensors: &[Stored]) -> Result<(), Failure> {
    let refused = |error| Error::Defect(format!("{} cannot be composed: {error}", path.display()));
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|stored| Ok((&stored.name, TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes)?)))
        .collect();
    let bytes = safetensors::serialize(views.map_err(refused)?, None).map_err(refused)?;
    Ok(files::write(path, &bytes)?)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use safetensors::SafeTensors;
    use tch::{Device, Kind};

    use super::*;
    use crate::toy;

    fn floats(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
    }

    #[test]
    fn a_network_with_the_written_weights_gives_the_written_logits() {
        let (data, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        toy::write_data(data.path());
        let images = Images::load(data.path(), &toy::space(), toy::space().image(), Device::Cpu).unwrap();
        let network = |seed| {
            let layers = toy::space().lower(&"5-37".parse().unwrap());
            Network::new(layers, &mut ChaCha8Rng::seed_from_u64(seed), Device::Cpu).unwrap()
        };
        let written = network(1);
        // Statistics that are not the initial ones.
        let batch = images.plain(&images.records(&[0, 1, 2, 3]).unwrap()).unwrap();
        let _ = written.train(&batch, Kind::Float).unwrap();
        write(output.path(), &written, &images).unwrap();

        let read = network(2);
        let bytes = std::fs::read(output.path().join(WEIGHTS_FILE)).unwrap();
        let weights = SafeTensors::deserialize(&bytes).unwrap();
        for (mut view, spec) in read
            .parameters
            .views()
            .unwrap()
            .into_iter()
            .flatten()
            .zip(toy::space().lower(&"5-37".parse().unwrap()).iter().flat_map(mfactor::Layer::tensors))
        {
            let values = floats(weights.tensor(&spec.name).unwrap().data());
            view.copy_(&Tensor::from_slice(&values).view_as(&view));
        }
        let bytes = std::fs::read(output.path().join(CHECK_FILE)).unwrap();
        let check = SafeTensors::deserialize(&bytes).unwrap();
        let records = check.tensor(CHECK_RECORDS_TENSOR).unwrap();
        let records: Vec<usize> =
            records.data().as_chunks().0.iter().map(|chunk| i64::from_le_bytes(*chunk) as usize).collect();
        assert_eq!(records, images.split.validation[..64]);
        let (_, again) = evaluation::check_logits(&read, &images).unwrap();
        let logits = floats(check.tensor(CHECK_LOGITS_TENSOR).unwrap().data());
        assert_eq!(logits, values(&again).unwrap());
        assert_ne!(logits, values(&evaluation::check_logits(&network(2), &images).unwrap().1).unwrap());
    }
}
