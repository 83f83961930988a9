//! What cannot be planned is refused with a sentence, and values that cannot be trusted with an error.

use std::sync::Arc;

use kernels::{
    Activation, Grid, Groups, InstructionSet, Network, Operation, Overflow, Plan, Unsupported, Workspace,
};

use crate::reference::{Numbers, Owned, image, layer};

fn refusal(network: &Network<'_>) -> String {
    Plan::new(network, InstructionSet::Plain).unwrap_err().to_string()
}

fn one(of: &Owned) -> Network<'_> {
    Network { image: image(3, 8, 8), layers: vec![layer(0, of.operation(), Activation::Relu)] }
}

fn convolution() -> Owned {
    Owned::random(&mut Numbers::new(1), 3, 4, 3, 1, Groups::One)
}

/// What is wrong with a convolution, and a part of the refusal.
type Case = (fn(&mut Owned), &'static str);

#[test]
fn sizes_that_do_not_fit() {
    let cases: [Case; 7] = [
        (|of| of.kernel = 0, "out of the ordinary"),
        (|of| of.stride = usize::MAX, "out of the ordinary"),
        (|of| of.padding[2] = 3, "out of the ordinary"),
        (|of| (of.kernel, of.padding) = (11, [0; 4]), "larger than its image"),
        (|of| of.output_channels = usize::MAX / 2, "no sensible size"),
        (|of| _ = of.weights.pop(), "another shape"),
        (|of| of.groups = Groups::Each, "changes their number"),
    ];
    for (spoil, expected) in cases {
        let mut of = convolution();
        spoil(&mut of);
        let reason = refusal(&one(&of));
        assert!(reason.starts_with("layer 0: ") && reason.contains(expected), "{reason}, not {expected}");
    }
}

#[test]
fn values_that_are_not_there() {
    let mut network = Network { image: image(3, 8, 8), layers: vec![] };
    assert!(refusal(&network).contains("no layers"));
    network.layers.push(layer(1, Operation::Copy, Activation::None));
    assert!(refusal(&network).contains("comes later"));
    network.layers[0] = layer(0, Operation::Mean, Activation::None);
    network.layers[0].sum_with = Some(0);
    assert!(refusal(&network).contains("another shape"));
    network.image.scale.pop();
    assert!(refusal(&network).contains("for each channel"));
    network.image.shape.rows = 1 << 40;
    assert!(refusal(&network).contains("no sensible size"));
}

#[test]
fn activations_and_steps_without_sense() {
    let of = convolution();
    for step in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-44] {
        let grid = Some(Grid { step, zero_point: 3 });
        for is_last in [false, true] {
            let mut network = one(&of);
            let layer = &mut network.layers[0];
            *(if is_last { &mut layer.stored } else { &mut layer.rounded }) = grid;
            assert!(refusal(&network).contains("numbers that are none"), "{step}");
        }
    }
    for (slope, shift) in [(f32::NAN, 0.5), (1.0, f32::INFINITY), (1e30, 0.0)] {
        let mut network = one(&of);
        network.layers[0].activation = Activation::HardSigmoid { slope, shift };
        assert!(refusal(&network).contains("numbers that are none"), "{slope} {shift}");
    }
}

#[test]
fn gates_of_another_shape() {
    let of = convolution();
    let mut network = one(&of);
    network.layers.push(layer(1, Operation::Scale(1), Activation::None));
    assert!(refusal(&network).contains("multiplies by a value of another shape"));
    network.layers[1] = layer(1, Operation::Scale(9), Activation::None);
    assert!(refusal(&network).contains("multiplies by a value of another shape"));
}

#[test]
fn weights_that_are_not_numbers_or_far_too_large() {
    for weight in [f32::NAN, f32::INFINITY, -1e12] {
        let mut of = convolution();
        of.weights[17] = weight;
        assert!(refusal(&one(&of)).contains("too large or not numbers"));
        let mut of = convolution();
        of.bias[1] = if weight.is_finite() { 1e30 } else { weight };
        assert!(refusal(&one(&of)).contains("too large or not numbers"));
    }
}

#[test]
fn instructions_that_are_not_there() {
    let missing = InstructionSet::ALL.into_iter().find(|set| !set.is_available()).unwrap();
    let of = convolution();
    let Unsupported { .. } = Plan::new(&one(&of), missing).unwrap_err();
}

/// Each layer makes values larger, and a rectification to 6 would hide where they end.
#[test]
fn values_that_overflow_are_an_error_and_not_an_answer() {
    let mut numbers = Numbers::new(4);
    let mut larger = Owned::random(&mut numbers, 3, 3, 3, 1, Groups::One);
    larger.weights.fill(1e7);
    larger.bias.fill(0.0);
    let mut layers: Vec<_> = (0..6).map(|value| layer(value, larger.operation(), Activation::None)).collect();
    layers.push(layer(6, Operation::Copy, Activation::Relu6));
    let network = Network { image: image(3, 8, 8), layers };
    for set in InstructionSet::available() {
        let mut workspace = Workspace::new(Arc::new(Plan::new(&network, set).unwrap()));
        let mut output = vec![0.0; workspace.plan().output().values()];
        // Bytes of 128 are 0.
        assert_eq!(workspace.run(&[128; 192], &mut output), Ok(()));
        assert_eq!(workspace.run(&[129; 192], &mut output), Err(Overflow));
    }
}
