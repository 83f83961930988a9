//! The f32 ONNX graph of a list of layers: standard operators, normalisation of the pixels inside.

use mfactor::layers::Operation;
use mfactor::onnx::{DataType, Model};
use mfactor::{Error, Layer, Result};

use crate::folding::{Folded, FoldedWeights};
use crate::graph_writer::{self, GraphWriter, INPUT, integer};

/// Builds the model, without metadata. Values have the names that [`value_name`] tells, but for the last.
///
/// # Errors
/// [`Error::Defect`] if a layer reads one that gives no value of its own.
pub fn build(layers: &[Layer], weights: &FoldedWeights, name: String) -> Result<Model> {
    let mut builder = Builder { graph: GraphWriter::default(), values: vec![None; layers.len()] };
    builder.pixels(&weights.pixel_mean);
    for (position, layer) in layers.iter().enumerate().skip(1) {
        builder.layer(layers, position, layer, weights)?;
    }
    builder.graph.finish(layers, name)
}

/// Name of a layer's value: its own, and for a batch norm that of the convolution it is folded into.
pub fn value_name<'a>(layers: &'a [Layer], layer: &'a Layer) -> &'a str {
    match layer.operation {
        Operation::BatchNorm { .. } => &layers[layer.inputs[0]].name,
        _ => &layer.name,
    }
}

/// A graph under construction.
struct Builder {
    graph: GraphWriter,
    /// Name of each layer's output, by position; `None` where a layer has none of its own.
    values: Vec<Option<String>>,
}

impl Builder {
    /// From the input's bytes to pixels without their mean.
    fn pixels(&mut self, mean: &[f32]) {
        let to_float = vec![integer("to", DataType::Float as i64)];
        self.graph.node("Cast", "image.f32", vec![INPUT.to_owned()], to_float);
        self.graph.floats("image.mean", &[1, mean.len(), 1, 1], mean);
        let inputs = vec!["image.f32".to_owned(), "image.mean".to_owned()];
        self.values[0] = Some(self.graph.node("Sub", "image.centred", inputs, vec![]));
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
            Operation::Linear { .. } => {
                let folded = weights.layers.get(&position).ok_or_else(missing)?;
                let input = self.inputs(layer)?.remove(0);
                self.graph.linear(layer, position + 1 == layers.len(), input, folded)
            }
            Operation::Relu
            | Operation::Relu6
            | Operation::HardSwish
            | Operation::HardSigmoid
            | Operation::Add
            | Operation::Scale => {
                let inputs = self.inputs(layer)?;
                self.graph.elementwise(&layer.operation, &layer.name, inputs)?
            }
            Operation::GlobalAveragePool => {
                let inputs = self.inputs(layer)?;
                self.graph.node("GlobalAveragePool", &layer.name, inputs, vec![])
            }
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

    fn convolution(&mut self, layer: &Layer, folded: &Folded) -> Result<String> {
        let (attributes, shape) = graph_writer::convolution(layer)?;
        let mut inputs = self.inputs(layer)?;
        inputs.push(self.graph.floats(&format!("{}.weight", layer.name), &shape, &folded.weight));
        inputs.push(self.graph.floats(&format!("{}.bias", layer.name), &shape[..1], &folded.bias));
        Ok(self.graph.node("Conv", &layer.name, inputs, attributes))
    }
}
