//! Writing an ONNX graph: nodes and tensors by name, and the model around them.

use mfactor::ModelMetadata;
use mfactor::layers::Operation;
use mfactor::onnx::{
    Attribute, AttributeType, DataType, Dimension, DimensionValue, Graph, Model, Node, OperatorSetId, Shape,
    StringStringEntry, Tensor, TensorType, Type, ValueInfo,
};
use mfactor::{Error, Layer, Result};

/// Version of ONNX's standard operators.
pub const OPSET: i64 = 17;
/// Version of the file format that belongs to [`OPSET`] (ONNX 1.12).
pub const IR_VERSION: i64 = 8;
/// The input: u8 \[batch, channels, height, width\].
pub const INPUT: &str = engines::graph::INPUT;
/// The output: f32 \[batch, classes\].
pub const OUTPUT: &str = "logits";
/// Name of the dimension that is left open.
const BATCH: &str = "batch";

/// A graph under construction.
#[derive(Default)]
pub struct GraphWriter {
    graph: Graph,
}

impl GraphWriter {
    /// Adds a node and returns the name of its output, which is its own.
    pub fn node(
        &mut self,
        operator: &str,
        name: &str,
        input: Vec<String>,
        attribute: Vec<Attribute>,
    ) -> String {
        self.graph.node.push(Node {
            input,
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: operator.to_owned(),
            attribute,
            domain: String::new(),
        });
        name.to_owned()
    }

    /// Whether a tensor of this name was added.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.graph.initializer.iter().any(|tensor| tensor.name == name)
    }

    /// Adds an f32 tensor and returns its name.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.bytes(
            name,
            shape,
            DataType::Float,
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        )
    }

    /// Adds a tensor and returns its name. `bytes` are its values, little-endian.
    pub fn bytes(&mut self, name: &str, shape: &[usize], element: DataType, bytes: Vec<u8>) -> String {
        self.graph.initializer.push(Tensor {
            dims: shape.iter().map(|size| *size as i64).collect(),
            data_type: element as i32,
            name: name.to_owned(),
            raw_data: bytes,
            ..Tensor::default()
        });
        name.to_owned()
    }

    /// The model, without metadata: the last node writes [`OUTPUT`].
    ///
    /// # Errors
    /// [`Error::Defect`] if there are no layers.
    pub fn finish(mut self, layers: &[Layer], name: String) -> Result<Model> {
        let (Some(image), Some(last)) = (layers.first(), layers.last()) else {
            return Err(Error::Defect("a network has no layers".to_owned()));
        };
        if let Some(last) = self.graph.node.last_mut() {
            last.output = vec![OUTPUT.to_owned()];
        }
        let shape = image.output;
        let dims = [shape.channels, shape.height, shape.width];
        self.graph.name = name;
        self.graph.input = vec![value_info(INPUT, DataType::Uint8, &dims)];
        self.graph.output = vec![value_info(OUTPUT, DataType::Float, &[last.output.channels])];
        Ok(Model {
            ir_version: IR_VERSION,
            producer_name: "mfactor".to_owned(),
            producer_version: mfactor::version(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetId { domain: String::new(), version: OPSET }],
            ..Model::default()
        })
    }
}

/// Puts metadata into a model, in place of what it had.
pub fn set_metadata(model: &mut Model, metadata: &ModelMetadata) {
    let properties = metadata.to_properties().into_iter();
    model.metadata_props = properties.map(|(key, value)| StringStringEntry { key, value }).collect();
}

/// Makes the values with these names outputs too, of the shapes they have.
pub fn add_outputs(model: &mut Model, names: impl Iterator<Item = String>) {
    let tensor_type = TensorType { elem_type: DataType::Float as i32, shape: None };
    let r#type = Some(Type { tensor_type: Some(tensor_type) });
    let outputs = names.map(|name| ValueInfo { name, r#type: r#type.clone() });
    model.graph.get_or_insert_default().output.extend(outputs);
}

/// Attributes of a convolution, and the shape of its weights.
///
/// # Errors
/// [`Error::Defect`] if the layer is no convolution.
pub fn convolution(layer: &Layer) -> Result<(Vec<Attribute>, [usize; 4])> {
    let Operation::Convolution { input_channels, output_channels, kernel, stride, padding } = layer.operation
    else {
        return Err(Error::Defect(format!("{} is no convolution", layer.name)));
    };
    let attributes = vec![
        integers("kernel_shape", &[kernel; 2]),
        integers("strides", &[stride; 2]),
        integers("pads", &[padding; 4]),
    ];
    Ok((attributes, [output_channels, input_channels, kernel, kernel]))
}

/// An attribute of one integer.
pub fn integer(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: value, r#type: AttributeType::Int as i32, ..Attribute::default() }
}

fn integers(name: &str, values: &[usize]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        ints: values.iter().map(|value| *value as i64).collect(),
        r#type: AttributeType::Ints as i32,
        ..Attribute::default()
    }
}

/// Type and shape of an input or output with an open batch.
fn value_info(name: &str, element: DataType, dims: &[usize]) -> ValueInfo {
    let batch = DimensionValue::Parameter(BATCH.to_owned());
    let sizes = dims.iter().map(|size| DimensionValue::Value(*size as i64));
    let dim = std::iter::once(batch).chain(sizes).map(|value| Dimension { value: Some(value) }).collect();
    let tensor_type = TensorType { elem_type: element as i32, shape: Some(Shape { dim }) };
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor_type) }) }
}
