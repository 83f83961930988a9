//! The ONNX graph of a list of layers: f32, standard operators, normalisation of the pixels inside.

use mfactor::layers::Operation;
use mfactor::onnx::{
    Attribute, AttributeType, DataType, Dimension, DimensionValue, Graph, Model, Node, OperatorSetId, Shape,
    StringStringEntry, Tensor, TensorType, Type, ValueInfo,
};
use mfactor::{Error, Layer, ModelMetadata, Result};

use crate::folding::{Folded, FoldedWeights};

/// Version of ONNX's standard operators.
pub const OPSET: i64 = 17;
/// Version of the file format that belongs to [`OPSET`] (ONNX 1.12).
pub const IR_VERSION: i64 = 8;
/// The input: u8 \[batch, channels, height, width\].
pub const INPUT: &str = edge_runner::graph::INPUT;
/// The output: f32 \[batch, classes\].
pub const OUTPUT: &str = "logits";
/// Name of the dimension that is left open.
const BATCH: &str = "batch";

/// Builds the model, without metadata.
///
/// # Errors
/// [`Error::Defect`] if a layer reads one that gives no value of its own.
pub fn build(layers: &[Layer], weights: &FoldedWeights, name: String) -> Result<Model> {
    let (Some(image), Some(last)) = (layers.first(), layers.last()) else {
        return Err(Error::Defect("a network has no layers".to_owned()));
    };
    let shape = image.output;
    let mut builder = Builder { graph: Graph { name, ..Graph::default() }, values: vec![None; layers.len()] };
    builder.pixels(&weights.pixel_mean);
    for (position, layer) in layers.iter().enumerate().skip(1) {
        builder.layer(layers, position, layer, weights)?;
    }
    builder.rename_output();
    let dims = [shape.channels, shape.height, shape.width];
    builder.graph.input = vec![value_info(INPUT, DataType::Uint8, &dims)];
    builder.graph.output = vec![value_info(OUTPUT, DataType::Float, &[last.output.channels])];
    Ok(Model {
        ir_version: IR_VERSION,
        producer_name: "mfactor".to_owned(),
        producer_version: mfactor::version(),
        graph: Some(builder.graph),
        opset_import: vec![OperatorSetId { domain: String::new(), version: OPSET }],
        ..Model::default()
    })
}

/// Puts metadata into a model, in place of what it had.
pub fn set_metadata(model: &mut Model, metadata: &ModelMetadata) {
    let properties = metadata.to_properties().into_iter();
    model.metadata_props = properties.map(|(key, value)| StringStringEntry { key, value }).collect();
}

/// A graph under construction.
struct Builder {
    graph: Graph,
    /// Name of each layer's output, by position; `None` where a layer has none of its own.
    values: Vec<Option<String>>,
}

impl Builder {
    /// From the input's bytes to pixels without their mean.
    fn pixels(&mut self, mean: &[f32]) {
        self.node("Cast", "image.f32", vec![INPUT.to_owned()], vec![integer("to", DataType::Float as i64)]);
        self.tensor("image.mean", &[1, mean.len(), 1, 1], mean);
        self.node("Sub", "image.centred", vec!["image.f32".to_owned(), "image.mean".to_owned()], vec![]);
        self.values[0] = Some("image.centred".to_owned());
    }

    fn layer(
        &mut self,
        layers: &[Layer],
        position: usize,
        layer: &Layer,
        weights: &FoldedWeights,
    ) -> Result<()> {
        let missing = || Error::Defect(format!("layer {} has no weights", layer.name));
        let name = match layer.operation {
            // Written by the batch norm after it.
            Operation::Convolution { .. } => return Ok(()),
            Operation::BatchNorm { .. } => {
                let folded = weights.layers.get(&position).ok_or_else(missing)?;
                self.convolution(&layers[layer.inputs[0]], folded)?
            }
            Operation::Linear { input_features, output_features } => {
                let folded = weights.layers.get(&position).ok_or_else(missing)?;
                self.linear(layer, folded, &[output_features, input_features])?
            }
            Operation::Relu => self.plain("Relu", layer)?,
            Operation::Add => self.plain("Add", layer)?,
            Operation::GlobalAveragePool => self.plain("GlobalAveragePool", layer)?,
            Operation::Image => return Err(Error::Defect("an image is read in mid-network".to_owned())),
        };
        self.values[position] = Some(name);
        Ok(())
    }

    fn inputs(&self, layer: &Layer) -> Result<Vec<String>> {
        let value = |input: &usize| {
            let value = self.values[*input].clone();
            value.ok_or_else(|| Error::Defect(format!("{} reads a layer without a value", layer.name)))
        };
        layer.inputs.iter().map(value).collect()
    }

    fn plain(&mut self, operator: &str, layer: &Layer) -> Result<String> {
        let inputs = self.inputs(layer)?;
        Ok(self.node(operator, &layer.name, inputs, vec![]))
    }

    fn convolution(&mut self, layer: &Layer, folded: &Folded) -> Result<String> {
        let Operation::Convolution { input_channels, output_channels, kernel, stride, padding } =
            layer.operation
        else {
            return Err(Error::Defect(format!("{} is no convolution", layer.name)));
        };
        let shape = [output_channels, input_channels, kernel, kernel];
        let inputs = self.weighted_inputs(layer, folded, &shape)?;
        let attributes = vec![
            integers("kernel_shape", &[kernel; 2]),
            integers("strides", &[stride; 2]),
            integers("pads", &[padding; 4]),
        ];
        Ok(self.node("Conv", &layer.name, inputs, attributes))
    }

    fn linear(&mut self, layer: &Layer, folded: &Folded, shape: &[usize]) -> Result<String> {
        let mut inputs = self.weighted_inputs(layer, folded, shape)?;
        let flat = format!("{}.flat", layer.name);
        inputs[0] = self.node("Flatten", &flat, vec![inputs[0].clone()], vec![integer("axis", 1)]);
        Ok(self.node("Gemm", &layer.name, inputs, vec![integer("transB", 1)]))
    }

    /// The layer's input, its weights and its bias.
    fn weighted_inputs(&mut self, layer: &Layer, folded: &Folded, shape: &[usize]) -> Result<Vec<String>> {
        let mut inputs = self.inputs(layer)?;
        inputs.push(self.tensor(&format!("{}.weight", layer.name), shape, &folded.weight));
        inputs.push(self.tensor(&format!("{}.bias", layer.name), &shape[..1], &folded.bias));
        Ok(inputs)
    }

    /// Adds a node and returns the name of its output, which is its own.
    fn node(&mut self, operator: &str, name: &str, input: Vec<String>, attribute: Vec<Attribute>) -> String {
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

    fn tensor(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.graph.initializer.push(Tensor {
            dims: shape.iter().map(|size| *size as i64).collect(),
            data_type: DataType::Float as i32,
            name: name.to_owned(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..Tensor::default()
        });
        name.to_owned()
    }

    /// The last node writes the output.
    fn rename_output(&mut self) {
        if let Some(last) = self.graph.node.last_mut() {
            last.output = vec![OUTPUT.to_owned()];
        }
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

fn integer(name: &str, value: i64) -> Attribute {
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
