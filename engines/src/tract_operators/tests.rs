//! Graphs of every operator answer as those that tract's own list makes of them.

use std::io::Cursor;

use mfactor::onnx::{
    Attribute, DataType, Dimension, DimensionValue, Graph, Model, Node, OperatorSetId, Shape,
    Tensor as Stored, TensorType, Type, ValueInfo,
};
use prost::Message;
use tract_onnx::prelude::{Framework, InferenceModelExt};

use super::*;

const INTEGER: i32 = 2;
const SHAPE: [usize; 4] = [1, 4, 5, 6];

fn node(operator: OnnxOperator, output: &str, inputs: &[&str], attribute: Vec<Attribute>) -> Node {
    let input = inputs.iter().map(|input| (*input).to_owned()).collect();
    let op_type = operator.name().to_owned();
    Node { input, output: vec![output.to_owned()], op_type, attribute, ..Node::default() }
}

fn number(name: &str, f: f32) -> Attribute {
    Attribute { name: name.to_owned(), f, r#type: 1, ..Attribute::default() }
}

fn integer(name: &str, i: i64) -> Attribute {
    Attribute { name: name.to_owned(), i, r#type: INTEGER, ..Attribute::default() }
}

fn integers(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), ints: ints.to_vec(), r#type: 7, ..Attribute::default() }
}

fn stored(name: &str, data_type: DataType, dims: &[i64], raw_data: Vec<u8>) -> Stored {
    let (name, dims) = (name.to_owned(), dims.to_vec());
    Stored { name, dims, data_type: data_type as i32, raw_data, ..Stored::default() }
}

/// Numbers from −1 to 1.
fn numbers(name: &str, dims: &[i64]) -> Stored {
    let values = (0..dims.iter().product()).map(|place| (place * 37 % 101) as f32 / 50.0 - 1.0);
    stored(name, DataType::Float, dims, values.flat_map(f32::to_le_bytes).collect())
}

fn steps(name: &str, values: &[f32], dims: &[i64]) -> Stored {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    stored(name, DataType::Float, dims, bytes)
}

fn initializers() -> Vec<Stored> {
    vec![
        numbers("channels", &[4, 1, 1]),
        numbers("weights", &[3, 4, 3, 3]),
        numbers("apart", &[4, 1, 3, 3]),
        numbers("bias", &[3]),
        numbers("matrix", &[7, 120]),
        numbers("row", &[7]),
        steps("low", &[-0.5], &[]),
        steps("high", &[0.75], &[]),
        steps("step", &[0.01], &[]),
        steps("steps", &[0.01, 0.02, 0.03, 0.04], &[4]),
        steps("weights.steps", &[0.01, 0.02, 0.03], &[3]),
        stored("zero", DataType::Uint8, &[], vec![100]),
        stored("signed", DataType::Int8, &[], vec![3]),
        stored("zeros", DataType::Int8, &[4], vec![0, 1, 2, 3]),
        stored("weights.zeros", DataType::Int8, &[3], vec![0, 0, 0]),
        stored("bytes", DataType::Int8, &[3, 4, 3, 3], (0..108u8).map(|byte| byte.wrapping_mul(5)).collect()),
        stored(
            "sums",
            DataType::Int32,
            &[3],
            [70i32, -3, 9].iter().flat_map(|sum| sum.to_le_bytes()).collect(),
        ),
    ]
}

/// A model of these nodes, whose last one is the output; with the initializers that they read.
fn model(version: i64, nodes: Vec<Node>) -> Vec<u8> {
    let dim = SHAPE.map(|size| Dimension { value: Some(DimensionValue::Value(size as i64)) }).to_vec();
    let tensor_type = TensorType { elem_type: DataType::Float as i32, shape: Some(Shape { dim }) };
    let value = |name: &str| ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type { tensor_type: Some(tensor_type.clone()) }),
    };
    let is_read = |tensor: &Stored| nodes.iter().any(|node| node.input.contains(&tensor.name));
    let output = nodes.last().map(|node| value(&node.output[0]));
    let graph = Graph {
        initializer: initializers().into_iter().filter(is_read).collect(),
        node: nodes,
        input: vec![value("x")],
        output: output.into_iter().collect(),
        ..Graph::default()
    };
    let opset_import = vec![OperatorSetId { domain: String::new(), version }];
    Model { ir_version: 8, opset_import, graph: Some(graph), ..Model::default() }.encode_to_vec()
}

fn answer(onnx: &Onnx, model: &[u8]) -> TractResult<Tensor> {
    let model = onnx.model_for_read(&mut Cursor::new(model))?.into_typed()?;
    let count = SHAPE.iter().product();
    let values: Vec<f32> = (0..count).map(|place| (place * 29 % 97) as f32 / 40.0 - 1.2).collect();
    let input = Tensor::from_shape(&SHAPE, &values)?;
    let outputs = model.into_optimized()?.into_runnable()?.run(tvec!(input.into_tvalue()))?;
    Ok(outputs[0].clone().into_tensor())
}

/// Graphs by version of the operators; together they have every operator.
fn graphs() -> Vec<(i64, Vec<Node>)> {
    use OnnxOperator as Op;
    let one = |operator, inputs: &[&str], attributes| vec![node(operator, "y", inputs, attributes)];
    let bytes = |zero| node(Op::QuantizeLinear, "bytes.x", &["x", "step", zero], vec![]);
    let transposed = || vec![integer("transB", 1)];
    let flat = || node(Op::Flatten, "flat", &["x"], vec![]);
    let constant = Attribute { t: Some(numbers("", &[4, 1, 1])), r#type: 4, ..integer("value", 0) };
    let convolved =
        ["bytes.x", "step", "zero", "bytes", "weights.steps", "weights.zeros", "step", "zero", "sums"];
    let attributes = || vec![integers("pads", &[1, 0, 1, 2]), integers("strides", &[2, 1])];
    let of_current = [
        one(Op::Relu, &["x"], vec![]),
        one(Op::HardSwish, &["x"], vec![]),
        one(Op::HardSigmoid, &["x"], vec![]),
        one(Op::HardSigmoid, &["x"], vec![number("alpha", 1.0 / 6.0), number("beta", 0.25)]),
        one(Op::GlobalAveragePool, &["x"], vec![]),
        one(Op::Flatten, &["x"], vec![]),
        one(Op::Add, &["x", "channels"], vec![]),
        one(Op::Sub, &["channels", "x"], vec![]),
        one(Op::Mul, &["x", "x"], vec![]),
        one(Op::Clip, &["x", "low", "high"], vec![]),
        one(Op::Clip, &["x", "", "high"], vec![]),
        one(Op::Cast, &["x"], vec![integer("to", DataType::Int32 as i64)]),
        one(Op::Conv, &["x", "weights"], vec![]),
        one(Op::Conv, &["x", "weights", "bias"], attributes()),
        one(Op::Conv, &["x", "apart"], vec![integer("group", 4), integers("kernel_shape", &[3, 3])]),
        one(Op::QuantizeLinear, &["x", "step"], vec![]),
        one(Op::QuantizeLinear, &["x", "step", "signed"], vec![]),
        one(Op::QuantizeLinear, &["x", "steps", "zeros"], vec![]),
        vec![bytes("zero"), node(Op::DequantizeLinear, "y", &["bytes.x", "step", "zero"], vec![])],
        vec![bytes("signed"), node(Op::DequantizeLinear, "y", &["bytes.x", "steps", "zeros"], vec![])],
        vec![bytes("zero"), node(Op::QLinearConv, "y", &convolved, attributes())],
        vec![flat(), node(Op::Gemm, "y", &["flat", "matrix", "row"], transposed())],
        vec![flat(), node(Op::Gemm, "y", &["flat", "matrix"], transposed())],
        vec![node(Op::Constant, "c", &[], vec![constant]), node(Op::Mul, "y", &["x", "c"], vec![])],
    ];
    let former = one(Op::Clip, &["x"], vec![number("min", -0.25), number("max", 0.5)]);
    of_current.into_iter().map(|nodes| (17, nodes)).chain([(10, former)]).collect()
}

#[test]
fn graphs_answer_as_those_of_tracts_own_operators() {
    let (own, of_tract) = (reader(), tract_onnx::onnx());
    let mut names = std::collections::BTreeSet::new();
    for (version, nodes) in graphs() {
        names.extend(nodes.iter().map(|node| node.op_type.clone()));
        let what = format!("{:?}", nodes.last());
        let model = model(version, nodes);
        let expected = answer(&of_tract, &model).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let found = answer(&own, &model).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert_eq!(found, expected, "{what}");
    }
    let all: std::collections::BTreeSet<_> = OnnxOperator::ALL.map(|one| one.name().to_owned()).into();
    assert_eq!(names, all, "every operator is in a graph");
}
