//! What tract makes of ONNX's operators: of those that the guard admits and no others. tract's own list has two hundred, and a program that
//! has it is a fifth larger.

mod arithmetic;
mod combined;
mod quantization;
#[cfg(test)]
mod tests;

use mfactor::onnx_operators::OnnxOperator;
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::{activations, array, cnn, konst, math, nn};
use tract_onnx::tract_hir::tract_core::ops::change_axes::AxisOp;

use combined::Combined;
use quantization::Steps;

/// An operator, and the names of what it reads of graphs around its own.
type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// How an operator is made of a node.
type Builder = fn(&ParsingContext, &NodeProto) -> Built;

/// A reader of models of these operators.
pub fn reader() -> Onnx {
    let mut onnx = Onnx::default();
    for operator in OnnxOperator::ALL {
        onnx.op_register.insert(operator.name(), builder(operator));
    }
    onnx
}

fn builder(operator: OnnxOperator) -> Builder {
    match operator {
        OnnxOperator::Add => |_, _| built(math::Add.into_hir()),
        OnnxOperator::Sub => |_, _| built(math::Sub.into_hir()),
        OnnxOperator::Mul => |_, _| built(math::Mul.into_hir()),
        OnnxOperator::Cast => |_, node| built(expand(Combined::cast(node)?)),
        OnnxOperator::Clip => clip,
        OnnxOperator::Constant => constant,
        OnnxOperator::Conv => convolution,
        OnnxOperator::QLinearConv => quantized_convolution,
        OnnxOperator::QuantizeLinear => |_, node| built(expand(Combined::Quantize(Steps::of(node)?))),
        OnnxOperator::DequantizeLinear => |_, node| built(expand(Combined::Dequantize(Steps::of(node)?))),
        OnnxOperator::Flatten => |_, _| built(expand(array::Flatten::new(1))),
        OnnxOperator::Gemm => |_, _| built(expand(Combined::Linear)),
        OnnxOperator::GlobalAveragePool => |_, _| built(expand(nn::GlobalAvgPool)),
        OnnxOperator::HardSigmoid => |_, node| {
            let alpha = node.get_attr_opt("alpha")?.unwrap_or(0.2);
            let beta = node.get_attr_opt("beta")?.unwrap_or(0.5);
            built(expand(activations::HardSigmoid(alpha, beta)))
        },
        OnnxOperator::HardSwish => |_, _| built(nn::hard_swish().into_hir()),
        OnnxOperator::Relu => |_, _| built(expand(activations::Clip::new(Some(0.0), None))),
    }
}

/// What becomes of a value on its way through an operator that is several of tract's.
struct Chain<'a> {
    name: &'a str,
    model: &'a mut TypedModel,
    value: OutletId,
}

impl<'a> Chain<'a> {
    fn new(name: &'a str, model: &'a mut TypedModel, value: OutletId) -> Self {
        Self { name, model, value }
    }

    fn rank(&self) -> TractResult<usize> {
        Ok(self.model.outlet_fact(self.value)?.rank())
    }

    /// An operator of this value alone.
    fn through(&mut self, step: &str, operator: impl Into<Box<dyn TypedOp>>) -> TractResult<()> {
        self.value = self.model.wire_node(format!("{}.{step}", self.name), operator, &[self.value])?[0];
        Ok(())
    }

    /// An operator of this value and another one, which is brought to as many axes.
    fn with(
        &mut self,
        step: &str,
        operator: impl Into<Box<dyn TypedOp>>,
        other: OutletId,
    ) -> TractResult<()> {
        let mut other = other;
        let rank = self.rank()?;
        for axis in self.model.outlet_fact(other)?.rank()..rank {
            let name = format!("{}.{step}.axis{axis}", self.name);
            other = self.model.wire_node(name, AxisOp::Add(0), &[other])?[0];
        }
        self.value =
            self.model.wire_node(format!("{}.{step}", self.name), operator, &[self.value, other])?[0];
        Ok(())
    }

    /// The same with numbers of the graph's own.
    fn with_numbers(
        &mut self,
        step: &str,
        operator: impl Into<Box<dyn TypedOp>>,
        numbers: Tensor,
    ) -> TractResult<()> {
        let numbers = self.model.add_const(format!("{}.{step}.numbers", self.name), numbers)?;
        self.with(step, operator, numbers)
    }
}

fn built(operator: Box<dyn InferenceOp>) -> Built {
    Ok((operator, vec![]))
}

/// Bounds were attributes until version 11 of the operators, and are inputs since.
fn clip(context: &ParsingContext, node: &NodeProto) -> Built {
    if context.onnx_operator_set_version < 11 {
        let (least, most) = (node.get_attr_opt("min")?, node.get_attr_opt("max")?);
        return built(expand(activations::Clip::new(least, most)));
    }
    built(expand(Combined::clip(node)))
}

fn constant(context: &ParsingContext, node: &NodeProto) -> Built {
    let tensor = if let Some(tensor) = node.get_attr_opt("value")? {
        context.load_tensor(tensor)?
    } else if let Some(number) = node.get_attr_opt::<i64>("value_int")? {
        tensor0(number)
    } else if let Some(number) = node.get_attr_opt::<f32>("value_float")? {
        tensor0(number)
    } else if let Some(numbers) = node.get_attr_opt_slice::<i64>("value_ints")? {
        tensor1(numbers)
    } else if let Some(numbers) = node.get_attr_opt_slice::<f32>("value_floats")? {
        tensor1(numbers)
    } else {
        bail!("a Constant without numbers")
    };
    built(Box::new(konst::Const::new(tensor.into_arc_tensor())?))
}

/// Dilations are 1 and paddings are said: the guard admits nothing else.
fn convolution_of(node: &NodeProto) -> TractResult<cnn::Conv> {
    let pads: TVec<usize> = node.get_attr_opt_tvec("pads")?.unwrap_or_else(|| tvec!(0; 4));
    let (before, after) = pads.split_at(pads.len() / 2);
    let mut convolution =
        cnn::Conv::default().padding(cnn::PaddingSpec::Explicit(before.into(), after.into()));
    if let Some(groups) = node.get_attr_opt("group")? {
        convolution = convolution.group(groups);
    }
    if let Some(strides) = node.get_attr_opt_tvec("strides")? {
        convolution = convolution.strides(strides);
    }
    Ok(convolution)
}

fn convolution(_: &ParsingContext, node: &NodeProto) -> Built {
    let mut convolution = convolution_of(node)?;
    convolution.bias_input = (node.input.len() == 3).then_some(2);
    built(expand(convolution))
}

fn quantized_convolution(_: &ParsingContext, node: &NodeProto) -> Built {
    let convolution = cnn::Conv {
        x_scale_input: Some(1),
        x_zero_point_input: Some(2),
        k_input: Some(3),
        k_scale_input: Some(4),
        k_zero_point_input: Some(5),
        y_scale_input: Some(6),
        y_zero_point_input: Some(7),
        bias_input: Some(8),
        ..convolution_of(node)?
    };
    built(expand(convolution))
}
