//! Operators that tract has no one of its own for: what is known of their tensors, and what they are put together from.

use mfactor::onnx_operators::OnnxOperator;
use tract_onnx::model::optional_inputs;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::arithmetic::{bounded, converted, linear};
use super::quantization::{Steps, dequantized, quantized};

/// One of them.
#[derive(Debug, Clone)]
pub(super) enum Combined {
    /// A conversion between types of numbers.
    Cast(DatumType),
    /// Values held between two bounds, the inputs with these numbers, either of which may be left out.
    Clip([Option<usize>; 2]),
    /// Numbers to bytes.
    Quantize(Steps),
    /// Bytes to numbers.
    Dequantize(Steps),
    /// A linear layer: a row times the transposed weights, and a bias that may be left out. The guard admits no other form of a Gemm.
    Linear,
}

impl Combined {
    pub(super) fn cast(node: &NodeProto) -> TractResult<Self> {
        // Integers of 64 bits are dimensions to tract.
        Ok(Self::Cast(match node.get_attr::<DatumType>("to")? {
            DatumType::I64 => TDim::datum_type(),
            to => to,
        }))
    }

    pub(super) fn clip(node: &NodeProto) -> Self {
        let mut bounds = optional_inputs(node).skip(1);
        Self::Clip([bounds.next().flatten(), bounds.next().flatten()])
    }

    fn operator(&self) -> OnnxOperator {
        match self {
            Self::Cast(_) => OnnxOperator::Cast,
            Self::Clip(_) => OnnxOperator::Clip,
            Self::Quantize(_) => OnnxOperator::QuantizeLinear,
            Self::Dequantize(_) => OnnxOperator::DequantizeLinear,
            Self::Linear => OnnxOperator::Gemm,
        }
    }
}

impl Expansion for Combined {
    fn name(&self) -> StaticName {
        self.operator().name().into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        let count = match self {
            Self::Cast(_) => 1,
            Self::Clip(bounds) => 1 + bounds.iter().flatten().count(),
            Self::Quantize(steps) | Self::Dequantize(steps) => steps.inputs(),
            Self::Linear => inputs.len().clamp(2, 3),
        };
        check_input_arity(inputs, count)?;
        let kind = &outputs[0].datum_type;
        match self {
            Self::Cast(to) => solver.equals(kind, *to)?,
            Self::Clip(_) => solver.equals(kind, &inputs[0].datum_type)?,
            Self::Quantize(_) => {
                solver.equals(&inputs[1].datum_type, f32::datum_type())?;
                match inputs.get(2) {
                    Some(zero_points) => solver.equals(kind, &zero_points.datum_type)?,
                    None => solver.equals(kind, u8::datum_type())?,
                }
            }
            Self::Dequantize(_) => {
                solver.equals(&inputs[1].datum_type, f32::datum_type())?;
                solver.equals(kind, f32::datum_type())?;
                if let Some(zero_points) = inputs.get(2) {
                    solver.equals(&inputs[0].datum_type, &zero_points.datum_type)?;
                }
            }
            Self::Linear => {
                inputs.iter().try_for_each(|input| solver.equals(&input.datum_type, kind))?;
                for matrix in [&inputs[0], &inputs[1], &outputs[0]] {
                    solver.equals(&matrix.rank, 2)?;
                }
                solver.equals(&inputs[0].shape[0], &outputs[0].shape[0])?;
                solver.equals(&inputs[0].shape[1], &inputs[1].shape[1])?;
                return solver.equals(&inputs[1].shape[0], &outputs[0].shape[1]);
            }
        }
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        Ok(tvec!(match self {
            Self::Cast(to) => converted(name, model, inputs, *to)?,
            Self::Clip(bounds) => bounded(name, model, inputs, *bounds)?,
            Self::Quantize(steps) => quantized(name, model, inputs, steps)?,
            Self::Dequantize(steps) => dequantized(name, model, inputs, steps)?,
            Self::Linear => linear(name, model, inputs)?,
        }))
    }
}
