//! Models in eight bits through this project's kernels.

use kernels::{InstructionSet, Setting};
use mfactor::onnx::{DataType, Model, Tensor};

use super::{check_within, convolutions, fused_kernels, graph, image, load, random};
use crate::model::{named, node, tensor};

/// Puts a pair of QuantizeLinear and DequantizeLinear behind every node of some kinds, and in front of all.
fn in_eight_bits(model: &mut Model, kinds: &[&str]) {
    let graph = graph(model);
    let byte = |name: &str, value| Tensor {
        data_type: DataType::Uint8 as i32,
        name: name.to_owned(),
        raw_data: vec![value],
        ..Tensor::default()
    };
    let steps = [tensor("step", &[], &[0.04]), tensor("byte", &[], &[0.02])];
    graph.initializer.extend(steps);
    graph.initializer.extend([byte("zero", 0), byte("middle", 120)]);
    let pixels = graph.node[0].output[0].clone();
    graph.node[0] = node("DequantizeLinear", &pixels, &["image", "byte", "middle"], vec![]);
    let nodes = std::mem::take(&mut graph.node);
    for mut read in nodes {
        for input in &mut read.input {
            let name = format!("{input}.f32");
            if graph.node.iter().any(|node| node.output[0] == name) {
                *input = name;
            }
        }
        let (kind, name) = (read.op_type.clone(), read.output[0].clone());
        graph.node.push(read);
        if kinds.contains(&kind.as_str()) {
            let zero = if kind == "Relu" { "zero" } else { "middle" };
            let [bytes, numbers] = [format!("{name}.u8"), format!("{name}.f32")];
            graph.node.push(node("QuantizeLinear", &bytes, &[&name, "step", zero], vec![]));
            graph.node.push(node("DequantizeLinear", &numbers, &[&bytes, "step", zero], vec![]));
        }
    }
}

/// Stores the weights of convolutions in int8, with a step for each output channel.
fn weights_in_eight_bits(model: &mut Model) {
    let graph = graph(model);
    let mut more = vec![];
    for weights in graph.initializer.iter_mut().filter(|tensor| tensor.dims.len() == 4) {
        let values: Vec<f32> = weights
            .raw_data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        let outputs = weights.dims[0] as usize;
        let volume = values.len() / outputs;
        let steps: Vec<f32> = values
            .chunks_exact(volume)
            .map(|kernel| kernel.iter().fold(1e-6f32, |most, weight| most.max(weight.abs())) / 127.0)
            .collect();
        let integers =
            values.iter().zip(0..).map(|(value, place)| (value / steps[place / volume]).round() as i8);
        let stored = format!("{}.i8", weights.name);
        let name = std::mem::replace(&mut weights.name, stored);
        (weights.data_type, weights.raw_data) =
            (DataType::Int8 as i32, integers.flat_map(i8::to_le_bytes).collect());
        let (stored, step) = (weights.name.clone(), format!("{name}.step"));
        more.push((
            tensor(&step, &[outputs], &steps),
            node("DequantizeLinear", &name, &[&stored, &step], vec![named("axis", 2)]),
        ));
    }
    for (steps, made) in more {
        graph.initializer.push(steps);
        graph.node.insert(0, made);
    }
}

/// Values are rounded to steps of which some fall to the other side, so answers differ by a little more than in f32.
#[test]
fn int8_models_run_through_the_same_kernels() {
    let mut model = random([16, 16], [8, 16], "33-3", 10);
    in_eight_bits(&mut model, &["Relu"]);
    let kernels = check_within(&model, [16, 16], 0.01);
    assert_eq!(convolutions(kernels), 9);
}

#[test]
fn int8_weights_are_multiplied_as_bytes_where_the_processor_can() {
    for (seed, kinds) in [(10, &["Relu", "Conv", "Add"][..]), (11, &["Relu", "Add"])] {
        let mut model = random([16, 15], [8, 20], "35-3", seed);
        in_eight_bits(&mut model, kinds);
        weights_in_eight_bits(&mut model);
        check_within(&model, [16, 15], 0.02);
        let kernels =
            |set| fused_kernels(load(&model, [16, 15], Setting::Set(set)).unwrap().as_ref()).unwrap();
        let found = kernels(InstructionSet::Plain);
        // With roundings around every operation all but the linear layer.
        let expected = if kinds.len() == 3 { ": 1 direct, 8 direct int8" } else { "direct int8" };
        assert!(found.ends_with(expected), "{kinds:?}: {found}");
        for set in [InstructionSet::Avx2, InstructionSet::Avx512, InstructionSet::Neon] {
            assert!(!set.is_available() || !kernels(set).contains("int8"), "{set}");
        }
    }
}

/// A step that is none or huge, and a zero point of another kind: tract's answer or its refusal.
#[test]
fn steps_without_sense_give_no_wrong_answer() {
    for (name, bytes) in [
        ("step", f32::NAN.to_le_bytes()),
        ("step", 0.0f32.to_le_bytes()),
        ("step", f32::INFINITY.to_le_bytes()),
        ("step", (-0.04f32).to_le_bytes()),
        ("step", 1e30f32.to_le_bytes()),
        ("step", 1e-30f32.to_le_bytes()),
        ("byte", f32::NAN.to_le_bytes()),
        ("byte", 1e30f32.to_le_bytes()),
    ] {
        let mut model = random([9, 8], [4, 8], "33-3", 13);
        in_eight_bits(&mut model, &["Relu", "Conv", "Add"]);
        weights_in_eight_bits(&mut model);
        let tensors = &mut graph(&mut model).initializer;
        tensors.iter_mut().find(|tensor| tensor.name == name).unwrap().raw_data = bytes.to_vec();
        let answer =
            |setting| load(&model, [9, 8], setting).and_then(|mut session| session.run(&image([9, 8])));
        for set in InstructionSet::available() {
            let (Ok(fused), Ok(plain)) = (answer(Setting::Set(set)), answer(Setting::Off)) else { continue };
            for (fused, plain) in fused.iter().zip(&plain) {
                let same = fused == plain || (fused.is_nan() && plain.is_nan());
                assert!(
                    same || (fused - plain).abs() <= 0.02 * plain.abs().max(1.0),
                    "{name} {set}: {fused}, {plain}"
                );
            }
        }
    }
}
