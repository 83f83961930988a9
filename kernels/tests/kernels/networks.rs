//! Whole networks: values that are read again later, buffers that are used again, means and linear layers.

use kernels::{Activation, Grid, Groups, InstructionSet, Layer, Network, Operation};
use proptest::prelude::*;

use crate::cases;
use crate::reference::{Numbers, Owned, answer, check, image, layer};

/// Two stages of residual blocks, the mean, and a linear layer.
fn check_residual(seed: u64, size: usize, width: usize, kernels: [usize; 2], activation: Activation) {
    let mut numbers = Numbers::new(seed);
    let mut convolution = |inputs, outputs, kernel, stride| {
        Owned::random(&mut numbers, inputs, outputs, kernel, stride, Groups::One)
    };
    let owned = [
        convolution(3, width, 3, 1),
        convolution(width, width, kernels[0], 1),
        convolution(width, width, 3, 1),
        convolution(width, 2 * width, kernels[1], 2),
        convolution(2 * width, 2 * width, 3, 1),
        convolution(width, 2 * width, 1, 2),
        convolution(2 * width, 10, 1, 1),
    ];
    let of = |place: usize| owned[place].operation();
    let mut layers = vec![
        layer(0, of(0), activation),
        layer(1, of(1), activation),
        layer(2, of(2), activation),
        layer(3, of(3), activation),
        layer(3, of(5), Activation::None),
        layer(4, of(4), activation),
        layer(6, Operation::Mean, Activation::None),
        layer(7, of(6), Activation::None),
    ];
    layers[2].sum_with = Some(1);
    layers[5].sum_with = Some(5);
    let network = Network { image: image(3, size, size), layers };
    check(&network, &numbers.bytes(3 * size * size), 2e-5);
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn residual_networks(
        seed: u64,
        size in 3usize..20,
        width in 1usize..24,
        first in prop::sample::select(vec![3usize, 5, 7]),
        second in prop::sample::select(vec![3usize, 5, 7]),
        activation in prop::sample::select(vec![Activation::Relu, Activation::Relu6, Activation::HardSwish]),
    ) {
        check_residual(seed, size, width, [first, second], activation);
    }

    #[test]
    fn what_is_done_on_the_way_out_is_what_a_pass_does(
        seed: u64,
        sizes in (9usize..20, 1usize..40),
        kernel in prop::sample::select(vec![3usize, 5, 7]),
        stride in 1usize..3,
        groups in prop::sample::select(vec![Groups::One, Groups::Each]),
        activation in prop::sample::select(vec![
            Activation::None,
            Activation::Relu6,
            Activation::HardSwish,
            Activation::HardSigmoid { slope: 0.2, shift: 0.4 },
        ]),
        steps in prop::array::uniform2(prop::option::of(0.01f32..0.1)),
    ) {
        let grids = steps.map(|step| step.map(|step| Grid { step, zero_point: 100 }));
        check_finish(seed, sizes, (kernel, stride, groups), activation, grids);
    }

    #[test]
    fn inverted_residuals(seed: u64, size in 2usize..16, width in 1usize..20, kernel in prop::sample::select(vec![3usize, 5])) {
        let mut numbers = Numbers::new(seed);
        let stem = Owned::random(&mut numbers, 3, width, 3, 2, Groups::One);
        let expanded = Owned::random(&mut numbers, width, 4 * width, 1, 1, Groups::One);
        let apart = Owned::random(&mut numbers, 4 * width, 4 * width, kernel, 1, Groups::Each);
        let back = Owned::random(&mut numbers, 4 * width, width, 1, 1, Groups::One);
        let mut layers = vec![
            layer(0, stem.operation(), Activation::HardSwish),
            layer(1, expanded.operation(), Activation::Relu6),
            layer(2, apart.operation(), Activation::HardSwish),
            layer(3, back.operation(), Activation::None),
            layer(4, Operation::Copy, Activation::Relu),
        ];
        layers[3].sum_with = Some(1);
        layers[4].sum_with = Some(1);
        let network = Network { image: image(3, size, size), layers };
        check(&network, &numbers.bytes(3 * size * size), 1e-5);
    }
}

/// A layer that does everything as it writes answers as one that only computes, and another for what follows.
fn check_finish(
    seed: u64,
    (size, width): (usize, usize),
    (kernel, stride, groups): (usize, usize, Groups),
    activation: Activation,
    grids: [Option<Grid>; 2],
) {
    let mut numbers = Numbers::new(seed);
    let stem = Owned::random(&mut numbers, 3, width, 3, 1, Groups::One);
    let other = Owned::random(&mut numbers, width, width, 1, stride, Groups::One);
    let mut of = Owned::random(&mut numbers, width, width, kernel, stride, groups);
    of.padding = [kernel / 2; 4];
    let all = |source, operation| {
        let [rounded, stored] = grids;
        Layer { source, operation, rounded, sum_with: Some(2), activation, stored }
    };
    let plain = |source, operation| layer(source, operation, Activation::None);
    let first = vec![plain(0, stem.operation()), plain(1, other.operation())];
    let [mut at_once, mut apart] = [first.clone(), first];
    at_once.push(all(1, of.operation()));
    apart.extend([plain(1, of.operation()), all(3, Operation::Copy)]);
    let pixels = numbers.bytes(3 * size * size);
    for set in InstructionSet::available() {
        let [at_once, apart] = [&at_once, &apart]
            .map(|layers| Network { image: image(3, size, size), layers: layers.clone() })
            .map(|network| answer(&network, set, &pixels));
        assert_eq!(at_once, apart, "{set}");
    }
}

/// Weights are integers and so are sums: what is rounded lies far from the middle between two steps.
#[test]
fn values_are_rounded_to_a_grid() {
    let mut numbers = Numbers::new(6);
    let mut of = Owned::random(&mut numbers, 3, 5, 3, 1, Groups::One);
    of.weights.iter_mut().for_each(|weight| *weight = (*weight * 40.0).round());
    of.bias.fill(0.125);
    let mut layers =
        vec![layer(0, of.operation(), Activation::None), layer(1, Operation::Copy, Activation::None)];
    layers[0].stored = Some(Grid { step: 2.0, zero_point: 100 });
    layers[1].sum_with = Some(1);
    layers[1].stored = Some(Grid { step: 8.0, zero_point: 0 });
    let mut image = image(3, 6, 9);
    (image.scale, image.shift) = (vec![1.0; 3], vec![-128.0; 3]);
    check(&Network { image, layers }, &numbers.bytes(162), 1e-6);
}

#[test]
fn an_image_may_be_read_by_anything() {
    let mut numbers = Numbers::new(3);
    let apart = Owned::random(&mut numbers, 3, 3, 3, 1, Groups::Each);
    let mut layers = vec![
        layer(0, apart.operation(), Activation::Relu),
        layer(0, Operation::Copy, Activation::HardSwish),
        layer(2, Operation::Mean, Activation::None),
    ];
    layers[1].sum_with = Some(1);
    let network = Network { image: image(3, 5, 7), layers };
    check(&network, &numbers.bytes(105), 1e-6);
}

/// What networks with squeeze-excitation do: a mean, two linear layers, and each channel times its gate.
#[test]
fn channels_are_scaled_by_a_gate() {
    let mut numbers = Numbers::new(12);
    let stem = Owned::random(&mut numbers, 3, 21, 3, 1, Groups::One);
    let [down, up] = [(21, 6), (6, 21)]
        .map(|(inputs, outputs)| Owned::random(&mut numbers, inputs, outputs, 1, 1, Groups::One));
    let back = Owned::random(&mut numbers, 21, 5, 1, 1, Groups::One);
    let gate = Activation::HardSigmoid { slope: 1.0 / 6.0, shift: 0.5 };
    let layers = vec![
        layer(0, stem.operation(), Activation::HardSwish),
        layer(1, Operation::Mean, Activation::None),
        layer(2, down.operation(), Activation::Relu),
        layer(3, up.operation(), gate),
        layer(1, Operation::Scale(4), Activation::Relu6),
        layer(5, back.operation(), Activation::None),
    ];
    let network = Network { image: image(3, 9, 7), layers };
    check(&network, &numbers.bytes(189), 1e-6);
}
