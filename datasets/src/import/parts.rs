//! Which picture trains, which validates, which tests: as it comes, or drawn class by class from a seed.

use std::path::Path;

use mfactor::{Error, Result, text};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::decoding::Decoded;
use super::listing::Listing;
use super::{ImportOptions, Part};

/// The part of each decoded picture. Parts that no picture comes in are drawn from those that train or say nothing.
///
/// # Errors
/// [`Error::Input`] for a class that has not at least one picture in each part.
pub(super) fn split(
    source: &Path,
    listing: &Listing,
    pictures: &[Decoded],
    options: &ImportOptions,
) -> Result<Vec<Part>> {
    let given = |picture: &Decoded| listing.pictures[picture.listed].part;
    let comes = |part: Part| listing.pictures.iter().any(|listed| listed.part == Some(part));
    let drawn: Vec<(Part, f64)> = [(Part::Validation, options.validation), (Part::Test, options.test)]
        .into_iter()
        .filter(|(part, _)| !comes(*part))
        .collect();
    let mut parts: Vec<Part> = pictures.iter().map(|picture| given(picture).unwrap_or(Part::Train)).collect();
    for (class, label) in listing.classes.iter().zip(0u8..=u8::MAX) {
        let own = |number: &usize| listing.pictures[pictures[*number].listed].label == label;
        let mut pool: Vec<usize> =
            (0..pictures.len()).filter(own).filter(|number| parts[*number] == Part::Train).collect();
        if pool.len() <= drawn.len() {
            return Err(too_few(source, class, pool.len(), drawn.len() + 1));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream(u64::from(label));
        pool.shuffle(&mut rng);
        let all = pool.len();
        for (part, share) in &drawn {
            let wanted = ((all as f64 * share).round() as usize).clamp(1, pool.len() - 1);
            pool.drain(..wanted).for_each(|number| parts[number] = *part);
        }
        for part in Part::ALL {
            if !(0..pictures.len()).filter(own).any(|number| parts[number] == part) {
                let (class, part) = (text::name(class), part.name());
                return Err(Error::file(
                    source,
                    format!("class {class} has no picture in part {part}; add some"),
                ));
            }
        }
    }
    Ok(parts)
}

fn too_few(source: &Path, class: &str, has: usize, needs: usize) -> Error {
    let pictures = if has == 1 { "picture" } else { "pictures" };
    let problem = format!(
        "class {} has {has} {pictures} to train with and to draw from; it needs {needs} at least: one to train, one for each part to be drawn",
        text::name(class)
    );
    Error::file(source, problem)
}
