//! Numbers to bytes and back, as tract's graphs have it: with one scale as an operator of its own, with one for each channel as arithmetic.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::cast::cast;
use tract_onnx::tract_hir::tract_core::ops::math::{add, div, max, min, mul, round_half_to_even, sub};
use tract_onnx::tract_hir::tract_core::ops::quant::{
    DequantizeLinearF32, quantize_linear_i8, quantize_linear_u8,
};

use super::Chain;

/// What either operator is given beside its values: scales, and zero points that may be left out; of one number, or of one for each place
/// along an axis.
#[derive(Debug, Clone)]
struct Steps {
    has_zero_point: bool,
    axis: usize,
}

impl Steps {
    fn of(node: &NodeProto) -> TractResult<Self> {
        ensure!(node.get_attr_opt::<i64>("block_size")?.unwrap_or(0) == 0, "scales are of blocks");
        let axis = node.get_attr_opt::<i64>("axis")?.unwrap_or(1);
        Ok(Self { has_zero_point: node.input.len() == 3, axis: usize::try_from(axis)? })
    }

    /// Scales and zero points, which the guard has seen to be stored.
    fn stored(&self, model: &TypedModel, inputs: &[OutletId]) -> TractResult<[Arc<Tensor>; 2]> {
        let stored = |outlet| model.outlet_fact(outlet)?.konst.clone().context("a step that is not stored");
        let zero_points = if self.has_zero_point { stored(inputs[2])? } else { rctensor0(0u8) };
        Ok([stored(inputs[1])?, zero_points])
    }

    /// Numbers as f32, along the axis of a tensor of so many axes.
    fn along(&self, numbers: &Tensor, rank: usize) -> TractResult<Tensor> {
        let shape: TVec<usize> =
            (0..rank).map(|axis| if axis == self.axis { numbers.len() } else { 1 }).collect();
        numbers.cast_to::<f32>()?.into_owned().into_shape(&shape)
    }
}

/// The scale and the zero point, if they are the only ones.
fn single(scales: &Tensor, zero_points: &Tensor) -> TractResult<Option<(f32, i32)>> {
    let first = |numbers: &Tensor| {
        Ok::<f32, TractError>(numbers.cast_to::<f32>()?.try_as_plain_ram()?.as_slice::<f32>()?[0])
    };
    if (scales.len(), zero_points.len()) == (1, 1) {
        // Bytes are whole numbers in f32 too.
        return Ok(Some((first(scales)?, first(zero_points)? as i32)));
    }
    Ok(None)
}

/// f32 to bytes.
#[derive(Debug, Clone)]
pub(super) struct Quantize(Steps);

impl Quantize {
    pub(super) fn of(node: &NodeProto) -> TractResult<Self> {
        Ok(Self(Steps::of(node)?))
    }
}

impl Expansion for Quantize {
    fn name(&self) -> StaticName {
        "QuantizeLinear".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2 + usize::from(self.0.has_zero_point))?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[1].datum_type, f32::datum_type())?;
        match inputs.get(2) {
            Some(zero_points) => solver.equals(&outputs[0].datum_type, &zero_points.datum_type)?,
            None => solver.equals(&outputs[0].datum_type, u8::datum_type())?,
        }
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let [scales, zero_points] = self.0.stored(model, inputs)?;
        let kind = zero_points.datum_type();
        let bounds = match kind {
            DatumType::U8 => [0.0f32, 255.0],
            DatumType::I8 => [-128.0, 127.0],
            _ => bail!("numbers are made bytes of and not {kind:?}"),
        };
        if let Some((scale, zero_point)) = single(&scales, &zero_points)? {
            let operator = if kind == DatumType::U8 {
                quantize_linear_u8(scale.recip(), zero_point as u8)
            } else {
                quantize_linear_i8(scale.recip(), zero_point as i8)
            };
            return model.wire_node(name, operator, &inputs[..1]);
        }
        let mut chain = Chain::new(name, model, inputs[0]);
        let rank = chain.rank()?;
        chain.with_numbers("steps", div(), self.0.along(&scales, rank)?)?;
        chain.through("whole", round_half_to_even())?;
        chain.with_numbers("from_zero", add(), self.0.along(&zero_points, rank)?)?;
        chain.with_numbers("least", max(), tensor0(bounds[0]))?;
        chain.with_numbers("most", min(), tensor0(bounds[1]))?;
        chain.through("bytes", cast(kind))?;
        Ok(tvec!(chain.value))
    }
}

/// Bytes to f32.
#[derive(Debug, Clone)]
pub(super) struct Dequantize(Steps);

impl Dequantize {
    pub(super) fn of(node: &NodeProto) -> TractResult<Self> {
        Ok(Self(Steps::of(node)?))
    }
}

impl Expansion for Dequantize {
    fn name(&self) -> StaticName {
        "DequantizeLinear".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2 + usize::from(self.0.has_zero_point))?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[1].datum_type, f32::datum_type())?;
        solver.equals(&outputs[0].datum_type, f32::datum_type())?;
        if let Some(zero_points) = inputs.get(2) {
            solver.equals(&inputs[0].datum_type, &zero_points.datum_type)?;
        }
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let [scales, zero_points] = self.0.stored(model, inputs)?;
        if let Some((scale, zero_point)) = single(&scales, &zero_points)? {
            return model.wire_node(name, DequantizeLinearF32::new(scale, zero_point), &inputs[..1]);
        }
        let mut chain = Chain::new(name, model, inputs[0]);
        let rank = chain.rank()?;
        chain.through("numbers", cast(f32::datum_type()))?;
        chain.with_numbers("from_zero", sub(), self.0.along(&zero_points, rank)?)?;
        chain.with_numbers("values", mul(), self.0.along(&scales, rank)?)?;
        Ok(tvec!(chain.value))
    }
}
