//! Shapes of all values of an ONNX graph at batch 1, for the operators that `export` writes.
//!
//! Every shape is known before an engine allocates anything, so that a hostile file is refused for what it would
//! need rather than after the machine has run out of it.

use std::ops::RangeInclusive;

use mfactor::onnx::{Attribute, Node};
use mfactor::onnx_operators::OnnxOperator;
use mfactor::text::{self, list};

/// Largest number of values in one tensor.
pub const LARGEST_TENSOR: usize = 1 << 26;
/// Largest number of values in a convolution's patches (im2col), which engines may write out.
pub const LARGEST_PATCHES: usize = 1 << 26;
/// Largest number of values of all tensors that a graph computes: what they would take if none was freed before the end.
pub const MOST_VALUES: usize = 1 << 27;
const LARGEST_STRIDE: i64 = 16;
const LARGEST_PADDING: i64 = 64;

/// Shape of a tensor.
pub type Shape = Vec<usize>;

/// What comes of a node: the shape of its output and its multiply-accumulates, or what is wrong with it in words.
type Outcome = Result<(Shape, u64), String>;

/// What comes of a node with inputs of these shapes.
type Rule = fn(&Node, &[&Shape]) -> Outcome;

/// Output shape of one node and its multiply-accumulates, or what is wrong with it in words.
///
/// `inputs` are the shapes of the node's inputs, of which the operator has at least one.
pub fn of_node(node: &Node, inputs: &[&Shape]) -> Outcome {
    let Some(operator) = OnnxOperator::named(&node.op_type) else {
        let name = text::name(&node.op_type);
        return Err(format!("is a {name}, which is not among the operators that mfactor exports"));
    };
    let (counts, outcome) = rule(operator);
    if !counts.contains(&inputs.len()) {
        return Err(format!("has {} inputs", inputs.len()));
    }
    let (shape, macs) = outcome(node, inputs)?;
    if product(&shape)? > LARGEST_TENSOR {
        return Err(format!(
            "makes a tensor of {}; at most {LARGEST_TENSOR} values are allowed",
            list(&shape)
        ));
    }
    Ok((shape, macs))
}

/// The table of operators: how many inputs each may have, and what comes of as many.
fn rule(operator: OnnxOperator) -> (RangeInclusive<usize>, Rule) {
    use OnnxOperator as Op;
    match operator {
        Op::Cast | Op::Relu | Op::HardSigmoid | Op::HardSwish => (1..=1, |_, inputs| same(inputs)),
        Op::Clip => (1..=3, clip),
        Op::Add | Op::Sub | Op::Mul => (2..=2, |_, inputs| Ok((broadcast(inputs[0], inputs[1])?, 0))),
        Op::Conv => (2..=3, convolution),
        Op::QLinearConv => (9..=9, quantized_convolution),
        Op::QuantizeLinear | Op::DequantizeLinear => (2..=3, quantization),
        Op::GlobalAveragePool => (1..=1, global_average),
        Op::Flatten => (1..=1, flatten),
        Op::Gemm => (2..=3, linear),
        Op::Constant => {
            (0..=usize::MAX, |_, _| Err("is a Constant, which makes no shape of others".to_owned()))
        }
    }
}

fn same(inputs: &[&Shape]) -> Outcome {
    Ok((inputs[0].clone(), 0))
}

fn clip(_: &Node, inputs: &[&Shape]) -> Outcome {
    inputs[1..].iter().try_for_each(|bound| of_elements(bound, 1))?;
    same(inputs)
}

fn quantization(node: &Node, inputs: &[&Shape]) -> Outcome {
    let axis = attribute(node, "axis").map_or(1, |attribute| attribute.i);
    let along = usize::try_from(axis).ok().and_then(|axis| inputs[0].get(axis).copied());
    for parameter in &inputs[1..] {
        of_elements(parameter, if parameter.is_empty() { 1 } else { along.unwrap_or(0) })?;
    }
    same(inputs)
}

fn global_average(_: &Node, inputs: &[&Shape]) -> Outcome {
    let [batch, channels, _, _] = rank4(inputs[0])?;
    Ok((vec![batch, channels, 1, 1], 0))
}

fn flatten(node: &Node, inputs: &[&Shape]) -> Outcome {
    expect_integer(node, "axis", 1)?;
    let batch = inputs[0].first().copied().unwrap_or(1);
    Ok((vec![batch, product(inputs[0].get(1..).unwrap_or_default())?], 0))
}

/// Number of values of a shape.
pub fn product(shape: &[usize]) -> Result<usize, String> {
    let values = shape.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim));
    values.ok_or_else(|| format!("the shape {} is too large for any machine", list(shape)))
}

/// Refuses a list of scales or zero points that is not as long as what it is for.
fn of_elements(shape: &Shape, expected: usize) -> Result<(), String> {
    let fits = shape.len() <= 1 && product(shape)? == expected;
    if fits {
        Ok(())
    } else {
        Err(format!("has scales or zero points of {} for {expected} channels", list(shape)))
    }
}

fn rank4(shape: &Shape) -> Result<[usize; 4], String> {
    shape
        .as_slice()
        .try_into()
        .map_err(|_| format!("reads a tensor of {}, which has not 4 dimensions", list(shape)))
}

fn broadcast(one: &Shape, other: &Shape) -> Result<Shape, String> {
    let rank = one.len().max(other.len());
    let dim =
        |shape: &Shape, axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    (0..rank)
        .map(|axis| match (dim(one, axis), dim(other, axis)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(format!("combines tensors of {} and {}", list(one), list(other))),
        })
        .collect()
}

/// Inputs are an image, its scale and zero point, weights, theirs, those of the output, and a bias.
fn quantized_convolution(node: &Node, inputs: &[&Shape]) -> Outcome {
    [1, 2, 6, 7].iter().try_for_each(|scalar| of_elements(inputs[*scalar], 1))?;
    let outputs = inputs[3].first().copied().unwrap_or(1);
    [4, 5].iter().try_for_each(|channels| of_elements(inputs[*channels], outputs))?;
    convolution(node, &[inputs[0], inputs[3], inputs[8]])
}

fn convolution(node: &Node, inputs: &[&Shape]) -> Outcome {
    let ([batch, channels, height, width], weights) = (rank4(inputs[0])?, rank4(inputs[1])?);
    let [outputs, weight_channels, kernel_height, kernel_width] = weights;
    let groups = groups(node, channels, outputs)?;
    if attribute(node, "auto_pad").is_some_and(|padding| padding.s != b"NOTSET") {
        return Err("leaves its padding to the engine (auto_pad)".to_owned());
    }
    let [stride_height, stride_width] = integers(node, "strides", [1, 1], 1..=LARGEST_STRIDE)?;
    let [top, left, bottom, right] = integers(node, "pads", [0; 4], 0..=LARGEST_PADDING)?;
    integers(node, "dilations", [1, 1], 1..=1)?;
    let kernel = integers(node, "kernel_shape", [kernel_height, kernel_width], 1..=i64::MAX)?;
    let bias_fits = inputs.get(2).is_none_or(|bias| bias.as_slice() == [outputs]);
    if weight_channels * groups != channels || kernel != [kernel_height, kernel_width] || !bias_fits {
        let (weights, input) = (list(weights), list(inputs[0]));
        return Err(format!("applies weights of {weights} to {input}, which do not fit"));
    }
    let size = |input: usize, padding: usize, kernel: usize, stride: usize| {
        let room = (input + padding).checked_sub(kernel);
        room.map(|room| room / stride + 1)
            .ok_or_else(|| format!("has a kernel larger than its input {input}"))
    };
    let height = size(height, top + bottom, kernel_height, stride_height)?;
    let width = size(width, left + right, kernel_width, stride_width)?;
    let patches = product(&[channels, kernel_height, kernel_width, height, width])?;
    if patches > LARGEST_PATCHES {
        return Err(format!(
            "would need {patches} values for its patches; at most {LARGEST_PATCHES} are allowed"
        ));
    }
    // Each output reads the channels of its group alone.
    Ok((vec![batch, outputs, height, width], (patches / groups) as u64 * outputs as u64))
}

/// Groups of channels that are convolved apart: 1, or as many as there are channels in and out.
fn groups(node: &Node, channels: usize, outputs: usize) -> Result<usize, String> {
    let groups = attribute(node, "group").map_or(1, |attribute| attribute.i);
    match usize::try_from(groups) {
        Ok(1) => Ok(1),
        Ok(groups) if groups == channels && groups == outputs => Ok(groups),
        _ => Err(format!(
            "has group = {groups}; mfactor exports 1, or one for each of its {channels} channels"
        )),
    }
}

fn linear(node: &Node, inputs: &[&Shape]) -> Outcome {
    expect_integer(node, "transA", 0)?;
    expect_integer(node, "transB", 1)?;
    for name in ["alpha", "beta"] {
        if attribute(node, name).is_some_and(|attribute| attribute.f != 1.0) {
            return Err(format!("scales by {name}"));
        }
    }
    let ([batch, features], [outputs, weight_features]) = (inputs[0].as_slice(), inputs[1].as_slice()) else {
        return Err(format!("multiplies tensors of {} and {}", list(inputs[0]), list(inputs[1])));
    };
    let bias_fits = inputs.get(2).is_none_or(|bias| bias.as_slice() == [*outputs]);
    if features != weight_features || !bias_fits {
        let (weights, input) = (list(inputs[1]), list(inputs[0]));
        return Err(format!("applies weights of {weights} to {input}, which do not fit"));
    }
    Ok((vec![*batch, *outputs], product(&[*batch, *features, *outputs])? as u64))
}

fn attribute<'a>(node: &'a Node, name: &str) -> Option<&'a Attribute> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// Refuses any value but `only`, which may be left out where it is the operator's default.
fn expect_integer(node: &Node, name: &str, only: i64) -> Result<(), String> {
    let default = if name == "transB" || name == "transA" { 0 } else { 1 };
    let value = attribute(node, name).map_or(default, |attribute| attribute.i);
    if value == only { Ok(()) } else { Err(format!("has {name} = {value}; mfactor exports {only}")) }
}

fn integers<const N: usize>(
    node: &Node,
    name: &str,
    default: [usize; N],
    allowed: RangeInclusive<i64>,
) -> Result<[usize; N], String> {
    let Some(attribute) = attribute(node, name) else { return Ok(default) };
    let values: Option<[i64; N]> = attribute.ints.as_slice().try_into().ok();
    values
        .filter(|values| values.iter().all(|value| allowed.contains(value)))
        .map(|values| values.map(|value| value as usize))
        .ok_or_else(|| format!("has {name} = {}, which is not allowed", list(&attribute.ints)))
}
