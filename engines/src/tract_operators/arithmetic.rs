//! Conversions, bounds that are inputs, and linear layers, as tract's graphs have them.

use tract_onnx::model::optional_inputs;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::cast::cast;
use tract_onnx::tract_hir::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_hir::tract_core::ops::math;

use super::Chain;

/// Conversion between element types.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    to: DatumType,
}

impl Cast {
    pub(super) fn of(node: &NodeProto) -> TractResult<Self> {
        // Integers of 64 bits are dimensions to tract.
        Ok(match node.get_attr::<DatumType>("to")? {
            DatumType::I64 => Self { to: TDim::datum_type() },
            to => Self { to },
        })
    }
}

impl Expansion for Cast {
    fn name(&self) -> StaticName {
        "Cast".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&outputs[0].datum_type, self.to)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        ensure!(model.outlet_fact(inputs[0])?.datum_type != String::datum_type(), "text is no number");
        model.wire_node(name, cast(self.to), inputs)
    }
}

/// Values held between two bounds, either of which may be left out.
#[derive(Debug, Clone)]
pub(super) struct Bounded {
    least: Option<usize>,
    most: Option<usize>,
}

impl Bounded {
    pub(super) fn of(node: &NodeProto) -> Self {
        let mut bounds = optional_inputs(node).skip(1);
        let (least, most) = (bounds.next().flatten(), bounds.next().flatten());
        Self { least, most }
    }
}

impl Expansion for Bounded {
    fn name(&self) -> StaticName {
        "Clip".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1 + [self.least, self.most].iter().flatten().count())?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let kind = model.outlet_fact(inputs[0])?.datum_type;
        let mut chain = Chain::new(name, model, inputs[0]);
        for (step, bound, operator) in [("least", self.least, math::max()), ("most", self.most, math::min())]
        {
            let Some(bound) = bound.map(|bound| inputs[bound]) else { continue };
            let bound = chain.model.wire_node(format!("{name}.{step}.bound"), cast(kind), &[bound])?[0];
            chain.with(step, operator, bound)?;
        }
        Ok(tvec!(chain.value))
    }
}

/// A linear layer: a row times the transposed weights, and a bias that may be left out. The guard admits no other form of a Gemm.
#[derive(Debug, Clone)]
pub(super) struct Linear;

impl Expansion for Linear {
    fn name(&self) -> StaticName {
        "Gemm".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        ensure!(matches!(inputs.len(), 2 | 3), "a linear layer has two inputs or three");
        check_output_arity(outputs, 1)?;
        for input in inputs {
            solver.equals(&input.datum_type, &outputs[0].datum_type)?;
        }
        for matrix in [&inputs[0], &inputs[1], &outputs[0]] {
            solver.equals(&matrix.rank, 2)?;
        }
        solver.equals(&inputs[0].shape[0], &outputs[0].shape[0])?;
        solver.equals(&inputs[0].shape[1], &inputs[1].shape[1])?;
        solver.equals(&inputs[1].shape[0], &outputs[0].shape[1])
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let axes = AxesMapping::for_numpy_matmul(2, false, true, false)?;
        let product = EinSum::new(axes, model.outlet_fact(inputs[0])?.datum_type);
        let products = model.wire_node(format!("{name}.products"), product, &inputs[..2])?[0];
        let mut chain = Chain::new(name, model, products);
        if let Some(bias) = inputs.get(2) {
            chain.with("bias", math::add(), *bias)?;
        }
        Ok(tvec!(chain.value))
    }
}
