//! Shapes of all values of an ONNX graph at batch 1, for the operators that `export` writes.
//!
//! Every shape is known before an engine allocates anything, so that a hostile file is refused for what it would
//! need rather than after the machine has run out of it.

use mfactor::onnx::{Attribute, Node};
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

/// Output shape of one node and its multiply-accumulates, or what is wrong with it in words.
///
/// `inputs` are the shapes of the node's inputs, of which the operator has at least one.
pub fn of_node(node: &Node, inputs: &[&Shape]) -> Result<(Shape, u64), String> {
    let count = |allowed: std::ops::RangeInclusive<usize>| {
        let has = inputs.len();
        if allowed.contains(&has) { Ok(()) } else { Err(format!("has {has} inputs")) }
    };
    let (shape, macs) = match node.op_type.as_str() {
        "Cast" | "Relu" => count(1..=1).map(|()| (inputs[0].clone(), 0))?,
        "Add" | "Sub" | "Mul" => {
            count(2..=2)?;
            (broadcast(inputs[0], inputs[1])?, 0)
        }
        "Conv" => {
            count(2..=3)?;
            convolution(node, inputs)?
        }
        "QLinearConv" => {
            count(9..=9)?;
            [1, 2, 6, 7].iter().try_for_each(|scalar| of_elements(inputs[*scalar], 1))?;
            let outputs = inputs[3].first().copied().unwrap_or(1);
            [4, 5].iter().try_for_each(|channels| of_elements(inputs[*channels], outputs))?;
            convolution(node, &[inputs[0], inputs[3], inputs[8]])?
        }
        "QuantizeLinear" | "DequantizeLinear" => {
            count(2..=3)?;
            let axis = attribute(node, "axis").map_or(1, |attribute| attribute.i);
            let along = usize::try_from(axis).ok().and_then(|axis| inputs[0].get(axis).copied());
            for parameter in &inputs[1..] {
                of_elements(parameter, if parameter.is_empty() { 1 } else { along.unwrap_or(0) })?;
            }
            (inputs[0].clone(), 0)
        }
        "GlobalAveragePool" => {
            count(1..=1)?;
            let [batch, channels, _, _] = rank4(inputs[0])?;
            (vec![batch, channels, 1, 1], 0)
        }
        "Flatten" => {
            count(1..=1)?;
            expect_integer(node, "axis", 1)?;
            (
                vec![
                    inputs[0].first().copied().unwrap_or(1),
                    product(inputs[0].get(1..).unwrap_or_default())?,
                ],
                0,
            )
        }
        "Gemm" => {
            count(2..=3)?;
            linear(node, inputs)?
        }
        other => {
            let name = text::name(other);
            return Err(format!("is a {name}, which is not among the operators that mfactor exports"));
        }
    };
    if product(&shape)? > LARGEST_TENSOR {
        return Err(format!(
            "makes a tensor of {}; at most {LARGEST_TENSOR} values are allowed",
            list(&shape)
        ));
    }
    Ok((shape, macs))
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

fn convolution(node: &Node, inputs: &[&Shape]) -> Result<(Shape, u64), String> {
    let ([batch, channels, height, width], weights) = (rank4(inputs[0])?, rank4(inputs[1])?);
    let [outputs, weight_channels, kernel_height, kernel_width] = weights;
    expect_integer(node, "group", 1)?;
    if attribute(node, "auto_pad").is_some_and(|padding| padding.s != b"NOTSET") {
        return Err("leaves its padding to the engine (auto_pad)".to_owned());
    }
    let [stride_height, stride_width] = integers(node, "strides", [1, 1], 1..=LARGEST_STRIDE)?;
    let [top, left, bottom, right] = integers(node, "pads", [0; 4], 0..=LARGEST_PADDING)?;
    integers(node, "dilations", [1, 1], 1..=1)?;
    let kernel = integers(node, "kernel_shape", [kernel_height, kernel_width], 1..=i64::MAX)?;
    let bias_fits = inputs.get(2).is_none_or(|bias| bias.as_slice() == [outputs]);
    if weight_channels != channels || kernel != [kernel_height, kernel_width] || !bias_fits {
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
    Ok((vec![batch, outputs, height, width], patches as u64 * outputs as u64))
}

fn linear(node: &Node, inputs: &[&Shape]) -> Result<(Shape, u64), String> {
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
    allowed: std::ops::RangeInclusive<i64>,
) -> Result<[usize; N], String> {
    let Some(attribute) = attribute(node, name) else { return Ok(default) };
    let values: Option<[i64; N]> = attribute.ints.as_slice().try_into().ok();
    values
        .filter(|values| values.iter().all(|value| allowed.contains(value)))
        .map(|values| values.map(|value| value as usize))
        .ok_or_else(|| format!("has {name} = {}, which is not allowed", list(&attribute.ints)))
}
