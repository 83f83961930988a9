//! Conversions, bounds that are inputs, and linear layers, as tract's graphs have them.

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::cast::cast;
use tract_onnx::tract_hir::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_hir::tract_core::ops::math;

use super::Chain;

pub(super) fn converted(
    name: &str,
    model: &mut TypedModel,
    inputs: &[OutletId],
    to: DatumType,
) -> TractResult<OutletId> {
    ensure!(model.outlet_fact(inputs[0])?.datum_type != String::datum_type(), "text is no number");
    Ok(model.wire_node(name, cast(to), inputs)?[0])
}

pub(super) fn bounded(
    name: &str,
    model: &mut TypedModel,
    inputs: &[OutletId],
    bounds: [Option<usize>; 2],
) -> TractResult<OutletId> {
    let kind = model.outlet_fact(inputs[0])?.datum_type;
    let mut chain = Chain::new(name, model, inputs[0]);
    for (step, bound, operator) in [("least", bounds[0], math::max()), ("most", bounds[1], math::min())] {
        let Some(bound) = bound.map(|bound| inputs[bound]) else { continue };
        let bound = chain.model.wire_node(format!("{name}.{step}.bound"), cast(kind), &[bound])?[0];
        chain.with(step, operator, bound)?;
    }
    Ok(chain.value)
}

pub(super) fn linear(name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<OutletId> {
    let axes = AxesMapping::for_numpy_matmul(2, false, true, false)?;
    let product = EinSum::new(axes, model.outlet_fact(inputs[0])?.datum_type);
    let products = model.wire_node(format!("{name}.products"), product, &inputs[..2])?[0];
    let mut chain = Chain::new(name, model, products);
    if let Some(bias) = inputs.get(2) {
        chain.with("bias", math::add(), *bias)?;
    }
    Ok(chain.value)
}
