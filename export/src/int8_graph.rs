//! The int8 ONNX graph of a list of layers: int8 weights, uint8 activations, standard operators only.
//!
//! A ReLU is no node of its own: an activation that cannot be below 0 is quantized with zero point 0, which cuts what is
//! below, and one that cannot be above 6 with a range that ends there. Sums, products and hard-swish are made in f32
//! between quantized operands, since ONNX has no quantized ones. Every operation stands between a DequantizeLinear and a QuantizeLinear, which
//! is what ONNX Runtime and this project's kernels make integer operations of. Pooled features and linear layers stay in f32: they are a
//! thousandth of the work.

use std::collections::BTreeMap;

use mfactor::layers::Operation;
use mfactor::onnx::{DataType, Model};
use mfactor::{Error, Layer, Result};

use crate::calibration::{Activations, Method};
use crate::folding::{Folded, FoldedWeights};
use crate::graph::value_name;
use crate::graph_writer::{self, GraphWriter, INPUT, integer};
use crate::quantization::{Affine, QuantizedWeights, shift_pixels};

/// Builds the model, without metadata.
///
/// # Errors
/// [`Error::Defect`] for lists of layers that are not those of a search space.
pub fn build(
    layers: &[Layer],
    weights: &FoldedWeights,
    activations: &Activations,
    method: Method,
    name: String,
) -> Result<Model> {
    let mut builder = Builder {
        graph: GraphWriter::default(),
        layers,
        weights,
        activations,
        method,
        values: vec![None; layers.len()],
        floats: BTreeMap::new(),
    };
    for position in 1..layers.len() {
        builder.layer(position)?;
    }
    builder.graph.finish(layers, name)
}

/// Values that are quantized, and so have to be observed: all but convolutions' own, and what follows the pooling.
pub fn observed(layers: &[Layer]) -> Vec<String> {
    let is_quantized = |(position, layer): &(usize, &Layer)| match layer.operation {
        Operation::BatchNorm { .. } => true,
        Operation::Relu | Operation::Relu6 | Operation::HardSwish | Operation::Add | Operation::Scale => {
            !is_pooled(layers, *position)
        }
        Operation::Image
        | Operation::Convolution { .. }
        | Operation::HardSigmoid
        | Operation::GlobalAveragePool
        | Operation::Linear { .. } => false,
    };
    let quantized = layers.iter().enumerate().filter(is_quantized);
    quantized.map(|(_, layer)| value_name(layers, layer).to_owned()).collect()
}

/// Whether a layer's value is a vector of pooled features, or made of one.
fn is_pooled(layers: &[Layer], position: usize) -> bool {
    match layers[position].operation {
        Operation::GlobalAveragePool | Operation::Linear { .. } => true,
        Operation::Image | Operation::Convolution { .. } | Operation::BatchNorm { .. } => false,
        Operation::Relu
        | Operation::Relu6
        | Operation::HardSwish
        | Operation::HardSigmoid
        | Operation::Add
        | Operation::Scale => is_pooled(layers, layers[position].inputs[0]),
    }
}

/// Where a layer's value is: quantized, or in f32.
#[derive(Debug, Clone)]
enum Value {
    Quantized(String, Affine),
    Float(String),
}

/// A graph under construction.
struct Builder<'a> {
    graph: GraphWriter,
    layers: &'a [Layer],
    weights: &'a FoldedWeights,
    activations: &'a Activations,
    method: Method,
    /// By position; `None` where a layer has no value of its own.
    values: Vec<Option<Value>>,
    /// Names of quantized values that were made f32, by the quantized name.
    floats: BTreeMap<String, String>,
}

impl Builder<'_> {
    fn layer(&mut self, position: usize) -> Result<()> {
        let layer = &self.layers[position];
        let value = match layer.operation {
            // Written by the batch norm after it.
            Operation::Convolution { .. } => return Ok(()),
            Operation::BatchNorm { .. } => self.convolution(position)?,
            Operation::HardSigmoid => Value::Float(self.in_float(position, &layer.name)?),
            Operation::Relu | Operation::Relu6 | Operation::HardSwish | Operation::Add | Operation::Scale
                if is_pooled(self.layers, position) =>
            {
                Value::Float(self.in_float(position, &layer.name)?)
            }
            // Part of what it reads, unless something else reads that too.
            Operation::Relu | Operation::Relu6 if self.only_rectifier(layer.inputs[0]).is_some() => {
                self.value(layer.inputs[0])?
            }
            Operation::Relu | Operation::Relu6 | Operation::HardSwish | Operation::Add | Operation::Scale => {
                let float = self.in_float(position, &format!("{}.float", layer.name))?;
                let affine = self.affine(position)?;
                self.quantize(float, &layer.name, affine)
            }
            Operation::GlobalAveragePool => {
                let input = self.float(layer.inputs[0])?;
                Value::Float(self.graph.node("GlobalAveragePool", &layer.name, vec![input], vec![]))
            }
            Operation::Linear { .. } => {
                let input = self.float(layer.inputs[0])?;
                let folded = self.folded(position)?.clone();
                let is_last = position + 1 == self.layers.len();
                Value::Float(self.graph.linear(layer, is_last, input, &folded))
            }
            Operation::Image => return Err(Error::Defect("an image is read in mid-network".to_owned())),
        };
        self.values[position] = Some(value);
        Ok(())
    }

    fn value(&self, position: usize) -> Result<Value> {
        let value = self.values[position].clone();
        value.ok_or_else(|| Error::Defect(format!("{} has no value", self.layers[position].name)))
    }

    /// The ReLU or ReLU6 that reads a layer, if nothing else does.
    fn only_rectifier(&self, position: usize) -> Option<usize> {
        let readers: Vec<usize> =
            (0..self.layers.len()).filter(|reader| self.layers[*reader].inputs.contains(&position)).collect();
        let [reader] = readers.as_slice() else { return None };
        self.layers[*reader].operation.rectifies().then_some(*reader)
    }

    /// How the value of a layer, or of the rectifier that it includes, is quantized.
    fn affine(&self, position: usize) -> Result<Affine> {
        let layer = &self.layers[self.only_rectifier(position).unwrap_or(position)];
        Ok(Affine::of(self.activations.range(value_name(self.layers, layer), self.method)?))
    }

    /// A layer's value in f32, made so once.
    fn float(&mut self, position: usize) -> Result<String> {
        let (quantized, affine) = match self.value(position)? {
            Value::Float(name) => return Ok(name),
            Value::Quantized(name, affine) => (name, affine),
        };
        self.dequantize(quantized, affine)
    }

    fn dequantize(&mut self, quantized: String, affine: Affine) -> Result<String> {
        if let Some(name) = self.floats.get(&quantized) {
            return Ok(name.clone());
        }
        let [scale, zero_point] = self.affine_tensors(&quantized, affine);
        let name = format!("{quantized}.f32");
        let inputs = vec![quantized.clone(), scale, zero_point];
        self.graph.node("DequantizeLinear", &name, inputs, vec![]);
        self.floats.insert(quantized, name.clone());
        Ok(name)
    }

    fn quantize(&mut self, float: String, name: &str, affine: Affine) -> Value {
        let [scale, zero_point] = self.affine_tensors(name, affine);
        let inputs = vec![float, scale, zero_point];
        Value::Quantized(self.graph.node("QuantizeLinear", name, inputs, vec![]), affine)
    }

    /// Names of scale and zero point of a value, which are written once.
    fn affine_tensors(&mut self, value: &str, affine: Affine) -> [String; 2] {
        let names = [format!("{value}.scale"), format!("{value}.zero_point")];
        if !self.graph.has_tensor(&names[0]) {
            self.graph.floats(&names[0], &[], &[affine.scale]);
            self.graph.bytes(&names[1], &[], DataType::Uint8, vec![affine.zero_point]);
        }
        names
    }

    fn folded(&self, position: usize) -> Result<&Folded> {
        let missing = || Error::Defect(format!("layer {} has no weights", self.layers[position].name));
        self.weights.layers.get(&position).ok_or_else(missing)
    }

    fn convolution(&mut self, norm: usize) -> Result<Value> {
        let convolution = &self.layers[self.layers[norm].inputs[0]];
        let (attributes, shape) = graph_writer::convolution(convolution)?;
        let source = convolution.inputs[0];
        let (folded, input, input_affine) = if source == 0 {
            let (folded, affine) = shift_pixels(self.folded(norm)?, &self.weights.pixel_mean);
            (folded, INPUT.to_owned(), affine)
        } else {
            match self.value(source)? {
                Value::Quantized(name, affine) => (self.folded(norm)?.clone(), name, affine),
                Value::Float(name) => {
                    return Err(Error::Defect(format!("{name} is in f32 before a convolution")));
                }
            }
        };
        let weights = QuantizedWeights::new(&folded, shape[0], input_affine.scale);
        let name = convolution.name.as_str();
        let affine = self.affine(norm)?;
        let input = self.dequantize(input, input_affine)?;
        let inputs = vec![
            input,
            self.weight_pair(
                name,
                "weight",
                (&shape, DataType::Int8),
                to_bytes(&weights.weight),
                &weights.scales,
            ),
            self.bias_pair(name, &weights, input_affine.scale),
        ];
        let float = self.graph.node("Conv", &format!("{name}.float"), inputs, attributes);
        Ok(self.quantize(float, name, affine))
    }

    /// Stored weights, and the node that makes them f32 with a scale for each output channel.
    fn weight_pair(
        &mut self,
        layer: &str,
        what: &str,
        (shape, element): (&[usize], DataType),
        bytes: Vec<u8>,
        scales: &[f32],
    ) -> String {
        let name = format!("{layer}.{what}");
        let mut inputs = vec![
            self.graph.bytes(&name, shape, element, bytes),
            self.graph.floats(&format!("{name}.scale"), &shape[..1], scales),
        ];
        // It is 0 anyway, but where ONNX Runtime turns int8 weights to uint8 it needs one to turn too.
        if element == DataType::Int8 {
            let zero_point = format!("{name}.zero_point");
            inputs.push(self.graph.bytes(&zero_point, &shape[..1], element, vec![0; shape[0]]));
        }
        self.graph.node("DequantizeLinear", &format!("{name}.f32"), inputs, vec![integer("axis", 0)])
    }

    fn bias_pair(&mut self, layer: &str, weights: &QuantizedWeights, input_scale: f32) -> String {
        let scales: Vec<f32> = weights.scales.iter().map(|scale| scale * input_scale).collect();
        let bytes = weights.bias.iter().flat_map(|value| value.to_le_bytes()).collect();
        let shape = [weights.bias.len()];
        self.weight_pair(layer, "bias", (&shape, DataType::Int32), bytes, &scales)
    }

    /// An element-wise operation on f32 values, under the name.
    fn in_float(&mut self, position: usize, name: &str) -> Result<String> {
        let layer = &self.layers[position];
        let inputs = layer.inputs.iter().map(|input| self.float(*input)).collect::<Result<Vec<_>>>()?;
        self.graph.elementwise(&layer.operation, name, inputs)
    }
}

fn to_bytes(values: &[i8]) -> Vec<u8> {
    values.iter().map(|value| value.to_le_bytes()[0]).collect()
}
