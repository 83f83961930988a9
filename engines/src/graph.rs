//! What an ONNX graph is made of, recounted from the graph itself; what is not ours is refused.

use std::collections::BTreeMap;

use mfactor::onnx::{DataType, DimensionValue, Graph, Model, Node, Tensor, ValueInfo};
use mfactor::space::ImageShape;
use mfactor::{Error, Result};
use serde::Serialize;

use crate::engine::Signature;
use crate::shapes::{self, Shape};

/// Name of the only input.
pub const INPUT: &str = "image";
/// Most multiply-accumulates of one inference: more would look like a hang. 2,400 times the smallest
/// architecture of the paper.
pub const MOST_MACS: u64 = 100_000_000_000;
/// Most nodes of a graph, and most stored tensors for each: engines take more than a time in proportion to optimise.
/// The largest network of the paper has 70, in int8 220.
pub const MOST_NODES: usize = 2_000;
/// Smallest version of ONNX's standard operators that is read.
pub const SMALLEST_OPSET: i64 = 13;

/// What was counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphFacts {
    /// Shapes of input and output.
    pub signature: Signature,
    /// P: trainable parameters as they were before batch norm was folded. A convolution with a bias had a
    /// scale and a shift for each output channel.
    pub parameters: u64,
    /// Multiply-accumulates of convolutions and linear layers for one image.
    pub macs: u64,
    /// How often each operator occurs.
    pub operators: BTreeMap<String, usize>,
    /// Version of ONNX's standard operators.
    pub opset: i64,
}

/// Inspects a model; `subject` names it in errors.
///
/// # Errors
/// [`Error::Input`], naming the node or tensor, for external or inconsistent data, values that are read before
/// they are written (so also for cycles), operators that are not ours, other inputs than `image` u8
/// \[batch, channels, height, width\], and sizes beyond the limits of [`shapes`] and [`MOST_MACS`].
pub fn inspect(model: &Model, subject: &str) -> Result<GraphFacts> {
    let graph = model.graph.as_ref().ok_or_else(|| Error::input(subject, "has no graph"))?;
    let opset = standard_opset(model).map_err(|problem| Error::input(subject, problem))?;
    if !model.functions.is_empty() || !model.training_info.is_empty() || !graph.sparse_initializer.is_empty()
    {
        return Err(Error::input(
            subject,
            "holds functions, training steps or sparse weights; only plain graphs are run",
        ));
    }
    let (nodes, tensors) = (graph.node.len(), graph.initializer.len());
    if nodes > MOST_NODES || tensors > 9 * MOST_NODES {
        let problem =
            format!("has {nodes} nodes and {tensors} stored tensors; at most {MOST_NODES} nodes are run");
        return Err(Error::input(subject, problem));
    }
    let image = image_shape(graph).map_err(|problem| Error::input(subject, problem))?;
    let mut walk = Walk {
        subject,
        shapes: BTreeMap::new(),
        weights: BTreeMap::new(),
        parameters: 0,
        macs: 0,
        values: 0,
    };
    walk.shapes.insert(INPUT, vec![1, image.channels, image.height, image.width]);
    graph.initializer.iter().try_for_each(|tensor| walk.weights(tensor))?;
    graph.node.iter().try_for_each(|node| walk.node(node))?;
    let classes = walk.output(&graph.output)?;
    let mut operators = BTreeMap::new();
    graph.node.iter().for_each(|node| *operators.entry(node.op_type.clone()).or_insert(0) += 1);
    let signature = Signature { image, classes };
    Ok(GraphFacts { signature, parameters: walk.parameters, macs: walk.macs, operators, opset })
}

fn standard_opset(model: &Model) -> Result<i64, String> {
    match model.opset_import.as_slice() {
        [set] if is_standard(&set.domain) && set.version >= SMALLEST_OPSET => Ok(set.version),
        [set] if is_standard(&set.domain) => {
            Err(format!("has opset {}; at least {SMALLEST_OPSET} is read", set.version))
        }
        sets => {
            let domains: Vec<&str> = sets.iter().map(|set| set.domain.as_str()).collect();
            Err(format!("uses operator sets {domains:?}; only ONNX's standard operators are run"))
        }
    }
}

fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

fn image_shape(graph: &Graph) -> Result<ImageShape, String> {
    let names: Vec<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
    let [input] = graph.input.as_slice() else {
        return Err(format!("has inputs {names:?}; it must have one, {INPUT:?}"));
    };
    let (element, dims) =
        type_of(input).ok_or_else(|| format!("says no shape of its input {:?}", input.name))?;
    if input.name != INPUT || element != DataType::Uint8 as i32 {
        return Err(format!(
            "has input {:?} of type {element}; it must be {INPUT:?} of type uint8",
            input.name
        ));
    }
    let size = |dim: &Option<i64>| {
        dim.and_then(|size| usize::try_from(size).ok()).filter(|size| (1..=4096).contains(size))
    };
    match dims.as_slice() {
        [None | Some(1), channels, height, width] => size(channels)
            .zip(size(height))
            .zip(size(width))
            .map(|((channels, height), width)| ImageShape { channels, height, width })
            .ok_or_else(|| {
                format!("has an input of {dims:?}; channels, height and width must be from 1 to 4096")
            }),
        _ => Err(format!("has an input of {dims:?}; it must be [batch, channels, height, width]")),
    }
}

/// Element type and dimensions; a symbolic dimension is `None`.
fn type_of(value: &ValueInfo) -> Option<(i32, Vec<Option<i64>>)> {
    let tensor = value.r#type.as_ref()?.tensor_type.as_ref()?;
    let dims = tensor.shape.as_ref()?.dim.iter().map(|dim| match dim.value {
        Some(DimensionValue::Value(size)) => Some(size),
        Some(DimensionValue::Parameter(_)) | None => None,
    });
    Some((tensor.elem_type, dims.collect()))
}

/// A graph that is being walked in the order of its nodes.
struct Walk<'a> {
    subject: &'a str,
    /// Shape of every value that has been written so far.
    shapes: BTreeMap<&'a str, Shape>,
    /// Weights that have not been counted yet: the name under which they are read, and the stored one.
    weights: BTreeMap<&'a str, &'a str>,
    parameters: u64,
    macs: u64,
    /// Values of all tensors that nodes have written.
    values: usize,
}

impl<'a> Walk<'a> {
    fn refuse(&self, place: &str, name: &str, problem: &str) -> Error {
        Error::input(format!("{}, {place} {name:?}", self.subject), problem)
    }

    fn weights(&mut self, tensor: &'a Tensor) -> Result<()> {
        let shape = tensor_shape(tensor).map_err(|problem| self.refuse("tensor", &tensor.name, &problem))?;
        self.weights.insert(&tensor.name, &tensor.name);
        self.write(&tensor.name, shape)
    }

    fn node(&mut self, node: &'a Node) -> Result<()> {
        let name = node.output.first().map_or("", String::as_str);
        let refuse = |walk: &Self, problem: &str| Err(walk.refuse("node", name, problem));
        if !is_standard(&node.domain) {
            return refuse(self, &format!("comes from operator set {:?}", node.domain));
        }
        if node.output.len() != 1 || node.input.is_empty() {
            return refuse(
                self,
                &format!("has {} inputs and {} outputs", node.input.len(), node.output.len()),
            );
        }
        if let Some(unknown) = node.input.iter().find(|input| !self.shapes.contains_key(input.as_str())) {
            return refuse(self, &format!("reads {unknown:?}, which nothing before it writes"));
        }
        let inputs: Vec<&Shape> = node.input.iter().map(|input| &self.shapes[input.as_str()]).collect();
        let (shape, macs) = match shapes::of_node(node, &inputs) {
            Ok(found) => found,
            Err(problem) => return refuse(self, &problem),
        };
        self.count(node)?;
        self.macs = self.macs.saturating_add(macs);
        if self.macs > MOST_MACS {
            return refuse(self, &format!("brings the graph to more than {MOST_MACS} multiply-accumulates"));
        }
        // Each shape's product is known to be small by now.
        self.values += shape.iter().product::<usize>();
        if self.values > shapes::MOST_VALUES {
            let most = shapes::MOST_VALUES;
            return refuse(self, &format!("brings the graph to more than {most} values in all its tensors"));
        }
        self.write(name, shape)
    }

    /// Adds the parameters of a convolution or linear layer; shared weights count once.
    fn count(&mut self, node: &'a Node) -> Result<()> {
        let (weights, bias, bias_weight) = match node.op_type.as_str() {
            "Conv" => (1, 2, 2),
            "QLinearConv" => (3, 8, 2),
            "Gemm" => (1, 2, 1),
            "DequantizeLinear" => {
                // The weights are those that it makes f32.
                if let Some(stored) = self.weights.remove(node.input[0].as_str()) {
                    self.weights.insert(&node.output[0], stored);
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        for (input, times) in [(weights, 1), (bias, bias_weight)] {
            let stored = node.input.get(input).and_then(|name| self.weights.remove(name.as_str()));
            if let Some(stored) = stored {
                // Sizes of tensors with data are bounded by the size of the file.
                self.parameters += times * self.shapes[stored].iter().product::<usize>() as u64;
            }
        }
        Ok(())
    }

    fn write(&mut self, name: &'a str, shape: Shape) -> Result<()> {
        match self.shapes.insert(name, shape) {
            None if !name.is_empty() => Ok(()),
            _ => Err(self.refuse("value", name, "is written twice or has no name")),
        }
    }

    /// Number of classes.
    fn output(&self, outputs: &[ValueInfo]) -> Result<usize> {
        let [output] = outputs else {
            return Err(Error::input(
                self.subject,
                format!("has {} outputs; it must have one", outputs.len()),
            ));
        };
        match self.shapes.get(output.name.as_str()).map(Vec::as_slice) {
            Some([1, classes]) => Ok(*classes),
            Some(shape) => {
                Err(self.refuse("output", &output.name, &format!("is {shape:?}; it must be [1, classes]")))
            }
            None => Err(self.refuse("output", &output.name, "is written by no node")),
        }
    }
}

/// The shape of a stored tensor, whose data must be in this file, whole.
fn tensor_shape(tensor: &Tensor) -> Result<Shape, String> {
    if !tensor.external_data.is_empty() || tensor.data_location != 0 {
        return Err("keeps its data in another file; models are one file".to_owned());
    }
    let Some(size) = element_size(tensor.data_type) else {
        let problem =
            format!("has element type {}; weights are float32, int8, uint8 or int32", tensor.data_type);
        return Err(problem);
    };
    let shape: Option<Shape> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let shape = shape.ok_or_else(|| format!("has shape {:?}", tensor.dims))?;
    let (bytes, expected) = (tensor.raw_data.len(), shapes::product(&shape)?.checked_mul(size));
    if bytes == 0 || Some(bytes) != expected {
        return Err(format!("has {bytes} bytes of data, which do not fit its shape {shape:?}"));
    }
    Ok(shape)
}

/// Bytes of an element of a stored tensor; `None` for a type that mfactor does not export.
fn element_size(data_type: i32) -> Option<usize> {
    match DataType::try_from(data_type).ok()? {
        DataType::Float | DataType::Int32 => Some(4),
        DataType::Int8 | DataType::Uint8 => Some(1),
        DataType::Undefined | DataType::Int64 => None,
    }
}
