//! NASWOT (Mellor et al., «Neural architecture search without training», 2021): how well an untrained network tells images
//! apart, by which of its rectifiers let each image through.

use std::io::{Read, Write};

use mfactor::protocol::{Rating, Untrained};
use mfactor::{Architecture, Error, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tch::Tensor;

use crate::device::Backend;
use crate::failure::Failure;
use crate::images::Images;
use crate::network::Network;

/// Images that are told apart.
const IMAGES: usize = 64;
/// Most bytes of a request: a line for each network of a large sample.
const LONGEST_REQUEST: u64 = 256 << 20;

/// Answers the one request on `input` with a line for each network.
///
/// # Errors
/// [`Error::Input`] for what is no request, or where a network or the images do not fit its space; [`Error::Io`] where nobody
/// takes the answers any more.
pub fn serve(backend: Backend, input: impl Read, mut answers: impl Write) -> Result<()> {
    let subject = "standard input";
    let request: Untrained = serde_json::from_reader(input.take(LONGEST_REQUEST))
        .map_err(|error| Error::input(subject, format!("is no list of networks to rate: {error}")))?;
    let mut rater = Rater { request: &request, backend, loaded: None };
    for architecture in &request.architectures {
        let rating = rater.rate(architecture).map_err(|failure| match failure {
            Failure::Job(error) | Failure::Conversation(error) => error,
            failure => Error::input(format!("network {architecture}"), failure.to_string()),
        })?;
        let line = serde_json::to_string(&rating)
            .map_err(|error| Error::Defect(format!("a rating cannot be written as JSON: {error}")))?;
        writeln!(answers, "{line}")
            .and_then(|()| answers.flush())
            .map_err(Error::io("write", "standard output".as_ref()))?;
    }
    Ok(())
}

struct Rater<'a> {
    request: &'a Untrained,
    backend: Backend,
    /// The data set at the size that the last network saw.
    loaded: Option<Images>,
}

impl Rater<'_> {
    fn rate(&mut self, architecture: &Architecture) -> Result<Rating, Failure> {
        let Untrained { space, data, seed, .. } = self.request;
        space.check(architecture)?;
        let seen = space.image_of(architecture)?;
        let images = match self.loaded.take() {
            Some(images) if images.fits(space, seen) => images,
            _ => Images::load(data, space, seen, self.backend.device)?,
        };
        let images = self.loaded.insert(images);
        let train = &images.split.train;
        let batch = images.plain(&images.records(&train[..train.len().min(IMAGES)])?)?;
        let mut rng = ChaCha8Rng::seed_from_u64(*seed);
        let network = Network::new(space.lower(architecture), &mut rng, self.backend.device)?;
        Ok(Rating { naswot: log_determinant(&network.alike(&batch)?)? })
    }
}

/// ln |K|; `None` of a matrix that has none.
fn log_determinant(matrix: &Tensor) -> Result<Option<f64>, Failure> {
    let (sign, logarithm) = matrix.f_slogdet()?;
    let (sign, logarithm) = (f64::try_from(&sign)?, f64::try_from(&logarithm)?);
    Ok(Some(logarithm).filter(|logarithm| sign > 0.0 && logarithm.is_finite()))
}

#[cfg(test)]
mod tests {
    use mfactor::SearchSpace;
    use tch::{Device, Kind};

    use super::*;

    fn rated(id: &str, images: &Tensor) -> Option<f64> {
        let layers = SearchSpace::paper().lower(&id.parse().unwrap());
        let network = Network::new(layers, &mut ChaCha8Rng::seed_from_u64(1), Device::Cpu).unwrap();
        log_determinant(&network.alike(images).unwrap()).unwrap()
    }

    #[test]
    fn counts_are_those_of_equal_answers() {
        let layers = SearchSpace::paper().lower(&"333-333-333".parse().unwrap());
        let network = Network::new(layers, &mut ChaCha8Rng::seed_from_u64(1), Device::Cpu).unwrap();
        tch::manual_seed(2);
        let images = Tensor::randn([5, 3, 32, 32], (Kind::Float, Device::Cpu));
        let alike = network.alike(&images).unwrap();
        // A stem and two rectifiers a block: 16 channels of 32 x 32, 32 of 16 x 16, 64 of 8 x 8.
        let rectifiers = f64::from(7 * 16 * 1024 + 6 * 32 * 256 + 6 * 64 * 64);
        for image in 0..5i64 {
            assert_eq!(alike.double_value(&[image, image]), rectifiers, "each image is answered like itself");
            for other in 0..image {
                let count = alike.double_value(&[image, other]);
                assert_eq!(count, alike.double_value(&[other, image]));
                assert!(count > 0.0 && count < rectifiers && count.fract() == 0.0);
            }
        }
    }

    #[test]
    fn the_seed_decides_and_equal_images_are_not_told_apart() {
        tch::manual_seed(1);
        let images = Tensor::randn([16, 3, 32, 32], (Kind::Float, Device::Cpu));
        let first = rated("333-333-333", &images).unwrap();
        assert_eq!(rated("333-333-333", &images), Some(first));
        assert_ne!(rated("777-333-333", &images), Some(first));
        let same = images.narrow(0, 0, 1).repeat([16, 1, 1, 1]);
        assert_eq!(rated("333-333-333", &same), None);
    }
}
