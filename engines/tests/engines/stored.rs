//! The forms in which a model file may store its tensors: those that both engines read are run, and others are named.

use std::path::Path;

use engines::{EngineKind, EngineOptions, ModelFile, engine};
use mfactor::onnx::{Attribute, AttributeType, DataType, Model, Node, StringStringEntry, Tensor};
use prost::Message;

use crate::model;

/// The numbers of a tensor in a list instead of bytes.
fn listed(tensor: &mut Tensor) {
    let raw = std::mem::take(&mut tensor.raw_data);
    let words = |bytes: &[u8]| -> Vec<[u8; 4]> { bytes.as_chunks().0.to_vec() };
    match DataType::try_from(tensor.data_type).unwrap() {
        DataType::Float => tensor.float_data = words(&raw).into_iter().map(f32::from_le_bytes).collect(),
        DataType::Int32 => tensor.int32_data = words(&raw).into_iter().map(i32::from_le_bytes).collect(),
        DataType::Uint8 => tensor.int32_data = raw.iter().map(|byte| i32::from(*byte)).collect(),
        DataType::Int8 => tensor.int32_data = raw.iter().map(|byte| i32::from(byte.cast_signed())).collect(),
        other => panic!("{other:?}"),
    }
}

/// Every stored tensor in a node of its own.
fn as_nodes(model: &mut Model) {
    let graph = model.graph.as_mut().unwrap();
    let constant = |tensor: Tensor| Node {
        output: vec![tensor.name.clone()],
        op_type: "Constant".to_owned(),
        attribute: vec![Attribute {
            name: "value".to_owned(),
            r#type: AttributeType::Tensor as i32,
            t: Some(tensor),
            ..Attribute::default()
        }],
        ..Node::default()
    };
    let constants: Vec<Node> = graph.initializer.drain(..).map(constant).collect();
    graph.node.splice(..0, constants);
}

#[test]
#[ignore = "needs ONNX Runtime: scripts/test"]
fn lists_of_numbers_and_constant_nodes_are_run_as_bytes_are() {
    let kinds = [EngineKind::Tract, EngineKind::Ort];
    for original in [model::model(&model::metadata()), model::int8()] {
        let counted = ModelFile::inspect(Path::new("m.onnx"), original.encode_to_vec()).unwrap().graph;
        let mut numbers = original.clone();
        numbers.graph.as_mut().unwrap().initializer.iter_mut().for_each(listed);
        let mut nodes = original.clone();
        as_nodes(&mut nodes);
        let mut both = numbers.clone();
        as_nodes(&mut both);
        for (form, changed) in [("lists", numbers), ("nodes", nodes), ("lists in nodes", both)] {
            let file = ModelFile::inspect(Path::new("m.onnx"), changed.encode_to_vec()).unwrap();
            assert_eq!(
                (file.graph.parameters, file.graph.macs),
                (counted.parameters, counted.macs),
                "{form}"
            );
            for kind in &kinds {
                let engine = engine::open(&EngineOptions::new(*kind)).unwrap();
                let mut session = engine.load(&file.bytes, file.signature(), "m.onnx").unwrap();
                let logits = session.run(&vec![3; file.signature().image.bytes()]).unwrap();
                assert_eq!(logits, model::logits(), "{form} {kind:?}");
            }
        }
    }
}

#[test]
fn other_forms_are_named_as_what_they_are() {
    type Change = fn(&mut Model);
    fn first(model: &mut Model) -> &mut Tensor {
        let tensors = &mut model.graph.as_mut().unwrap().initializer;
        tensors.iter_mut().find(|tensor| tensor.data_type == DataType::Float as i32).unwrap()
    }
    fn output(model: &mut Model) -> &mut mfactor::onnx::TensorType {
        model.graph.as_mut().unwrap().output[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap()
    }
    let cases: [(Change, &str); 16] = [
        (|model| output(model).elem_type = 11, "is said to be float64 (double) for 3 classes"),
        (
            |model| {
                let told = mfactor::onnx::DimensionValue::Value(4);
                output(model).shape.as_mut().unwrap().dim[1].value = Some(told);
            },
            "is said to be float32 for 4 classes; it is float32 for 3",
        ),
        (|model| first(model).data_type = 10, "is of type float16; weights are float32"),
        (|model| first(model).data_type = 16, "is of type bfloat16; weights are float32"),
        (|model| first(model).data_type = 11, "is of type float64 (double); weights are float32"),
        (|model| first(model).data_type = 17, "is of type number 17 of ONNX's list"),
        (|model| first(model).float_data = vec![1.0], "two forms at once"),
        (|model| first(model).double_data = vec![1.0], "a form that is not its type's"),
        (
            |model| {
                listed(first(model));
                first(model).float_data.pop();
            },
            "numbers of data, which do not fit its shape",
        ),
        (|model| first(model).external_data.push(StringStringEntry::default()), "onnx.save(model, path)"),
        (|model| model.opset_import[0].version = 99, "has opset 99; 13 to 26 are read"),
        (|model| model.ir_version = 99, "newer than the 14 that is read"),
        (
            |model| {
                as_nodes(model);
                model.graph.as_mut().unwrap().node[0].attribute[0].t = None;
            },
            "is a Constant without a value",
        ),
        (
            |model| {
                as_nodes(model);
                model.graph.as_mut().unwrap().node[0].attribute[0].name = "value_floats".to_owned();
            },
            "is a Constant of another form",
        ),
        (
            |model| {
                let graph = model.graph.as_mut().unwrap();
                let mut weights = graph.input[0].clone();
                weights.name = graph.initializer[0].name.clone();
                graph.input.push(weights);
            },
            "its stored weights are listed as inputs",
        ),
        (|model| model.graph.as_mut().unwrap().node[0].op_type = "\u{1b}[2J".to_owned(), "\"\\u{1b}[2J\""),
    ];
    for (change, words) in cases {
        let mut model = model::model(&model::metadata());
        change(&mut model);
        let error = ModelFile::inspect(Path::new("m.onnx"), model.encode_to_vec()).unwrap_err().to_string();
        assert!(error.starts_with("m.onnx") && error.contains(words), "{error}");
        assert!(!error.contains("Some(") && !error.contains(char::is_control), "{error}");
    }
    let mut model = model::int8();
    let tensor = model.graph.as_mut().unwrap().initializer.iter_mut();
    let int8 = tensor.into_iter().find(|tensor| tensor.data_type == DataType::Int8 as i32).unwrap();
    listed(int8);
    int8.int32_data[0] = 128;
    let error = ModelFile::inspect(Path::new("m.onnx"), model.encode_to_vec()).unwrap_err().to_string();
    assert!(error.contains("holds 128, which is no int8"), "{error}");
}

#[test]
fn another_file_with_a_models_name_is_named() {
    let model = model::model(&model::metadata()).encode_to_vec();
    let cases: [(&[u8], &str); 8] = [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html></html>", "web page"),
        (b"\x1f\x8b\x08\x00\x00\x00", "gunzip"),
        (b"PK\x03\x04\x14\x00", "ZIP archive"),
        (b"\x80\x02ccollections", "Python pickle"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\":{}}", "safetensors"),
        (b"", "is empty"),
        (&model[..model.len() / 2], "was cut off at"),
    ];
    for (bytes, words) in cases {
        let error = ModelFile::inspect(Path::new("m.onnx"), bytes.to_vec()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
