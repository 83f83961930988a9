//! Generators derived from a study's seed, so that trial *n* draws the same numbers in every process.

use mfactor::{Architecture, files};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Streams of one key, one for each purpose.
const PROPOSAL: u64 = 0;
const TRAINING: u64 = 1;

/// The generator that proposes trial `number` of `strategy`.
pub(crate) fn proposal(seed: u64, strategy: &str, number: u64) -> ChaCha8Rng {
    generator(seed, strategy, number, PROPOSAL)
}

/// The seed that an architecture is trained with. Whichever strategy proposes it: so strategies are compared by
/// what they propose and not by their luck in training, and one training serves them all. It fits in 32 bits, so
/// it survives readers that take every JSON number for a double.
pub(crate) fn training(seed: u64, architecture: &Architecture) -> u64 {
    let digest = files::sha256(architecture.to_string().as_bytes());
    let number = u64::from_str_radix(&digest[..16], 16).expect("a digest is hexadecimal");
    u64::from(generator(seed, "", number, TRAINING).next_u32())
}

/// ChaCha's key has room for all three, and different keys give unrelated streams.
fn generator(seed: u64, strategy: &str, number: u64, purpose: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&number.to_le_bytes());
    let name = strategy.as_bytes();
    let length = name.len().min(16);
    key[16..16 + length].copy_from_slice(&name[..length]);
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(purpose);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_strategy_number_and_purpose_all_count() {
        let mut first = [
            proposal(1, "random", 0),
            proposal(2, "random", 0),
            proposal(1, "tpe", 0),
            proposal(1, "random", 1),
            generator(1, "random", 0, TRAINING),
        ]
        .map(|mut rng| rng.next_u64());
        assert_eq!(first[0], proposal(1, "random", 0).next_u64());
        first.sort_unstable();
        assert!(first.windows(2).all(|pair| pair[0] != pair[1]));
        let training = |seed, id: &str| training(seed, &id.parse().unwrap());
        assert_eq!(training(7, "357-333-377"), training(7, "357-333-377"));
        assert_ne!(training(7, "357-333-377"), training(8, "357-333-377"));
        assert_ne!(training(7, "357-333-377"), training(7, "357-333-373"));
        assert!(training(7, "357-333-377") <= u64::from(u32::MAX));
    }
}
