//! Numbers to bytes and back, as tract's graphs have it: with one scale as an operator of its own, with one for each channel as arithmetic.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::cast::cast;
use tract_onnx::tract_hir::tract_core::ops::math::{add, div, max, min, mul, round_half_to_even, sub};
use tract_onnx::tract_hir::tract_core::ops::quant::{
    DequantizeLinearF32, quantize_linear_i8, quantize_linear_u8,
};

use super::Chain;

/// What is given beside values: scales, and zero points that may be left out; of one number, or of one for each place along an axis.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    has_zero_point: bool,
    axis: usize,
}

impl Steps {
    pub(super) fn of(node: &NodeProto) -> TractResult<Self> {
        ensure!(node.get_attr_opt::<i64>("block_size")?.unwrap_or(0) == 0, "scales are of blocks");
        let axis = node.get_attr_opt::<i64>("axis")?.unwrap_or(1);
        Ok(Self { has_zero_point: node.input.len() == 3, axis: usize::try_from(axis)? })
    }

    /// How many inputs there are, with the values.
    pub(super) fn inputs(&self) -> usize {
        2 + usize::from(self.has_zero_point)
    }

    /// Scales and zero points, which have to be stored numbers.
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

pub(super) fn quantized(
    name: &str,
    model: &mut TypedModel,
    inputs: &[OutletId],
    steps: &Steps,
) -> TractResult<OutletId> {
    let [scales, zero_points] = steps.stored(model, inputs)?;
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
        return Ok(model.wire_node(name, operator, &inputs[..1])?[0]);
    }
    let mut chain = Chain::new(name, model, inputs[0]);
    let rank = chain.rank()?;
    chain.with_numbers("steps", div(), steps.along(&scales, rank)?)?;
    chain.through("whole", round_half_to_even())?;
    chain.with_numbers("from_zero", add(), steps.along(&zero_points, rank)?)?;
    chain.with_numbers("least", max(), tensor0(bounds[0]))?;
    chain.with_numbers("most", min(), tensor0(bounds[1]))?;
    chain.through("bytes", cast(kind))?;
    Ok(chain.value)
}

pub(super) fn dequantized(
    name: &str,
    model: &mut TypedModel,
    inputs: &[OutletId],
    steps: &Steps,
) -> TractResult<OutletId> {
    let [scales, zero_points] = steps.stored(model, inputs)?;
    if let Some((scale, zero_point)) = single(&scales, &zero_points)? {
        return Ok(model.wire_node(name, DequantizeLinearF32::new(scale, zero_point), &inputs[..1])?[0]);
    }
    let mut chain = Chain::new(name, model, inputs[0]);
    let rank = chain.rank()?;
    chain.through("numbers", cast(f32::datum_type()))?;
    chain.with_numbers("from_zero", sub(), steps.along(&zero_points, rank)?)?;
    chain.with_numbers("values", mul(), steps.along(&scales, rank)?)?;
    Ok(chain.value)
}
