//! A model file whose answers are known by heart: all convolution weights are 0 and all biases 1/2, so that the
//! pooled features are 1 and the logit of class k is k/2 for every image.

use std::path::PathBuf;

use mfactor::layers::Operation;
use mfactor::metadata::{self, ModelMetadata};
use mfactor::onnx::{
    Attribute, DataType, Dimension, DimensionValue, Graph, Model, Node, OperatorSetId, Shape,
    StringStringEntry, Tensor, TensorType, Type, ValueInfo,
};
use mfactor::{Recipe, SearchSpace, golden};
use prost::Message;
use tempfile::TempDir;

/// Classes of the model.
pub const CLASSES: usize = 3;

/// Three colour planes of 9 × 8 pixels, one residual block of width 2.
pub fn space() -> SearchSpace {
    SearchSpace::parse(space_text(), "tiny").unwrap()
}

/// The same as a file.
pub fn space_text() -> &'static str {
    "schema = 1\nname = \"tiny\"\nclasses = 3\nimage = { channels = 3, height = 9, width = 8 }\n\
                stem = { kernel = 3, width = 2 }\n\
                [[stage]]\nblocks = 1\nwidth = 2\nstride = 1\nkernels = [1, 3]\n"
}

/// What the model answers on any image.
pub fn logits() -> Vec<f32> {
    (0..CLASSES).map(|class| class as f32 / 2.0).collect()
}

/// Metadata that fits the model.
pub fn metadata() -> ModelMetadata {
    let (space, architecture) = (space(), "3".parse().unwrap());
    let cost = space.cost(&architecture);
    ModelMetadata {
        schema: metadata::SCHEMA,
        tool_version: "0.1.0".to_owned(),
        parameters: cost.parameters,
        macs: cost.macs,
        minimum_parameters: space.minimum_parameters(),
        architecture,
        space,
        alpha: 1.0,
        m_factor: 0.5,
        validation_accuracy: 0.5,
        accuracy: mfactor::AccuracyKind::Plain,
        test_accuracy: 0.5,
        data: "tiny".to_owned(),
        classes: ["red", "green", "blue"].map(str::to_owned).to_vec(),
        recipe: Recipe::default(),
        seed: 0,
        study: "test".to_owned(),
        trial: 0,
        strategy: "random".to_owned(),
        precision: "f32".to_owned(),
        golden_logits: vec![logits(); golden::INPUTS],
    }
}

/// The model with this metadata.
pub fn model(metadata: &ModelMetadata) -> Model {
    let (mut nodes, mut weights, mut values) = (vec![], vec![], vec!["pixels".to_owned()]);
    nodes.push(node("Cast", "pixels", &["image"], vec![Attribute { i: 1, ..named("to", 2) }]));
    let layers = metadata.space.lower(&metadata.architecture);
    for layer in &layers[1..] {
        let mut inputs: Vec<String> = layer.inputs.iter().map(|input| values[*input].clone()).collect();
        let mut output = layer.name.clone();
        match layer.operation {
            Operation::Convolution {
                input_channels,
                output_channels,
                kernel,
                stride,
                padding,
                groups: 1,
            } => {
                let shape = [output_channels, input_channels, kernel, kernel];
                add_weights(&mut inputs, &mut weights, &layer.name, &shape, 0.0, vec![0.5; output_channels]);
                let ints = |name, values: Vec<usize>| Attribute {
                    ints: values.into_iter().map(|value| value as i64).collect(),
                    ..named(name, 7)
                };
                let attributes = vec![ints("pads", vec![padding; 4]), ints("strides", vec![stride; 2])];
                nodes.push(node("Conv", &output, &as_texts(&inputs), attributes));
            }
            Operation::BatchNorm { .. } => output = inputs[0].clone(),
            Operation::Linear { input_features, output_features } => {
                nodes.push(node("Flatten", "flat", &as_texts(&inputs), vec![]));
                inputs[0] = "flat".to_owned();
                let shape = [output_features, input_features];
                add_weights(&mut inputs, &mut weights, &layer.name, &shape, 0.0, logits());
                let transposed = vec![Attribute { i: 1, ..named("transB", 2) }];
                output = "logits".to_owned();
                nodes.push(node("Gemm", &output, &as_texts(&inputs), transposed));
            }
            Operation::Relu => nodes.push(node("Relu", &output, &as_texts(&inputs), vec![])),
            Operation::Add => nodes.push(node("Add", &output, &as_texts(&inputs), vec![])),
            Operation::GlobalAveragePool => {
                nodes.push(node("GlobalAveragePool", &output, &as_texts(&inputs), vec![]));
            }
            other => unreachable!("the space of these tests has no {other:?}"),
        }
        values.push(output);
    }
    let image = metadata.space.image();
    let properties = metadata.to_properties().into_iter();
    Model {
        ir_version: 8,
        opset_import: vec![OperatorSetId { domain: String::new(), version: 17 }],
        metadata_props: properties.map(|(key, value)| StringStringEntry { key, value }).collect(),
        graph: Some(Graph {
            node: nodes,
            name: "tiny".to_owned(),
            initializer: weights,
            input: vec![value_info("image", DataType::Uint8, &[image.channels, image.height, image.width])],
            output: vec![value_info("logits", DataType::Float, &[CLASSES])],
            ..Graph::default()
        }),
        ..Model::default()
    }
}

/// A small int8 model with the metadata of [`metadata`]: a quantized convolution, and a linear layer whose weights are
/// made f32. It answers what [`model`] answers.
pub fn int8() -> Model {
    let mut model = model(&metadata());
    let bytes = |name: &str, dims: &[i64], data_type: DataType, raw_data: Vec<u8>| Tensor {
        dims: dims.to_vec(),
        data_type: data_type as i32,
        name: name.to_owned(),
        raw_data,
        ..Tensor::default()
    };
    let zero = |name: &str| bytes(name, &[], DataType::Uint8, vec![0]);
    let graph = model.graph.get_or_insert_default();
    let bias: Vec<u8> = [100i32, 100].iter().flat_map(|value| value.to_le_bytes()).collect();
    graph.initializer = vec![
        tensor("image.scale", &[], &[1.0]),
        zero("image.zero"),
        bytes("conv.weight", &[2, 3, 3, 3], DataType::Int8, vec![0; 54]),
        tensor("conv.weight.scale", &[2], &[0.01, 0.01]),
        bytes("conv.weight.zero", &[2], DataType::Int8, vec![0, 0]),
        tensor("conv.scale", &[], &[0.01]),
        zero("conv.zero"),
        bytes("conv.bias", &[2], DataType::Int32, bias),
        bytes("linear.weight", &[3, 2], DataType::Int8, vec![0; 6]),
        tensor("linear.weight.scale", &[3], &[0.5, 0.5, 0.5]),
        tensor("linear.bias", &[3], &logits()),
    ];
    let axis = vec![Attribute { i: 0, ..named("axis", 2) }];
    let transposed = vec![Attribute { i: 1, ..named("transB", 2) }];
    let pads = vec![Attribute { ints: vec![1; 4], ..named("pads", 7) }];
    let convolution = [
        "image",
        "image.scale",
        "image.zero",
        "conv.weight",
        "conv.weight.scale",
        "conv.weight.zero",
        "conv.scale",
        "conv.zero",
        "conv.bias",
    ];
    graph.node = vec![
        node("QLinearConv", "conv", &convolution, pads),
        node("DequantizeLinear", "features", &["conv", "conv.scale", "conv.zero"], vec![]),
        node("QuantizeLinear", "again", &["features", "conv.scale", "conv.zero"], vec![]),
        node("DequantizeLinear", "twice", &["again", "conv.scale", "conv.zero"], vec![]),
        node("GlobalAveragePool", "pooled", &["twice"], vec![]),
        node("Flatten", "flat", &["pooled"], vec![]),
        node("DequantizeLinear", "weights", &["linear.weight", "linear.weight.scale"], axis),
        node("Gemm", "logits", &["flat", "weights", "linear.bias"], transposed),
    ];
    model
}

fn as_texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// A node whose output has its name.
pub fn node(operator: &str, name: &str, inputs: &[&str], attribute: Vec<Attribute>) -> Node {
    Node {
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![name.to_owned()],
        op_type: operator.to_owned(),
        attribute,
        ..Node::default()
    }
}

/// An attribute without a value.
pub fn named(name: &str, r#type: i32) -> Attribute {
    Attribute { name: name.to_owned(), r#type, ..Attribute::default() }
}

/// A stored tensor.
pub fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
    Tensor {
        dims: shape.iter().map(|size| *size as i64).collect(),
        data_type: DataType::Float as i32,
        name: name.to_owned(),
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Tensor::default()
    }
}

fn add_weights(
    inputs: &mut Vec<String>,
    weights: &mut Vec<Tensor>,
    name: &str,
    shape: &[usize],
    value: f32,
    bias: Vec<f32>,
) {
    for (suffix, shape, values) in
        [("weight", shape, vec![value; shape.iter().product()]), ("bias", &shape[..1], bias)]
    {
        let name = format!("{name}.{suffix}");
        weights.push(tensor(&name, shape, &values));
        inputs.push(name);
    }
}

fn value_info(name: &str, element: DataType, sizes: &[usize]) -> ValueInfo {
    let sizes = sizes.iter().map(|size| DimensionValue::Value(*size as i64));
    let dims = std::iter::once(DimensionValue::Parameter("batch".to_owned())).chain(sizes);
    let shape = Shape { dim: dims.map(|value| Dimension { value: Some(value) }).collect() };
    let tensor_type = TensorType { elem_type: element as i32, shape: Some(shape) };
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor_type) }) }
}

/// Writes a model file and returns its path.
pub fn write(folder: &TempDir, name: &str, model: &Model) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}
