//! What a trained network answers, in f32 and with running statistics: the figures that an exported model must
//! reproduce.

use mfactor::Confusion;
use mfactor::protocol::CHECK_RECORDS;
use tch::{TchError, Tensor};

use crate::failure::Failure;
use crate::images::Images;
use crate::network::Network;

/// Images that are evaluated at once: large enough to keep a GPU busy, small enough for the caches of a CPU.
const CHUNK: usize = 250;

/// What the network takes for what of the validation records.
pub fn confusion(network: &Network, images: &Images) -> Result<Confusion, Failure> {
    let classes = images.class_names.len();
    let mut counts = vec![vec![0; classes]; classes];
    for chunk in images.split.validation.chunks(CHUNK) {
        let records = images.records(chunk)?;
        let answers = logits(network, images, &records)?.f_argmax(1, false)?;
        let pairs = images.labels(&records)?.f_mul_scalar(classes as i64)?.f_add(&answers)?;
        let counted = pairs.f_bincount(None::<&Tensor>, (classes * classes) as i64)?;
        let counted: Vec<i64> = Vec::try_from(counted)?;
        for (count, more) in counts.iter_mut().flatten().zip(counted) {
            *count += more as u64;
        }
    }
    Ok(Confusion::new(images.class_names.clone(), counts, "validation")?)
}

/// The first [`CHECK_RECORDS`] validation records and the network's logits for them, f32 \[n, classes\].
pub fn check_logits(network: &Network, images: &Images) -> Result<(Vec<usize>, Tensor), TchError> {
    let validation = &images.split.validation;
    let numbers = validation[..validation.len().min(CHECK_RECORDS)].to_vec();
    let logits = logits(network, images, &images.records(&numbers)?)?;
    Ok((numbers, logits))
}

fn logits(network: &Network, images: &Images, records: &Tensor) -> Result<Tensor, TchError> {
    network.evaluate(&images.plain(records)?)
}
