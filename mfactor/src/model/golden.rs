//! Golden inputs: images that host and board make for themselves, so that a model file can carry what the host
//! answered on them without carrying pictures of any data set.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::space::ImageShape;

/// Number of golden inputs of a model.
pub const INPUTS: usize = 4;
/// Largest difference from a golden logit, as a share of the largest golden logit of that input or of 1,
/// whichever is larger. Engines sum in different orders; anything wrong is far above this.
pub const TOLERANCE: f64 = 1e-3;
/// The same for int8: engines round an activation that lies between two steps to either, and later layers carry it on.
pub const INT8_TOLERANCE: f64 = 0.05;

/// The tolerance for a model whose weights have this precision, see [`crate::ModelMetadata::precision`].
pub fn tolerance(precision: &str) -> f64 {
    if precision == "int8" { INT8_TOLERANCE } else { TOLERANCE }
}

/// Golden input `number`: random squares of 2^`number` pixels, so that both fine and smooth images are among
/// them. Channels × rows × columns, the same on every machine.
pub fn input(shape: ImageShape, number: usize) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
    let side = 1 << number;
    let columns = shape.width.div_ceil(side);
    let mut pixels = Vec::with_capacity(shape.bytes());
    for _ in 0..shape.channels {
        let squares: Vec<u8> =
            (0..columns * shape.height.div_ceil(side)).map(|_| rng.random_range(0..=u8::MAX)).collect();
        for row in 0..shape.height {
            pixels.extend((0..shape.width).map(|column| squares[row / side * columns + column / side]));
        }
    }
    pixels
}

/// Largest difference between two lists of logits, as a share of the largest golden one or of 1.
/// Infinite where their lengths differ or a logit is not a number.
pub fn difference(golden: &[f32], logits: &[f32]) -> f64 {
    let largest = golden.iter().fold(1.0, |largest: f64, value| largest.max(f64::from(value.abs())));
    let difference = largest_difference(golden, logits) / largest;
    if difference.is_nan() { f64::INFINITY } else { difference }
}

/// Largest absolute difference between two lists of logits. Infinite where their lengths differ or a
/// difference is not a number.
pub fn largest_difference(one: &[f32], other: &[f32]) -> f64 {
    if one.len() != other.len() {
        return f64::INFINITY;
    }
    let differences = one.iter().zip(other).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    differences.fold(0.0, |largest, d| if d.is_nan() { f64::INFINITY } else { largest.max(d) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_have_the_shape_and_never_change() {
        let shape = ImageShape { channels: 3, height: 9, width: 10 };
        for number in 0..INPUTS {
            assert_eq!(input(shape, number).len(), shape.bytes());
        }
        assert_eq!(
            input(shape, 3)[..10],
            [input(shape, 3)[..1].repeat(8), input(shape, 3)[8..10].to_vec()].concat()
        );
        let all: Vec<u8> = (0..INPUTS).flat_map(|number| input(shape, number)).collect();
        // Models in the field carry logits of these very bytes.
        assert_eq!(
            crate::files::sha256(&all),
            "6cfda6611eb6888871fecd12a2109a66f63726163083791ce4cd1803032a1dca"
        );
    }

    #[test]
    fn differences_are_relative_only_to_large_logits() {
        assert!((difference(&[0.5, 0.0], &[0.5, 0.25]) - 0.25).abs() < 1e-12);
        assert!((difference(&[-10.0, 0.0], &[-10.0, 0.25]) - 0.025).abs() < 1e-12);
        assert_eq!(difference(&[1.0], &[f32::NAN]), f64::INFINITY);
        assert_eq!(difference(&[f32::INFINITY], &[f32::INFINITY]), f64::INFINITY);
        assert_eq!(difference(&[1.0], &[]), f64::INFINITY);
    }
}
