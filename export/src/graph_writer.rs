//! Writing an ONNX graph: nodes and tensors by name, and the model around them.

use mfactor::ModelMetadata;
use mfactor::layers::Operation;
use mfactor::onnx::{
    Attribute, AttributeType, DataType, Dimension, DimensionValue, Graph, Model, Node, OperatorSetId, Shape,
    StringStringEntry, Tensor, TensorType, Type, ValueInfo,
};
use mfactor::{Error, Layer, Result};

use crate::folding::Folded;

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

    /// Adds the node of an element-wise operation and returns the name of its output.
    ///
    /// # Errors
    /// [`Error::Defect`] for an operation that is none.
    pub fn elementwise(
        &mut self,
        operation: &Operation,
        name: &str,
        mut inputs: Vec<String>,
    ) -> Result<String> {
        let mut attributes = vec![];
        match operation {
            Operation::Relu | Operation::HardSwish | Operation::Add | Operation::Scale => {}
            Operation::Relu6 => {
                inputs.extend([("relu6.least", 0.0), ("relu6.most", 6.0)].map(|(bound, value)| {
                    if self.has_tensor(bound) { bound.to_owned() } else { self.floats(bound, &[], &[value]) }
                }))
            }
            // PyTorch's; ONNX's own default for alpha is 0.2.
            Operation::HardSigmoid => attributes.extend([number("alpha", 1.0 / 6.0), number("beta", 0.5)]),
            Operation::Image
            | Operation::Convolution { .. }
            | Operation::BatchNorm { .. }
            | Operation::GlobalAveragePool
            | Operation::Linear { .. } => {
                return Err(Error::Defect(format!("{name} is no element-wise operation")));
            }
        }
        let operator = operation.onnx().ok_or_else(|| Error::Defect(format!("{name} is no node")))?;
        Ok(self.node(operator.name(), name, inputs, attributes))
    }

    /// Adds the nodes of a linear layer: of the last one, which answers \[batch, classes\], or of one whose value goes on as
    /// a channel each of one row and column.
    pub fn linear(&mut self, layer: &Layer, is_last: bool, input: String, folded: &Folded) -> String {
        let (name, outputs) = (&layer.name, folded.bias.len());
        let inputs = folded.weight.len() / outputs;
        let named = |part: &str| format!("{name}.{part}");
        if is_last {
            let flat = self.node("Flatten", &named("flat"), vec![input], vec![integer("axis", 1)]);
            let weight = self.floats(&named("weight"), &[outputs, inputs], &folded.weight);
            let bias = self.floats(&named("bias"), &[outputs], &folded.bias);
            return self.node("Gemm", name, vec![flat, weight, bias], vec![integer("transB", 1)]);
        }
        let weight = self.floats(&named("weight"), &[outputs, inputs, 1, 1], &folded.weight);
        let bias = self.floats(&named("bias"), &[1, outputs, 1, 1], &folded.bias);
        let attributes = vec![integers("kernel_shape", &[1; 2])];
        let product = self.node("Conv", &named("product"), vec![input, weight], attributes);
        self.node("Add", name, vec![product, bias], vec![])
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
    let Operation::Convolution { input_channels, output_channels, kernel, stride, padding, groups } =
        layer.operation
    else {
        return Err(Error::Defect(format!("{} is no convolution", layer.name)));
    };
    let mut attributes = vec![
        integers("kernel_shape", &[kernel; 2]),
        integers("strides", &[stride; 2]),
        integers("pads", &[padding; 4]),
    ];
    // 1 is what ONNX takes it for.
    attributes.extend((groups > 1).then(|| integer("group", groups as i64)));
    Ok((attributes, [output_channels, input_channels / groups, kernel, kernel]))
}

/// An attribute of one integer.
pub fn integer(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: value, r#type: AttributeType::Int as i32, ..Attribute::default() }
}

/// An attribute of one number.
fn number(name: &str, value: f32) -> Attribute {
    Attribute { name: name.to_owned(), f: value, r#type: AttributeType::Float as i32, ..Attribute::default() }
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
