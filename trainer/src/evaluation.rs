//! What a trained network answers, in f32 and with running statistics: the figures that an exported model must
//! reproduce.

use mfactor::protocol::CHECK_RECORDS;
use tch::{Kind, TchError, Tensor};

use crate::images::Images;
use crate::network::Network;

/// Images that are evaluated at once: large enough to keep a GPU busy, small enough for the caches of a CPU.
const CHUNK: usize = 250;

/// Fraction of the validation records that the network classifies rightly.
pub fn accuracy(network: &Network, images: &Images) -> Result<f64, TchError> {
    let validation = &images.split.validation;
    let mut correct = 0;
    for chunk in validation.chunks(CHUNK) {
        let records = images.records(chunk)?;
        let answers = logits(network, images, &records)?.f_argmax(1, false)?;
        let hits = answers.f_eq_tensor(&images.labels(&records)?)?.f_sum(Kind::Int64)?;
        correct += i64::try_from(&hits)?;
    }
    Ok(correct as f64 / validation.len() as f64)
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
