//! What an ONNX graph is made of, recounted from the graph itself; what is not ours is refused.

use std::collections::BTreeMap;

use mfactor::onnx::{self, DataType, DimensionValue, Graph, Model, Node, Tensor, ValueInfo};
use mfactor::space::ImageShape;
use mfactor::{Error, Result, text};
use serde::Serialize;

use crate::engine::Signature;
use crate::shapes::{self, Shape};
use crate::stored;

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
/// Largest one: what a later one changes in an operator is not known here.
pub const LARGEST_OPSET: i64 = 26;
/// Largest version of ONNX's file format that is read.
pub const LARGEST_IR: i64 = 14;
/// How to store again what is stored in a way that is not read.
const STORE_AGAIN: &str = "`mfactor export` writes models that are";

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
    graph.initializer.iter().try_for_each(|tensor| walk.weights(&tensor.name, tensor))?;
    graph.node.iter().try_for_each(|node| walk.node(node))?;
    let classes = walk.output(&graph.output)?;
    let mut operators = BTreeMap::new();
    graph.node.iter().for_each(|node| *operators.entry(node.op_type.clone()).or_insert(0) += 1);
    let signature = Signature { image, classes };
    Ok(GraphFacts { signature, parameters: walk.parameters, macs: walk.macs, operators, opset })
}

fn standard_opset(model: &Model) -> Result<i64, String> {
    match model.opset_import.as_slice() {
        _ if model.ir_version > LARGEST_IR => Err(format!(
            "is written in version {} of ONNX's format (IR), newer than the {LARGEST_IR} that is read; update mfactor, \
             or save it with an older onnx",
            model.ir_version
        )),
        [set] if is_standard(&set.domain) && (SMALLEST_OPSET..=LARGEST_OPSET).contains(&set.version) => {
            Ok(set.version)
        }
        [set] if is_standard(&set.domain) => Err(format!(
            "has opset {}; {SMALLEST_OPSET} to {LARGEST_OPSET} are read; onnx's version_converter changes it",
            set.version
        )),
        sets => Err(format!(
            "uses operator sets {}; only ONNX's standard operators are run",
            text::names(sets.iter().map(|set| set.domain.as_str()))
        )),
    }
}

fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

fn image_shape(graph: &Graph) -> Result<ImageShape, String> {
    let [input] = graph.input.as_slice() else {
        let names = text::names(graph.input.iter().map(|input| input.name.as_str()));
        let stored =
            graph.input.iter().any(|input| graph.initializer.iter().any(|own| own.name == input.name));
        let why = if stored { "; its stored weights are listed as inputs, as old exporters do" } else { "" };
        return Err(format!("has inputs {names}; it must have one, \"{INPUT}\"{why}"));
    };
    let (element, dims) =
        type_of(input).ok_or_else(|| format!("says no shape of its input {}", text::name(&input.name)))?;
    if input.name != INPUT || element != DataType::Uint8 as i32 {
        let (name, element) = (text::name(&input.name), onnx::type_name(element));
        return Err(format!(
            "has input {name} of type {element}; it must be \"{INPUT}\" of type uint8, the pixels as they are; \
             {STORE_AGAIN}"
        ));
    }
    let size = |dim: &Option<i64>| {
        dim.and_then(|size| usize::try_from(size).ok()).filter(|size| (1..=4096).contains(size))
    };
    let shown = || text::list(dims.iter().map(|dim| dim.map_or("?".to_owned(), |size| size.to_string())));
    match dims.as_slice() {
        [None | Some(1), channels, height, width] => {
            let sizes = size(channels).zip(size(height)).zip(size(width));
            sizes.map(|((channels, height), width)| ImageShape { channels, height, width }).ok_or_else(|| {
                format!("has an input of {}; channels, height and width must be from 1 to 4096", shown())
            })
        }
        [Some(batch), _, _, _] => Err(format!(
            "has a batch of {batch} ({}); one image at a time is run: export it with a batch of 1 or a free one",
            shown()
        )),
        _ => Err(format!("has an input of {}; it must be [batch, channels, height, width]", shown())),
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
        Error::input(format!("{}, {place} {}", self.subject, text::name(name)), problem)
    }

    /// A stored tensor that is read as `name`.
    fn weights(&mut self, name: &'a str, tensor: &Tensor) -> Result<()> {
        let shape = stored::shape(tensor).map_err(|problem| self.refuse("tensor", name, &problem))?;
        self.weights.insert(name, name);
        self.write(name, shape)
    }

    /// A stored tensor in a node of its own.
    fn constant(&mut self, node: &'a Node) -> Result<()> {
        let name = node.output.first().map_or("", String::as_str);
        match node.attribute.as_slice() {
            [value] if value.name == "value" && node.output.len() == 1 && node.input.is_empty() => {
                match &value.t {
                    Some(tensor) => self.weights(name, tensor),
                    None => Err(self.refuse("node", name, "is a Constant without a value")),
                }
            }
            _ => Err(self.refuse("node", name, "is a Constant of another form than one stored tensor")),
        }
    }

    fn node(&mut self, node: &'a Node) -> Result<()> {
        let name = node.output.first().map_or("", String::as_str);
        let refuse = |walk: &Self, problem: &str| Err(walk.refuse("node", name, problem));
        if !is_standard(&node.domain) {
            return refuse(self, &format!("comes from operator set {}", text::name(&node.domain)));
        }
        if node.op_type == "Constant" {
            return self.constant(node);
        }
        if node.output.len() != 1 || node.input.is_empty() {
            return refuse(
                self,
                &format!("has {} inputs and {} outputs", node.input.len(), node.output.len()),
            );
        }
        if let Some(unknown) = node.input.iter().find(|input| !self.shapes.contains_key(input.as_str())) {
            return refuse(self, &format!("reads {}, which nothing before it writes", text::name(unknown)));
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
            Some([1, classes]) => {
                let told = type_of(output).unwrap_or((DataType::Float as i32, vec![]));
                let told_classes = told.1.last().copied().flatten();
                if told.0 != DataType::Float as i32
                    || told_classes.is_some_and(|told| told != *classes as i64)
                {
                    let (kind, told) = (onnx::type_name(told.0), told_classes.unwrap_or(*classes as i64));
                    let problem =
                        format!("is said to be {kind} for {told} classes; it is float32 for {classes}");
                    return Err(self.refuse("output", &output.name, &problem));
                }
                Ok(*classes)
            }
            Some(shape) => {
                let problem = format!("is {}; it must be [1, classes]", text::list(shape));
                Err(self.refuse("output", &output.name, &problem))
            }
            None => Err(self.refuse("output", &output.name, "is written by no node")),
        }
    }
}
