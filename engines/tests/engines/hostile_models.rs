//! Model files that are not ours are refused in words before an engine sees them, and none can end the process.

use std::path::Path;

use engines::{ModelFile, graph};
use mfactor::onnx::{Attribute, DataType, Model, OperatorSetId, StringStringEntry};
use mfactor::{Error, exit};
use prost::Message;

use crate::model;

fn inspect(model: &Model) -> Result<ModelFile, Error> {
    ModelFile::inspect(Path::new("some.onnx"), model.encode_to_vec())
}

/// Changes a good model and returns what is said of it.
fn refusal(change: impl FnOnce(&mut Model)) -> String {
    let mut model = model::model(&model::metadata());
    change(&mut model);
    let error = inspect(&model).expect_err("this model must be refused");
    assert_eq!(error.exit_code(), exit::INPUT);
    let text = error.to_string();
    assert!(text.starts_with("some.onnx"), "{text}");
    text
}

/// Changes the graph of a good model.
fn graph_refusal(change: impl FnOnce(&mut mfactor::onnx::Graph)) -> String {
    refusal(|model| change(model.graph.as_mut().unwrap()))
}

#[track_caller]
fn assert_says(text: &str, expected: &str) {
    assert!(text.contains(expected), "{text:?} lacks {expected:?}");
}

#[test]
fn parameters_and_macs_are_recounted_from_the_graph() {
    let metadata = model::metadata();
    let file = inspect(&model::model(&metadata)).unwrap();
    assert_eq!((file.graph.parameters, file.graph.macs), (metadata.parameters, metadata.macs));
    assert_eq!(file.graph.operators["Conv"], 3);
    assert_eq!((file.signature().classes, file.signature().image), (3, model::space().image()));
}

#[test]
fn what_is_no_onnx_is_refused() {
    for bytes in [&b""[..], b"hello", &[0xff; 64], b"\x08\x08"] {
        let error = ModelFile::inspect(Path::new("some.onnx"), bytes.to_vec()).unwrap_err();
        assert_eq!(error.exit_code(), exit::INPUT);
        assert_says(&error.to_string(), "some.onnx: is not an ONNX model");
    }
    let whole = model::model(&model::metadata()).encode_to_vec();
    for length in (1..whole.len()).step_by(97) {
        let cut = ModelFile::inspect(Path::new("some.onnx"), whole[..length].to_vec());
        assert_eq!(cut.unwrap_err().exit_code(), exit::INPUT, "cut at {length}");
    }
}

#[test]
fn folders_and_huge_files_are_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&ModelFile::read(folder.path()).unwrap_err().to_string(), "is a folder");
    assert_says(&ModelFile::read(Path::new("/dev/zero")).unwrap_err().to_string(), "is not a regular file");
    let path = folder.path().join("huge.onnx");
    std::fs::File::create(&path).unwrap().set_len(engines::model_file::LARGEST_FILE + 1).unwrap();
    assert_says(&ModelFile::read(&path).unwrap_err().to_string(), "at most 268435456 are read");
    assert_says(&ModelFile::read(Path::new("none.onnx")).unwrap_err().to_string(), "cannot read none.onnx");
}

#[test]
fn external_and_short_data_is_refused() {
    let external = StringStringEntry { key: "location".to_owned(), value: "/etc/passwd".to_owned() };
    let text = graph_refusal(|graph| graph.initializer[0].external_data.push(external));
    assert_says(&text, "another file");
    assert_says(&graph_refusal(|graph| graph.initializer[0].data_location = 1), "another file");
    assert_says(&graph_refusal(|graph| graph.initializer[0].raw_data.truncate(8)), "do not fit its shape");
    assert_says(&graph_refusal(|graph| graph.initializer[0].dims[0] = -1), "has shape");
    assert_says(&graph_refusal(|graph| graph.initializer[0].dims = vec![i64::MAX; 4]), "too large");
    assert_says(&graph_refusal(|graph| graph.initializer[0].data_type = DataType::Int64 as i32), "float32");
}

#[test]
fn another_input_is_refused() {
    assert_says(&graph_refusal(|graph| graph.input.clear()), "it must have one");
    assert_says(&graph_refusal(|graph| graph.input[0].name = "x".to_owned()), "\"image\" of type uint8");
    fn tensor_type(graph: &mut mfactor::onnx::Graph) -> &mut mfactor::onnx::TensorType {
        graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap()
    }
    assert_says(&graph_refusal(|graph| tensor_type(graph).elem_type = DataType::Float as i32), "uint8");
    assert_says(&graph_refusal(|graph| tensor_type(graph).shape = None), "no shape");
    let set = |dim: usize, size: i64| {
        graph_refusal(|graph| {
            let value = mfactor::onnx::DimensionValue::Value(size);
            tensor_type(graph).shape.as_mut().unwrap().dim[dim].value = Some(value);
        })
    };
    assert_says(&set(2, 1 << 40), "from 1 to 4096");
    assert_says(&set(0, 8), "has a batch of 8 ([8, ");
    // A shape that the graph could run, but not the one its metadata tells.
    assert_says(&set(2, 11), "its metadata says");
}

#[test]
fn graphs_that_need_too_much_are_refused() {
    let pads = |value: i64| {
        move |graph: &mut mfactor::onnx::Graph| {
            let attribute = &mut graph.node[1].attribute[0];
            assert_eq!(attribute.name, "pads");
            attribute.ints = vec![value; 4];
        }
    };
    assert_says(&graph_refusal(pads(1 << 40)), "pads");
    assert_says(&graph_refusal(pads(-1)), "pads");
    let broadcast = |graph: &mut mfactor::onnx::Graph| {
        let wide = model::tensor("wide", &[1 << 14, 1, 1, 1, 1, 1], &vec![0.0; 1 << 14]);
        let high = model::tensor("high", &[1 << 14, 1, 1, 1, 1], &vec![0.0; 1 << 14]);
        graph.initializer.extend([wide, high]);
        graph.node.insert(1, model::node("Add", "huge", &["wide", "high"], vec![]));
    };
    assert_says(&graph_refusal(broadcast), "at most 67108864 values");
    let macs = |graph: &mut mfactor::onnx::Graph| {
        let planes = 4096;
        graph.initializer.push(model::tensor("many", &[planes, 3, 1, 1], &vec![0.0; planes * 3]));
        graph.initializer.push(model::tensor("square", &[planes, planes, 1, 1], &vec![0.0; planes * planes]));
        graph.node.insert(1, model::node("Conv", "c0", &["pixels", "many"], vec![]));
        for number in 0..130 {
            let (from, to) = (format!("c{number}"), format!("c{}", number + 1));
            graph.node.insert(2 + number, model::node("Conv", &to, &[&from, "square"], vec![]));
        }
    };
    assert_says(&graph_refusal(macs), "multiply-accumulates");
}

#[test]
fn cycles_and_unknown_values_are_refused() {
    let cycle = |graph: &mut mfactor::onnx::Graph| {
        let last = graph.node.last().unwrap().output[0].clone();
        graph.node[0].input[0] = last;
    };
    assert_says(&graph_refusal(cycle), "which nothing before it writes");
    assert_says(&graph_refusal(|graph| graph.node.reverse()), "which nothing before it writes");
    assert_says(&graph_refusal(|graph| graph.node[0].output[0] = "image".to_owned()), "written twice");
    assert_says(&graph_refusal(|graph| drop(graph.node.pop())), "written by no node");
    assert_says(&graph_refusal(|graph| graph.output[0].name = "pixels".to_owned()), "[1, classes]");
}

#[test]
fn foreign_operators_are_refused() {
    for operator in ["Loop", "If", "ConstantOfShape", "Expand", "Resize"] {
        let text = graph_refusal(|graph| graph.node[2].op_type = operator.to_owned());
        assert_says(&text, operator);
    }
    assert_says(&graph_refusal(|graph| graph.node[2].domain = "com.microsoft".to_owned()), "com.microsoft");
    let set = OperatorSetId { domain: "com.microsoft".to_owned(), version: 1 };
    assert_says(&refusal(|model| model.opset_import.push(set)), "only ONNX's standard operators");
    assert_says(&refusal(|model| model.opset_import[0].version = 6), "opset 6");
    assert_says(&refusal(|model| model.functions.push(vec![1])), "functions");
    assert_says(&graph_refusal(|graph| graph.sparse_initializer.push(vec![1])), "sparse");
    let dilation = Attribute { ints: vec![2, 2], ..model::named("dilations", 7) };
    assert_says(&graph_refusal(|graph| graph.node[1].attribute.push(dilation)), "dilations");
    let group = Attribute { i: 3, ..model::named("group", 2) };
    assert_says(&graph_refusal(|graph| graph.node[1].attribute.push(group)), "group");
}

#[test]
fn metadata_that_does_not_fit_is_refused() {
    assert_says(&refusal(|model| model.metadata_props.clear()), "mfactor export");
    let mut metadata = model::metadata();
    metadata.classes.pop();
    let error = inspect(&model::model(&metadata)).unwrap_err();
    assert_says(&error.to_string(), "answers 3 classes");
    let metadata = mfactor::ModelMetadata { golden_logits: vec![], ..model::metadata() };
    assert_says(&inspect(&model::model(&metadata)).unwrap_err().to_string(), "golden");
}

#[test]
fn a_graph_of_too_many_parts_is_refused() {
    let chain = |graph: &mut mfactor::onnx::Graph| {
        for number in 0..graph::MOST_NODES {
            let (from, to) =
                (if number == 0 { "pixels".to_owned() } else { format!("r{number}") }, number + 1);
            graph.node.insert(1 + number, model::node("Relu", &format!("r{to}"), &[&from], vec![]));
        }
    };
    assert_says(&graph_refusal(chain), "nodes");
    let sums = |graph: &mut mfactor::onnx::Graph| {
        graph.initializer.push(model::tensor("wide", &[1 << 13, 1], &vec![0.0; 1 << 13]));
        graph.initializer.push(model::tensor("high", &[1, 1 << 13], &vec![0.0; 1 << 13]));
        for number in 0..3 {
            let name = format!("sum{number}");
            graph.node.insert(1, model::node("Add", &name, &["wide", "high"], vec![]));
        }
    };
    assert_says(&graph_refusal(sums), "values in all its tensors");
}

#[test]
fn scales_that_do_not_fit_are_refused() {
    let int8_refusal = |change: &dyn Fn(&mut mfactor::onnx::Graph)| {
        let mut model = model::int8();
        inspect(&model).expect("unchanged it is accepted");
        change(model.graph.as_mut().unwrap());
        inspect(&model).expect_err("changed it is not").to_string()
    };
    let resize = |name: &'static str, dims: Vec<i64>| {
        move |graph: &mut mfactor::onnx::Graph| {
            let tensor = graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap();
            let values: i64 = dims.iter().product();
            tensor.raw_data = vec![0; tensor.raw_data.len() / model_values(tensor) * values as usize];
            tensor.dims.clone_from(&dims);
        }
    };
    assert_says(&int8_refusal(&resize("conv.weight.scale", vec![3])), "scales or zero points");
    assert_says(&int8_refusal(&resize("image.scale", vec![2])), "scales or zero points");
    assert_says(&int8_refusal(&resize("linear.weight.scale", vec![1, 3])), "scales or zero points");
    let int64 = |graph: &mut mfactor::onnx::Graph| graph.initializer[0].data_type = DataType::Int64 as i32;
    assert_says(&int8_refusal(&int64), "is of type int64");
    assert_says(&int8_refusal(&|graph| drop(graph.node[0].input.pop())), "has 8 inputs");
}

fn model_values(tensor: &mfactor::onnx::Tensor) -> usize {
    tensor.dims.iter().product::<i64>() as usize
}
