//! Single convolutions of all sizes.

use kernels::{Activation, Groups, InstructionSet, Network, Plan};
use proptest::prelude::*;

use crate::cases;
use crate::reference::{Numbers, Owned, check, image, layer};

const ACTIVATIONS: [Activation; 4] =
    [Activation::None, Activation::Relu, Activation::Relu6, Activation::HardSwish];

/// A convolution of an image that a kernel of 1 has given any number of channels.
fn check_one(
    numbers: &mut Numbers,
    size: [usize; 2],
    channels: [usize; 2],
    of: &Owned,
    activation: Activation,
) {
    let stem = Owned::random(numbers, 3, channels[0], 1, 1, Groups::One);
    let layers = vec![layer(0, stem.operation(), Activation::None), layer(1, of.operation(), activation)];
    let network = Network { image: image(3, size[0], size[1]), layers };
    // The more points in a line, the larger the rounding errors; see `points`.
    let error = [1e-5, 2e-5, 8e-5][(of.kernel / 2).clamp(1, 3) - 1];
    check(&network, &numbers.bytes(3 * size[0] * size[1]), error);
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn all_sizes_channels_and_strides(
        seed: u64,
        size in prop::array::uniform2(1usize..14),
        channels in prop::array::uniform2(1usize..40),
        kernel in 1usize..8,
        stride in 1usize..4,
        activation in prop::sample::select(ACTIVATIONS.to_vec()),
    ) {
        let mut numbers = Numbers::new(seed);
        let mut of = Owned::random(&mut numbers, channels[0], channels[1], kernel, stride, Groups::One);
        for (side, rows) in of.padding.iter_mut().enumerate() {
            // As much as it takes for the kernel to fit, or anything.
            let least = (kernel - 1).saturating_sub(size[side % 2] / 2).max(kernel / 2);
            *rows = least.min(kernel - 1) + numbers.below(kernel - least.min(kernel - 1));
        }
        check_one(&mut numbers, size, channels, &of, activation);
    }

    #[test]
    fn channels_apart(
        seed: u64,
        size in prop::array::uniform2(1usize..14),
        channels in 1usize..40,
        kernel in prop::sample::select(vec![3usize, 5, 7]),
        stride in 1usize..3,
        activation in prop::sample::select(ACTIVATIONS.to_vec()),
    ) {
        let mut numbers = Numbers::new(seed);
        let of = Owned::random(&mut numbers, channels, channels, kernel, stride, Groups::Each);
        check_one(&mut numbers, size, [channels; 2], &of, activation);
    }

    #[test]
    fn tiles_that_do_not_fill_an_image(
        seed: u64,
        size in prop::array::uniform2(9usize..24),
        channels in prop::array::uniform2(8usize..72),
        kernel in prop::sample::select(vec![3usize, 5, 7]),
    ) {
        let mut numbers = Numbers::new(seed);
        let of = Owned::random(&mut numbers, channels[0], channels[1], kernel, 1, Groups::One);
        check_one(&mut numbers, size, channels, &of, Activation::Relu);
    }

    #[test]
    fn steps_of_two(
        seed: u64,
        size in prop::array::uniform2(17usize..40),
        channels in prop::array::uniform2(3usize..40),
        kernel in 3usize..8,
    ) {
        let mut numbers = Numbers::new(seed);
        let mut of = Owned::random(&mut numbers, channels[0], channels[1], kernel, 2, Groups::One);
        of.padding.fill_with(|| numbers.below(kernel));
        check_one(&mut numbers, size, channels, &of, Activation::Relu);
    }
}

#[test]
fn the_rule_takes_the_minimal_filtering_algorithm_where_it_pays() {
    let mut numbers = Numbers::new(1);
    let stem = Owned::random(&mut numbers, 3, 16, 3, 1, Groups::One);
    let kernels = |size: usize, kernel, stride| {
        let of = Owned::random(&mut Numbers::new(2), 16, 32, kernel, stride, Groups::One);
        let layers =
            vec![layer(0, stem.operation(), Activation::Relu), layer(1, of.operation(), Activation::Relu)];
        let network = Network { image: image(3, size, size), layers };
        InstructionSet::available().map(|set| Plan::new(&network, set).unwrap().kernels()).collect::<Vec<_>>()
    };
    let all = |found: Vec<String>, expected: &str| {
        assert!(found.iter().all(|kernels| kernels == expected), "{found:?}, not {expected}");
    };
    for kernel in [3, 5, 7] {
        all(kernels(32, kernel, 1), "1 winograd 4x4, 1 direct");
        let half = if kernel == 3 { "2 direct" } else { "1 winograd 4x4, 1 direct" };
        all(kernels(32, kernel, 2), half);
        // Larger tiles take fewer multiplications, smaller ones fewer weights: which, depends on the instruction set.
        let small = kernels(8, kernel, 1);
        assert!(small.iter().all(|kernels| kernels.starts_with("1 winograd ")), "{small:?}");
    }
    all(kernels(32, 1, 1), "2 direct");
}
